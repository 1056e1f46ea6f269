"""Frames without one colour: gradients, wood, patterns, blurred bars. Found from edges that run the whole side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.evidence import ramp
from automask_models.frames.sides import Line, Side, SideView, view_side

POSITIONS = 128
MIN_STEP = 10.0
"""Levels across an edge below which JPEG blocking draws edges of its own."""
DOMINANCE = 2.0
"""How much stronger an edge must be than what lies just outside it: a texture's own edges come close."""
QUIET_PX = 10
"""Depth outside an edge that it is compared with."""
MIN_SHARE = 0.45
"""Share of positions with an edge at the same depth, from which a depth is a candidate."""
MIN_DEPTH_PX = 6
"""Thinner borders than this have no texture that could be told from the picture's."""


@dataclass(frozen=True, slots=True)
class StraightEdge:
    """An edge at one depth along a whole side.

    Attributes:
        depth_px: Depth from the border of the image.
        support: Share of positions with a dominant edge exactly there.
        chance: The same share at other depths of this side (90th percentile).
        roughness: Mean step between neighbouring pixels outside the edge, in levels.
        inner_roughness: The same for as many pixels inside it.
        extent_px: Size of the image across the side.
    """

    depth_px: int
    support: float
    chance: float
    roughness: float
    inner_roughness: float
    extent_px: int


def find_edges(pixels: NDArray[np.uint8]) -> dict[Side, list[StraightEdge]]:
    """Edges that run along each side of an (H, W, 3) uint8 image, the strongest first."""
    lines = {side: Line() for side in Side}
    found: dict[Side, list[StraightEdge]] = {}
    for side in Side:
        extent_px = pixels.shape[1] if side.is_vertical else pixels.shape[0]
        view = view_side(pixels, side, lines, depth_px=round(0.42 * extent_px), positions=POSITIONS)
        found[side] = [] if view is None else _edges_of(view)
    return found


def _edges_of(view: SideView) -> list[StraightEdge]:
    import cv2

    depth_px = view.pixels.shape[1]
    if depth_px < 2 * MIN_DEPTH_PX:
        return []
    wide = view.pixels.astype(np.int16)
    pairs = wide[:, :-1] + wide[:, 1:]
    # step[:, d] compares the two pixels inside depth d with the two outside it.
    difference = np.abs(pairs[:, 2:] - pairs[:, :-2])
    largest = np.maximum(np.maximum(difference[..., 0], difference[..., 1]), difference[..., 2])
    step = np.zeros(view.pixels.shape[:2], dtype=np.float32)
    step[:, 2:-1] = largest / 2
    total = np.cumsum(step, axis=1)
    outside = np.zeros_like(step)
    near, far = 3, 3 + QUIET_PX
    outside[:, far:] = (total[:, far - near : -near] - total[:, :-far]) / QUIET_PX
    for depth in range(MIN_DEPTH_PX, min(far, depth_px)):
        outside[:, depth] = total[:, depth - near] / (depth - near + 1)
    strongest = step >= cv2.dilate(step, np.ones((1, 5), np.uint8))
    dominant = strongest & (step >= MIN_STEP) & (step >= DOMINANCE * outside)
    dominant[:, :MIN_DEPTH_PX] = False
    dominant[:, -MIN_DEPTH_PX:] = False
    share = cv2.blur(dominant.mean(axis=0, dtype=np.float32)[None], (3, 1), borderType=cv2.BORDER_CONSTANT)[0] * 3
    chance = float(np.percentile(share[MIN_DEPTH_PX:], 90))
    edges = []
    remaining = share.copy()
    for _ in range(3):
        depth = int(remaining.argmax())
        if remaining[depth] < MIN_SHARE:
            break
        reach = max(4, depth)
        exact = depth - 1 + int(dominant[:, depth - 1 : depth + 2].sum(axis=0).argmax())
        edges.append(
            StraightEdge(
                depth_px=exact,
                support=float(min(1.0, share[depth])),
                chance=chance,
                roughness=float(step[:, 2 : max(3, depth - 2)].mean()),
                inner_roughness=float(step[:, depth + 2 : depth + 2 + reach].mean()),
                extent_px=view.extent_px,
            )
        )
        remaining[max(0, depth - 4) : depth + 5] = 0
    return edges


def ring_of(found: Mapping[Side, list[StraightEdge]]) -> tuple[dict[Side, StraightEdge], float] | None:
    """Four edges at similar depths, and how certain it is that they are a frame's, 0..1."""
    depths = [edge.depth_px for edges in found.values() for edge in edges]
    best: tuple[dict[Side, StraightEdge], float] | None = None
    for depth in depths:
        chosen = {}
        for side, edges in found.items():
            close = [edge for edge in edges if depth / 1.15 - 2 <= edge.depth_px <= depth * 1.15 + 2]
            if close:
                chosen[side] = close[0]
        if len(chosen) < 4:
            continue
        scores = [_standing_out(edge) for edge in chosen.values()]
        confidence = float(np.mean(scores)) * ramp(min(scores), 0.0, 0.3)
        if best is None or confidence > best[1]:
            best = (chosen, confidence)
    return best


def pair_of(found: Mapping[Side, list[StraightEdge]]) -> tuple[dict[Side, StraightEdge], float] | None:
    """Two opposite edges at the same depth with smoother bars outside, and how certain it is that they are bars."""
    best: tuple[dict[Side, StraightEdge], float] | None = None
    for first, second in ((Side.LEFT, Side.RIGHT), (Side.TOP, Side.BOTTOM)):
        for a in found[first]:
            for b in found[second]:
                even = ramp(abs(a.depth_px - b.depth_px) / a.extent_px, 0.012, 0.004)
                smooth = max(_smoother(a), _smoother(b))
                confidence = (
                    even
                    * min(_standing_out(a), _standing_out(b)) ** 0.5
                    * max(_standing_out(a), _standing_out(b)) ** 0.5
                    * ramp(smooth, 0.6, 0.4)
                    * ramp(min(a.depth_px, b.depth_px) / a.extent_px, 0.02, 0.04)
                )
                if best is None or confidence > best[1]:
                    best = ({first: a, second: b}, confidence)
    return best


def _standing_out(edge: StraightEdge) -> float:
    return ramp(edge.support, 0.45, 0.7) * ramp(edge.support - edge.chance, 0.2, 0.4)


def _smoother(edge: StraightEdge) -> float:
    return edge.roughness / max(edge.inner_roughness, 1.0)
