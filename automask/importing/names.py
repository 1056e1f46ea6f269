"""Which image of the store an entry of an annotation file is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from automask.dataset.names import flat_name, folded, xml_name
from automask.importing.found import FoundMask, FoundMasks, Levels, Names, Outlines, Target

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that is uploaded."""
_DROPPED = re.compile(r"[^-\w.]")
"""What it takes out of the name, after spaces became underscores."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an annotation file.

    Attributes:
        names: What it calls its image, the likeliest first.
        mask: What it says.
    """

    names: Sequence[str]
    mask: FoundMask


def match_by_name(names: Names, entries: Iterable[Entry], unusable: dict[str, str] | None = None) -> FoundMasks:
    """Find the image of each entry: equal paths, with or without `images/` before them, or the name of an upload.

    `sub__a.png` is `sub/a.png` (`automask export --flatten`) unless there is an image of that very name.

    Two entries for one image are unusable: none of them is better than the other.

    Args:
        names: Image ids of the store.
        entries: In the order of the file.
        unusable: Reason by entry, for those without a name.
    """
    exact: dict[str, str] = {}
    flat: dict[str, str] = {}
    uploads: dict[str, list[str]] = {}
    for name in names:
        exact[folded(name)] = name
        exact.setdefault(folded(xml_name(name)), name)
        flat[folded(flat_name(name))] = name
        uploads.setdefault(folded(_uploaded(PurePosixPath(name).name)), []).append(name)
    exact = {**flat, **exact}
    masks: dict[str, FoundMask] = {}
    unmatched: list[str] = []
    prefixed: set[str] = set()
    for entry in entries:
        image_id = next((found for name in entry.names if (found := _exactly(name, exact)) is not None), None)
        if image_id is None:
            image_id = next((found for name in entry.names if (found := _upload(name, uploads)) is not None), None)
            if image_id is None:
                unmatched.append(entry.names[0])
                continue
            prefixed.add(image_id)
        first = masks.get(image_id)
        masks[image_id] = entry.mask if first is None else _doubled(first, entry.mask)
    return FoundMasks(masks, tuple(unmatched), unusable or {}, tuple(sorted(prefixed)), already_grown=False)


def _exactly(name: str, exact: dict[str, str]) -> str | None:
    for path in (name, name.replace("\\", "/").removeprefix("./")):  # a name may hold a backslash itself
        found = exact.get(folded(path)) or exact.get(folded(path.removeprefix("images/")))
        if found is not None:
            return found
    return None


def _upload(name: str, uploads: dict[str, list[str]]) -> str | None:
    base = PurePosixPath(name.replace("\\", "/")).name
    if not _UPLOAD.match(base):
        return None
    found = uploads.get(folded(_UPLOAD.sub("", base)), [])
    return found[0] if len(found) == 1 else None  # uploads lose their folder: of several, none is meant


def _uploaded(base: str) -> str:
    return _DROPPED.sub("", base.strip().replace(" ", "_"))


def _doubled(first: FoundMask, second: FoundMask) -> FoundMask:
    def refused(target: Target) -> Levels | Outlines:
        raise ValueError("more than one entry is about this image")

    where = first.where if first.where == second.where else f"{first.where} and {second.where}"
    return FoundMask(where, refused)
