"""Outlines that still have to grow: COCO, LabelMe and Label Studio."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from automask.dataset.names import folded, stem_of, xml_name
from automask.errors import InputError
from automask.importing.brush import decode_brush
from automask.importing.found import FoundMask, FoundMasks, Names, Shape
from automask.store.rle import from_coco_counts

Shapes = Sequence[Mapping[str, Any]]


def read_coco(source: Path, names: Names) -> FoundMasks:
    """Instance annotations with polygons or run lengths; all categories count as unwanted."""
    content = _json_of(source)
    if not isinstance(content, dict) or "images" not in content or "annotations" not in content:
        raise _wrong(source, "COCO", "it has no images and annotations")
    things: dict[object, list[Mapping[str, Any]]] = {}
    for thing in content["annotations"]:
        things.setdefault(thing["image_id"], []).append(thing)
    entries = [(str(image["file_name"]), things.get(image["id"], []), image) for image in content["images"]]
    return match_by_name(
        names,
        {
            name: FoundMask(f"{source}: {name}", functools.partial(_coco_artefact, own, image))
            for name, own, image in entries
        },
    )


def read_labelme(source: Path, names: Names) -> FoundMasks:
    """A folder of LabelMe files; `sub/a.json` belongs to `sub/a.jpg`."""
    if not source.is_dir():
        raise InputError(f"{source} is no folder of LabelMe files.", advice="Give the folder with the .json files.")
    by_stem = {_stem_key(name): name for name in names}
    masks: dict[str, FoundMask] = {}
    unmatched: list[str] = []
    for path in sorted(source.rglob("*.json")):
        relative = path.relative_to(source).as_posix()
        image_id = by_stem.get(_stem_key(relative))
        if image_id is None:
            unmatched.append(relative)
        else:
            masks[image_id] = FoundMask(str(path), functools.partial(_labelme_artefact, path))
    return FoundMasks(masks, tuple(unmatched), already_grown=False)


def read_labelstudio(source: Path, names: Names) -> FoundMasks:
    """A JSON export of Label Studio: brush, polygon and rectangle labels of the newest annotation, or prediction."""
    content = _json_of(source)
    if not isinstance(content, list):
        raise _wrong(source, "Label Studio", "it is no list of tasks")
    found: dict[str, FoundMask] = {}
    for task in content:
        name = _task_name(task)
        if name is None:
            raise _wrong(source, "Label Studio", f"task {task.get('id')} names no image")
        given = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
        given = given or task.get("predictions", [])
        if given:
            results = given[-1].get("result", [])
            found[name] = FoundMask(f"{source}: {name}", functools.partial(_labelstudio_artefact, results))
    return match_by_name(names, found)


def match_by_name(names: Names, found: Mapping[str, FoundMask]) -> FoundMasks:
    """Ungrown outlines by the image names of a file, with or without the folder `images/` before them."""
    by_key = {folded(key): name for name in names for key in (xml_name(name), name)}
    masks: dict[str, FoundMask] = {}
    unmatched: list[str] = []
    for name, mask in found.items():
        image_id = by_key.get(folded(name.removeprefix("images/"))) or by_key.get(folded(name))
        if image_id is None:
            unmatched.append(name)
        else:
            masks[image_id] = mask
    return FoundMasks(masks, tuple(unmatched), already_grown=False)


def _coco_artefact(things: Shapes, image: Mapping[str, Any], shape: Shape) -> NDArray[np.bool_]:
    own = (int(image["height"]), int(image["width"]))
    artefact = np.zeros(own, dtype=np.bool_)
    for thing in things:
        segmentation = thing.get("segmentation")
        if isinstance(segmentation, dict):
            counts = segmentation["counts"]
            numbers = _counts_of_text(counts) if isinstance(counts, str) else counts
            artefact |= from_coco_counts(numbers, shape=own)
        elif segmentation:
            for flat in segmentation:
                fill_polygon(artefact, list(zip(flat[::2], flat[1::2], strict=True)))
        else:
            x, y, width_px, height_px = thing["bbox"]
            fill_polygon(artefact, [(x, y), (x + width_px, y), (x + width_px, y + height_px), (x, y + height_px)])
    return artefact


def _labelme_artefact(path: Path, shape: Shape) -> NDArray[np.bool_]:
    content = _json_of(path)
    own = (int(content.get("imageHeight") or shape[0]), int(content.get("imageWidth") or shape[1]))
    artefact = np.zeros(own, dtype=np.bool_)
    for one in content.get("shapes", []):
        points = [(float(x), float(y)) for x, y in one["points"]]
        kind = one.get("shape_type", "polygon")
        if kind == "rectangle" and len(points) == 2:
            (x0, y0), (x1, y1) = points
            points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        elif kind == "circle" and len(points) == 2:
            (x, y), edge = points[0], points[1]
            radius = float(np.hypot(edge[0] - x, edge[1] - y))
            turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
            points = [(x + radius * float(np.cos(turn)), y + radius * float(np.sin(turn))) for turn in turns]
        elif kind != "polygon":
            raise ValueError(f"shapes of type {kind!r} have no area that could be masked")
        fill_polygon(artefact, points)
    return artefact


def _labelstudio_artefact(results: Shapes, shape: Shape) -> NDArray[np.bool_]:
    own = shape
    for one in results:
        if one.get("original_height") and one.get("original_width"):
            own = (int(one["original_height"]), int(one["original_width"]))
    artefact = np.zeros(own, dtype=np.bool_)
    high, wide = own[0] / 100, own[1] / 100
    for one in results:
        value = one.get("value", {})
        if one.get("type") == "brushlabels":
            artefact |= decode_brush(value["rle"], shape=own)
        elif one.get("type") == "polygonlabels":
            fill_polygon(artefact, [(x * wide, y * high) for x, y in value["points"]])
        elif one.get("type") == "rectanglelabels":
            if value.get("rotation"):
                raise ValueError("turned rectangles are not read; draw a polygon")
            x0, y0 = value["x"] * wide, value["y"] * high
            x1, y1 = x0 + value["width"] * wide, y0 + value["height"] * high
            fill_polygon(artefact, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return artefact


def fill_polygon(artefact: NDArray[np.bool_], points: Iterable[tuple[float, float]]) -> None:
    """Mask the pixels whose centre lies within a polygon of pixel edges, at a quarter of a pixel."""
    import cv2

    shift, fine = 4, 16
    corners = np.array([[(x - 0.5) * fine, (y - 0.5) * fine] for x, y in points]).round().astype(np.int32)
    drawn = np.zeros(artefact.shape, dtype=np.uint8)
    cv2.fillPoly(drawn, [corners], 1, shift=shift)
    artefact |= drawn.astype(np.bool_)


def _counts_of_text(text: str) -> list[int]:
    """COCO's compressed counts: groups of five bits, from the third on as differences to the one before last."""
    counts: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position >= len(text):
                raise ValueError("the run lengths are cut off")
            bits = ord(text[position]) - 48
            value |= (bits & 0x1F) << (5 * shift)
            more = bool(bits & 0x20)
            position += 1
            shift += 1
            if not more and bits & 0x10:
                value |= -1 << (5 * shift)
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def _task_name(task: Mapping[str, Any]) -> str | None:
    """The image of a task: the id that our own package puts there, else the path in its address."""
    data = task.get("data", {})
    if "image_id" in data:
        return str(data["image_id"])
    address = data.get("image") or next((v for v in data.values() if isinstance(v, str)), None)
    if address is None:
        return None
    parts = urlsplit(str(address))
    local = parse_qs(parts.query).get("d")  # /data/local-files/?d=images/sub/a.jpg
    return unquote(local[0] if local else parts.path).lstrip("/")


def _json_of(path: Path) -> Any:  # noqa: ANN401 - whatever JSON can say
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.", advice="Check the path.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.", advice="Export it again.") from error


def _stem_key(name: str) -> str:
    path = PurePosixPath(name)
    return folded(str(path.with_name(stem_of(path.name))))


def _wrong(path: Path, format_: str, reason: str) -> InputError:
    return InputError(f"{path} is no {format_} export: {reason}.", advice="Choose another --format.")
