"""Mask files and their rows, changed together."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from automask.errors import ImageError, OutputError
from automask.files.atomic import IMPOSSIBLE_NAME, discard, put_in_place, write_temporary
from automask.files.png import encode_mask, is_as_written
from automask.store import images, queries
from automask.store.database import Database
from automask.store.records import StoredImage
from automask.store.rows import from_text


def mask_path(masks: Path, mask_name: str) -> Path:
    """Where the mask of a name is.

    Raises:
        ValueError: The name leads out of the masks folder.
    """
    name = PurePosixPath(mask_name)
    if not name.parts or name.is_absolute() or ".." in name.parts:
        raise ValueError(f"not a mask name: {mask_name!r}")
    return masks / name


def check_levels(levels: NDArray[np.uint8] | None, shape: tuple[int, int]) -> None:
    """Refuse a mask that is not uint8 of the size of its image.

    Raises:
        ValueError: It is not.
    """
    if levels is not None and (levels.shape != shape or levels.dtype != np.uint8):
        raise ValueError(f"levels must be uint8 {shape}, got {levels.dtype} {levels.shape}")


def commit(
    database: Database,
    masks: Path,
    write_row: Callable[[sqlite3.Connection], int],
    *,
    image_id: str,
    mask_name: str,
    levels: NDArray[np.uint8] | None,
    correction_revision: int | None,
) -> None:
    """Put a mask file in place and write its row, in one transaction that also keeps two writers apart.

    The file is there before the row is: a crash in between leaves a file that its row does not describe, which
    `Store.plan` takes for work to do.

    Args:
        database: The store's.
        masks: The masks folder.
        write_row: Writes the image's row without its mask and returns its key.
        image_id: The image.
        mask_name: Name of its mask.
        levels: (H, W) uint8 mask, or None to have no mask file.
        correction_revision: The correction that `levels` shows.

    Raises:
        OutputError: The disk is full or read-only.
        ImageError: The file system cannot hold a mask of that name.
    """
    path = mask_path(masks, mask_name)
    data = encode_mask(levels) if levels is not None else b""
    temporary: Path | None = None
    try:
        if levels is not None:
            temporary = write_temporary(path, data)
        with database.writing() as connection:
            before = queries.find(connection, image_id)
            key = write_row(connection)
            if levels is None or temporary is None:
                images.drop_mask(connection, key)
            else:
                images.write_mask(
                    connection,
                    key,
                    mask_name=mask_name,
                    written=put_in_place(temporary, path, data),
                    masked_share=1.0 - float(levels.mean(dtype=np.float64)) / 255.0,
                    correction_revision=correction_revision,
                )
            if before is not None:
                remove_unowned(connection, masks, before["mask_name"])
    except BaseException as error:
        if temporary is not None:
            discard(temporary)
        if isinstance(error, OutputError) and error.code == IMPOSSIBLE_NAME:
            raise ImageError(
                f"The mask of {image_id} cannot be stored as {mask_name}: {error.message}",
                advice="Rename the image.",
                code=IMPOSSIBLE_NAME,
            ) from error
        raise


def remove_unowned(connection: sqlite3.Connection, masks: Path, mask_name: str | bytes | None) -> None:
    """Delete a mask file that no row names any more.

    One that somebody else wrote or changed stays, as does one that cannot be deleted: `Store.verify` reports them.
    """
    if mask_name is None:
        return
    path = mask_path(masks, from_text(mask_name))
    with contextlib.suppress(OSError):
        # Where the file system ignores case, `A.png` may be the very file that now belongs to `a.png`.
        ignore_case = path.with_name(path.name.swapcase()).exists()
        if not queries.owns_mask(connection, from_text(mask_name), ignore_case=ignore_case) and _is_ours(path):
            path.unlink()


def is_intact(masks: Path, image: StoredImage) -> tuple[bool, int | None]:
    """Whether a mask file is the one that its row describes.

    Returns:
        The answer, and the file's mtime_ns where it differs from the row's though the bytes are the same.
    """
    if image.mask_name is None:
        return False, None
    if has_facts(masks, image.mask_name, image.mask_size_bytes, image.mask_mtime_ns):
        return True, None
    path = mask_path(masks, image.mask_name)
    try:
        facts = path.stat()
        same = facts.st_size == image.mask_size_bytes and hash_file(path) == image.mask_sha256
    except OSError:
        return False, None
    return same, facts.st_mtime_ns if same else None


def has_facts(masks: Path, mask_name: str, size_bytes: int | None, mtime_ns: int | None) -> bool:
    """Whether a mask file has the size and time of its row."""
    try:
        facts = os.stat(f"{masks}/{mask_name}")  # noqa: PTH116  # a `Path` takes twice as long, 20,000 times
    except OSError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == (size_bytes, mtime_ns)


def read_written(masks: Path, image: StoredImage) -> bytes | None:
    """The bytes of a mask file, or None where it is not the one that its row describes."""
    if image.mask_name is None:
        return None
    try:
        data = mask_path(masks, image.mask_name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == image.mask_sha256 else None


def _is_ours(path: Path) -> bool:
    try:
        with PngImageFile(path) as picture:  # `PIL.Image.open` refuses masks of large images
            return is_as_written(picture)
    except (OSError, ValueError, SyntaxError):  # Pillow's words for missing, foreign and broken files
        return False


def hash_file(path: Path) -> str:
    """sha256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
