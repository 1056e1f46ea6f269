"""Turns a decoded picture of any pixel layout into 8-bit sRGB and 8-bit alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.dataset.codes import Remark
from automask.dataset.profile import to_srgb
from automask.values.types import Issue

_OPAQUE = 255
_STRIP_PX = 1 << 22
"""Pixels that are converted at once."""
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
        colour: Mode RGB, laid on the background where anything is transparent.
        alpha: Mode L, or None where every pixel is opaque.
        issues: What was noticed.
    """

    colour: PillowImage.Image
    alpha: PillowImage.Image | None
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class _Range:
    """The values of a wide picture that become black and white."""

    low: float
    high: float


def to_picture(image: PillowImage.Image, layout: Layout, *, background: str, reduce_by: int = 1) -> Picture:
    """Turn a loaded picture into 8-bit sRGB on a background colour, and alpha.

    Strip by strip: what a conversion needs beside the picture itself does not grow with it.

    Args:
        image: Loaded, of any mode.
        layout: What its file says about its values.
        background: `#rrggbb`, seen where the picture is transparent.
        reduce_by: Every square of so many pixels becomes one, the mean of them.
    """
    issues: dict[str, Issue] = {}
    span = _range_of(image, issues)
    width_px, height_px = image.size
    rows = max(1, _STRIP_PX // (width_px * reduce_by)) * reduce_by
    if rows >= height_px or (reduce_by == 1 and _is_as_wanted(image)):
        colour, alpha = _converted(image, layout, span, issues, background=background, reduce_by=reduce_by)
    else:
        size_px = (-(-width_px // reduce_by), -(-height_px // reduce_by))
        colour, alpha = PillowImage.new("RGB", size_px), None
        for top in range(0, height_px, rows):
            strip = image.crop((0, top, width_px, min(top + rows, height_px)))
            part, part_alpha = _converted(strip, layout, span, issues, background=background, reduce_by=reduce_by)
            colour.paste(part, (0, top // reduce_by))
            if part_alpha is not None:
                alpha = alpha or PillowImage.new("L", size_px, _OPAQUE)
                alpha.paste(part_alpha, (0, top // reduce_by))
    return Picture(colour, alpha, tuple(issues.values()))


def upright(picture: Picture, orientation: int) -> Picture:
    """Apply an EXIF orientation, 1..8."""
    method = _ORIENTATIONS.get(orientation)
    if method is None:
        return picture
    alpha = picture.alpha.transpose(method) if picture.alpha is not None else None
    return Picture(picture.colour.transpose(method), alpha, picture.issues)


def _is_as_wanted(image: PillowImage.Image) -> bool:
    return image.mode == "RGB" and not image.info.get("icc_profile") and image.info.get("transparency") is None


def _converted(
    image: PillowImage.Image,
    layout: Layout,
    span: _Range | None,
    issues: dict[str, Issue],
    *,
    background: str,
    reduce_by: int,
) -> tuple[PillowImage.Image, PillowImage.Image | None]:
    """A picture, or a strip of one, as `to_picture` gives it."""
    profile = image.info.get("icc_profile")
    colour, alpha = _split(image, layout, span)
    if profile:
        try:
            colour = to_srgb(colour, profile)
        except ValueError as error:
            message = f"The embedded colour profile cannot be used ({error}): colours were taken as sRGB."
            _note(issues, Remark.ICC_IGNORED, message)
    if colour.mode != "RGB":
        colour = colour.convert("RGB")
    if alpha is not None and alpha.getextrema() == (_OPAQUE, _OPAQUE):
        alpha = None
    if alpha is not None:
        colour = PillowImage.composite(colour, PillowImage.new("RGB", colour.size, background), alpha)
    if reduce_by > 1:
        colour, alpha = colour.reduce(reduce_by), None if alpha is None else alpha.reduce(reduce_by)
    return colour, alpha


def _note(issues: dict[str, Issue], code: Remark, message: str) -> None:
    issues.setdefault(code.value, Issue(stage="decode", code=code.value, message=message))


def _split(
    image: PillowImage.Image, layout: Layout, span: _Range | None
) -> tuple[PillowImage.Image, PillowImage.Image | None]:
    """Colour of mode RGB, L or CMYK (whatever an embedded profile may describe), and alpha of mode L or None."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _split_wide(image, layout, span)
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
    image: PillowImage.Image, layout: Layout, span: _Range | None
) -> tuple[PillowImage.Image, PillowImage.Image | None]:
    values = np.asarray(image)
    key = image.info.get("transparency")
    alpha = _opaque_unless(values, np.asarray(key)) if isinstance(key, int) else None
    if span is None:
        full = (1 << layout.bits) - 1 if 8 < layout.bits <= 16 else 65535
        levels = _scaled(values, low=0.0, high=float(full))
    else:
        levels = _scaled(np.where(np.isfinite(values), values, 0), low=span.low, high=span.high)
    if layout.is_white_zero:
        levels = _OPAQUE - levels
    return PillowImage.fromarray(levels), alpha


def _range_of(image: PillowImage.Image, issues: dict[str, Issue]) -> _Range | None:
    """The smallest usual range that holds the 32-bit values of a picture, else their own; None for other pictures."""
    if image.mode not in ("I", "F"):
        return None
    low, high, is_odd = np.inf, -np.inf, False
    rows = max(1, _STRIP_PX // image.width)
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        is_finite = np.isfinite(values)
        finite = np.where(is_finite, values, 0)
        low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        is_odd = is_odd or not is_finite.all()
    ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    usual = next((top for top in ranges if high <= top), None)
    is_usual = low >= 0 and usual is not None
    if is_odd or not is_usual:
        message = (
            "The pixel values have no usual range, so they were stretched from lowest to highest: convert the image to "
            "8 bits for the brightness that you mean."
        )
        _note(issues, Remark.RANGE_GUESSED, message)
    return _Range(0.0, usual) if low >= 0 and usual is not None else _Range(low, high)


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
