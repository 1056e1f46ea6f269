"""Downloads catalogued weights: the one place in automask that uses the network, and only when told to."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from automask.errors import OutputError, WeightsError
from automask.weights import DeclaredFile, WeightSpec, file_sha256

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in total) of the file that is being fetched."""


class _HttpsOnly(HTTPRedirectHandler):
    """Follows redirects, but never from https to anything else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Refuse a redirect that leaves https."""
        if urlsplit(newurl).scheme != "https":
            raise URLError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def pull(spec: WeightSpec, folder: Path, *, progress: Progress | None = None) -> list[Path]:
    """Fetch the files of a weight that are not there yet.

    Each file goes to a temporary name, is checked against its declared size and sha256, and is then renamed: a folder
    never holds half a file under its real name.

    Args:
        spec: What to fetch.
        folder: Weights folder to fetch into, usually `WeightLibrary.cache_folder`.
        progress: Told about every chunk.

    Returns:
        The files that were fetched; empty if all were there.

    Raises:
        WeightsError: There is nothing to fetch from, the network does not answer, or the bytes are not the right ones.
        OutputError: The folder cannot be written.
    """
    if spec.url is None:
        raise WeightsError(
            f"{spec.name} comes with the package and cannot be pulled.",
            advice="Reinstall the package that lists it.",
            code="weights-not-pullable",
        )
    fetched = []
    for declared in spec.files:
        target = folder / declared.file
        if target.is_file() and file_sha256(target) == declared.sha256:
            continue
        url = urljoin(spec.url if spec.url.endswith("/") else f"{spec.url}/", quote(declared.file.split("/")[-1]))
        _fetch(url, declared, target, progress=progress)
        fetched.append(target)
    return fetched


def _fetch(url: str, declared: DeclaredFile, target: Path, *, progress: Progress | None) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise _unwritable(target.parent, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            digest = _copy(url, declared, stream.write, progress=progress)
            try:
                stream.flush()
                os.fsync(stream.fileno())
            except OSError as error:
                raise _unwritable(target.parent, error) from error
        if digest != declared.sha256:
            raise WeightsError(
                f"{url} gave other bytes than declared (sha256 {digest}).",
                advice="Nothing was kept. Upgrade automask, or report it if that does not help.",
                code="weights-mismatch",
            )
        try:
            temporary.replace(target)
        except OSError as error:
            raise _unwritable(target.parent, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _copy(url: str, declared: DeclaredFile, write: Callable[[bytes], int], *, progress: Progress | None) -> str:
    """Copy a download and return its sha256; stops early when it is longer than declared."""
    digest, done_bytes = hashlib.sha256(), 0
    try:
        with _opener().open(Request(url, headers={"User-Agent": "automask"}), timeout=_TIMEOUT_S) as answer:
            while chunk := answer.read(_CHUNK_BYTES):
                done_bytes += len(chunk)
                if done_bytes > declared.size_bytes:
                    break
                digest.update(chunk)
                try:
                    write(chunk)
                except OSError as error:
                    raise _unwritable(Path(declared.file), error) from error
                if progress is not None:
                    progress(done_bytes, declared.size_bytes)
    except HTTPError as error:
        raise WeightsError(
            f"{url} answers {error.code} {error.reason}.", advice="Try again later, or fetch the file by other means."
        ) from error
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"Cannot fetch {url}: {reason}.",
            advice="Check the network; or put the file into the folder that AUTOMASK_WEIGHTS names.",
            code="weights-offline",
        ) from error
    if done_bytes != declared.size_bytes:
        broke_off = f"broke off after {done_bytes} of {declared.size_bytes} bytes"
        too_long = f"is longer than the declared {declared.size_bytes} bytes"
        raise WeightsError(
            f"{url} {broke_off if done_bytes < declared.size_bytes else too_long}.",
            advice="Nothing was kept. Try again.",
            code="weights-mismatch",
        )
    return digest.hexdigest()


def _opener() -> OpenerDirector:
    return build_opener(_HttpsOnly)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"Cannot write the weights to {folder}: {error.strerror or error}.",
        advice="Free some space, or name another folder with AUTOMASK_WEIGHTS.",
    )
