"""Bodies of requests: one image, raw or as a form, with its options beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from automask.errors import InputError, OutputError
from automask_api.errors import RequestInvalid, ServiceError, TooLarge, UnsupportedType
from automask_api.worker import deadline_passed

T = TypeVar("T")

MULTIPART = "multipart/form-data"
MAX_FIELDS = 64
_RAW_TYPES = ("image/", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read into memory.

    Attributes:
        files: Bytes of the files, by field.
        names: File names as the client said them, by field.
        fields: Values of the other fields.
    """

    files: dict[str, bytes]
    names: dict[str, str] = field(default_factory=dict)
    fields: dict[str, list[str]] = field(default_factory=dict)


def media_type_of(request: Request) -> str:
    """The type of a body without its parameters, lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_form(request: Request, *, max_files: int, max_bytes: int) -> Form:
    """Read a small form.

    Args:
        request: Whose body.
        max_files: More are refused.
        max_bytes: Larger files are refused.

    Raises:
        RequestInvalid: It is not a form.
        TooLarge: Too many parts, or too large ones.
    """
    files: dict[str, bytes] = {}
    names: dict[str, str] = {}
    fields: dict[str, list[str]] = {}
    async with parsed_form(request, max_files=max_files) as items:
        for name, value in items:
            if isinstance(value, UploadFile):
                if (value.size or 0) > max_bytes:
                    raise _image_too_large(max_bytes)
                files[name] = await value.read()
                names[name] = value.filename or ""
            else:
                fields.setdefault(name, []).append(value)
    return Form(files, names, fields)


@contextlib.asynccontextmanager
async def parsed_form(request: Request, *, max_files: int) -> AsyncIterator[list[tuple[str, UploadFile | str]]]:
    """The parts of a form, files on disk where they are large; gone when left.

    Raises:
        OutputError: The disk has no room for its files.
        RequestInvalid: It is not a form.
        TooLarge: Too many parts.
    """
    try:
        form = await request.form(max_files=max_files, max_fields=MAX_FIELDS)
    except HTTPException as error:
        if "Too many" in str(error.detail) or "exceeded" in str(error.detail):
            raise TooLarge(f"The form has too much in it: {error.detail}", advice="Send less at once.") from error
        raise _form_invalid(str(error.detail)) from error
    except (ServiceError, ClientDisconnect):
        raise
    except OSError as error:
        raise no_room(error) from error
    except Exception as error:  # the parser lets errors of several kinds through on damaged input
        raise _form_invalid(type(error).__name__) from error
    try:
        yield form.multi_items()
    finally:
        await form.close()


async def read_image(request: Request, *, max_bytes: int) -> Form:
    """The one image of a request: a form with the file `image`, or the body itself.

    Raises:
        RequestInvalid: There is no image, or the form is damaged.
        TooLarge: The image is too large.
        UnsupportedType: The body is of another kind.
    """
    media_type = media_type_of(request)
    if media_type == MULTIPART:
        form = await read_form(request, max_files=1, max_bytes=max_bytes)
        if "image" not in form.files:
            raise RequestInvalid("The form has no file named `image`.", advice="Send `-F image=@picture.png`.")
        return form
    if media_type and not media_type.startswith(_RAW_TYPES):
        raise UnsupportedType(
            f"A body of type {media_type} is not an image.",
            advice="Send the file itself as image/*, or a multipart form with a file named `image`.",
        )
    body = await request.body()
    if len(body) > max_bytes:
        raise _image_too_large(max_bytes)
    if not body:
        raise InputError("The body is empty.", advice="Send the bytes of an image file.")
    return Form({"image": body})


async def until_disconnect(request: Request, work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
    """Await something for as long as the client is there and the time lasts; otherwise it is cancelled.

    Raises:
        ClientDisconnect: The client went away.
        DeadlinePassed: The time was up.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnected(request))
    try:
        done, _ = await asyncio.wait({task, watcher}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            return task.result()
        if watcher in done:
            raise ClientDisconnect
        raise deadline_passed()
    finally:
        for unfinished in (task, watcher):
            unfinished.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def no_room(error: OSError) -> OutputError:
    """What to say when a body cannot be laid down on the disk."""
    return OutputError(
        f"The server cannot keep the body on its disk: {error.strerror}.",
        advice="Make room for temporary files (TMPDIR), or send less at once.",
    )


def _image_too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"The image is larger than {max_bytes / (1 << 20):.4g} MiB.",
        advice="Scale it down or compress it, or raise AUTOMASK_SERVE_MAX_IMAGE_BYTES.",
        code="body-too-large",
    )


def _form_invalid(reason: str) -> RequestInvalid:
    return RequestInvalid(f"The form cannot be read: {reason}", advice="Send multipart/form-data as curl -F does.")
