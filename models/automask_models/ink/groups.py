"""From an ink map to things: cells that belong together, and how sure we are of each of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.ink.network import InkMap

CORE_PROBABILITY = 0.4
"""A group needs a cell that is at least this likely. Faint marks stay below one half; the group's size decides."""
EDGE_PROBABILITY = 0.2
"""Cells down to this belong to a group whose core they touch."""
PART_PROBABILITIES = (0.55, 0.6, 0.65)
"""What passes for one thing may be lettering that touches a railing: from these on it may fall apart."""
JOIN_CELLS = 2
"""Cores over gaps of twice this are one thing: letters of a word, parts of a logo."""
_LINE_PROBABILITY = 0.5
_LINE_GAP_CELLS = 7
"""Words of a line lie up to six cells apart: half again as much as the letters of a line of 16 px are high."""
_RING_SPAN = 0.75
_RING_BAND = 0.15
_RING_SHARE = 0.9
"""A group that spans this much of both sides with this share of its cells in a band along the rim is an ornament."""


@dataclass(frozen=True, slots=True, eq=False)
class InkGroup:
    """Cells of a map that are taken for one thing.

    Attributes:
        rows: Window in the map.
        columns: Window in the map.
        cells: bool of the window's shape: the cells of the group.
        probability: Mean probability of its core, 0..1.
        peak: Highest probability, 0..1.
        mark: Share of it that is a mark rather than text, 0..1.
        count: Number of its cells.
        is_ring: Whether it runs around the picture, as an ornamented border does.
    """

    rows: slice
    columns: slice
    cells: NDArray[np.bool_]
    probability: float
    peak: float
    mark: float
    count: int
    is_ring: bool

    def share_in(self, ink: InkMap) -> float:
        """Share of the picture that its cells cover, 0..1."""
        return self.count / ink.unwanted.size

    def box_in(self, ink: InkMap) -> Box:
        """The window in pixels of the picture."""
        across, down = ink.cells_per_px
        return Box(
            int(np.floor(self.columns.start / across)),
            int(np.floor(self.rows.start / down)),
            min(ink.width_px, int(np.ceil(self.columns.stop / across))),
            min(ink.height_px, int(np.ceil(self.rows.stop / down))),
        )


def groups_of(ink: InkMap, *, core_probability: float = CORE_PROBABILITY) -> Iterator[InkGroup]:
    """The things of a map, by hysteresis and closeness."""
    import cv2

    core = ink.unwanted >= core_probability
    if not core.any():
        return
    kernel = np.ones((2 * JOIN_CELLS + 1, 2 * JOIN_CELLS + 1), dtype=np.uint8)
    joined = cv2.dilate(core.view(np.uint8), kernel)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for label in range(1, count):
        x, y, width, height, _ = (int(value) for value in statistics[label])
        rows, columns = slice(y, y + height), slice(x, x + width)
        own = labels[rows, columns] == label
        cells = own & (ink.unwanted[rows, columns] >= EDGE_PROBABILITY)
        certain = own & core[rows, columns]
        values = ink.unwanted[rows, columns][certain]
        used_rows, used_columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
        inner = (slice(used_rows[0], used_rows[-1] + 1), slice(used_columns[0], used_columns[-1] + 1))
        yield InkGroup(
            rows=slice(y + int(used_rows[0]), y + int(used_rows[-1]) + 1),
            columns=slice(x + int(used_columns[0]), x + int(used_columns[-1]) + 1),
            cells=np.ascontiguousarray(cells[inner]),
            probability=float(values.mean()),
            peak=float(values.max()),
            mark=float(np.average(ink.mark[rows, columns][certain], weights=values)),
            count=int(cells.sum()),
            is_ring=_is_ring(cells, rows, columns, ink.unwanted.shape),
        )


def parts_of(group: InkGroup, ink: InkMap, core_probability: float) -> list[InkGroup]:
    """What a group of a map falls apart into where a core is that likely; see `PART_PROBABILITIES`."""
    window = group.rows, group.columns
    unwanted = np.zeros_like(ink.unwanted)
    unwanted[window] = np.where(group.cells, ink.unwanted[window], 0)
    return list(groups_of(dataclasses.replace(ink, unwanted=unwanted), core_probability=core_probability))


def lines_of(group: InkGroup, ink: InkMap, *, most: int) -> list[Box]:
    """The rows of lettering in a group of a map, and as many columns, the largest `most` of each, in pixels.

    Rows of a block of text lie closer than `JOIN_CELLS`: cells are joined along one direction only.
    """
    import cv2

    likely = group.cells & (ink.unwanted[group.rows, group.columns] >= _LINE_PROBABILITY)
    across, down = ink.cells_per_px
    found = []
    for kernel in (np.ones((1, _LINE_GAP_CELLS), np.uint8), np.ones((_LINE_GAP_CELLS, 1), np.uint8)):
        joined = cv2.morphologyEx(likely.view(np.uint8), cv2.MORPH_CLOSE, kernel)
        statistics = cv2.connectedComponentsWithStats(joined, connectivity=4)[2][1:]
        for x, y, width, height, _ in sorted(statistics.tolist(), key=lambda each: -each[cv2.CC_STAT_AREA])[:most]:
            left, top = group.columns.start + x - 1, group.rows.start + y - 1  # a cell more: see `reading._MARGIN`
            box = Box(
                max(0, math.floor(left / across)),
                max(0, math.floor(top / down)),
                min(ink.width_px, math.ceil((left + width + 2) / across)),
                min(ink.height_px, math.ceil((top + height + 2) / down)),
            )
            found.append(box)
    return found


def without_parts(group: InkGroup, parts: Sequence[InkGroup], dropped: Sequence[InkGroup]) -> InkGroup:
    """A group without the cells that lie nearer to dropped parts of it than to the others; at least one stays.

    Its probabilities and its share of mark remain those of the whole.
    """
    if not dropped:
        return group
    gone = _distance_to(group, dropped) < _distance_to(group, [part for part in parts if part not in dropped])
    cells = group.cells & ~gone
    box = Box.of_artefact(cells)
    if box is None:
        return group
    within = box.shifted(group.columns.start, group.rows.start)
    rows, columns = within.slices
    return dataclasses.replace(
        group, rows=rows, columns=columns, cells=np.ascontiguousarray(cells[box.slices]), count=int(cells.sum())
    )


def _distance_to(group: InkGroup, parts: Sequence[InkGroup]) -> NDArray[np.float32]:
    """Distance of each cell in a group's window to the nearest of some parts of the group, in cells."""
    import cv2

    far = np.ones_like(group.cells, dtype=np.uint8)
    top, left = group.rows.start, group.columns.start
    for part in parts:
        rows = slice(part.rows.start - top, part.rows.stop - top)
        columns = slice(part.columns.start - left, part.columns.stop - left)
        far[rows, columns][part.cells] = 0
    return np.asarray(cv2.distanceTransform(far, cv2.DIST_L2, cv2.DIST_MASK_5), dtype=np.float32)


def _is_ring(cells: NDArray[np.bool_], rows: slice, columns: slice, shape: tuple[int, ...]) -> bool:
    height, width = shape[0], shape[1]
    if rows.stop - rows.start < _RING_SPAN * height or columns.stop - columns.start < _RING_SPAN * width:
        return False
    down, across = round(_RING_BAND * height), round(_RING_BAND * width)
    whole = np.zeros((height, width), dtype=np.bool_)
    whole[rows, columns] = cells
    inner = whole[down : height - down, across : width - across].sum()
    return bool(inner <= (1 - _RING_SHARE) * cells.sum())
