"""A framed picture with its truth, and what every kind of frame is drawn with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.layout.paints import Colour, Pixels, Rng, random_colour

CHANNELS = ("frame", "plate", "margin", "ground")
"""What is told of every cell: what was put around or over the picture; of that, what lies over the picture; the margins
and gutters of a page of panels; the plain ground behind things that were photographed or drawn alone."""
IGNORED = 128

Margins = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """A framed picture.

    Attributes:
        pixels: (H, W, 3) uint8.
        truth: (H, W) uint8, 255 = frame, 128 = nobody can say.
        others: (H, W) uint8, 255 where the further channels of `CHANNELS` are, by name.
    """

    pixels: Pixels
    truth: Pixels
    others: Mapping[str, Pixels] = field(default_factory=dict)


def plain_colour(rng: Rng) -> Colour:
    """White or black as often as any other colour."""
    which = rng.random()
    if which < 0.3:
        return (255, 255, 255)
    return (0, 0, 0) if which < 0.5 else random_colour(rng)


def share_px(picture: Pixels, rng: Rng, low: float, high: float) -> int:
    """A random share of the shorter side, in pixels."""
    return max(2, round(float(min(picture.shape[:2]) * rng.uniform(low, high))))


def surrounded(picture: Pixels, margins: Margins, border: Pixels | Colour) -> Framed:
    """The picture in the middle of a border, which is one colour or an image of the whole size."""
    left, top, right, bottom = margins
    height_px, width_px = picture.shape[:2]
    canvas = np.empty((height_px + top + bottom, width_px + left + right, 3), np.uint8)
    canvas[:] = border
    truth = np.full(canvas.shape[:2], 255, np.uint8)
    canvas[top : top + height_px, left : left + width_px] = picture
    truth[top : top + height_px, left : left + width_px] = 0
    return Framed(canvas, truth)


def outer_shape(picture: Pixels, margins: Margins) -> tuple[int, int]:
    """Height and width of a picture with margins around it."""
    left, top, right, bottom = margins
    return picture.shape[0] + top + bottom, picture.shape[1] + left + right


def letters(rng: Rng, canvas: Pixels, x: int, y: int, width_px: int, height_px: int, colour: Colour) -> None:
    """Write a line of letters of the given height into the canvas."""
    scale, thick = height_px / 30.0, max(1, round(height_px / 14))
    words: list[str] = []
    while cv2.getTextSize(" ".join(words), cv2.FONT_HERSHEY_DUPLEX, scale, thick)[0][0] < 0.8 * width_px:
        words.append("".join(chr(97 + int(v)) for v in rng.integers(0, 26, int(rng.integers(2, 7)))))
        if len(words) > 40:
            break
    text = " ".join(words[:-1] or words).capitalize()
    cv2.putText(canvas, text, (x, y + height_px), cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def ink_for(ground: Colour) -> Colour:
    """A colour that letters on this ground can be read in."""
    return (20, 20, 20) if sum(ground) > 380 else (240, 240, 240)


def windowed(picture: Pixels, border: Pixels | Colour, window: NDArray[np.bool_]) -> Framed:
    """The picture where `window` is True, the border elsewhere."""
    ground = np.empty_like(picture)
    ground[:] = border
    soft = cv2.GaussianBlur(window.astype(np.float32), (0, 0), 0.6)[..., None]
    pixels = (soft * picture + (1 - soft) * ground).astype(np.uint8)
    return Framed(pixels, np.where(window, 0, 255).astype(np.uint8))


def rounded_rectangle(height_px: int, width_px: int, margin_px: int, radius_px: int) -> NDArray[np.bool_]:
    """True inside of a rectangle with rounded corners in the middle of (H, W)."""
    y, x = np.mgrid[:height_px, :width_px]
    inner = margin_px + radius_px
    dx = np.maximum(0, np.maximum(inner - x, x - (width_px - 1 - inner)))
    dy = np.maximum(0, np.maximum(inner - y, y - (height_px - 1 - inner)))
    return np.asarray(np.hypot(dx, dy) <= radius_px, dtype=np.bool_)


def scanned(framed: Framed, rng: Rng, degrees: float) -> Framed:
    """Askew on the glass, a little blunt, with paper noise."""
    height_px, width_px = framed.truth.shape
    turn = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), degrees, 1.0)
    paper = tuple(int(v) for v in framed.pixels[0, 0])
    pixels = cv2.warpAffine(framed.pixels, turn, (width_px, height_px), borderValue=paper)
    truth = cv2.warpAffine(framed.truth, turn, (width_px, height_px), flags=cv2.INTER_NEAREST, borderValue=255)
    rough = cv2.GaussianBlur(pixels, (0, 0), 0.7) + rng.normal(0, rng.uniform(1, 4), pixels.shape)
    others = {name: cv2.warpAffine(each, turn, (width_px, height_px)) for name, each in framed.others.items()}
    return Framed(np.clip(rough, 0, 255).astype(np.uint8), truth, others=others)
