"""Images of a user with everything unwanted on them, small enough to keep a list of in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.config import DecodeConfig
from automask.dataset.decode import Decoded, decode
from automask.dataset.image_file import ImageFile
from automask.errors import ImageError, InputError
from automask.values import rle
from automask.values.geometry import Box, rasterise_polygon
from automask_training.synth.types import KIND_OF_LABEL, SyntheticImage, SyntheticInstance

IGNORED = "ignore"
"""The label and kind of pixels that count neither way."""
NAMED_AT_MOST = 5
"""How many files a message names before it counts the rest."""


class Extent(StrEnum):
    """How the pixels that a person or a data set gives of a thing lie on it."""

    TIGHT = "tight"
    """They are its own."""
    AROUND = "around"
    """They were drawn around it: all of it is in there, and some of what lies between and beside its strokes."""
    GROWN = "grown"
    """The same, from a finished mask: often grown by a latent cell besides."""
    BOX = "box"
    """They are a box around it: they say where it is."""


@dataclass(frozen=True, slots=True)
class OwnThing:
    """One unwanted thing.

    Attributes:
        label: A key of `KIND_OF_LABEL`, or `ignore` for pixels that count neither way.
        box: Tight around its pixels, in the upright image.
        packed: Its pixels inside the box as they were drawn, as `automask.values.rle` packs them.
        extent: How they lie on it.
        is_kind_known: False where its kind is a guess.
        wanted: Those that are unwanted for sure, of the same box, packed; None = all that were drawn.
    """

    label: str
    box: Box
    packed: bytes
    extent: Extent
    is_kind_known: bool = True
    wanted: bytes | None = None

    @classmethod
    def of(
        cls,
        label: str,
        artefact: NDArray[np.bool_],
        *,
        at: tuple[int, int] = (0, 0),
        extent: Extent,
        is_kind_known: bool = True,
    ) -> OwnThing:
        """Pack an (H, W) bool array whose first pixel lies at (x, y) of the image.

        Raises:
            ValueError: It is empty.
        """
        tight = Box.of_artefact(artefact)
        if tight is None:
            raise ValueError("a thing without pixels")
        box = Box(tight.x0 + at[0], tight.y0 + at[1], tight.x1 + at[0], tight.y1 + at[1])
        return cls(label, box, rle.encode(artefact[tight.slices]), extent, is_kind_known)

    @property
    def kind(self) -> str:
        """text, watermark, frame or ignore."""
        return KIND_OF_LABEL.get(self.label, self.label)

    @property
    def artefact(self) -> NDArray[np.bool_]:
        """Its pixels as they were drawn, of the shape of the box."""
        return rle.decode(self.packed)

    @property
    def wanted_artefact(self) -> NDArray[np.bool_]:
        """Its pixels that are unwanted for sure, of the shape of the box."""
        return rle.decode(self.packed if self.wanted is None else self.wanted)


@dataclass(frozen=True, slots=True)
class OwnImage:
    """One image with its truth.

    Attributes:
        path: The user's file.
        content_sha256: Hash of its bytes.
        width_px: Width of the upright image.
        height_px: Height of the upright image.
        things: Everything unwanted on it; empty where nothing is.
        unknown: Pixels that count neither way, (H, W) bool as `automask.values.rle` packs them, or None.
    """

    path: Path
    content_sha256: str
    width_px: int
    height_px: int
    things: tuple[OwnThing, ...]
    unknown: bytes | None = None

    def load(self) -> SyntheticImage:
        """Decode it, with its truth as masks.

        Raises:
            ImageError: The file is gone or damaged by now.
        """
        instances = tuple(
            SyntheticInstance(
                kind=thing.kind,
                label=thing.label,
                box=thing.box.xyxy,
                mask=thing.wanted_artefact,
                opacity=1.0,
                is_kind_known=thing.is_kind_known,
            )
            for thing in self.things
            if thing.kind != IGNORED and thing.wanted_artefact.any()
        )
        unknown = rle.decode(self.unknown) if self.unknown is not None else None
        return SyntheticImage(decode_file(self.path).image.pixels, instances, unknown)


def extent_of(label: str, *, is_outline: bool) -> Extent:
    """How the outlines and boxes of data sets lie on their things: people outline lines of text, not letters."""
    if not is_outline:
        return Extent.BOX
    return Extent.AROUND if KIND_OF_LABEL[label] == "text" else Extent.TIGHT


class LabelError(Exception):
    """The truth of one image does not fit it; the message says how."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image file that a data set names, before anything of it was read.

    Attributes:
        path: The file.
        things: Gives the truth for the upright image of that width and height; may raise LabelError.
        content_sha256: Hash that the file must have for the truth to hold, or None.
    """

    path: Path
    things: Callable[[int, int], Sequence[OwnThing]]
    content_sha256: str | None = None


@dataclass(slots=True)
class ReadImages:
    """What a data set gave.

    Attributes:
        images: Those that can be used, each content once.
        left_out: Reason and file name of the others.
    """

    images: list[OwnImage] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def summary(self) -> str:
        """What was left out and why, or an empty string."""
        counts = Counter(reason for reason, _ in self.left_out)
        parts = []
        for reason, _ in counts.most_common():
            parts.append(f"{reason}: {named([name for why, name in self.left_out if why == reason])}")
        return "; ".join(parts)


def named(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{', '.join(names[:NAMED_AT_MOST])}{more}"


Resolver = Callable[[NDArray[np.uint8], Sequence[OwnThing]], tuple[Sequence[OwnThing], bytes | None]]
"""Pixels (H, W, 3) and things of an image to things with what is wanted of them, and packed pixels that are unknown."""


def read_labelled(
    labelled: Iterable[Labelled], *, resolve: Resolver | None = None, progress: Callable[[], None] = lambda: None
) -> ReadImages:
    """Decode every image once and fit its truth to it: what cannot be used is known before the training starts."""
    found = ReadImages()
    seen: set[str] = set()
    for item in labelled:
        progress()
        try:
            decoded = decode_file(item.path)
        except ImageError as error:
            found.left_out.append((f"not readable ({error.code})", item.path.name))
            continue
        if item.content_sha256 not in (None, decoded.content_sha256):
            found.left_out.append(("changed since its mask was made", item.path.name))
            continue
        if decoded.content_sha256 in seen:
            found.left_out.append(("there twice", item.path.name))
            continue
        seen.add(decoded.content_sha256)
        image = decoded.image
        try:
            things: Sequence[OwnThing] = item.things(image.width_px, image.height_px)
        except LabelError as error:
            found.left_out.append((str(error), item.path.name))
            continue
        things, unknown = resolve(image.pixels, things) if resolve is not None else (things, None)
        size_px = (image.width_px, image.height_px)
        found.images.append(OwnImage(item.path, decoded.content_sha256, *size_px, tuple(things), unknown))
    return found


def decode_file(path: Path) -> Decoded:
    """Decode an image file as `automask run` does.

    Raises:
        ImageError: It cannot be used.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ImageError(f"Cannot read {path}: {error.strerror}.", advice="Put it back.") from error
    file = ImageFile(path.name, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, f"{path.name}.png")
    return decode(file, DecodeConfig())


def rectangle(xyxy: Sequence[float], *, width_px: int, height_px: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """A filled box inside the image, and where it starts.

    Raises:
        LabelError: It lies outside or is no box.
    """
    if not np.isfinite(xyxy).all():
        raise LabelError("a box is not made of numbers")
    x0, y0 = max(0, round(xyxy[0])), max(0, round(xyxy[1]))
    x1, y1 = min(width_px, max(x0 + 1, round(xyxy[2]))), min(height_px, max(y0 + 1, round(xyxy[3])))
    if xyxy[2] <= xyxy[0] or xyxy[3] <= xyxy[1] or x0 >= x1 or y0 >= y1:
        raise LabelError("a box lies outside of the image or is empty")
    return np.ones((y1 - y0, x1 - x0), np.bool_), (x0, y0)


def filled_polygons(
    polygons: Sequence[NDArray[np.float64]], *, width_px: int, height_px: int
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Polygons of (N, 2) pixels, filled, and where the array starts.

    Raises:
        LabelError: They lie outside of the image.
    """
    points = np.concatenate(polygons)
    if not np.isfinite(points).all():
        raise LabelError("an outline is not made of numbers")
    box = Box.around([(float(x), float(y)) for x, y in points]).clipped(width_px=width_px, height_px=height_px)
    if box is None:
        raise LabelError("an outline lies outside of the image")
    artefact = np.zeros(box.shape, np.bool_)
    for one in polygons:
        artefact |= rasterise_polygon([(float(x), float(y)) for x, y in one], box)
    if not artefact.any():  # finer than a pixel: no centre lies inside
        artefact[:] = True
    return artefact, (box.x0, box.y0)


def no_images(data: Path, found: ReadImages) -> InputError:
    """The error for a data set of which nothing can be used."""
    return InputError(
        f"{data} has no image with truth to train on. {found.summary()}".strip(),
        advice="Correct some masks first, or check the paths in the data set.",
    )
