"""Turns a decoded picture of any pixel layout into 8-bit sRGB and 8-bit alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.dataset.codes import Remark
from automask.dataset.profile import to_srgb
from automask.types import Issue

_OPAQUE = 255
_ORIENTATIONS = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the file says about its values and the decoded picture no longer shows.

    Attributes:
        bits: Bits per sample in the file.
        is_white_zero: Grey values count downwards from white (a TIFF habit that Pillow undoes for 8 bits only).
    """

    bits: int = 8
    is_white_zero: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on its way to arrays.

    Attributes:
        colour: Mode RGB, transparency not yet applied.
        alpha: Mode L, or None where every pixel is opaque.
        issues: What was noticed.
    """

    colour: PillowImage.Image
    alpha: PillowImage.Image | None
    issues: tuple[Issue, ...] = ()


def to_picture(image: PillowImage.Image, layout: Layout) -> Picture:
    """Split a loaded picture into 8-bit sRGB colour and alpha."""
    issues: list[Issue] = []
    profile = image.info.get("icc_profile")
    colour, alpha = _split(image, layout, issues)
    if profile:
        try:
            colour = to_srgb(colour, profile)
        except ValueError as error:
            issues.append(
                Issue(
                    stage="decode",
                    code=Remark.ICC_IGNORED.value,
                    message=f"The embedded colour profile cannot be used ({error}): colours were taken as sRGB.",
                )
            )
    if alpha is not None and alpha.getextrema() == (_OPAQUE, _OPAQUE):
        alpha = None
    return Picture(colour if colour.mode == "RGB" else colour.convert("RGB"), alpha, tuple(issues))


def upright(picture: Picture, orientation: int) -> Picture:
    """Apply an EXIF orientation, 1..8."""
    method = _ORIENTATIONS.get(orientation)
    if method is None:
        return picture
    alpha = picture.alpha.transpose(method) if picture.alpha is not None else None
    return Picture(picture.colour.transpose(method), alpha, picture.issues)


def composited(picture: Picture, background: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Lay a picture on a background colour (`#rrggbb`).

    Returns:
        (H, W, 3) uint8 RGB, and (H, W) uint8 alpha or None.
    """
    if picture.alpha is None:
        return np.array(picture.colour), None
    ground = PillowImage.new("RGB", picture.colour.size, background)
    return np.array(PillowImage.composite(picture.colour, ground, picture.alpha)), np.array(picture.alpha)


def _split(
    image: PillowImage.Image, layout: Layout, issues: list[Issue]
) -> tuple[PillowImage.Image, PillowImage.Image | None]:
    """Colour of mode RGB, L or CMYK (whatever an embedded profile may describe), and alpha of mode L or None."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _split_wide(image, layout, issues)
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())  # undoes the multiplication with alpha
    if image.mode == "LA":
        return image.convert("L"), image.getchannel("A")
    key = image.info.get("transparency")
    if image.mode in ("1", "L", "RGB") and key is not None:
        levels = np.asarray(image.convert("L") if image.mode == "1" else image)
        colour = PillowImage.fromarray(levels)
        return colour, _opaque_unless(levels, _key_levels(key, layout.bits))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("RGB"), image.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")), None


def _split_wide(
    image: PillowImage.Image, layout: Layout, issues: list[Issue]
) -> tuple[PillowImage.Image, PillowImage.Image | None]:
    values = np.asarray(image)
    key = image.info.get("transparency")
    alpha = _opaque_unless(values, np.asarray(key)) if isinstance(key, int) else None
    if image.mode.startswith("I;16"):
        full = (1 << layout.bits) - 1 if 8 < layout.bits <= 16 else 65535
        levels = _scaled(values, low=0.0, high=float(full))
    else:
        levels, is_guessed = _levels_of_unknown_range(values)
        if is_guessed:
            issues.append(
                Issue(
                    stage="decode",
                    code=Remark.RANGE_GUESSED.value,
                    message="The pixel values have no usual range, so they were stretched from lowest to highest: "
                    "convert the image to 8 bits for the brightness that you mean.",
                )
            )
    if layout.is_white_zero:
        levels = _OPAQUE - levels
    return PillowImage.fromarray(levels), alpha


def _levels_of_unknown_range(values: NDArray[np.generic]) -> tuple[NDArray[np.uint8], bool]:
    """Scale 32-bit values to 0..255 by the smallest usual range that holds them, else by their own range.

    Returns:
        (H, W) uint8, and whether the values' own range had to be taken.
    """
    finite = np.where(np.isfinite(values), values, 0)
    low, high = float(finite.min()), float(finite.max())
    is_odd = low < 0 or bool((~np.isfinite(values)).any())
    ranges: tuple[float, ...] = (255.0, 65535.0)
    if np.issubdtype(values.dtype, np.floating):
        ranges = (1.0, *ranges)
    usual = next((top for top in ranges if high <= top), None)
    if low >= 0 and usual is not None:
        return _scaled(finite, low=0.0, high=usual), is_odd
    return _scaled(finite, low=low, high=high), True


def _scaled(values: NDArray[np.generic], *, low: float, high: float) -> NDArray[np.uint8]:
    span = high - low
    if span <= 0:
        return np.zeros(values.shape, dtype=np.uint8)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / span)
    levels: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return levels


def _key_levels(key: int | tuple[int, ...], bits: int) -> NDArray[np.generic]:
    """A PNG's transparent colour on the scale of the decoded pixels; the file states it on its own."""
    levels = np.asarray(key)
    if bits == 16:
        return levels >> 8
    return levels * (255 // ((1 << bits) - 1)) if bits in (2, 4) else levels


def _opaque_unless(values: NDArray[np.generic], key: NDArray[np.generic]) -> PillowImage.Image:
    is_key = values == key
    if is_key.ndim == 3:
        is_key = is_key.all(axis=2)
    return PillowImage.fromarray(np.where(is_key, 0, _OPAQUE).astype(np.uint8))
