"""The images of a batch: files of a form, or entries of a zip that is not trusted."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from starlette.datastructures import UploadFile
from starlette.requests import Request

from automask.dataset.names import is_image_name
from automask.dataset.sniff import HEAD_BYTES, Unknown, recognise
from automask_api.bodies import MULTIPART, media_type_of, no_room, parsed_form
from automask_api.errors import RequestInvalid, TooLarge, UnsupportedType
from automask_api.settings import ServiceSettings

ZIP_TYPES = ("application/zip", "application/x-zip-compressed")
_DRIVE = re.compile(r"^[A-Za-z]:")
_ENCRYPTED = 0x1
_DIRECTORY_BYTES = 1 << 20
_DIRECTORY_BYTES_PER_IMAGE = 2048
"""A zip's list of entries is read at once and takes ten times its size in memory: images, captions beside them, long
names, but not millions of empty files."""


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One image that has not been read yet.

    Attributes:
        name: Relative path with forward slashes, checked.
        read: Gives its bytes; blocking, one call at a time in a batch. Raises `TooLarge` or `RequestInvalid`.
    """

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a request holds.

    Attributes:
        items: The images, in order, names unique.
        fields: Values of the form's other fields.
    """

    items: Sequence[BatchItem]
    fields: dict[str, list[str]]


@contextlib.asynccontextmanager
async def read_batch(request: Request, settings: ServiceSettings) -> AsyncIterator[Batch]:
    """Take in a batch; large bodies lie on disk until it is left.

    Raises:
        OutputError: The disk has no room for it.
        RequestInvalid: The form or zip is damaged, or a name leads out of it.
        TooLarge: Too many or too large images.
        UnsupportedType: The body is neither a form nor a zip.
    """
    media_type = media_type_of(request)
    if media_type == MULTIPART:
        async with parsed_form(request, max_files=settings.max_batch_images) as parts:
            uploads = [value for name, value in parts if name == "images" and isinstance(value, UploadFile)]
            strangers = {name for name, value in parts if name != "images" and isinstance(value, UploadFile)}
            if strangers or not uploads:
                raise RequestInvalid(
                    "The form's files must be named `images`.", advice="Send `-F images=@a.png -F images=@b.png`."
                )
            fields: dict[str, list[str]] = {}
            for name, value in parts:
                if isinstance(value, str):
                    fields.setdefault(name, []).append(value)
            yield Batch(_unique([_uploaded(upload, settings) for upload in uploads]), fields)
    elif media_type in ZIP_TYPES:
        with tempfile.TemporaryFile(prefix="automask-batch-") as spool:
            try:
                async for chunk in request.stream():
                    spool.write(chunk)
                spool.flush()
            except OSError as error:
                raise no_room(error) from error
            archive, entries = await asyncio.to_thread(_opened, spool, settings)
            with archive:
                yield Batch(_unique(entries), {})
    else:
        raise UnsupportedType(
            f"A body of type {media_type or 'nothing'} is not a batch.",
            advice="Send application/zip, or a multipart form with files named `images`.",
        )


def safe_name(name: str) -> str:
    """A relative path with forward slashes that stays where it is put.

    Raises:
        RequestInvalid: It would lead elsewhere.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    unsafe = not parts or parts[0] == "/" or ".." in parts or _DRIVE.match(parts[0]) or "\0" in name
    if unsafe or len(name.encode("utf-8", "replace")) > 1024 or not name.isprintable():
        raise RequestInvalid(
            f"{name[:80]!r} is no name for a file in a batch.",
            advice="Names are relative paths without `..`.",
            code="name-unsafe",
        )
    return "/".join(parts)


def _uploaded(upload: UploadFile, settings: ServiceSettings) -> BatchItem:
    def read() -> bytes:
        if (upload.size or 0) > settings.max_image_bytes:
            raise _too_large(upload.filename or "", settings)
        upload.file.seek(0)
        return upload.file.read()

    return BatchItem(safe_name(upload.filename or "image"), read)


def _opened(spool: IO[bytes], settings: ServiceSettings) -> tuple[zipfile.ZipFile, list[BatchItem]]:
    limited = _LimitedReads(spool, _DIRECTORY_BYTES + _DIRECTORY_BYTES_PER_IMAGE * settings.max_batch_images)
    try:
        archive = zipfile.ZipFile(limited)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, OSError) as error:
        raise _damaged(error) from error
    limited.most_bytes = None
    return archive, _entries(archive, settings)


class _LimitedReads:
    """A file of which `zipfile` reads no more at once than allowed.

    Args:
        file: Seekable.
        most_bytes: Most of one read; None = any.
    """

    def __init__(self, file: IO[bytes], most_bytes: int | None) -> None:
        self._file = file
        self.most_bytes = most_bytes

    def read(self, size: int = -1, /) -> bytes:
        """See `io.RawIOBase`.

        Raises:
            TooLarge: That is more than allowed.
        """
        if self.most_bytes is not None and size > self.most_bytes:
            raise TooLarge("The zip has too many entries.", advice="Send several batches.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """See `io.RawIOBase`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._file.tell()

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True


def _entries(archive: zipfile.ZipFile, settings: ServiceSettings) -> list[BatchItem]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    names = [safe_name(info.filename) for info in infos]
    chosen = [(info, name) for info, name in zip(infos, names, strict=True) if _is_wanted(name)]
    if not chosen:
        raise RequestInvalid(
            "The zip holds no image.", advice="Images are png, jpg, webp, avif, bmp, gif and tiff files."
        )
    if len(chosen) > settings.max_batch_images:
        raise TooLarge(
            f"The zip holds {len(chosen)} images, and the limit is {settings.max_batch_images}.",
            advice="Send several batches, or a job for the folder.",
        )
    unpacked = sum(info.file_size for info, _ in chosen)
    if unpacked > settings.max_batch_bytes:
        raise TooLarge(
            f"The zip unpacks to {unpacked / 1e9:.1f} GB, and the limit is {settings.max_batch_bytes / 1e9:.1f}.",
            advice="Send several batches.",
        )
    if any(info.flag_bits & _ENCRYPTED for info, _ in chosen):
        raise RequestInvalid("The zip is encrypted.", advice="Send one without a password.")
    return [_packed(archive, info, name, settings) for info, name in chosen]


def _packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, settings: ServiceSettings) -> BatchItem:
    def read() -> bytes:
        try:
            with archive.open(info) as stream:
                head = stream.read(HEAD_BYTES)
                if isinstance(recognise(head), Unknown):
                    return head  # decoding says what it is instead, by these bytes
                data = head + stream.read(
                    settings.max_image_bytes + 1 - len(head)
                )  # what the entry says of its size may be a lie
        except Exception as error:  # zipfile and its decompressors raise a dozen unrelated types on damaged entries
            raise _damaged(error) from error
        if len(data) > settings.max_image_bytes:
            raise _too_large(name, settings)
        return data

    return BatchItem(name, read)


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return is_image_name(path.name) and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _unique(items: Sequence[BatchItem]) -> Sequence[BatchItem]:
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise RequestInvalid(
                f"Two images are named {item.name!r}.", advice="Give each its own name.", code="name-repeated"
            )
        seen.add(item.name)
    return items


def _too_large(name: str, settings: ServiceSettings) -> TooLarge:
    return TooLarge(
        f"{name} is larger than {settings.max_image_bytes / (1 << 20):.4g} MiB.",
        advice="Scale it down or compress it.",
        code="body-too-large",
    )


def _damaged(error: Exception) -> RequestInvalid:
    return RequestInvalid(f"The zip cannot be read: {error}.", advice="Make it again.", code="zip-invalid")
