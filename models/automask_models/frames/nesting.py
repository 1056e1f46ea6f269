"""Frames: bands on several sides that belong together, followed inwards from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.bands import Band, find_bands
from automask_models.frames.sides import Line, Side, view_side

POSITIONS = 192
"""Positions sampled along a side: the standard error of a share of .9 is then .02."""
MAX_LEVELS = 8
"""Border, key line, mat, second line, title band and its lines: no frame seen has more."""
MIN_THICKNESS_PX = 2
"""A border of one pixel is an encoder's or a scaler's edge, and lies inside one latent cell anyway."""
SAME_COLOUR = 28.0
"""Levels by which the bands of one border may differ between its sides (uneven light in scans)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Bands that were accepted together.

    Attributes:
        bands: The band of each side that takes part.
        pattern: ring, pair or single.
        confidence: 0..1 that a person put this around the picture.
    """

    bands: Mapping[Side, Band]
    pattern: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Nesting:
    """All layers of one frame, outermost first, and the lines of the picture inside."""

    layers: tuple[Layer, ...]
    lines: Mapping[Side, Line]


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, linear between; the two may be in falling order."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))


def follow(pixels: NDArray[np.uint8]) -> Nesting:
    """Find the frame of an (H, W, 3) uint8 image, layer by layer."""
    lines = {side: Line() for side in Side}
    layers: list[Layer] = []
    for level in range(MAX_LEVELS):
        layer = _next_layer(pixels, lines, layers)
        if layer is None:
            break
        layers.append(layer)
        for side, band in layer.bands.items():
            lines[side] = band.line
    return Nesting(layers=tuple(layers), lines=lines)


def _next_layer(pixels: NDArray[np.uint8], lines: Mapping[Side, Line], outer: list[Layer]) -> Layer | None:
    height_px, width_px = pixels.shape[:2]
    found: dict[Side, list[Band]] = {}
    for side in Side:
        extent_px = width_px if side.is_vertical else height_px
        depth_px = extent_px // 2 if not outer else extent_px // 4
        view = view_side(pixels, side, lines, depth_px=depth_px, positions=POSITIONS)
        found[side] = [] if view is None else [b for b in find_bands(view) if b.thickness_px >= MIN_THICKNESS_PX]
    return _ring(found) or _pair(found) or _single(found, pixels.shape[:2], outer)


def straight_end(band: Band) -> float:
    """How certain it is that the band's colour ends at one straight line, 0..1."""
    return (
        ramp(band.support, 0.5, 0.9)
        * ramp(band.beyond, 0.5, 0.15)
        * ramp(band.contrast, 8.0, 20.0)
        * ramp(band.noise, 24.0, 10.0)
    )


def flat(band: Band) -> float:
    """How certain it is that the band is of one colour throughout, 0..1."""
    return ramp(band.purity, 0.8, 0.95)


def _best(bands: list[Band]) -> tuple[float, Band] | None:
    scored = [(straight_end(band) * flat(band), band) for band in bands]
    top = max((score for score, _ in scored), default=0.0)
    if top <= 0:
        return None
    # The outermost of equals: what lies further in is the next layer's business.
    return next((score, band) for score, band in scored if score >= 0.85 * top)


def _ring(found: Mapping[Side, list[Band]]) -> Layer | None:
    best = {side: choice for side in Side if (choice := _best(found[side])) is not None}
    if len(best) < 4:
        return None
    scores = [score for score, _ in best.values()]
    confidence = float(np.mean(scores)) * ramp(min(scores), 0.0, 0.4)
    if confidence < 0.3:
        return None
    return Layer(bands={side: band for side, (_, band) in best.items()}, pattern="ring", confidence=confidence)


def _pair(found: Mapping[Side, list[Band]]) -> Layer | None:
    layers = []
    for first, second in ((Side.LEFT, Side.RIGHT), (Side.TOP, Side.BOTTOM)):
        a, b = _best(found[first]), _best(found[second])
        if a is None or b is None or colour_distance(a[1], b[1]) > SAME_COLOUR:
            continue
        ratio = min(a[1].thickness_px, b[1].thickness_px) / max(a[1].thickness_px, b[1].thickness_px)
        evenness = ramp(ratio, 0.2, 0.8)
        quiet = ramp(max(a[1].noise, b[1].noise), 10.0, 4.0)
        confidence = min(a[0], b[0]) ** 0.5 * max(a[0], b[0]) ** 0.5 * quiet * (0.5 + 0.5 * evenness)
        if confidence >= 0.3:
            layers.append(Layer(bands={first: a[1], second: b[1]}, pattern="pair", confidence=float(confidence)))
    return max(layers, key=lambda layer: layer.confidence, default=None)


def colour_distance(first: Band, second: Band) -> float:
    """Largest channel difference, in levels."""
    return max(abs(a - b) for a, b in zip(first.colour, second.colour, strict=True))


def _single(found: Mapping[Side, list[Band]], shape: tuple[int, int], outer: list[Layer]) -> Layer | None:
    best: Layer | None = None
    for side in Side:
        for band in found[side]:
            confidence = _single_confidence(band, side, shape, outer)
            if confidence >= 0.3 and (best is None or confidence > best.confidence):
                best = Layer(bands={side: band}, pattern="single", confidence=confidence)
    return best


def _single_confidence(band: Band, side: Side, shape: tuple[int, int], outer: list[Layer]) -> float:
    extent_px = shape[1] if side.is_vertical else shape[0]
    tilt = abs(band.line.slope)
    if outer and outer[0].pattern == "ring":
        repeats = any(colour_distance(band, other) <= SAME_COLOUR for layer in outer for other in layer.bands.values())
        thin = band.thickness_px <= 0.02 * extent_px
        plain = 1.0 if repeats or thin else ramp(band.noise, 8.0, 3.0)
        return (
            straight_end(band) * ramp(band.purity, 0.45, 0.6) * plain * ramp(band.thickness_px / extent_px, 0.25, 0.15)
        )
    return (
        ramp(band.support, 0.8, 0.95)
        * ramp(band.beyond, 0.3, 0.1)
        * ramp(band.noise, 6.0, 3.0)
        * ramp(band.purity, 0.5, 0.65)
        * ramp(band.contrast, 12.0, 30.0)
        * ramp(tilt, 0.004, 0.001)
        * ramp(band.thickness_px / extent_px, 0.4, 0.25)
    )
