"""Frames: chains of bands on several sides that belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.bands import Band, find_bands
from automask_models.frames.evidence import ramp
from automask_models.frames.rims import rim_of
from automask_models.frames.sides import Line, Side, view_side
from automask_models.frames.straight import find_edges, pair_of, ring_of

POSITIONS = 192
"""Positions sampled along a side: the standard error of a share of .9 is then .02."""
MAX_CHAIN = 8
"""Border, key line, mat, second line, title band and its lines: no frame seen has more on one side."""
MAX_PASSES = 3
"""A frame found on one pair of sides narrows the view of the others; more than twice has not been seen to help."""
MIN_THICKNESS_PX = 2.0
"""A border of one pixel is an encoder's or a scaler's edge, and lies inside one latent cell anyway."""
THIN = 0.015
"""A band up to this share of the image across it is a line."""
RIM = 0.05
"""Largest depth of a ring that may be the outer tone of a rim, as a share of the longer side."""
MAX_MATS = 3
"""Bands wider than a line on one side: frame, mat, inner mat."""
SAME_COLOUR = 28.0
"""Levels by which the bands of one border may differ between its sides (uneven light in scans)."""
CORNER_SLACK = 0.004
"""How far a line may end beside its neighbour, as a share of its length: corners are worn, rounded or mitred."""
MAX_CORNER_RADIUS = 0.12
"""Largest radius of rounded corners, as a share of the image's shorter side."""
UNEVEN = (0.05, 0.12)
"""Difference of the left and the right margin, as a share of the width: a frame is as wide on either side, while a
window in a wall stands anywhere."""
WEAK = 0.3
"""Confidence below which a finding is not even proposed."""
ACCEPT = 0.5
"""Confidence of a band from which the frame goes on inwards."""

RINGS = ("ring", "rim")
"""Patterns that enclose the picture."""

Chain = tuple[Band, ...]
"""Bands of one side from outside inwards; each starts at the line of the one before."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Bands that were accepted together.

    Attributes:
        lines: Where it ends on each side that takes part.
        chains: Its bands on these sides; none where it has no colour of its own.
        pattern: ring, rim, pair, nested, edge-ring or edge-pair.
        confidence: 0..1 that a person put this around the picture.
    """

    lines: Mapping[Side, Line]
    chains: Mapping[Side, Chain]
    pattern: str
    confidence: float

    @classmethod
    def of(cls, chains: Mapping[Side, Chain], pattern: str, confidence: float) -> Self:
        """A layer of bands."""
        return cls({side: chain[-1].line for side, chain in chains.items()}, chains, pattern, confidence)


def follow(pixels: NDArray[np.uint8]) -> list[Layer]:
    """Find the layers of the frame of an (H, W, 3) uint8 image, the outermost first."""
    lines = {side: Line() for side in Side}
    layers: list[Layer] = []
    for _ in range(MAX_PASSES):
        layer = _next_layer(pixels, lines, layers)
        if layer is None:
            break
        layers.append(layer)
        lines.update(layer.lines)
    return layers


def _next_layer(pixels: NDArray[np.uint8], lines: Mapping[Side, Line], outer: Sequence[Layer]) -> Layer | None:
    shape = pixels.shape[:2]
    inside_ring = any(layer.pattern in RINGS for layer in outer)
    chains = {}
    for side in Side:
        before = [band for layer in outer for band in layer.chains.get(side, ())]
        chain = _chain(pixels, side, lines, before=before, inside_ring=inside_ring)
        if chain:
            chains[side] = chain
    if inside_ring:
        return Layer.of(chains, "nested", outer[0].confidence) if chains else None
    layer = _ring(chains, shape) or _pair(chains)
    if outer:
        return layer
    is_ring = layer is not None and layer.pattern == "ring" and layer.confidence >= ACCEPT
    if layer is None or not is_ring or _is_thin(layer, shape):
        rim = rim_of(pixels)
        if rim is not None and rim[1] >= ACCEPT and (not is_ring or _is_deeper(rim[0], layer)):
            return Layer.of({side: (band,) for side, band in rim[0].items()}, "rim", rim[1])
    if layer is not None and layer.confidence >= ACCEPT:
        return layer
    # A border of many colours shows as a doubtful ring or pair of one of them.
    other = _many_coloured(pixels)
    return other if other is not None and (layer is None or other.confidence >= ACCEPT) else layer


def _is_thin(layer: Layer, shape: tuple[int, int]) -> bool:
    """Whether a ring may be but the outer tone of a rim."""
    return max(line.depth_px for line in layer.lines.values()) <= RIM * max(shape)


def _is_deeper(rim: Mapping[Side, Band], layer: Layer | None) -> bool:
    """Whether a rim goes further in than a ring, or as far, on every side; on one side alone it is the picture's."""
    if layer is None:
        return True
    further = [rim[side].line.depth_px - line.depth_px for side, line in layer.lines.items()]
    return min(further) >= -1 and sum(change > 1 for change in further) != 1


def _chain(
    pixels: NDArray[np.uint8],
    side: Side,
    lines: Mapping[Side, Line],
    *,
    before: Sequence[Band],
    inside_ring: bool,
) -> Chain:
    """Follow one side inwards while band after band ends at a straight line."""
    extent_px = pixels.shape[1] if side.is_vertical else pixels.shape[0]
    chain: list[Band] = []
    here = dict(lines)
    for _ in range(MAX_CHAIN):
        # A scanner's lid or a blurred edge before the border must not count as the border.
        first = not inside_ring and (not chain or chain[-1].line.depth_px <= THIN * extent_px)
        view = view_side(pixels, side, here, depth_px=extent_px // 2 if first else extent_px // 4, positions=POSITIONS)
        lines_before = [band for band in [*before, *chain][-1:] if band.thickness_px <= THIN * extent_px]
        bands = [] if view is None else find_bands(view, also=lines_before)
        bands = [band for band in bands if band.thickness_px >= MIN_THICKNESS_PX]
        if first:
            scored = [(straight_end(band, ring=True) * flat(band), band) for band in bands]
        else:
            outside = [*before, *chain]
            scored = [
                (
                    max(
                        nested_confidence(band, outside, extent_px),
                        title_confidence(band, side, outside, bands, extent_px),
                    ),
                    band,
                )
                for band in bands
            ]
        top = max((score for score, _ in scored), default=0.0)
        if top < (WEAK if not chain and first else ACCEPT):
            break
        # The outermost of equals: what lies further in is the next band's business.
        chain.append(next(band for score, band in scored if score >= 0.85 * top))
        here[side] = chain[-1].line
    return tuple(chain)


def straight_end(band: Band, *, ring: bool = False) -> float:
    """How certain it is that the band's colour ends at one straight line, 0..1.

    As a part of a ring, part of the picture may be of the band's colour: the other sides and the corners speak too.
    """
    return (
        (ramp(band.support, 0.15, 0.6) if ring else ramp(band.support, 0.5, 0.9))
        * (ramp(band.beyond, 0.9, 0.5) if ring else ramp(band.beyond, 0.5, 0.15))
        * ramp(band.contrast, 8.0, 20.0)
        * ramp(band.noise, 24.0, 10.0)
    )


def flat(band: Band) -> float:
    """How certain it is that the band is of one colour throughout, 0..1."""
    return ramp(band.purity, 0.8, 0.95)


def nested_confidence(band: Band, outside: Sequence[Band], extent_px: int) -> float:
    """How certain it is that a band inside a frame belongs to it: a line, or a mat, or the border's colour again, 0..1.

    Args:
        band: The candidate.
        outside: Bands further out on the same side.
        extent_px: Size of the image across the side.
    """
    thin = band.thickness_px <= THIN * extent_px
    # Lines inside the picture repeat the colour of a key line; a mat or a title band repeats that of a border.
    repeats = any(
        colour_distance(band, other) <= SAME_COLOUR for other in outside if other.thickness_px > THIN * extent_px
    )
    if thin:
        # What lies beyond a key line may be as dark as the line; taking a line too many costs next to nothing.
        return (
            ramp(band.support, 0.4, 0.7)
            * ramp(band.beyond, 0.8, 0.4)
            * ramp(band.purity, 0.5, 0.7)
            * (ramp(band.contrast, 8.0, 20.0))
        )
    if sum(other.thickness_px > THIN * extent_px for other in outside) >= MAX_MATS:
        return 0.0
    # A mat of its own colour has no letters, and is flatter than what a picture shows beside its edge.
    plain = ramp(band.purity, 0.4, 0.55) if repeats else ramp(band.noise, 5.0, 2.5) * flat(band)
    return (
        ramp(band.support, 0.45, 0.75)
        * ramp(band.beyond, 0.4, 0.15)
        * ramp(band.contrast, 8.0, 20.0)
        * ramp(band.noise, 24.0, 10.0)
        * plain
        * ramp(band.thickness_px / extent_px, 0.25, 0.15)
    )


def title_confidence(band: Band, side: Side, outside: Sequence[Band], others: Sequence[Band], extent_px: int) -> float:
    """How certain it is that a band is a title band: letters on a ground between two lines alike, 0..1.

    The letters take the ground's purity and touch the lines, so the second line is what tells it from the picture.

    Args:
        band: The candidate.
        side: Where it is; titles stand at the top or at the bottom.
        outside: Bands further out on the same side.
        others: All candidates that start at the same line.
        extent_px: Size of the image across the side.
    """
    if side.is_vertical or not outside or outside[-1].thickness_px > THIN * extent_px:
        return 0.0
    if sum(other.thickness_px > THIN * extent_px for other in outside) > 1:  # the border, but no title yet
        return 0.0
    second = [
        other.support
        for other in others
        if 1.0 <= other.thickness_px - band.thickness_px <= 1.5 * THIN * extent_px
        and colour_distance(other, outside[-1]) <= SAME_COLOUR
    ]
    return (
        ramp(max(second, default=0.0), 0.35, 0.6)
        * ramp(band.support, 0.35, 0.6)
        * ramp(band.beyond, 0.3, 0.1)
        * ramp(band.contrast, 30.0, 60.0)
        * ramp(band.purity, 0.3, 0.4)
        * ramp(band.thickness_px / extent_px, 0.16, 0.1)
    )


def colour_distance(first: Band, second: Band) -> float:
    """Largest channel difference, in levels."""
    return max(abs(a - b) for a, b in zip(first.colour, second.colour, strict=True))


def _ring(chains: Mapping[Side, Chain], shape: tuple[int, int]) -> Layer | None:
    if len(chains) < 4:
        return None
    scores = [max(straight_end(band, ring=True) * flat(band) for band in chain) for chain in chains.values()]
    whole = ramp(min(max(band.support for band in chain) for chain in chains.values()), 0.6, 0.85)
    closed = max(whole, ramp(corner_agreement(chains, shape), 0.4, 0.8))
    left, right = (chains[side][-1].line.depth_px for side in (Side.LEFT, Side.RIGHT))
    even = 0.4 + 0.6 * ramp(abs(left - right) / shape[1], UNEVEN[1], UNEVEN[0])
    confidence = float(np.mean(scores)) * ramp(min(scores), 0.0, 0.4) * closed * even
    return Layer.of(chains, "ring", confidence) if confidence >= WEAK else None


def corner_agreement(chains: Mapping[Side, Chain], shape: tuple[int, int]) -> float:
    """Share of the eight line ends that lie where a line of the neighbouring side runs, 0..1.

    A picture that fades into its mat breaks the support of a line, but not where the line starts and ends.
    """
    offsets: list[float] = []
    slacks: list[float] = []
    for side, chain in chains.items():
        length_px, across_px = shape if side.is_vertical else (shape[1], shape[0])
        band = max(chain, key=lambda candidate: candidate.support)
        here = np.array(band.line.depth_px if side in (Side.LEFT, Side.TOP) else across_px - band.line.depth_px)
        for neighbour, end_px in zip(side.neighbours, (band.first_px, length_px - 1 - band.last_px), strict=True):
            depths = [float(other.line.depth_at(here, length_px=across_px)) for other in chains[neighbour]]
            offsets.append(min((end_px - depth for depth in depths), key=abs))
            slacks.append(2 * band.spacing_px + CORNER_SLACK * length_px + 2)
    # Rounded corners shorten all lines alike.
    radius_px = float(np.clip(np.median(offsets), 0, MAX_CORNER_RADIUS * min(shape)))
    agree = [min(abs(offset), abs(offset - radius_px)) <= slack for offset, slack in zip(offsets, slacks, strict=True)]
    return sum(agree) / len(agree)


def _pair(chains: Mapping[Side, Chain]) -> Layer | None:
    layers = []
    for first, second in ((Side.LEFT, Side.RIGHT), (Side.TOP, Side.BOTTOM)):
        if first not in chains or second not in chains:
            continue
        a, b = chains[first][0], chains[second][0]
        if colour_distance(a, b) > SAME_COLOUR:
            continue
        ratio = min(a.thickness_px, b.thickness_px) / max(a.thickness_px, b.thickness_px)
        scores = straight_end(a) * flat(a), straight_end(b) * flat(b)
        quiet = ramp(max(a.noise, b.noise), 10.0, 4.0)
        confidence = float(np.sqrt(scores[0] * scores[1])) * quiet * (0.5 + 0.5 * ramp(ratio, 0.2, 0.8))
        if confidence >= WEAK:
            both = {first: chains[first], second: chains[second]}
            layers.append(Layer.of(both, "pair", confidence))
    return max(layers, key=lambda layer: layer.confidence, default=None)


def _many_coloured(pixels: NDArray[np.uint8]) -> Layer | None:
    edges = find_edges(pixels)
    for pattern, chosen in (("edge-ring", ring_of(edges)), ("edge-pair", pair_of(edges))):
        if chosen is not None and chosen[1] >= WEAK:
            lines = {side: Line(float(edge.depth_px)) for side, edge in chosen[0].items()}
            return Layer(lines, {}, pattern, chosen[1])
    return None
