"""COCO instances: polygons, run lengths (packed or not) and boxes; all categories count as unwanted."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.importing import foreign
from automask.importing.found import FoundMask, FoundMasks, Names, Outlines, Target
from automask.importing.names import Entry, match_by_name
from automask.importing.shapes import Canvas
from automask.values.rle import from_coco_counts

_MOST_COUNT_GROUPS = 8
"""Groups of five bits of one packed count; more than any image needs."""


def read_coco(source: Path, names: Names) -> FoundMasks:
    """Instance annotations of one JSON file.

    Raises:
        InputError: It is no such file.
    """
    content = foreign.json_export(source)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise foreign.wrong_format(source, "COCO", "it has no lists of images and annotations")
    labels = _labels(content.get("categories"))
    things: dict[str, list[object]] = {}
    unusable: dict[str, str] = {}
    for thing in content["annotations"]:
        key = _id(thing.get("image_id")) if isinstance(thing, dict) else None
        if key is None:
            unusable[f"{source}: annotations"] = "one of them names no image"
        else:
            things.setdefault(key, []).append(thing)
    entries = []
    for image in content["images"]:
        key = _id(image.get("id")) if isinstance(image, dict) else None
        if key is None or not isinstance(image.get("file_name"), str):
            unusable[f"{source}: images"] = f"one of them has no id or file_name: {foreign.shown(image)}"
            continue
        name = image["file_name"]
        load = functools.partial(_outlines, things.get(key, []), image, labels)
        entries.append(Entry([name], FoundMask(f"{source}: {name}", load)))
    known = {_id(image.get("id")) for image in content["images"] if isinstance(image, dict)}
    for key in sorted(set(things) - known):
        unusable[f"{source}: image_id {key}"] = f"{len(things[key])} annotations are about an image that is not listed"
    return match_by_name(names, entries, unusable)


def _outlines(
    things: Sequence[object], image: Mapping[str, Any], labels: Mapping[str, str], target: Target
) -> Outlines:
    canvas = Canvas(target, foreign.size_of(image.get("height"), image.get("width")))
    for one in things:
        thing = foreign.mapping(one, "an annotation")
        label = labels.get(_id(thing.get("category_id")) or "")
        segmentation = thing.get("segmentation")
        if isinstance(segmentation, dict):
            canvas.raster(_of_counts(segmentation, canvas), label)
        elif segmentation:
            for flat in foreign.sequence(segmentation, "a segmentation"):
                canvas.polygon(_pairs(flat), label)
        else:
            box = foreign.sequence(thing.get("bbox"), "an annotation without a segmentation has a bbox that")
            if len(box) != 4:
                raise ValueError(f"a bbox has {len(box)} numbers, not x, y, width and height")
            x, y = (foreign.number(value, "a bbox") for value in box[:2])
            width_px, height_px = (foreign.positive(value, "a side of a bbox") for value in box[2:])
            canvas.rectangle(x, y, x + width_px, y + height_px, label)
    return canvas.outlines()


def _of_counts(segmentation: Mapping[str, Any], canvas: Canvas) -> NDArray[np.bool_]:
    own = canvas.own_shape
    size = segmentation.get("size")
    if size is not None and size != list(own):
        raise ValueError(f"run lengths of the size {foreign.shown(size)} stand in an image of {list(own)}")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        numbers = counts_of_text(counts)
    else:
        numbers = [foreign.whole(one, "a run length") for one in foreign.sequence(counts, "counts")]
    area_px = own[0] * own[1]
    if any(not 0 <= one <= area_px for one in numbers):
        raise ValueError("a run length is negative or longer than its image")
    return from_coco_counts(numbers, shape=own)


def _pairs(flat: object) -> list[foreign.Point]:
    values = [foreign.number(one, "a coordinate") for one in foreign.sequence(flat, "a polygon")]
    if len(values) % 2:
        raise ValueError(f"a polygon has {len(values)} numbers, not pairs")
    return list(zip(values[::2], values[1::2], strict=True))


def _labels(categories: object) -> dict[str, str]:
    """Names of categories by id; what is not as it should be names nothing."""
    found = {}
    for one in categories if isinstance(categories, list) else []:
        key = _id(one.get("id")) if isinstance(one, dict) else None
        if key is not None and isinstance(one.get("name"), str):
            found[key] = one["name"]
    return found


def _id(value: object) -> str | None:
    """An id as a text: `7`, `7.0` and `"7"` are one, as programs write them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return str(value)
    except ValueError:  # numbers of thousands of digits
        return None


def counts_of_text(text: str) -> list[int]:
    """COCO's packed counts: groups of five bits, from the third on as differences to the one before last.

    Raises:
        ValueError: They are cut off or damaged.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(text) or shift >= _MOST_COUNT_GROUPS:
                raise ValueError("the run lengths are cut off")
            bits = ord(text[position]) - 48
            if not 0 <= bits < 64:
                raise ValueError("the run lengths hold characters that do not belong there")
            value |= (bits & 0x1F) << (5 * shift)
            more = bool(bits & 0x20)
            position += 1
            shift += 1
            if not more and bits & 0x10:
                value |= -1 << (5 * shift)
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
