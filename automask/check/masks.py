"""One image and its mask: whether they fit, what the mask says, what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from automask.check.findings import Code
from automask.check.layout import Pair
from automask.check.weights import RegionWeight, looks_inverted, reduce_mask
from automask.dataset.exif import UPRIGHT, orientation_of
from automask.trainers.conventions import Place, SizeRule, Trainer

MUCH_MASKED_SHARE = 0.5
_ASPECT_TOLERANCE = 0.01
_TURNED = frozenset((5, 6, 7, 8))
_RED_READERS = frozenset(("kohya", "simpletuner", "diffusion-pipe"))
_COLOUR_TOLERANCE = 16

_UNREADABLE = (OSError, UnidentifiedImageError, ValueError, SyntaxError, PillowImage.DecompressionBombError)
"""Pillow's words for files that are missing, foreign, broken or too large for it."""


@dataclass(frozen=True, slots=True)
class Lens:
    """How the masks of a check are looked at.

    Attributes:
        trainer: Whose rules count.
        training_px: Training resolution.
        cell_px: Latent cell in training pixels.
        floor: Least weight of the user's settings.
        inverted: The settings invert masks when they are loaded.
        uses_alpha: Masks are the alpha channels of the images.
        as_exported: Masks that are as the export for this trainer wrote them, so that their orientation is right, and
            that fit its versions.
    """

    trainer: Trainer
    training_px: int
    cell_px: int
    floor: float = 0.0
    inverted: bool = False
    uses_alpha: bool = False
    as_exported: frozenset[Path] = frozenset()


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """What is known about one image after a check.

    Attributes:
        name: Relative to the dataset.
        codes: What is wrong with it, with a detail for people.
        masked_share: Share of the weight that its mask takes away, or None without a usable mask.
        effective_weight: Mean weight that is left on masked regions after the trainer's reduction; 0 without regions.
        regions: The masked regions, largest first.
    """

    name: str
    codes: dict[Code, str]
    masked_share: float | None = None
    effective_weight: float = 0.0
    regions: tuple[RegionWeight, ...] = ()


def check_image(pair: Pair, lens: Lens) -> CheckedImage:
    """Look at one image and its mask."""
    codes: dict[Code, str] = {}
    try:
        with PillowImage.open(pair.image) as image:
            size_px, orientation = image.size, _orientation(image)
            has_alpha = "A" in image.getbands() or "transparency" in image.info
    except _UNREADABLE as error:
        return CheckedImage(pair.name, {Code.UNREADABLE: f"the image: {error}"})
    if lens.uses_alpha and not has_alpha:
        return CheckedImage(pair.name, {Code.ALPHA_MISSING: "no alpha channel"})
    if pair.mask is None:
        return CheckedImage(pair.name, codes)
    try:
        levels = mask_levels(pair, lens, codes)
    except _UNREADABLE as error:
        return CheckedImage(pair.name, {Code.UNREADABLE: f"the mask: {error}"})
    if pair.mask != pair.image:
        is_known = pair.mask in lens.as_exported or bool((levels == 255).all())
        _check_size(levels.shape[::-1], size_px, orientation, lens, codes, is_known=is_known)
    if Code.SIZE_MISMATCH in codes or Code.EXIF_MISMATCH in codes:
        return CheckedImage(pair.name, codes)
    return _weighed(pair, levels, lens, codes)


def mask_levels(pair: Pair, lens: Lens, codes: dict[Code, str]) -> NDArray[np.uint8]:
    """The mask as the trainer reads it, (H, W) uint8, 255 = train; notes in `codes` what it will not see.

    Raises:
        OSError: The file cannot be read or is damaged.
        ValueError: The pair has no mask.
    """
    if pair.mask is None:
        raise ValueError(f"{pair.name} has no mask")
    with PillowImage.open(pair.mask) as mask:
        if lens.uses_alpha:
            return np.asarray(mask.convert("RGBA"))[..., 3]
        if mask.mode.startswith(("I", "F")):
            codes[Code.MASK_CHANNEL] = f"mode {mask.mode}: 8 bits are needed"
        colours = np.asarray(mask.convert("RGBA"))
    alpha, rgb = colours[..., 3], colours[..., :3]
    if int(alpha.min()) < 255 and int(np.ptp(rgb)) <= _COLOUR_TOLERANCE:
        codes[Code.MASK_CHANNEL] = "drawn in the alpha channel, which is not read"
    elif (np.ptp(rgb.astype(np.int16), axis=2) > _COLOUR_TOLERANCE).mean() > 1e-3:
        codes[Code.MASK_CHANNEL] = "coloured: only " + ("red" if lens.trainer.name in _RED_READERS else "brightness")
    grey = rgb[..., 0] if lens.trainer.name in _RED_READERS else np.asarray(PillowImage.fromarray(rgb).convert("L"))
    levels: NDArray[np.uint8] = grey
    if int(levels.max()) == 1:
        codes[Code.MASK_CHANNEL] = "levels 0 and 1 instead of 0 and 255"
    return 255 - levels if lens.inverted else levels


def _check_size(
    mask_px: tuple[int, ...],
    image_px: tuple[int, int],
    orientation: int,
    lens: Lens,
    codes: dict[Code, str],
    *,
    is_known: bool,
) -> None:
    turned = image_px[::-1] if orientation in _TURNED else image_px
    wanted, other = (turned, image_px) if lens.trainer.transposes_exif else (image_px, turned)
    if _fits(mask_px, wanted, lens.trainer.size_rule):
        is_told_apart = not _fits(mask_px, other, lens.trainer.size_rule)
        if orientation != UPRIGHT and not (is_told_apart or is_known):
            codes[Code.EXIF_UNSURE] = f"EXIF orientation {orientation}"
        return
    facts = f"mask {mask_px[0]} x {mask_px[1]}, image {wanted[0]} x {wanted[1]} px"
    is_turned = orientation != UPRIGHT and _fits(mask_px, other, lens.trainer.size_rule)
    codes[Code.EXIF_MISMATCH if is_turned else Code.SIZE_MISMATCH] = facts


def _fits(mask_px: tuple[int, ...], image_px: tuple[int, int], rule: SizeRule) -> bool:
    if rule is SizeRule.EQUAL:
        return tuple(mask_px) == image_px
    ratio = (mask_px[0] / mask_px[1]) / (image_px[0] / image_px[1])
    # A mask of half the size rounds its sides: allow for one pixel.
    slack = _ASPECT_TOLERANCE + 1 / min(mask_px)
    return abs(ratio - 1) <= slack


def _weighed(pair: Pair, levels: NDArray[np.uint8], lens: Lens, codes: dict[Code, str]) -> CheckedImage:
    reduction = reduce_mask(levels, lens.trainer, training_px=lens.training_px, cell_px=lens.cell_px, floor=lens.floor)
    share = reduction.masked_share
    if int(levels.max()) <= 2:
        codes.setdefault(Code.ALL_BLACK, "nothing is left to train")
    elif share > MUCH_MASKED_SHARE:
        inverted = looks_inverted(levels)
        codes[Code.POLARITY if inverted else Code.MUCH_MASKED] = f"{share:.0%} masked"
    tight = [region for region in reduction.regions if region.is_too_tight]
    if tight:
        worst = max(tight, key=lambda region: region.excess)
        codes[Code.TOO_TIGHT] = f"{len(tight)} regions, weight {worst.intended + worst.excess:.2f}"
    elif reduction.shifted and pair.mask not in lens.as_exported:
        worst = max(reduction.shifted, key=lambda region: region.excess)
        codes[Code.SHIFTED] = f"{len(reduction.shifted)} regions, weight {worst.intended + worst.excess:.2f}"
    return CheckedImage(
        name=pair.name,
        codes=codes,
        masked_share=share,
        effective_weight=reduction.effective_weight,
        regions=reduction.regions,
    )


def _orientation(image: PillowImage.Image) -> int:
    try:
        return orientation_of(image.info)
    except ValueError:
        return UPRIGHT


def is_alpha(trainer: Trainer) -> bool:
    """Whether a trainer takes its masks from alpha channels."""
    return trainer.naming.place is Place.ALPHA
