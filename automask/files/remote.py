"""Folders below a URL, through fsspec: S3, Google Cloud Storage, Azure, the Hugging Face Hub and what else it knows.

Credentials and addresses of servers come from the environment and from fsspec's own configuration files, never from a
URL: what is in a URL ends up in histories, process lists and logs.
"""

from __future__ import annotations

import io
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar, cast
from urllib.parse import urlsplit

from automask.errors import ConfigError, InputError
from automask.files.folders import FileEntry, Unreachable
from automask.files.urls import redacted

logger = logging.getLogger(__name__)

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "hf": "hf",
}
"""Extras that bring the driver of a scheme; every other one is asked for by the package that fsspec names."""
_TRIES = 5
_FIRST_PAUSE_S = 0.5
"""Waited before the second try, then twice as long each time: 7.5 s in all, more than a server's hiccup."""
_CONNECT_S, _READ_S = 10, 60
"""Time-outs of a connection and between two pieces of an answer."""
_PAGE = 1000
"""Names in one answer of S3's listing, the most that it gives."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": {"max_attempts": 3}}},
    "gs": {"timeout": _READ_S},
    "az": {"connection_timeout": _CONNECT_S, "read_timeout": _READ_S},
}
_SAME_OPTIONS = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}

AnyResult = TypeVar("AnyResult")


class RemoteFolder:
    """A prefix of an object store, or whatever else fsspec opens by URL. See `automask.files.folders.Folder`.

    Its methods may be called from several threads.

    Args:
        files: An fsspec file system.
        root: The folder, in the file system's own words.
        label: Its URL without credentials.
        pause: Waits so many seconds before another try.
    """

    def __init__(self, files: Any, root: str, label: str, *, pause: Callable[[float], object] = time.sleep) -> None:  # noqa: ANN401
        self._files = files
        self._root = root.rstrip("/")
        self.label = label
        self._pause = pause

    @classmethod
    def connect(cls, url: str) -> Self:
        """The folder at a URL. Nothing is asked of the server yet.

        Raises:
            ConfigError: The driver is not installed.
            InputError: The URL carries credentials or is none.
        """
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        if "://" not in url or not (parts.netloc or parts.path.strip("/")):
            raise InputError(
                f"{redacted(url)} is no URL that names a place.",
                advice="Write it like s3://bucket/folder.",
                code="url-invalid",
            )
        if parts.query or ":" in parts.netloc.rpartition("@")[0] or (scheme in _EXTRAS and parts.password):
            raise InputError(
                f"{redacted(url)} was given with a user, a password or a signature in it.",
                advice="Give the URL alone and put credentials into the environment or fsspec's configuration.",
                code="url-credentials",
            )
        module = _fsspec()
        if scheme not in (*module.available_protocols(), *_EXTRAS):
            raise ConfigError(
                f"No driver reads {scheme}:// URLs ({redacted(url)}).",
                advice="Known are s3, gs, az, hf, file and what fsspec knows.",
                code="url-unsupported",
            )
        options = {**_OPTIONS.get(_SAME_OPTIONS.get(scheme, scheme), {}), **module.config.conf.get(scheme, {})}
        try:
            files, root = module.url_to_fs(url, use_listings_cache=False, skip_instance_cache=False, **options)
        except ImportError as error:
            raise _driver_missing(scheme, url, str(error)) from error
        except Exception as error:  # drivers raise what they like on a URL or credentials that they do not take
            raise InputError(
                f"{redacted(url)} cannot be opened: {_words(error)}",
                advice="Check the URL and the credentials in the environment.",
                code="source-unreachable",
            ) from None
        return cls(files, root, redacted(url).rstrip("/"))

    def read(self, name: str, *, first: int = 0, length: int | None = None) -> bytes:
        """See `Folder`."""
        end = None if length is None else first + length
        if first == 0 and end is None:
            return bytes(self._tried(lambda: self._files.cat_file(self._path(name))))
        return bytes(self._tried(lambda: self._files.cat_file(self._path(name), start=first, end=end)))

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        """See `Folder`. All at once, where the driver can."""
        if not names:
            return []
        paths = [self._path(name) for name in names]
        found = self._tried(lambda: self._files.cat(paths, on_error="return")) if len(paths) > 1 else {}
        answers: list[bytes | None] = []
        for name, path in zip(names, paths, strict=True):
            answer = found.get(path)
            if not isinstance(answer, bytes) and not isinstance(answer, FileNotFoundError):
                try:
                    answer = self.read(name)
                except FileNotFoundError:
                    answer = None
            answers.append(answer if isinstance(answer, bytes) else None)
        return answers

    def open(self, name: str) -> BinaryIO:
        """See `Folder`. A piece that does not come is asked for again."""
        facts = self.facts(name)
        if facts is None:
            raise FileNotFoundError(f"{self.label}/{name}")
        return cast("BinaryIO", io.BufferedReader(_Pieces(self, name, facts.size_bytes), buffer_size=_PIECE_BYTES))

    def write(self, name: str, data: bytes) -> None:
        """See `Folder`."""
        self._made_for(name)
        self._tried(lambda: self._files.pipe_file(self._path(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """See `Folder`. S3 and Google refuse a second one themselves; elsewhere the last of two at once stands."""
        self._made_for(name)
        if self.facts(name) is not None:
            return False
        try:
            self._tried(lambda: self._files.pipe_file(self._path(name), data, mode="create"))
        except FileExistsError:
            return False
        return self.read(name) == data

    def upload(self, path: Path, name: str) -> None:
        """See `Folder`."""
        self._made_for(name)
        self._tried(lambda: self._files.put_file(str(path), self._path(name)))
        path.unlink()

    def remove(self, name: str) -> None:
        """See `Folder`."""
        try:
            self._tried(lambda: self._files.rm_file(self._path(name)))
        except FileNotFoundError:
            return

    def facts(self, name: str) -> FileEntry | None:
        """See `Folder`."""
        try:
            info = self._tried(lambda: self._files.info(self._path(name)))
        except FileNotFoundError:
            return None
        return self._entry(info, name) if info.get("type") != "directory" else None

    def files(self, below: str = "") -> Iterator[FileEntry]:
        """See `Folder`. S3 is listed a thousand names at a time; other stores give one folder's names at once."""
        path = self._path(below)
        if hasattr(self._files, "call_s3"):
            yield from self._s3_pages(path)
        else:
            yield from self._walked(path)

    def _walked(self, path: str) -> Iterator[FileEntry]:
        try:
            entries = self._tried(lambda: self._files.ls(path, detail=True))
        except FileNotFoundError:
            return
        folders = []
        for entry in sorted(entries, key=lambda entry: str(entry["name"])):
            if entry["type"] == "directory":
                folders.append(entry["name"])
            elif str(entry["name"]).strip("/") != path.strip("/") or len(entries) > 1:
                yield self._entry(entry, self._name(entry["name"]))
        for folder in folders:
            if str(folder).strip("/") != path.strip("/"):
                yield from self._walked(folder)

    def _s3_pages(self, path: str) -> Iterator[FileEntry]:
        bucket, _, key = path.partition("/")
        prefix = f"{key.strip('/')}/" if key.strip("/") else ""
        more: dict[str, str] = {}
        while True:
            page = self._tried(
                lambda: self._files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **more)  # noqa: B023
            )
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # what some programs leave to have empty folders
                    name = self._name(f"{bucket}/{entry['Key']}")
                    yield FileEntry(name, int(entry["Size"]), str(entry.get("ETag", "")).strip('"'))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _entry(self, info: dict[str, Any], name: str) -> FileEntry:
        tag = next((str(info[key]) for key in _TAGS if info.get(key)), "")
        return FileEntry(name, int(info.get("size") or 0), tag.strip('"'))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name.strip('/')}" if name.strip("/") else self._root

    def _name(self, path: str) -> str:
        return str(path).strip("/").removeprefix(self._root.strip("/")).lstrip("/")

    def _made_for(self, name: str) -> None:
        """Make the folder of a file where there is such a thing as a folder."""
        parent = self._path(name).rpartition("/")[0]
        if not hasattr(self._files, "call_s3"):
            try:
                self._files.makedirs(parent, exist_ok=True)
            except Exception as error:  # object stores refuse what they need not have; writing tells what is wrong
                logger.debug("no folder made: %s", _words(error))

    def _tried(self, call: Callable[[], AnyResult]) -> AnyResult:
        """The answer of a call, after some tries with pauses that grow."""
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(_TRIES)):
            try:
                return call()
            except (FileNotFoundError, FileExistsError) as error:
                raise type(error)(_words(error)) from None
            except PermissionError as error:
                if _is_about_keys(error):  # every other file would be refused too: nothing is wrong with this one
                    raise Unreachable(f"{self.label}: {_words(error)}") from None
                raise PermissionError(f"{self.label}: {_words(error)}") from None
            except Exception as error:  # each driver has its own classes for a network that fails
                if not left or not _may_pass(error):
                    raise Unreachable(f"{self.label}: {_words(error)}") from None
                logger.info("%s: %s; trying again", self.label, _words(error))
            self._pause(pause_s * random.uniform(0.8, 1.2))  # workers that failed together do not come back together
            pause_s *= 2
        raise AssertionError("unreachable")


_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "blob_id", "LastModified", "last_modified", "mtime", "created")
"""What drivers call the thing that changes with a file's content, the surest first."""
_PIECE_BYTES = 1 << 20
_AHEAD_BYTES = 8 << 20
"""Asked for at once of a file that is read through: a thousand requests for 8 GB."""


class _Pieces(io.RawIOBase):
    """A remote file, a few MB at a time, each tried again by itself where the connection breaks."""

    def __init__(self, folder: RemoteFolder, name: str, size_bytes: int) -> None:
        self._folder, self._name, self._size = folder, name, size_bytes
        self._at = 0
        self._piece, self._piece_at = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if self._at >= self._size:
            return 0
        inside = self._at - self._piece_at
        if not 0 <= inside < len(self._piece):
            length = min(_AHEAD_BYTES, self._size - self._at)
            self._piece, self._piece_at, inside = (
                self._folder.read(self._name, first=self._at, length=length),
                self._at,
                0,
            )
            if not self._piece:
                raise Unreachable(f"{self._folder.label}/{self._name} ended before its size")
        part = self._piece[inside : inside + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


_importing = threading.Lock()


def _fsspec() -> Any:  # noqa: ANN401 - a module
    with _importing:
        try:
            import fsspec
            import fsspec.core
        except ImportError as error:
            raise ConfigError(
                "URLs need fsspec, which is not installed.",
                advice="Install the extra `scale`, or the one of the object store, such as `s3`.",
                code="url-driver-missing",
            ) from error
    return fsspec


def _driver_missing(scheme: str, url: str, said: str) -> ConfigError:
    extra = _EXTRAS.get(scheme)
    return ConfigError(
        f"No driver for {scheme}:// is installed ({redacted(url)}).",
        advice=f"Install the extra `{extra}`." if extra is not None else f"fsspec says: {redacted(said)}.",
        code="url-driver-missing",
    )


_KEYS_REFUSED = (
    "NoCredentials", "Unable to locate credentials", "InvalidAccessKey", "SignatureDoesNotMatch", "ExpiredToken",
    "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "has expired", "is expired", "token is invalid",
    "does not exist in our records", "signature we calculated", "AuthenticationFailed", "invalid_grant",
)  # fmt: skip
"""What servers and drivers say where keys are missing, wrong or too old, which no other try mends."""
_FINAL = (*_KEYS_REFUSED, "NoSuchBucket", "Forbidden")


def _is_about_keys(error: Exception) -> bool:
    return any(words.lower() in f"{type(error).__name__} {error}".lower() for words in _KEYS_REFUSED)


def _may_pass(error: Exception) -> bool:
    """Whether another try may do: not where the program or its user is wrong."""
    if isinstance(error, (TypeError, AttributeError, NotImplementedError, ImportError)):
        return False
    return not any(words in f"{type(error).__name__} {error}" for words in _FINAL)


def _words(error: BaseException) -> str:
    """What an error says, in one line and without secrets."""
    return redacted(" ".join(f"{type(error).__name__}: {error}".split()))
