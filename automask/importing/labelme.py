"""LabelMe's files, also as X-AnyLabeling writes them."""

from __future__ import annotations

import base64
import binascii
import functools
import io
import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.dataset.names import flat_name, folded, stem_of
from automask.errors import InputError
from automask.importing import foreign
from automask.importing.found import FoundMask, FoundMasks, Names, NotAnAnnotation, Outlines, Target
from automask.importing.pictures import opened
from automask.importing.shapes import Canvas

_FOUR_CORNERS = frozenset(("rectangle", "rotation", "oriented_rectangle", "quadrilateral"))
"""Shapes that X-AnyLabeling and newer LabelMe give as four corners."""


def read_labelme(source: Path, names: Names) -> FoundMasks:
    """A folder of LabelMe files; `sub/a.json` belongs to `sub/a.jpg`.

    Raises:
        InputError: There is no such folder, or a file could belong to two images.
    """
    if not source.is_dir():
        raise InputError(f"{source} is no folder of LabelMe files.", advice="Give the folder with the .json files.")
    by_stem: dict[str, list[str]] = {}
    flat: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(_stem_key(name), []).append(name)
        flat.setdefault(_stem_key(flat_name(name)), []).append(name)
    by_stem = {**flat, **by_stem}
    masks: dict[str, FoundMask] = {}
    unmatched: list[str] = []
    for path in sorted(path for path in source.rglob("*") if path.suffix.lower() == ".json" and path.is_file()):
        relative = path.relative_to(source).as_posix()
        meant = by_stem.get(_stem_key(relative), [])
        if len(meant) > 1:
            meant = [_named_inside(path, meant)]
        if not meant:
            unmatched.append(relative)
        else:
            masks[meant[0]] = FoundMask(str(path), functools.partial(_outlines, path))
    return FoundMasks(masks, tuple(unmatched), already_grown=False)


def _outlines(path: Path, target: Target) -> Outlines:
    content = foreign.json_of(path)
    if not isinstance(content, dict) or "shapes" not in content:
        raise NotAnAnnotation("it has no shapes, so it is no LabelMe file")
    own_shape = foreign.size_of(content.get("imageHeight"), content.get("imageWidth"))
    canvas = Canvas(target, own_shape)
    for one in foreign.sequence(content["shapes"], '"shapes"'):
        _draw(foreign.mapping(one, "a shape"), canvas)
    return canvas.outlines()


def _draw(shape: Mapping[str, Any], canvas: Canvas) -> None:
    kind = shape.get("shape_type")
    kind = "polygon" if kind is None else kind
    if not isinstance(kind, str):
        raise ValueError(f"the shape_type is {foreign.shown(kind)}")
    label = shape.get("label")
    if kind in ("point", "points"):
        canvas.note("a stray point is skipped, it has no area")
        return
    points = foreign.points(shape.get("points"), f"a {kind}")
    if kind in _FOUR_CORNERS and len(points) == 4:
        canvas.polygon(points, label)
    elif kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        canvas.rectangle(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), label)
    elif kind == "circle" and len(points) == 2:
        radius = math.dist(*points)
        canvas.ellipse(points[0], (radius, radius), label)
    elif kind == "polygon":
        canvas.polygon(points, label)
    elif kind in ("line", "linestrip"):
        canvas.line(points, label)
    elif kind == "mask" and len(points) == 2:
        _draw_mask(shape.get("mask"), points, label, canvas)
    elif kind in _FOUR_CORNERS or kind in ("circle", "mask"):
        raise ValueError(f"a {kind} has {len(points)} points")
    else:
        raise ValueError(f"shapes of the type {foreign.shown(kind)} are not known; draw a polygon")


def _draw_mask(text: object, points: list[foreign.Point], label: object, canvas: Canvas) -> None:
    """A PNG in base64; its two points are the first and the last pixel that it covers."""
    if not isinstance(text, str):
        raise ValueError(f"the mask of a shape is {foreign.shown(text)}, not a picture")
    try:
        with opened(io.BytesIO(base64.b64decode(text, validate=True))) as picture:
            artefact: NDArray[np.bool_] = np.asarray(picture.convert("L")) > 0
    except (binascii.Error, OSError, ValueError) as error:
        raise ValueError(f"the mask of a shape is no picture ({error})") from error
    (x0, y0), (x1, y1) = points
    if artefact.shape != (round(y1) - round(y0) + 1, round(x1) - round(x0) + 1):
        raise ValueError(f"a mask of {artefact.shape[1]} x {artefact.shape[0]} px does not fit between its points")
    canvas.raster(artefact, label, left=round(x0), top=round(y0))


def _named_inside(path: Path, candidates: list[str]) -> str:
    """The one image of several that a file names itself."""
    try:
        content = foreign.json_of(path)
    except (OSError, ValueError):
        content = None
    inside = content.get("imagePath") if isinstance(content, dict) else None
    base = folded(PurePosixPath(inside.replace("\\", "/")).name) if isinstance(inside, str) else ""
    meant = [name for name in candidates if folded(PurePosixPath(name).name) == base]
    if len(meant) != 1:
        raise InputError(
            f"{path} could be the annotation of {candidates[0]} and of {candidates[1]}.",
            advice="Its imagePath has to name one of them.",
            code="import-ambiguous",
        )
    return meant[0]


def _stem_key(name: str) -> str:
    path = PurePosixPath(name)
    return folded(str(path.with_name(stem_of(path.name))))
