"""From the paths that a user names to images for training and images to judge by."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.errors import InputError
from automask.store import DATABASE_NAME, is_store
from automask.values import rle
from automask_training.own.coco_data import coco_labelled
from automask_training.own.images import (
    Extent,
    Labelled,
    OwnImage,
    OwnThing,
    Resolver,
    named,
    no_images,
    read_labelled,
)
from automask_training.own.store_data import store_labelled
from automask_training.own.strokes import StrokeReader, without_growth
from automask_training.own.uses import TaskUse
from automask_training.own.yolo_data import yolo_labelled

LEAST_IMAGES = 8
"""Fewer images with something on them teach the images, not the task."""


@dataclass(frozen=True)
class DataOptions:
    """How to read what the user names.

    Attributes:
        classes: Words for class names of data sets.
        images: Folder of a COCO file's images, or None.
        with_accepted: Take images of a store that nobody corrected, too.
        held_out: Share of the images to judge by.
    """

    classes: Mapping[str, str]
    images: Path | None = None
    with_accepted: bool = False
    held_out: float = 0.2


@dataclass(frozen=True)
class OwnData:
    """What is trained on and what is judged by; no image is in both.

    Attributes:
        training: Images to learn from.
        held_out: Images to judge by.
        left_out: Images that are in neither, and why; empty if there are none.
        silent: Which masks say only in part what is unwanted, and what would help; empty if there are none.
    """

    training: tuple[OwnImage, ...]
    held_out: tuple[OwnImage, ...]
    left_out: str
    silent: str = ""


def read_data(
    paths: Sequence[Path], options: DataOptions, use: TaskUse, *, progress: Callable[[int, int], None]
) -> OwnData:
    """Read all data sets and divide their images.

    Raises:
        InputError: A path is no data set, cannot be read, or too few images with truth remain.
        StoreError: A store cannot be used.
    """
    labelled = list(itertools.chain.from_iterable(_labelled(path, options) for path in paths))
    counter = itertools.count(1)
    found = read_labelled(labelled, resolve=_resolver(use), progress=lambda: progress(next(counter), len(labelled)))
    if not found.images:
        raise no_images(paths[0], found)
    silent = _silent(found.images, use)
    training, held_out = divided(found.images, held_out=options.held_out)
    _check_enough(training, held_out, use, left_out=found.summary(), silent=silent)
    return OwnData(tuple(training), tuple(held_out), found.summary(), silent)


def _resolver(use: TaskUse) -> Resolver:
    if not use.needs_outlines:
        return _boxed
    reader = StrokeReader()

    def resolve(pixels: NDArray[np.uint8], things: Sequence[OwnThing]) -> tuple[Sequence[OwnThing], bytes | None]:
        resolved = reader.resolved(pixels, things, kinds=use.kinds)
        return resolved.things, rle.encode(resolved.unknown) if resolved.unknown.any() else None

    return resolve


def _boxed(pixels: NDArray[np.uint8], things: Sequence[OwnThing]) -> tuple[Sequence[OwnThing], None]:
    """For a task of boxes: those of the things themselves."""
    height_px, width_px = pixels.shape[:2]
    return without_growth(things, width_px=width_px, height_px=height_px), None


def divided(images: Sequence[OwnImage], *, held_out: float) -> tuple[list[OwnImage], list[OwnImage]]:
    """Images to train on and images to judge by, by content alone: more images later move none of them."""
    rest = [image for image in images if _place(image) >= held_out]
    judged = [image for image in images if _place(image) < held_out]
    if not judged and len(rest) > 1:
        judged = [min(rest, key=_place)]
        rest.remove(judged[0])
    return rest, judged


def _place(image: OwnImage) -> float:
    return int(image.content_sha256[:8], 16) / 2**32


def _labelled(path: Path, options: DataOptions) -> list[Labelled]:
    if path.is_dir():
        if is_store(path):
            return store_labelled(path, with_accepted=options.with_accepted)
        for name in ("data.yaml", "data.yml", "dataset.yaml"):
            if (path / name).is_file():
                return yolo_labelled(path / name, classes=options.classes)
    elif path.suffix in (".yaml", ".yml"):
        return yolo_labelled(path, classes=options.classes)
    elif path.suffix == ".json":
        return coco_labelled(path, classes=options.classes, images=options.images)
    elif not path.exists():
        raise InputError(f"There is no {path}.", advice="Check the path given to --data.")
    raise InputError(
        f"{path} is no data set that training can read.",
        advice=f"Give a store (a folder with {DATABASE_NAME}), a YOLO data.yaml or its folder, or a COCO .json file.",
    )


def _says_something(thing: OwnThing) -> bool:
    return thing.wanted is None or bool(thing.wanted_artefact.any())


def _silent(images: Sequence[OwnImage], use: TaskUse) -> str:
    """Which things teach a task of pixels nothing but that there is nothing around them, and what would help."""
    if not use.needs_outlines:
        return ""
    parts = []
    for extents, word, help_ in (
        ((Extent.BOX,), "boxes instead of outlines", "give outlines, or masks of `automask run`"),
        (
            (Extent.AROUND, Extent.GROWN),
            "masks in which strokes cannot be told from what lies between them",
            "draw these closer to the strokes, on the page with a click",
        ),
    ):
        names = [
            image.path.name
            for image in images
            for thing in image.things
            if thing.kind in use.kinds and thing.extent in extents and not _says_something(thing)
        ]
        if names:
            parts.append(f"{word} ({len(names)}: {named(sorted(set(names)))}): {help_}")
    return ". ".join(parts)


def _check_enough(
    training: Sequence[OwnImage], held_out: Sequence[OwnImage], use: TaskUse, *, left_out: str, silent: str
) -> None:
    def with_things(images: Sequence[OwnImage]) -> int:
        return sum(
            any(thing.kind in use.kinds and _says_something(thing) for thing in image.things) for image in images
        )

    count = with_things(training) + with_things(held_out)
    if count < LEAST_IMAGES or not with_things(training):
        reasons = (f" Left out: {left_out}." if left_out else "") + (
            f" Nothing is learned from {silent}." if silent else ""
        )
        raise InputError(
            f"Only {count} images have {' or '.join(use.kinds)} on them with a truth that this task can use; "
            f"it takes {LEAST_IMAGES}.{reasons}",
            advice="Add images, or more data sets with a second --data.",
        )
    if not held_out:
        raise InputError("No image is held out to judge by.", advice="Raise --held-out.")
