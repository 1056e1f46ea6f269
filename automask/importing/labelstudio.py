"""A JSON export of Label Studio: rectangles, ellipses, polygons and brush strokes of what people submitted."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from automask.dataset.names import is_image_name
from automask.importing import foreign
from automask.importing.found import FoundMask, FoundMasks, Names, OnlyPredicted, Outlines, Shape, Target
from automask.importing.names import Entry, match_by_name
from automask.importing.shapes import Canvas, kind_of, turned
from automask.values.brush import decode_brush

_SUBMITTED = ("annotations", "completions")
"""Where a task has what people submitted, in new and in old exports."""
_SHAPES = ("rectangle", "ellipse", "polygon", "brush")
_LABELS = "labels"
"""Ends the type of a shape that has its label with it, and is the type of a label that belongs to a shape of one id."""
_SAYS_NOTHING = frozenset(
    ("choices", "textarea", "taxonomy", "rating", "number", "datetime", "pairwise", "ranker", "relation")
)
"""Results about the image as a whole or about other results; they have no area."""


def read_labelstudio(source: Path, names: Names) -> FoundMasks:
    """A JSON file with tasks, each with the annotations of one or more people.

    Raises:
        InputError: It is no such file.
    """
    content = foreign.json_export(source)
    if not isinstance(content, list):
        raise foreign.wrong_format(source, "Label Studio", "it is no list of tasks")
    entries = []
    unusable: dict[str, str] = {}
    for position, task in enumerate(content, start=1):
        try:
            images = _images_of(task)
        except ValueError as error:
            unusable[f"{source}: task {position}"] = str(error)
            continue
        if any(task.get(key) for key in (*_SUBMITTED, "predictions")):
            where = f"{source}: {images[0]}"
            entries.append(Entry(images, FoundMask(where, functools.partial(_outlines, task))))
    return match_by_name(names, entries, unusable)


def _images_of(task: object) -> list[str]:
    """What a task calls its image: the id that our own package puts there, addresses as paths, the upload."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise ValueError("it has no data: export as JSON, not as JSON-MIN")
    data = task["data"]
    found = [data["image_id"]] if isinstance(data.get("image_id"), str) else []
    addresses = [data["image"]] if isinstance(data.get("image"), str) else []
    if not addresses:
        addresses = [one for one in data.values() if isinstance(one, str) and is_image_name(_path_of(one))]
        addresses = [one for one in addresses if one not in found]
    if len(addresses) > 1:
        raise ValueError("it shows several images")
    found += [_path_of(one) for one in addresses]
    if isinstance(task.get("file_upload"), str):
        found.append(task["file_upload"])
    found = [one for one in found if one]
    if not found:
        raise ValueError("it names no image")
    return found


def _path_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:  # an unfinished IPv6 address
        return address
    local = parse_qs(parts.query).get("d")  # /data/local-files/?d=images/sub/a.jpg
    return unquote(local[0] if local else parts.path).lstrip("/")


def _outlines(task: Mapping[str, Any], target: Target) -> Outlines:
    """What the newest annotation with anything in it says."""
    submitted: object = next((task[key] for key in _SUBMITTED if task.get(key)), [])
    given = [foreign.mapping(one, "an annotation") for one in foreign.sequence(submitted, "annotations")]
    given = [one for one in given if not one.get("was_cancelled")]
    if not given:
        raise OnlyPredicted(
            "it has predictions that nobody has submitted" if task.get("predictions") else "it was skipped"
        )
    if all(isinstance(one.get("updated_at"), str) for one in given):
        given.sort(key=lambda one: str(one["updated_at"]))
    results = [foreign.sequence(one.get("result"), "the result of an annotation") for one in given]
    filled = [one for one in results if one]
    canvas = _drawn(filled[-1] if filled else [], target)
    if filled and not results[-1]:
        canvas.note("the newest annotation is empty, the one before it counts")
    return canvas.outlines()


def _drawn(results: Sequence[object], target: Target) -> Canvas:
    parts = [foreign.mapping(one, "a result") for one in results]
    shapes = [one for one in parts if _shape_of(one) is not None]
    labels: dict[str | int | None, object] = {}
    for one in parts:
        kind = one.get("type")
        if kind == _LABELS:
            if _id(one) is None:
                raise ValueError("a label has no id, so that its shape cannot be told")
            labels[_id(one)] = _label(one)
        elif _shape_of(one) is None and not (isinstance(kind, str) and kind in _SAYS_NOTHING):
            raise ValueError(f"results of the type {foreign.shown(kind)} cannot be drawn; use a polygon or the brush")
    if parts and not shapes:
        raise ValueError("it has no shapes, only choices, texts or labels without a shape")
    if set(labels) - {_id(one) for one in shapes}:
        raise ValueError("a label has no shape of its id")
    sizes = {size for one in shapes if (size := _size(one)) is not None}
    if len(sizes) > 1:
        raise ValueError("its shapes were drawn on pictures of different sizes")
    canvas = Canvas(target, next(iter(sizes), None))
    for one in shapes:
        own = _label(one)
        _draw(one, canvas, own if own is not None else labels.get(_id(one)))
    return canvas


def _draw(result: Mapping[str, Any], canvas: Canvas, label: object) -> None:
    if foreign.number(result.get("image_rotation") or 0, "image_rotation"):
        raise ValueError("the image was turned in Label Studio")
    value = foreign.mapping(result.get("value"), "the value of a result")
    high, wide = (side / 100 for side in canvas.own_shape)
    shape = _shape_of(result)
    if shape == "brush":
        canvas.raster(
            decode_brush(foreign.sequence(value.get("rle"), "the rle of a brush"), shape=canvas.own_shape), label
        )
        return
    if shape == "polygon":
        canvas.polygon([(x * wide, y * high) for x, y in foreign.points(value.get("points"), "a polygon")], label)
        return
    x, y = (
        foreign.number(value.get("x"), f"x of a {shape}") * wide,
        foreign.number(value.get("y"), f"y of a {shape}") * high,
    )
    turn = foreign.number(value.get("rotation") or 0, "a rotation")
    if shape == "ellipse":
        radii = (foreign.positive(value.get(name), name) for name in ("radiusX", "radiusY"))
        radius_x, radius_y = radii
        canvas.ellipse((x, y), (radius_x * wide, radius_y * high), label, turn=turn)
        return
    width_px = foreign.positive(value.get("width"), "the width of a rectangle") * wide
    height_px = foreign.positive(value.get("height"), "the height of a rectangle") * high
    corners = [(x, y), (x + width_px, y), (x + width_px, y + height_px), (x, y + height_px)]
    canvas.polygon(turned(corners, turn, around=(x, y)), label)  # unlike ellipses: around the first corner


def _shape_of(result: Mapping[str, Any]) -> str | None:
    kind = result.get("type")
    if not isinstance(kind, str):
        return None
    kind = kind.removesuffix(_LABELS)
    return kind if kind in _SHAPES else None


def _label(result: Mapping[str, Any]) -> object:
    """The first of a result's labels that names a kind, else the first."""
    value = result.get("value")
    given = value.get(str(result.get("type"))) if isinstance(value, dict) else None
    given = given if isinstance(given, list) else []
    return next((one for one in given if kind_of(one) is not None), given[0] if given else None)


def _id(result: Mapping[str, Any]) -> str | int | None:
    found = result.get("id")
    return found if isinstance(found, str | int) else None


def _size(result: Mapping[str, Any]) -> Shape | None:
    return foreign.size_of(result.get("original_height") or None, result.get("original_width") or None)
