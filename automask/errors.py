"""Every error that automask raises on purpose.

::

    AutomaskError                  exit 1, HTTP 500
    +-- ConfigError                exit 2, HTTP 422   an option, a config file or a request field is wrong
    |   +-- PluginError            exit 2, HTTP 422   a named detector, refiner or exporter is missing or broken
    +-- InputError                 exit 3, HTTP 422   nothing usable was given (no such folder, empty folder, bad list)
    |   +-- ImageError             exit 3, HTTP 422   one image cannot be used; in a run it becomes an Issue, not an end
    +-- OutputError                exit 4, HTTP 507   the output cannot be written (read-only, disk full)
    +-- StoreError                 exit 5, HTTP 409   the store cannot be used as it is
    |   +-- StoreLocked            exit 5, HTTP 409   another run owns the store
    |   +-- StoreTooNew            exit 5, HTTP 409   a newer automask wrote it
    |   +-- CorrectionConflict     exit 5, HTTP 409   somebody else changed the correction first
    +-- WeightsError               exit 6, HTTP 503   a weight file is missing, wrong or unsafe
    +-- StageError                 exit 7, HTTP 500   a detector or refiner broke its contract or crashed
    +-- ServerError                exit 9, HTTP 502   an automask server cannot be reached, or refuses what it is asked

Exit code 0 means that every image went well, 8 that the run finished but some images failed, 130 that the user
interrupted it. The numbers are part of the public interface: docs/errors.md lists them and a test compares.
"""

from __future__ import annotations

import errno
from typing import ClassVar

EXIT_OK = 0
EXIT_SOME_FAILED = 8
EXIT_INTERRUPTED = 130

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What an operating system calls a disk without room, or a user's share of it."""


class AutomaskError(Exception):
    """Base of all deliberate errors: a sentence, advice on what to do, an exit code and an HTTP status.

    Args:
        message: One sentence that says what is wrong, naming the file or option.
        advice: One sentence that says what to do about it; may be empty.
        code: A stable machine-readable name; defaults to the class's own.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, advice: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.code = code or self.default_code

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not unpickle by default; spawned workers send them home.
        return (_rebuild, (type(self), self.message, self.advice, self.code))


def _rebuild(cls: type[AutomaskError], message: str, advice: str, code: str) -> AutomaskError:
    return cls(message, advice=advice, code=code)


class ConfigError(AutomaskError):
    """An option, a configuration file or a request field is wrong."""

    exit_code = 2
    http_status = 422
    default_code = "config-invalid"


class PluginError(ConfigError):
    """A named detector, refiner, exporter or command is missing, or its package does not import."""

    default_code = "plugin-unavailable"


class InputError(AutomaskError):
    """Nothing usable was given: no such folder, an empty folder, an unreadable list."""

    exit_code = 3
    http_status = 422
    default_code = "input-invalid"


class ImageError(InputError):
    """One image cannot be used. In a dataset run it becomes that image's `Issue`."""

    default_code = "image-unreadable"


class OutputError(AutomaskError):
    """The output cannot be written."""

    exit_code = 4
    http_status = 507
    default_code = "output-unwritable"


class StoreError(AutomaskError):
    """The store cannot be used as it is."""

    exit_code = 5
    http_status = 409
    default_code = "store-unusable"


class StoreLocked(StoreError):
    """Another run owns the store."""

    default_code = "store-locked"


class StoreTooNew(StoreError):
    """A newer automask wrote the store."""

    default_code = "store-too-new"


class CorrectionConflict(StoreError):
    """The correction was changed by somebody else since it was read."""

    default_code = "correction-conflict"


class WeightsError(AutomaskError):
    """A weight file is missing, has the wrong hash, or would run code when loaded."""

    exit_code = 6
    http_status = 503
    default_code = "weights-unavailable"


class StageError(AutomaskError):
    """A detector or refiner crashed or broke its contract (wrong length, NaN score, wrong shape)."""

    exit_code = 7
    http_status = 500
    default_code = "stage-failed"


class ServerError(AutomaskError):
    """An automask server cannot be reached, is too busy, or refuses the request. Raised by its clients."""

    exit_code = 9
    http_status = 502
    default_code = "server-refused"
