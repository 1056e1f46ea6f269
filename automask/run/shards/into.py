"""Where images of a sharded target may be gathered into: a store of that target, and no place that others read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from automask.dataset.names import is_image_name
from automask.dataset.shards.opening import names_shards, source_folder
from automask.errors import ConfigError, OutputError
from automask.files.folders import LocalFolder
from automask.files.urls import redacted
from automask.run.shards.gathered import GatheredFrom
from automask.run.shards.target import HEAD_NAME, ShardTarget
from automask.store import Store, is_store

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""How the path begins that a URL becomes, since of two slashes one is left; a drive has one letter."""


def check_store(root: Path, target: ShardTarget, source: str) -> None:
    """Refuse a store of other images, and a place where a store does harm.

    Args:
        root: The store, which need not exist yet.
        target: Where its images are from.
        source: Address of the images.

    Raises:
        OutputError: It cannot be used.
    """
    _check_place(root, target, source)
    known = GatheredFrom.read(root)
    if known is not None and known.target != target.label:
        raise _refused(f"{root} holds images of {known.target}.")
    if known is None and is_store(root):
        with Store.open(root, read_only=True) as store:
            is_used = store.last_run() is not None
        if is_used:
            raise _refused(f"{root} is a store of other images.")


def check_on_disk(root: Path, name: str) -> None:
    """Refuse a URL where a store is wanted: made to a path it would be a folder in the one where the command runs.

    Args:
        root: The path.
        name: Of the option or argument, for the message.

    Raises:
        ConfigError: It was a URL.
    """
    first, *others = root.parts or (".",)
    if others and _SCHEME.fullmatch(first) and not Path(first).exists():
        raise ConfigError(
            redacted(f"{name} is {first}//{'/'.join(others)}, and a store is a folder on a disk of this machine."),
            advice=f"Give a folder of this machine as {name}; only the sharded run itself may be a URL.",
        )


def _check_place(root: Path, target: ShardTarget, source: str) -> None:
    """Refuse places that a run reads: the next one would take pictures and masks of the store for images."""
    images = source_folder(source)
    for path in (root, images_folder(root)):
        if isinstance(target.folder, LocalFolder) and _is_inside(path, target.folder.path):
            raise _refused(f"{path} is the sharded target, or lies in it.")
        if isinstance(images, LocalFolder) and _is_inside(path, images.path):
            raise _refused(f"{path} is the folder of the source, or lies in it: runs would read the store as images.")
    if (root / HEAD_NAME).exists():
        raise _refused(f"{root} is a sharded target.")
    if root.is_dir() and not is_store(root):
        with os.scandir(root) as entries:
            one = next((entry.name for entry in entries if is_image_name(entry.name) or names_shards(entry.name)), None)
        if one is not None:
            raise _refused(f"{root} has images or shards of its own, such as {one}: runs on it would read the store.")


def images_folder(root: Path) -> Path:
    """Where the images of a gathered store are: beside it."""
    return root.with_name(f"{root.name}-images")


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or in it, also by other names of either."""
    inner, outer = (Path(os.path.realpath(one)) for one in (path, folder))
    return inner.is_relative_to(outer)


def _refused(message: str) -> OutputError:
    return OutputError(
        message, advice="Choose another --into, a new folder outside of source and target.", code="gather-into"
    )
