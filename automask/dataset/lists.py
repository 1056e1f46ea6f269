"""Reads a list of images: a text file with one path a line, or a JSON manifest."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from automask.dataset.codes import SkipReason
from automask.dataset.image_file import ImageFile
from automask.dataset.names import is_mask_sidecar, mask_file_name, names_with_long_masks, printable_name
from automask.dataset.walk import Skipped
from automask.errors import InputError

_OUTSIDE = "_outside"
_JSON_ADVICE = 'A manifest is a JSON list of paths, or of objects like {"image": "sub/a.png"}.'


def read_image_list(path: Path) -> Iterator[ImageFile | Skipped]:
    """Read a list of images, in the order of the list.

    A file that ends in `.json` is a list of paths or of objects with a path under `image`; any other has one path a
    line, with empty lines and lines that start with `#` left out. Relative paths start from the list's folder. Ids
    are relative to that folder as well; files elsewhere get ids below `_outside/`. Nothing is judged by its name but
    trainers' masks: who lists a file means it. A file that does not exist is an `ImageFile` of size 0 and time 0, so
    that decoding it gives the row with its error. Memory grows with the length of the list, not with the images.

    Raises:
        InputError: The list cannot be read or is not a list.
    """
    entries = _json_entries(path) if path.suffix.lower() == ".json" else text_entries(path)
    return _files(entries, root=path.parent)


def _files(entries: list[str], *, root: Path) -> Iterator[ImageFile | Skipped]:
    ids = [_id_of(entry, root) for entry in entries]
    long = _ids_with_long_masks(ids)
    seen: set[str] = set()
    for entry, image_id in zip(entries, ids, strict=True):
        if image_id in seen:
            yield Skipped(image_id, SkipReason.DUPLICATE)
            continue
        seen.add(image_id)
        if is_mask_sidecar(image_id):
            yield Skipped(image_id, SkipReason.MASK_SIDECAR)
        else:
            yield _file(root / entry, image_id, keep_suffix=image_id in long)


def _file(path: Path, image_id: str, *, keep_suffix: bool) -> ImageFile:
    folder, slash, name = image_id.rpartition("/")
    try:
        status = path.stat()
        size_bytes, mtime_ns, ctime_ns = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    except (OSError, ValueError):  # decoding it will find the same and say it with a code; ValueError: a null byte
        size_bytes, mtime_ns, ctime_ns = 0, 0, 0
    return ImageFile(
        id=image_id,
        path=path,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        mask_name=folder + slash + mask_file_name(name, keep_suffix=keep_suffix),
    )


def _id_of(entry: str, root: Path) -> str:
    """The printable path from the list's folder, with `.` and `..` resolved by name only."""
    start = Path(os.path.normpath(root.absolute()))
    target = Path(os.path.normpath(start / entry.replace("\0", "%0")))
    if target.is_relative_to(start) and target != start:
        parts = target.relative_to(start).parts
    else:
        parts = (_OUTSIDE, *(part.strip(":/\\") for part in target.parts))
    return PurePosixPath(*(printable_name(part) for part in parts if part)).as_posix()


def _ids_with_long_masks(ids: list[str]) -> frozenset[str]:
    names_by_folder: dict[str, list[str]] = {}
    for image_id in dict.fromkeys(ids):
        folder, slash, name = image_id.rpartition("/")
        names_by_folder.setdefault(folder + slash, []).append(name)
    return frozenset(
        folder + name for folder, names in names_by_folder.items() for name in names_with_long_masks(names)
    )


def text_entries(path: Path, *, option: str = "--from") -> list[str]:
    """The lines of a text file, without blanks around them, empty ones and those that start with `#`.

    Args:
        path: The file, in UTF-8, or in UTF-16 with its mark.
        option: Who names it, for the message.

    Raises:
        InputError: It cannot be read.
    """
    # Not splitlines(): that also splits at characters that may be part of a file name.
    lines = (line.strip(" \t\r") for line in _text_of(path, option=option).split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _json_entries(path: Path) -> list[str]:
    try:
        content = json.loads(_text_of(path, option="--from"))
    except (ValueError, RecursionError) as error:
        raise _bad_list(path, f"not valid JSON: {error}", _JSON_ADVICE) from error
    if not isinstance(content, list):
        raise _bad_list(path, f"a JSON {type(content).__name__}, not a list", _JSON_ADVICE)
    return [_json_entry(item, index, path) for index, item in enumerate(content)]


def _json_entry(item: object, index: int, path: Path) -> str:
    image = item.get("image") if isinstance(item, dict) else item
    if not isinstance(image, str) or not image:
        raise _bad_list(path, f"wrong at item {index}: it names no image", _JSON_ADVICE)
    return image


def _text_of(path: Path, *, option: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read the image list {path}: {error.strerror}.", advice=f"Check the path given to {option}."
        ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what `>` writes in Windows PowerShell
        return data.decode("utf-16", errors="replace")
    # Names that are not UTF-8 come through as the file system would give them.
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")


def _bad_list(path: Path, problem: str, advice: str) -> InputError:
    return InputError(f"The image list {path} is {problem}.", advice=advice, code="list-invalid")
