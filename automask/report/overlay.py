"""Draws a mask and its regions over an image, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.config import PolicyConfig
from automask.mask.rendering import is_drawn
from automask.values.geometry import Polygon
from automask.values.types import Kind, Region

Colour = tuple[int, int, int]

MASK_COLOUR: Colour = (255, 42, 84)
MASK_OPACITY = 0.55

KIND_COLOURS: dict[Kind, Colour] = {
    Kind.TEXT: (255, 196, 0),
    Kind.FRAME: (0, 194, 255),
    Kind.WATERMARK: (186, 104, 255),
    Kind.OVERLAY: (0, 214, 143),
    Kind.CUSTOM: (255, 255, 255),
    Kind.GROUND: (160, 140, 118),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A region to outline.

    Attributes:
        region: What was found.
        drawn: Whether it is part of the mask; proposals are outlined with dashes.
        kept: Whether the policy trains its kind: nobody is asked about it, and it is not outlined.
    """

    region: Region
    drawn: bool
    kept: bool = False

    @classmethod
    def of(cls, region: Region, policy: PolicyConfig, *, called: Region | None = None) -> Self:
        """Mark a region, under the kind that a person called it, if any; the policy goes by what it was found as."""
        kept = policy.of(region.kind).action == "keep"
        return cls(region if called is None else called, drawn=is_drawn(region, policy), kept=kept)


def corners_of(mark: Mark) -> Polygon:
    """What is outlined of a mark: (x, y) in pixels of the full-size image."""
    box = mark.region.box
    return mark.region.polygon or ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))


def tint(pixels: NDArray[np.uint8], levels: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Colour what is not trained.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        levels: (H, W) uint8 mask, 255 = train, or None for an image without a mask.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if levels is None:
        return pixels
    opacity = ((255 - levels.astype(np.uint16)) * round(MASK_OPACITY * 256) // 255)[..., None]
    blended = (pixels.astype(np.uint16) * (256 - opacity) + np.array(MASK_COLOUR, dtype=np.uint16) * opacity) >> 8
    return blended.astype(np.uint8)


def outline(picture: PillowImage.Image, marks: Sequence[Mark], *, scale: float = 1.0, labelled: bool = True) -> None:
    """Outline regions on an RGB picture, each in its kind's colour.

    Args:
        picture: The picture to draw on, changed in place.
        marks: Regions in pixels of the full-size image.
        scale: Pixels of `picture` per pixel of the full-size image.
        labelled: Write kind and confidence beside each region.
    """
    draw = ImageDraw.Draw(picture)
    width_px = max(2, round(max(picture.size) / 500))
    label_font = ImageFont.load_default(size=max(11, round(max(picture.size) / 60)))
    for mark in marks:
        if mark.kept:
            continue
        box, colour = mark.region.box, KIND_COLOURS[mark.region.kind]
        points = [(x * scale, y * scale) for x, y in corners_of(mark)]
        for start, end in zip(points, [*points[1:], points[0]], strict=True):
            _line(draw, start, end, colour=colour, width_px=width_px, dashed=not mark.drawn)
        if not labelled:
            continue
        label = f"{mark.region.kind.value} {mark.region.confidence:.2f}" + ("" if mark.drawn else "?")
        _label(draw, label, at=(box.x0 * scale, box.y0 * scale), colour=colour, face=label_font, limits=picture.size)


def _line(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    colour: Colour,
    width_px: int,
    dashed: bool,
) -> None:
    if not dashed:
        draw.line((start, end), fill=(0, 0, 0), width=width_px + 2)
        draw.line((start, end), fill=colour, width=width_px)
        return
    dash_px = 5.0 * width_px
    length_px = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    for at in np.arange(0.0, length_px, 2 * dash_px):
        share = (at / length_px, min(1.0, (at + dash_px) / length_px))
        piece = tuple((start[0] + (end[0] - start[0]) * s, start[1] + (end[1] - start[1]) * s) for s in share)
        draw.line(piece, fill=colour, width=width_px)


def _label(
    draw: ImageDraw.ImageDraw,
    text: str,
    *,
    at: tuple[float, float],
    colour: Colour,
    face: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    limits: tuple[int, int],
) -> None:
    left, top, right, bottom = draw.textbbox((0, 0), text, font=face)
    width_px, height_px = right - left + 8, bottom - top + 6
    x = min(max(0.0, at[0]), max(0.0, limits[0] - width_px))
    y = at[1] - height_px if at[1] >= height_px else min(at[1], max(0.0, limits[1] - height_px))
    draw.rectangle((x, y, x + width_px, y + height_px), fill=colour)
    draw.text((x + 4 - left, y + 3 - top), text, fill=(0, 0, 0), font=face)
