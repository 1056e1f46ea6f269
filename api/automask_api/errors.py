"""What only the service refuses. The core's errors reach clients with the HTTP status of their class.

::

    AutomaskError
    +-- ImageTooLarge              HTTP 413   an image with too many pixels, or one that takes too much memory
    +-- ServiceError               HTTP 500
        +-- RequestInvalid         HTTP 400   the request cannot be read
        +-- KeyRequired            HTTP 401   no API key, or a wrong one
        +-- OriginRefused          HTTP 403   a foreign host, a foreign web page, or a path outside the allowed roots
        +-- NotFound               HTTP 404   no such job, image or result
        +-- NotAcceptable          HTTP 406   none of the formats that the client takes
        +-- TooSlow                HTTP 408   the body stopped arriving
        +-- Conflict               HTTP 409   not in the state that this needs
        +-- TooLarge               HTTP 413   more bytes, parts or images than allowed
        +-- UnsupportedType        HTTP 415   a body of another kind
        +-- UnusableKey            HTTP 422   an Idempotency-Key that belongs to another request
        +-- Busy                   HTTP 503   the queue is full, or the server starts or stops; Retry-After says when
        +-- DeadlinePassed         HTTP 504   not done in the time that the request allowed
        +-- StorageFull            HTTP 507   the uploads that are kept leave no room for another
"""

from __future__ import annotations

from automask.errors import AutomaskError, ImageError


class ImageTooLarge(ImageError):
    """An image with too many pixels, or one that takes too much memory."""

    http_status = 413
    default_code = "image-too-large"


class ServiceError(AutomaskError):
    """Base of what the service refuses by itself."""

    default_code = "service-failed"


class RequestInvalid(ServiceError):
    """The request cannot be read."""

    http_status = 400
    default_code = "request-invalid"


class KeyRequired(ServiceError):
    """No API key, or one that is not known."""

    http_status = 401
    default_code = "key-required"


class OriginRefused(ServiceError):
    """A foreign host name, a foreign web page, or a path outside the allowed roots."""

    http_status = 403
    default_code = "origin-refused"


class NotFound(ServiceError):
    """No such thing."""

    http_status = 404
    default_code = "not-found"


class NotAcceptable(ServiceError):
    """The client takes none of the formats that there are."""

    http_status = 406
    default_code = "not-acceptable"


class TooSlow(ServiceError):
    """The body stopped arriving."""

    http_status = 408
    default_code = "body-too-slow"


class Conflict(ServiceError):
    """The thing is not in the state that this needs."""

    http_status = 409
    default_code = "conflict"


class TooLarge(ServiceError):
    """More bytes, parts or images than allowed."""

    http_status = 413
    default_code = "too-large"


class UnsupportedType(ServiceError):
    """A body of another kind than understood."""

    http_status = 415
    default_code = "unsupported-type"


class UnusableKey(ServiceError):
    """An `Idempotency-Key` that belongs to another request."""

    http_status = 422
    default_code = "idempotency-key-reused"


class Busy(ServiceError):
    """The queue is full, or the server starts or stops.

    Args:
        message: One sentence.
        retry_after_s: When to come back.
    """

    http_status = 503
    default_code = "busy"

    def __init__(self, message: str, *, retry_after_s: int = 1, code: str | None = None) -> None:
        super().__init__(message, advice=f"Try again in {retry_after_s} s.", code=code)
        self.retry_after_s = retry_after_s


class StorageFull(ServiceError):
    """The uploads that are kept leave no room for another."""

    http_status = 507
    default_code = "storage-full"


class DeadlinePassed(ServiceError):
    """Not done in the time that the request allowed."""

    http_status = 504
    default_code = "deadline-passed"
