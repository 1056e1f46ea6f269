"""Filled and cropped copies of a store's images."""

from __future__ import annotations

import enum
import io
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.errors import ImageError
from automask.files.atomic import output_error
from automask.fill.crops import Crop, Reason, propose_crop, why_not
from automask.fill.folder import MadeFolder
from automask.fill.methods import Fill, painted_over
from automask.fill.source import StoreSource
from automask.store import Decision, StoredImage
from automask.values.types import Issue, Kind

Progress = Callable[[int, int], None]
_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


class Outcome(enum.StrEnum):
    """What became of an image."""

    CHANGED = "changed"
    """A new image was made, or would be."""
    UNCHANGED = "unchanged"
    """There was nothing to do: copied byte for byte."""
    KEPT = "kept"
    """It has a frame, but should not be cropped; see `MadeImage.reason`. Copied byte for byte."""
    EXCLUDED = "excluded"
    """A person left it out in review: there is no copy, and one of an earlier time is removed."""
    FAILED = "failed"
    """See its issue."""


@dataclass(frozen=True, slots=True)
class MadeImage:
    """One image of the dataset.

    Attributes:
        image_id: Its id.
        outcome: What became of it.
        crop: What was proposed, or None.
        text_left: Whether something else than frames is still masked inside the crop, and would be learned.
        issue: Why it failed, or None.
        reason: Why it was not cropped, or None; `fill` gives none.
    """

    image_id: str
    outcome: Outcome
    crop: Crop | None = None
    text_left: bool = False
    issue: Issue | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Making:
    """Everything that was done.

    Attributes:
        images: One entry an image, in the store's order.
        interrupted: Whether it was stopped early.
    """

    images: list[MadeImage] = field(default_factory=list)
    interrupted: bool = False

    def count(self, outcome: Outcome) -> int:
        """Images with an outcome."""
        return sum(image.outcome is outcome for image in self.images)


def fill_images(
    source: StoreSource,
    folder: MadeFolder,
    fill: Fill,
    *,
    stop: threading.Event,
    progress: Progress = lambda done, total: None,
) -> Making:
    """Write every image of a store with its masked parts painted over; images without any are copied.

    Raises:
        OutputError: The output cannot be written.
    """

    def make(row: StoredImage) -> MadeImage:
        weight = source.mask(row).weight
        if fill is Fill.NONE or bool((weight >= 1.0).all()):
            _copy(source, row, folder)
            return MadeImage(row.image_id, Outcome.UNCHANGED)
        image = source.decoded(row).image
        pixels = painted_over(image.pixels, weight, fill, seed=row.image_id)
        folder.write(_name(row), encoded(pixels, image.alpha, suffix=PurePosixPath(row.image_id).suffix))
        return MadeImage(row.image_id, Outcome.CHANGED)

    return _made(source, folder, make, stop=stop, progress=progress)


def crop_images(
    source: StoreSource,
    folder: MadeFolder | None,
    *,
    most_content_lost: float,
    least_side_px: int,
    stop: threading.Event,
    progress: Progress = lambda done, total: None,
) -> Making:
    """Propose crops that drop frames and bars, and write them where there is a folder.

    Args:
        source: The store.
        folder: Where to, or None to propose only.
        most_content_lost: Crops that lose more of what is no frame are not made, 0..1.
        least_side_px: Nor are crops with a shorter side.
        stop: When set, the image in hand is finished and the work ends.
        progress: Called with images done and in all.

    Raises:
        OutputError: The output cannot be written.
    """

    def make(row: StoredImage) -> MadeImage:
        frame, other = _artefacts(source, row)
        crop = propose_crop(frame)
        reason = why_not(frame, other, crop, most_lost=most_content_lost, least_side_px=least_side_px)
        has_frame = crop is not None or reason is Reason.ALL_FRAME
        outcome = Outcome.CHANGED if reason is None else Outcome.KEPT if has_frame else Outcome.UNCHANGED
        if folder is not None:
            if crop is not None and reason is None:
                image = source.decoded(row).image
                alpha = image.alpha[crop.box.slices] if image.alpha is not None else None
                suffix = PurePosixPath(row.image_id).suffix
                folder.write(_name(row), encoded(image.pixels[crop.box.slices], alpha, suffix=suffix))
            else:
                _copy(source, row, folder)
        text_left = bool(other[crop.box.slices].any()) if crop is not None else False
        return MadeImage(row.image_id, outcome, crop=crop, text_left=text_left, reason=reason)

    making = _made(source, folder, make, stop=stop, progress=progress)
    return replace(making, images=[_with_reason(image) for image in making.images])


def _with_reason(image: MadeImage) -> MadeImage:
    reason = {Outcome.EXCLUDED: Reason.EXCLUDED, Outcome.FAILED: Reason.UNREADABLE}.get(image.outcome, image.reason)
    return replace(image, reason=reason)


def encoded(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, *, suffix: str) -> bytes:
    """An image file in the format of a suffix; PNG for formats that are neither PNG, JPEG nor WebP.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        alpha: (H, W) uint8 or None; JPEG drops it, the pixels are composited already.
        suffix: With its dot.
    """
    picture = PillowImage.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    if suffix.lower() in _JPEG_SUFFIXES:
        picture.save(out, "JPEG", quality=95, subsampling=0)
        return out.getvalue()
    if alpha is not None:
        picture.putalpha(PillowImage.fromarray(np.ascontiguousarray(alpha)))
    if suffix.lower() == ".webp":
        picture.save(out, "WEBP", lossless=True)
    else:
        picture.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _made(
    source: StoreSource,
    folder: MadeFolder | None,
    make: Callable[[StoredImage], MadeImage],
    *,
    stop: threading.Event,
    progress: Progress,
) -> Making:
    making: list[MadeImage] = []
    total = source.store.counts().done
    for row in source.images():
        if stop.is_set():
            return Making(making, interrupted=True)
        if row.decision is Decision.EXCLUDED:
            if folder is not None:
                for name in {row.image_id, _name(row)}:
                    folder.remove(name)
            making.append(MadeImage(row.image_id, Outcome.EXCLUDED))
            continue
        try:
            making.append(make(row))
        except ImageError as error:
            issue = Issue(stage="decode", code=error.code, message=str(error), severity="error")
            making.append(MadeImage(row.image_id, Outcome.FAILED, issue=issue))
        progress(len(making), total)
    return Making(making)


def _artefacts(source: StoreSource, row: StoredImage) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Ungrown pixels of frames, and of everything else that is drawn, each (H, W) bool."""
    shape = (row.height_px or 1, row.width_px or 1)
    frame, other = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    for region, patch in source.drawn(row):
        if region.kind is Kind.GROUND:  # nobody wants the ground painted over
            continue
        target = frame if region.kind is Kind.FRAME else other
        target[patch.box.slices] |= patch.artefact
    if source.is_corrected(row):  # what a person wants trained is not cut off
        trained = source.mask(row).weight >= 1.0
        frame[trained], other[trained] = False, False
    return frame, other


def _name(row: StoredImage) -> str:
    path = PurePosixPath(row.image_id)
    keeps = path.suffix.lower() in (*_JPEG_SUFFIXES, ".png", ".webp")
    return row.image_id if keeps else f"{row.image_id}.png"  # not with_suffix: a.bmp and a.gif would meet


def _copy(source: StoreSource, row: StoredImage, folder: MadeFolder) -> None:
    path = source.image_path(row)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{row.image_id} cannot be read: {error.strerror}.", code="image-unreadable") from error
    folder.write(row.image_id, data)


def copy_captions(source: StoreSource, folder: MadeFolder, making: Making) -> int:
    """Copy captions (.txt, .caption, .json of the same stem) beside the images that were written.

    Returns:
        Files copied.

    Raises:
        OutputError: The output cannot be written.
    """
    count = 0
    for path in _captions(source.input_root, making):
        target = folder.root / path.relative_to(source.input_root)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        except OSError as error:
            raise output_error(error, target) from error
        count += 1
    return count


def _captions(root: Path, making: Making) -> Iterator[Path]:
    seen: set[Path] = set()
    for image in making.images:
        if image.outcome in (Outcome.FAILED, Outcome.EXCLUDED):
            continue
        for suffix in (".txt", ".caption", ".json"):
            path = (root / image.image_id).with_suffix(suffix)
            if path not in seen and path.is_file():
                seen.add(path)
                yield path
