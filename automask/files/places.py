"""From the address of a folder, a path or a URL, to the folder."""

from __future__ import annotations

from pathlib import Path

from automask.errors import InputError
from automask.files.folders import Folder, LocalFolder
from automask.files.urls import redacted, scheme_of


def folder_at(address: str) -> Folder:
    """The folder at an address, which need not exist yet.

    Raises:
        ConfigError: Nothing that is installed reads URLs of that scheme.
        InputError: The URL cannot be used.
    """
    scheme = scheme_of(address)
    if scheme is None:
        return LocalFolder(Path(address).absolute())
    if scheme in ("file", "local"):
        path = address.partition("://")[2] if "://" in address else ""
        if not path.startswith("/"):
            raise InputError(
                f"{redacted(address)} names no place on this machine.",
                advice="Write file:///folder with three slashes, or the path alone.",
                code="url-invalid",
            )
        return LocalFolder(Path(path))
    from automask.files.remote import RemoteFolder

    return RemoteFolder.connect(address)


def split_address(address: str) -> tuple[str, str]:
    """Folder and name of a file's address.

    A query, which signs a URL, belongs to no name: it is refused by whoever connects.
    """
    head, slash, name = address.rstrip("/").rpartition("/")
    if not slash:
        return (".", name)
    return (head or slash, name)
