"""Reads YOLO detection and segmentation data sets: data.yaml, images/, labels/."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]

from automask.dataset.names import is_image_name
from automask.errors import InputError
from automask_training.own.images import LabelError, Labelled, OwnThing, extent_of, filled_polygons, rectangle
from automask_training.own.labels import labels_of_classes

_SPLITS = ("train", "val", "test")
_ADVICE = "It should have `names` and `train`: a folder of images beside a folder `labels`, or a list of images."


def yolo_labelled(data: Path, *, classes: Mapping[str, str]) -> list[Labelled]:
    """The images of a data set with the truth in their label files; an image without a label file has nothing on it.

    Its own splits are joined: images are held out by their content, the same for every kind of data.

    Args:
        data: The data.yaml.
        classes: Words for class names.

    Raises:
        InputError: The file cannot be read, names no images, or no image has a label file.
    """
    table = _read_yaml(data)
    names = table.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise InputError(f"{data} has no class names.", advice=_ADVICE)
    try:
        by_number = {int(number): str(name) for number, name in names.items()}
    except ValueError as error:
        raise InputError(f"{data}: the keys of `names` must be class numbers.", advice=_ADVICE) from error
    labels = labels_of_classes(by_number, classes, where=str(data))
    paths = sorted(set(_image_paths(table, data)))
    if not paths:
        raise InputError(f"{data} names no images that are there.", advice=_ADVICE)
    with_labels = sum(_label_path(path).is_file() for path in paths)
    if not with_labels:
        raise InputError(
            f"None of the {len(paths)} images of {data} has a label file (looked for {_label_path(paths[0])}).",
            advice="Labels stand in a folder `labels` where the images' path says `images`.",
        )
    return [Labelled(path, partial(_things, _label_path(path), labels, frozenset(by_number))) for path in paths]


def _read_yaml(data: Path) -> dict[str, Any]:
    try:
        table = yaml.safe_load(data.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {data}: {error.strerror}.", advice="Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{data} is not valid YAML: {error}.", advice=_ADVICE) from error
    if not isinstance(table, dict):
        raise InputError(f"{data} is no description of a YOLO data set.", advice=_ADVICE)
    return table


def _image_paths(table: Mapping[str, Any], data: Path) -> Iterator[Path]:
    root = data.parent / str(table.get("path") or ".")
    if not root.is_dir():  # data sets get moved: what stands beside data.yaml counts then
        root = data.parent
    for split in _SPLITS:
        given = table.get(split) or []
        for entry in given if isinstance(given, list) else [given]:
            yield from _images_of(root / str(entry), root)


def _images_of(place: Path, root: Path) -> Iterator[Path]:
    if place.is_dir():
        for path in place.rglob("*"):
            if is_image_name(path.name) and path.is_file():
                yield path
    elif place.suffix == ".txt" and place.is_file():
        for line in place.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield root / line.strip()


def _label_path(image: Path) -> Path:
    """Where ultralytics looks for labels: the last `images` folder of the path becomes `labels`."""
    before, found, after = str(image).rpartition(f"{os.sep}images{os.sep}")
    return Path(f"{before}{os.sep}labels{os.sep}{after}" if found else image).with_suffix(".txt")


def _things(
    labels_file: Path, labels: Mapping[int, str], known: frozenset[int], width_px: int, height_px: int
) -> Sequence[OwnThing]:
    try:
        lines = labels_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError("its label file cannot be read") from error
    things = []
    for line in filter(str.strip, lines):
        try:
            first, *rest = (float(word) for word in line.split())
        except ValueError as error:
            raise LabelError("its label file has words that are not numbers") from error
        if int(first) not in known:
            raise LabelError(f"its label file has class {int(first)}, which data.yaml does not name")
        label = labels.get(int(first))
        if label is None:
            continue
        values = np.array(rest, np.float64)
        if len(values) == 4:
            x, y, w, h = values * (width_px, height_px, width_px, height_px)
            corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            artefact, at = rectangle(corners, width_px=width_px, height_px=height_px)
        elif len(values) >= 6 and len(values) % 2 == 0:
            outline = values.reshape(-1, 2) * (width_px, height_px)
            artefact, at = filled_polygons([outline], width_px=width_px, height_px=height_px)
        else:
            raise LabelError("its label file has lines that are neither boxes nor outlines")
        things.append(OwnThing.of(label, artefact, at=at, extent=extent_of(label, is_outline=len(values) > 4)))
    return things
