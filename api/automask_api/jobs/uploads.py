"""Folders that clients sent: written beside, taken in whole, gone with the last job that needs them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from automask_api.batch.sources import BatchItem
from automask_api.bodies import no_room
from automask_api.errors import RequestInvalid, StorageFull, TooLarge
from automask_api.jobs.records import Job, UploadRequest
from automask_api.settings import ServiceSettings

_UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class Staged:
    """An upload that no job has yet.

    Attributes:
        folder: Where its images lie now.
        sha256: Of names and contents.
        images: How many.
    """

    folder: Path
    sha256: str
    images: int


class UploadShelf:
    """The uploads below a data folder.

    Args:
        settings: Data folder and limits.
        temporary: Where they are written before they are taken in; emptied at the start of a server.
    """

    def __init__(self, settings: ServiceSettings, *, temporary: Path) -> None:
        self._root = settings.data_dir / _UPLOADS
        self._settings = settings
        self._temporary = temporary

    def folder_of(self, request: UploadRequest) -> Path:
        """Where the images of an upload are."""
        return self._root / request.upload_sha256

    @contextlib.contextmanager
    def staged(self, items: Sequence[BatchItem]) -> Iterator[Staged]:
        """Write the images of a request; whatever was not kept when it is left is removed. Blocking.

        Raises:
            RequestInvalid: Two names cannot stand beside each other, or the zip is damaged.
            TooLarge: More bytes than allowed, whatever a zip said before.
            StorageFull: The uploads of all jobs together would be too large.
            OutputError: The disk has no room.
        """
        self._temporary.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="upload-", dir=self._temporary))
        try:
            yield Staged(folder, self._write(folder, items), len(items))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, staged: Staged) -> None:
        """Take an upload in; one of the same names and contents may be there already.

        Raises:
            OutputError: The data folder cannot be written.
        """
        target = self._root / staged.sha256
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if not target.is_dir():
                staged.folder.rename(target)
        except OSError as error:
            raise no_room(error) from error

    def remove(self, request: UploadRequest, *, others: Iterable[Job]) -> None:
        """Remove an upload that no other job needs."""
        if all(getattr(job.request, "upload_sha256", None) != request.upload_sha256 for job in others):
            shutil.rmtree(self.folder_of(request), ignore_errors=True)

    def sweep(self, jobs: Iterable[Job]) -> None:
        """Remove what no job needs: a server was killed between."""
        if not self._root.is_dir():
            return
        needed = {job.request.upload_sha256 for job in jobs if isinstance(job.request, UploadRequest)}
        for folder in self._root.iterdir():
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self, folder: Path, items: Sequence[BatchItem]) -> str:
        room = self._settings.upload_bytes - _bytes_below(self._root)
        written = 0
        hashes = {}
        for item in items:
            data = item.read()
            written += len(data)
            if written > self._settings.max_batch_bytes:
                raise TooLarge(
                    f"The upload is larger than {self._settings.max_batch_bytes / 1e9:.1f} GB.",
                    advice="Send several uploads.",
                )
            if written > room:
                raise StorageFull(
                    f"The uploads of all jobs may take {self._settings.upload_bytes / 1e9:.1f} GB, and do.",
                    advice="DELETE jobs that are done with, or raise AUTOMASK_SERVE_UPLOAD_BYTES.",
                )
            _write_new(folder / item.name, item.name, data)
            hashes[item.name] = hashlib.sha256(data).hexdigest()
        lines = "".join(f"{digest} {name}\n" for name, digest in sorted(hashes.items()))
        return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def _write_new(path: Path, name: str, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(data)
    except (FileExistsError, NotADirectoryError) as error:  # also where the file system knows no case
        raise RequestInvalid(
            f"{name!r} cannot stand beside another name.", advice="Give each its own name.", code="name-repeated"
        ) from error
    except ValueError as error:  # halves of surrogate pairs
        raise _no_name(name) from error
    except OSError as error:
        if error.errno is not None and _is_about_names(error.errno):
            raise _no_name(name) from error
        raise no_room(error) from error


def _is_about_names(number: int) -> bool:
    return number in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)


def _no_name(name: str) -> RequestInvalid:
    return RequestInvalid(
        f"{name[:80]!r} is no name for a file on this server.", advice="Choose a shorter one.", code="name-unsafe"
    )


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
