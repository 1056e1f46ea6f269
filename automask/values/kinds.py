"""What people call regions: which region a name belongs to, and the regions under the names that people gave them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from automask.values.types import FoundT, Kind, Region

CALLED_ATTRIBUTE = "called"
"""Attribute of a region that a person called another kind than it was found as: that kind. Never stored."""


def region_keys(regions: Iterable[Region]) -> list[str]:
    """Names of the regions of one image that stay the same when another run finds the same again, in order.

    A key is the region's source and box. Not its kind or its outline: a detector that learns to tell kinds apart, or
    another refiner, leaves the region what a person said it is.
    """
    return keys_of((region.source, region.box.xyxy) for region in regions)


def keys_of(places: Iterable[tuple[str, tuple[int, int, int, int]]]) -> list[str]:
    """The same for (source, half-open x0, y0, x1, y1) of all regions of one image, in order.

    Regions of one source with the same box are told apart by their order: `edges` gives every frame the whole image.
    """
    seen: Counter[str] = Counter()
    keys = []
    for source, (x0, y0, x1, y1) in places:
        key = f"{source} {x0},{y0},{x1},{y1}"
        seen[key] += 1
        keys.append(key if seen[key] == 1 else f"{key} #{seen[key]}")
    return keys


def called(regions: Sequence[Region], kinds: Mapping[str, Kind]) -> list[Region]:
    """All regions of one image, in order, under the kinds that a person gave some of them by key."""
    if not kinds:
        return list(regions)
    return [as_called(region) for region in _noted(regions, kinds)]


def noted(result: FoundT, kinds: Mapping[str, Kind]) -> FoundT:
    """A result whose regions know what a person calls them, and are still of the kind they were found as.

    The mask follows the found kind, and the layers of the correction what the other one changes about it: merge and
    choose regions first, then name them with `as_called`.
    """
    if not kinds:
        return result
    return dataclasses.replace(result, regions=tuple(_noted(result.regions, kinds)))


def as_called(region: Region) -> Region:
    """A region of `noted` under the kind that a person gave it, if any."""
    kind = region.attributes.get(CALLED_ATTRIBUTE)
    return region if kind is None else dataclasses.replace(region, kind=Kind(str(kind)))


def is_called(region: Region) -> bool:
    """Whether a person called it another kind."""
    return CALLED_ATTRIBUTE in region.attributes


def _noted(regions: Sequence[Region], kinds: Mapping[str, Kind]) -> list[Region]:
    return [
        region
        if key not in kinds
        else dataclasses.replace(region, attributes={**region.attributes, CALLED_ATTRIBUTE: kinds[key].value})
        for key, region in zip(region_keys(regions), regions, strict=True)
    ]
