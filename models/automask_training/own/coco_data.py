"""Reads COCO instance files: boxes, polygons and run lengths."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from automask.errors import InputError, PluginError
from automask.values.rle import from_coco_counts
from automask_training.own.images import LabelError, Labelled, OwnThing, extent_of, filled_polygons, rectangle
from automask_training.own.labels import labels_of_classes


class _RunLengths(BaseModel):
    counts: list[int] | str
    size: tuple[int, int]


class _Annotation(BaseModel):
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    segmentation: list[list[float]] | _RunLengths | None = None


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Category(BaseModel):
    id: int
    name: str


class _File(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def coco_labelled(data: Path, *, classes: Mapping[str, str], images: Path | None) -> list[Labelled]:
    """The images of a COCO file with their annotations; an image without any has nothing on it.

    Args:
        data: The JSON file.
        classes: Words for category names.
        images: Folder that file names start from; None looks beside the file.

    Raises:
        InputError: The file cannot be read, is no COCO file, has no annotations, or its images are not found.
    """
    try:
        content = TypeAdapter(_File).validate_python(json.loads(data.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"Cannot read {data}: {error.strerror}.", advice="Check the path.") from error
    except (ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{data} is no COCO file: {reason}.", advice="It needs images, annotations and categories."
        ) from error
    if not content.annotations:
        raise InputError(f"{data} has no annotations.", advice="There is nothing to learn from it.")
    names = {category.id: category.name for category in content.categories}
    labels = labels_of_classes(names, classes, where=str(data))
    by_image: dict[int | str, list[_Annotation]] = defaultdict(list)
    for annotation in content.annotations:
        by_image[annotation.image_id].append(annotation)
    root = _image_root(data, content.images, given=images)
    return [Labelled(root / one.file_name, partial(_things, by_image[one.id], one, labels)) for one in content.images]


def _image_root(data: Path, images: Sequence[_Image], *, given: Path | None) -> Path:
    places = [given] if given is not None else [data.parent, data.parent / "images", data.parent.parent / "images"]
    for place in places:
        if any((place / one.file_name).is_file() for one in images):
            return place
    raise InputError(
        f"None of the {len(images)} images that {data} names is in {' or '.join(str(place) for place in places)}.",
        advice="Name the folder of the images with --images FOLDER.",
    )


def _things(
    annotations: Sequence[_Annotation], image: _Image, labels: Mapping[int, str], width_px: int, height_px: int
) -> Sequence[OwnThing]:
    if image.width is not None and image.height is not None and (image.width, image.height) != (width_px, height_px):
        raise LabelError("its upright size is not the one that the annotations were made for")
    things = []
    for annotation in annotations:
        label = labels.get(annotation.category_id)
        if label is None:
            continue
        shape = annotation.segmentation
        if isinstance(shape, _RunLengths):
            artefact, at = _decoded(shape, width_px=width_px, height_px=height_px), (0, 0)
        elif shape:
            artefact, at = _polygons(shape, width_px=width_px, height_px=height_px)
        elif annotation.bbox is not None:
            x, y, w, h = annotation.bbox
            artefact, at = rectangle((x, y, x + w, y + h), width_px=width_px, height_px=height_px)
        else:
            raise LabelError("it has an annotation with neither segmentation nor bbox")
        if artefact.any():
            things.append(OwnThing.of(label, artefact, at=at, extent=extent_of(label, is_outline=bool(shape))))
    return things


def _polygons(
    shape: Sequence[Sequence[float]], *, width_px: int, height_px: int
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    if any(len(one) < 6 or len(one) % 2 for one in shape):
        raise LabelError("it has an outline of fewer than three points")
    outlines = [np.array(one, np.float64).reshape(-1, 2) for one in shape]
    return filled_polygons(outlines, width_px=width_px, height_px=height_px)


def _decoded(shape: _RunLengths, *, width_px: int, height_px: int) -> NDArray[np.bool_]:
    if shape.size != (height_px, width_px):
        raise LabelError("its run lengths are of another size")
    if isinstance(shape.counts, str):
        return _decoded_string(shape.counts, shape.size)
    try:
        return from_coco_counts(shape.counts, shape=(height_px, width_px))
    except ValueError as error:
        raise LabelError("its run lengths do not add up") from error


def _decoded_string(counts: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise PluginError(
            "Compressed run lengths need pycocotools, which is not installed.",
            advice="Install the extra `train`.",
        ) from error
    packed: dict[str, Any] = {"counts": counts.encode(), "size": list(size)}
    return np.asarray(coco_mask.decode(packed), np.bool_)
