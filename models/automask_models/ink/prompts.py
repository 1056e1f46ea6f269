"""What a person means who points at ink: clicks, boxes and drawings answered from the ink map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask.values.geometry import Box
from automask_models.ink.confidence import log_odds_of_map
from automask_models.ink.groups import CORE_PROBABILITY
from automask_models.ink.network import InkMap

_REACH_CELLS = 6
"""A click means ink up to this far away: people hit near thin strokes, not on them."""
_JOIN_CELLS = 5
"""Parts over gaps of twice this belong together: the words of a mark mostly do."""
_FAINTEST = 0.05
_SHARE_OF_PEAK = 0.25
"""Somebody who points says that there is something, so what counts as ink is measured against the surest cell there."""
_FLOOD_SHARE = 0.05
_STEP = 1.25
"""A thing that takes more of the picture than this has most likely run into its surroundings: the bar is raised by
steps until it has not, or until only the surest cells are left, as of large lettering."""
_HALO_CELLS = 5
_HALO_SHARE = 0.4
"""Around a thing, cells down to this share of the bar belong to it: faint strokes of a mark lie beside sure ones."""
_SAME_PART_CELLS = 4
_MUCH_SURER = 1.0
"""A click that removes takes what is like the ink within this distance of it; things whose log odds are more than twice
this above are something else, which the mask joined to it by mistake."""
_CLOSE_CELLS = 4
"""Gaps up to twice this inside of a thing are its own, too: nobody learns from the insides of letters."""


class InkPromptSession(PromptSession):
    """See `automask.protocols.PromptSession`. An answer is empty where the map shows nothing at all.

    Args:
        ink: The map of the image.
        name: What the answers call their method.
    """

    def __init__(self, ink: InkMap, *, name: str) -> None:
        self._ink = ink
        self._name = name

    def answer(self, prompt: Prompt) -> PromptAnswer:
        """See `automask.protocols.PromptSession`."""
        cells = np.zeros(self._ink.unwanted.shape, dtype=np.bool_)
        free = ~self._cells_of(prompt.masked) if prompt.masked is not None else ~cells
        for window in map(self._window_of, (prompt.box, prompt.drawn_box)):
            if window is not None:
                cells |= self._inside(window)
        for point, is_wanted in prompt.clicks:
            if is_wanted:
                cells |= self._thing_at(self._cell_of(point), free)
        for point, is_wanted in prompt.clicks:
            if not is_wanted:
                cells &= ~self._near(self._cell_of(point), cells)
        return PromptAnswer(self._pixels(cells), self._score(cells), self._name)

    def wrong_part(
        self, thing: NDArray[np.bool_], point: tuple[float, float], *, wanted: Sequence[tuple[float, float]] = ()
    ) -> NDArray[np.bool_]:
        """See `automask.protocols.PromptSession`: cells that are much surer than those at the click stay masked."""
        import cv2

        cells = self._cells_of(thing)
        odds = log_odds_of_map(self._ink.unwanted)
        window = self._around(self._cell_of(point), _SAME_PART_CELLS)
        here = odds[window][cells[window]]
        if not here.size:
            return thing
        level, peak = float(here.max()), float(odds[cells].max())
        bar = (level + peak) / 2
        stands_out = bar - level >= _MUCH_SURER and float(self._ink.unwanted[cells].max()) >= CORE_PROBABILITY
        kept = np.zeros_like(cells)
        for each in wanted:
            around = self._around(self._cell_of(each), _SAME_PART_CELLS)
            kept[around] = cells[around]
        if not stands_out and not kept.any():
            return thing
        seed = np.zeros_like(cells)
        seed[window] = cells[window]
        sure = (kept | (cells & (odds >= bar))) & ~seed
        if not sure.any():
            return thing
        # What lies between goes to what is nearer.
        to_sure, to_seed = (
            cv2.distanceTransform((~each).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for each in (sure, seed)
        )
        part = _component(cells & (to_seed < to_sure), window, join=0)
        return np.asarray(thing & self._pixels(part), dtype=np.bool_)

    def _thing_at(self, cell: tuple[int, int], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The joined cells around a click, with what is faint right beside them and in between."""
        window = self._around(cell, _REACH_CELLS)
        # Somebody who points beside a mask means what it has missed, which may be much fainter.
        ink = np.where(free, self._ink.unwanted, 0.0) if free[window].any() else self._ink.unwanted
        peak = float(ink[window].max())
        if peak < _FAINTEST:
            return np.zeros(ink.shape, dtype=np.bool_)
        bar = max(_FAINTEST, _SHARE_OF_PEAK * peak)
        found = _whole_at(ink, window, bar)
        while found.mean() > _FLOOD_SHARE and bar * _STEP < min(peak, CORE_PROBABILITY):
            bar *= _STEP
            found = _whole_at(ink, window, bar)
        return found

    def _near(self, cell: tuple[int, int], cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The connected part of an answer around a click that does not want it."""
        return cells & _component(cells, self._around(cell, _REACH_CELLS), join=1)

    def _inside(self, window: tuple[slice, slice]) -> NDArray[np.bool_]:
        out = np.zeros(self._ink.unwanted.shape, dtype=np.bool_)
        values = self._ink.unwanted[window]
        out[window] = values >= max(_FAINTEST, _SHARE_OF_PEAK * float(values.max()))
        return out

    def _around(self, cell: tuple[int, int], reach: int) -> tuple[slice, slice]:
        row, column = cell
        return slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)

    def _cells_of(self, pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cells that hold a set pixel."""
        import cv2

        rows, columns = self._ink.unwanted.shape
        share = cv2.resize(pixels.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(share > 0, dtype=np.bool_)

    def _cell_of(self, point: tuple[float, float]) -> tuple[int, int]:
        across, down = self._ink.cells_per_px
        rows, columns = self._ink.unwanted.shape
        return (
            int(np.clip(point[1] * down, 0, rows - 1)),
            int(np.clip(point[0] * across, 0, columns - 1)),
        )

    def _window_of(self, box: Box | None) -> tuple[slice, slice] | None:
        if box is None:
            return None
        top, left = self._cell_of((box.x0, box.y0))
        bottom, right = self._cell_of((box.x1 - 1, box.y1 - 1))
        return slice(top, bottom + 1), slice(left, right + 1)

    def _pixels(self, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        import cv2

        size = (self._ink.width_px, self._ink.height_px)
        return np.asarray(cv2.resize(cells.view(np.uint8), size, interpolation=cv2.INTER_NEAREST), dtype=np.bool_)

    def _score(self, cells: NDArray[np.bool_]) -> float:
        return float(self._ink.unwanted[cells].mean()) if cells.any() else 0.0


def _joined_at(cells: NDArray[np.bool_], window: tuple[slice, slice]) -> NDArray[np.bool_]:
    return cells & _component(cells, window, join=_JOIN_CELLS)


def _whole_at(ink: NDArray[np.float32], window: tuple[slice, slice], bar: float) -> NDArray[np.bool_]:
    """The joined cells in a window above a bar, the faint ones right beside them, and what lies in between."""
    import cv2

    found = _joined_at(ink >= bar, window)
    near = cv2.dilate(found.view(np.uint8), _disc(_HALO_CELLS)) > 0
    whole = (found | (near & (ink >= _HALO_SHARE * bar))).view(np.uint8)
    room = np.pad(whole, _CLOSE_CELLS)  # closing must not stick to the border of the picture
    closed = cv2.morphologyEx(room, cv2.MORPH_CLOSE, _disc(_CLOSE_CELLS))
    inner = slice(_CLOSE_CELLS, -_CLOSE_CELLS)
    return np.asarray(closed[inner, inner] > 0, dtype=np.bool_)


def _disc(radius: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), dtype=np.uint8)


def _component(cells: NDArray[np.bool_], window: tuple[slice, slice], *, join: int) -> NDArray[np.bool_]:
    """The joined things that most of the True cells in a window belong to."""
    import cv2

    kernel = np.ones((2 * join + 1, 2 * join + 1), dtype=np.uint8)
    _, labels = cv2.connectedComponents(cv2.dilate(cells.view(np.uint8), kernel))
    here = labels[window][cells[window]]
    if not here.size:
        return np.zeros_like(cells)
    return np.asarray(labels == int(np.bincount(here).argmax()), dtype=np.bool_)
