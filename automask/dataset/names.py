"""Names: natural order, printable ids, the name of an image's mask."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

IMAGE_SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)
"""Lower-case extensions of the files that are always taken as images."""
HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
"""Those that are taken as well where pillow-heif, the extra `heif`, is installed."""

_MASK_TAILS = ("-masklabel", "-condlabel", "_wmask", "_masks", "_mask", "-mask", ".mask", " mask", "_matte")
_MASK_HEADS = ("mask_", "mask-")
_MASK_PARTS = ("mask", "-condlabel", "_matte")
"""Each of these endings and beginnings holds one of them."""
_SIDECAR_ENDINGS = ("-masklabel.png", "-condlabel.png", "_wmask.png", ".mask")
_NAME_LIMIT_BYTES = 255  # of ext4, XFS, Btrfs, APFS and, in characters, NTFS
_DIGITS = re.compile(r"[0-9]+")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ODD_BYTES = re.compile("%(dc[89a-f][0-9a-f])")


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken as an image."""
    suffix = suffix_of(name)
    return suffix in IMAGE_SUFFIXES or (suffix in HEIF_SUFFIXES and reads_heif())


@functools.cache
def reads_heif() -> bool:
    """Whether HEIC images can be decoded: `pillow_heif` is there. It is not imported."""
    return find_spec("pillow_heif") is not None


def is_mask_sidecar(name: str) -> bool:
    """Whether a file of this name is a trainer's mask beside its image."""
    return name.lower().endswith(_SIDECAR_ENDINGS)


def stem_of_masked(name: str) -> str | None:
    """The stem of the image whose mask a file is by its name, or None: `a` for `a_mask.png`, `mask_a.jpg`, `a.mask`."""
    lower = name.lower()
    if not any(part in lower for part in _MASK_PARTS):
        return None  # nearly every name; a folder of 20,000 asks 60,000 times
    stem = stem_of(name)
    if lower.endswith(".mask"):
        return stem_of(stem) if is_image_name(stem) else stem
    lower = stem.lower()
    for tail in _MASK_TAILS:
        if lower.endswith(tail) and len(lower) > len(tail):
            core = stem[: -len(tail)]
            return stem_of(core) if is_image_name(core) else core
    for head in _MASK_HEADS:
        if lower.startswith(head) and len(lower) > len(head):
            return stem[len(head) :]
    return None


def suffix_of(name: str) -> str:
    """The lower-case extension with its dot, or an empty string."""
    return name[len(stem_of(name)) :].lower()


def stem_of(name: str) -> str:
    """The name without its last extension; the leading dot of a hidden file is no extension."""
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def natural_key(name: str) -> str:
    """A sort key that puts `img2` before `img10` and does not look at case.

    Every run of digits becomes `0`, its length without leading zeros as one character, and its digits: numbers sort
    among other characters as digits do, and among themselves by value. One string a name, because a tuple of parts
    takes ten times the memory in a folder of 100,000.
    """
    return _DIGITS.sub(_sortable_number, name.casefold())


def _sortable_number(match: re.Match[str]) -> str:
    digits = match[0].lstrip("0")
    return f"0{chr(len(digits) + 1)}{digits}"


def sort_naturally(names: list[str]) -> None:
    """Sort names in place, in an order that does not depend on how the file system listed them."""
    names.sort()  # decides between names that differ only in case or leading zeros; the second sort is stable
    names.sort(key=natural_key)


def printable_name(name: str) -> str:
    """The name with every byte that is not valid UTF-8 (a lone surrogate in Python) written as `%` and hex digits.

    Ids and mask names go into a database, into JSON and onto terminals, none of which take lone surrogates.
    """
    return name if name.isascii() else _SURROGATES.sub(lambda match: f"%{ord(match[0]):x}", name)


def xml_name(name: str) -> str:
    """The name with every character that XML 1.0 cannot hold, not even escaped, written as `%` and hex digits."""
    return _NOT_IN_XML.sub(lambda match: f"%{ord(match[0]):02x}", name)


def path_of(root: Path, image_id: str) -> Path:
    """Where the file of an image id is: under its own name, else under the one that `printable_name` made printable.

    Args:
        root: The folder that ids are relative to.
        image_id: As the store has it.
    """
    path = root / image_id
    if _ODD_BYTES.search(image_id) is None or path.exists():
        return path
    odd = root / _ODD_BYTES.sub(lambda match: chr(int(match[1], 16)), image_id)
    return odd if odd.exists() else path


def has_file(root: Path, image_id: str) -> bool:
    """Whether the file of an image id exists; see `path_of`."""
    as_it_is = os.path.exists(f"{root}/{image_id}")  # noqa: PTH110  # a `Path` takes ten times as long, 20,000 times
    return as_it_is or path_of(root, image_id).exists()


def folded(name: str) -> str:
    """The form in which two names are one on a file system that ignores case or Unicode normalisation."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def flat_name(image_id: str) -> str:
    """The name of an image in a folder without sub-folders: `sub__a.png` for `sub/a.png`."""
    return "__".join(part for part in PurePosixPath(image_id).parts if part not in ("/", ".."))


def names_with_long_masks(names: Sequence[str], *, folders: Collection[str] = ()) -> frozenset[str]:
    """The images of one folder whose masks keep the image's extension: `a.jpg` -> `a.jpg.png`.

    Those are all images that share their stem with another one (`a.jpg` and `a.PNG`), and those whose short mask name
    is taken by the long one of another image (`a.jpg.webp`) or by a subfolder.

    Args:
        names: Printable file names of one folder, each once.
        folders: Printable names of its subfolders.
    """
    stems = Counter(folded(stem_of(name)) for name in names)
    shared = {stem for stem, count in stems.items() if count > 1}
    del stems
    long = {name for name in names if folded(stem_of(name)) in shared} if shared else set()
    taken = {folded(name + ".png") for name in long}
    taken.update(folded(folder) for folder in folders if folder.lower().endswith(".png"))
    while taken:
        displaced = {name for name in names if name not in long and folded(stem_of(name) + ".png") in taken}
        if not displaced:
            break
        long |= displaced
        taken = {folded(name + ".png") for name in displaced}
    return frozenset(long)


def mask_file_name(name: str, *, keep_suffix: bool) -> str:
    """The name of an image's mask: `a.png` for `a.jpg`, or `a.jpg.png` with `keep_suffix`.

    A name that would be too long for a file system is cut and ends in a hash of the whole.
    """
    stem = name if keep_suffix else stem_of(name)
    if len(stem.encode()) + len(".png") <= _NAME_LIMIT_BYTES:
        return stem + ".png"
    ending = f"~{hashlib.sha256(name.encode()).hexdigest()[:8]}.png"
    kept = stem.encode()[: _NAME_LIMIT_BYTES - len(ending)].decode(errors="ignore")
    return kept + ending
