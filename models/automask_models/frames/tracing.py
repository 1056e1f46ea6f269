"""Frames that geometry misses: traced from the layout network's map, their straight sides moved onto real edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.judging import Evidence
from automask_models.layout.network import LayoutMap

WORK_PX = 512
"""Longest side of the copy on which edges are looked for: twice what the network sees."""
LIKELY = 0.5
"""Probability of frame from which a cell is frame: either answer costs the same."""
SNAP_CELLS = 1.5
"""How far a side may move to the edge that it stands for: the network is out by a cell at most where it is right."""
SMALLEST_PICTURE = 0.02
"""Share of the image below which a hole in a frame is an icon or a letter."""
RECTANGULAR = 0.87
"""Share of its box that a picture fills if it is a rectangle with worn or rounded corners; an oval fills .79."""
OPENED_CELLS = 2.0
"""What is narrower than this is no part of a picture's form: icons and letters that touch it."""
SURE_PLATE = 0.75
"""Probability of frame from which a cell amid a picture is a plate: in there the network is less often right."""
PLATE_INSET_CELLS = 1.5
"""How far inside of a rectangle the network must see frame for a plate: nearer, it may be out by a cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A frame from the map.

    Attributes:
        outside: (H, W) bool, all that is no picture.
        support: Mean share of the moved sides that lie on an edge, 0..1; 0 where no picture is a rectangle.
    """

    outside: NDArray[np.bool_]
    support: float


@dataclass(frozen=True, slots=True)
class TraceEvidence:
    """What is known about a traced frame.

    Attributes:
        evidence: As of a proposal; what it is by geometry is the support of its sides.
        sureness: How far the map is from one half, on average over the image, 0..1.
    """

    evidence: Evidence
    sureness: float

    @property
    def features(self) -> dict[str, float]:
        """The numbers that the model weighs, by name."""
        return {**self.evidence.features, "sureness": self.sureness}


def evidence_of_trace(traced: Traced, layout: LayoutMap) -> TraceEvidence:
    """What speaks for a traced frame, and against it."""
    return TraceEvidence(
        evidence=Evidence.of(layout, traced.outside, geometry=traced.support),
        sureness=float(np.abs(2 * layout.frame - 1).mean()),
    )


def trace(pixels: NDArray[np.uint8], layout: LayoutMap) -> Traced | None:
    """The frame that the map shows in an (H, W, 3) uint8 image, or None where it shows none, or no picture."""
    import cv2

    height_px, width_px = pixels.shape[:2]
    scale = min(1.0, WORK_PX / max(height_px, width_px))
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    if min(size) < 2 * layout.frame.shape[0] // 3:
        return None
    probable = cv2.resize(layout.frame, size, interpolation=cv2.INTER_LINEAR)
    frame = probable >= LIKELY
    if not frame.any() or frame.all():
        return None
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    cell = size[0] / layout.frame.shape[1], size[1] / layout.frame.shape[0]
    form = np.ones((round(OPENED_CELLS * cell[1]), round(OPENED_CELLS * cell[0])), np.uint8)
    # Beyond the image the picture goes on for what shrinks it, and not for what grows it again.
    opened = cv2.dilate(cv2.erode((~frame).astype(np.uint8), form, borderValue=1), form, borderValue=0)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    outside = np.ones(frame.shape, dtype=np.bool_)
    supports = []
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[label])
        if area < SMALLEST_PICTURE * frame.size:
            continue
        if area < RECTANGULAR * width * height:
            outside &= (labels != label) & ~(_holes(labels == label) & (probable < SURE_PLATE))
            continue
        box, support = _snapped(small, Box(x, y, x + width, y + height), cell)
        supports.append(support)
        inner = np.zeros_like(frame)
        inner[box.slices] = True
        inset = [round(PLATE_INSET_CELLS * each) for each in cell]
        deep = np.zeros_like(frame)
        deep[box.y0 + inset[1] : box.y1 - inset[1], box.x0 + inset[0] : box.x1 - inset[0]] = True
        outside &= ~inner | ((probable >= SURE_PLATE) & deep)
    if outside.all():
        return None
    whole = cv2.resize(outside.view(np.uint8), (width_px, height_px), interpolation=cv2.INTER_NEAREST) > 0
    return Traced(
        outside=whole,
        support=float(np.mean(supports)) if supports else 0.0,
    )


def _holes(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What a part of an (h, w) mask encloses."""
    import cv2

    around = np.pad((~part).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(around, connectivity=4)
    enclosed: NDArray[np.bool_] = (around > 0) & (labels != labels[0, 0])
    return enclosed[1:-1, 1:-1]


def _snapped(small: NDArray[np.float32], box: Box, cell: tuple[float, float]) -> tuple[Box, float]:
    """A box whose sides lie on the longest edges nearby, and the mean share of the sides that is an edge."""
    x0, x1, across = _moved(small, box.x0, box.x1, slice(box.y0, box.y1), reach_px=round(SNAP_CELLS * cell[0]))
    turned = small.transpose(1, 0, 2)
    y0, y1, down = _moved(turned, box.y0, box.y1, slice(box.x0, box.x1), reach_px=round(SNAP_CELLS * cell[1]))
    return Box(x0, y0, max(x0 + 1, x1), max(y0 + 1, y1)), (across + down) / 2


def _moved(small: NDArray[np.float32], first: int, last: int, along: slice, *, reach_px: int) -> tuple[int, int, float]:
    """First and last column of a span, each moved to the column beside it where most rows have their largest step."""
    step = largest_channel(np.abs(small[along, 1:] - small[along, :-1]))
    width = small.shape[1]
    moved, shares = [], []
    for column in (first, last):
        if column in (0, width):  # the picture ends with the image
            moved.append(column)
            continue
        low, high = max(1, column - reach_px), min(width - 1, column + reach_px)
        near = step[:, low - 1 : high]
        if near.shape[1] == 0 or near.shape[0] == 0:
            moved.append(column)
            continue
        strongest = np.bincount(near.argmax(axis=1), minlength=near.shape[1]).astype(np.float64)
        either = strongest + 0.5 * np.concatenate([[0], strongest[:-1]]) + 0.5 * np.concatenate([strongest[1:], [0]])
        moved.append(low + int(either.argmax()))
        shares.append(float(strongest[max(0, int(either.argmax()) - 1) : int(either.argmax()) + 2].sum() / len(near)))
    return moved[0], moved[1], float(np.mean(shares)) if shares else 1.0
