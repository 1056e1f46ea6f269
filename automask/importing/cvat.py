"""CVAT's `CVAT for images 1.1`: masks, polygons, boxes, ellipses and polylines in one XML file."""

from __future__ import annotations

import functools
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser, fromstring

import numpy as np

from automask.errors import InputError
from automask.importing import foreign
from automask.importing.found import FoundMask, FoundMasks, Names, Outlines, Target
from automask.importing.names import Entry, match_by_name
from automask.importing.shapes import Canvas

_WIDTH_ATTRIBUTES = ("width", "line_width", "stroke_width")
"""Names under which people keep the width of a polyline, which CVAT has no place for."""


def read_cvat(source: Path, names: Names) -> FoundMasks:
    """An `annotations.xml`, or the folder that holds it; all labels count as unwanted.

    Raises:
        InputError: It is no such file.
    """
    path = source / "annotations.xml" if source.is_dir() else source
    try:
        content = path.read_bytes()
        # Entities are how XML files attack their readers; none of CVAT's has any.
        if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
            raise InputError(f"{path} declares entities.", advice="Export it again.")
        root = fromstring(content, parser=XMLParser(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.", advice="Check the path.") from error
    except (ParseError, ValueError) as error:
        raise InputError(f"{path} is no XML: {error}.", advice="Choose another --format.") from error
    if root.tag != "annotations":
        raise foreign.wrong_format(path, "CVAT", f"its root is <{foreign.printable(str(root.tag))}>")
    if root.find("track") is not None:
        raise foreign.wrong_format(path, "CVAT for images", "it holds tracks of a video")
    entries = []
    unusable: dict[str, str] = {}
    for image in root.findall("image"):
        name = image.attrib.get("name")
        if name:
            entries.append(Entry([name], FoundMask(f"{path}: {name}", functools.partial(_outlines, image))))
        else:
            unusable[f"{path}: image"] = "one of them has no name"
    return match_by_name(names, entries, unusable)


def _outlines(image: Element, target: Target) -> Outlines:
    canvas = Canvas(target, foreign.size_of(image.attrib.get("height"), image.attrib.get("width")))
    for one in image:
        _draw(one, canvas)
    return canvas.outlines()


def _draw(shape: Element, canvas: Canvas) -> None:
    label = shape.attrib.get("label")
    turn = _number(shape, "rotation") if "rotation" in shape.attrib else 0.0
    if turn and shape.tag not in ("box", "ellipse"):
        raise ValueError(f"a {shape.tag} is turned, which only boxes and ellipses can be")
    if shape.tag == "polygon":
        canvas.polygon(_points(shape), label)
    elif shape.tag == "box":
        x0, y0, x1, y1 = (_number(shape, name) for name in ("xtl", "ytl", "xbr", "ybr"))
        canvas.rectangle(x0, y0, x1, y1, label, turn=turn)
    elif shape.tag == "ellipse":
        centre = _number(shape, "cx"), _number(shape, "cy")
        canvas.ellipse(centre, (_number(shape, "rx"), _number(shape, "ry")), label, turn=turn)
    elif shape.tag == "polyline":
        canvas.line(_points(shape), label, width_px=_line_width_px(shape))
    elif shape.tag == "mask":
        _draw_mask(shape, label, canvas)
    elif shape.tag in ("points", "skeleton", "cuboid", "tag"):
        raise ValueError(f"a {shape.tag} has no area that could be masked; draw a polygon or a mask")
    else:
        raise ValueError(f"<{shape.tag}> is not known; draw a polygon or a mask")


def _draw_mask(shape: Element, label: object, canvas: Canvas) -> None:
    left, top, width_px, height_px = (
        foreign.whole(shape.attrib.get(name), f"{name} of a mask") for name in ("left", "top", "width", "height")
    )
    runs = np.array([foreign.number(run.strip(), "a run length") for run in shape.attrib.get("rle", "").split(",")])
    area_px = width_px * height_px
    if min(width_px, height_px) <= 0 or area_px > canvas.own_shape[0] * canvas.own_shape[1]:
        raise ValueError("a mask is larger than its image, or has no size")
    if ((runs < 0) | (runs > area_px) | (runs != runs.round())).any() or runs.sum() != area_px:
        raise ValueError("the run lengths of a mask do not fill its box")
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs.astype(np.int64))
    canvas.raster(flat.reshape(height_px, width_px), label, left=left, top=top)


def _line_width_px(shape: Element) -> float | None:
    for name in _WIDTH_ATTRIBUTES:
        if name in shape.attrib:
            return foreign.positive(_number(shape, name), "the width of a polyline")
        for attribute in shape.findall("attribute"):
            if attribute.attrib.get("name") == name:
                return foreign.positive(foreign.number(attribute.text or "", name), "the width of a polyline")
    return None


def _points(shape: Element) -> list[foreign.Point]:
    found = []
    for pair in shape.attrib.get("points", "").split(";"):
        values = [foreign.number(value.strip(), f"a coordinate of a {shape.tag}") for value in pair.split(",")]
        if len(values) != 2:
            raise ValueError(f"a point of a {shape.tag} is not x and y")
        found.append((values[0], values[1]))
    return found


def _number(shape: Element, name: str) -> float:
    return foreign.number(shape.attrib.get(name), f"{name} of a {shape.tag}")
