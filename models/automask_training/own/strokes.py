"""What a mask that was drawn around things says about pixels: unwanted for sure, wanted for sure, or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.mask.rendering import grow
from automask.values import rle
from automask.values.geometry import Box
from automask.values.grid import LatentGrid
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.refiners.agreement import span_of
from automask_models.refiners.cluster import find_ink
from automask_training.own.images import IGNORED, Extent, OwnThing

_SURE, _SURELY_NOT = 0.5, 0.1
"""What the ink network is sure of: the refiner `ink` calls from .5 on sure, and nothing below .15 ink."""
_MIN_SPAN = 0.8
_MAX_COLOUR_SHARE = 0.8
_MIN_COLOUR_RECALL = 0.8
"""Limits of the refiner `ink`, for the same questions."""
_SURVIVING_SHARE = 0.9
"""A mask that was grown is made of squares. Smoothing and resizing round the corners of some of them off."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """The truth of one image, pixel by pixel.

    Attributes:
        things: Those that were given, with what is surely unwanted of them.
        unknown: (H, W) bool, pixels that count neither way.
    """

    things: tuple[OwnThing, ...]
    unknown: NDArray[np.bool_]


class StrokeReader:
    """Tells strokes from the rest of masks that were drawn around them, by their colours and by the ink network.

    What lies beside strokes in a mask counts neither way. What lies beside the mask is wanted: whoever draws around
    things draws too wide, and a band there would let the network spread.
    """

    def __init__(self) -> None:
        self._network: InkNetwork | None = None
        self._is_looked_for = False

    def resolved(self, pixels: NDArray[np.uint8], things: Sequence[OwnThing], *, kinds: Sequence[str]) -> Resolved:
        """Resolve all things of an image.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            things: What is unwanted on it.
            kinds: Kinds that are to be learned; things of others stay as they are.
        """
        image = Image(id="", pixels=pixels)
        unknown = np.zeros(pixels.shape[:2], np.bool_)
        known = np.zeros_like(unknown)
        out = []
        for thing in things:
            mine = self._one(image, thing, unknown, known) if thing.kind in kinds else thing
            if thing.kind == IGNORED:
                unknown[thing.box.slices] |= thing.artefact
            else:
                out.append(mine)
        for thing in out:
            known[thing.box.slices] |= thing.wanted_artefact
        return Resolved(tuple(out), unknown & ~known)

    def _one(self, image: Image, thing: OwnThing, unknown: NDArray[np.bool_], known: NDArray[np.bool_]) -> OwnThing:
        if thing.extent is Extent.TIGHT:
            return thing
        band_px = band_of(image.width_px, image.height_px)
        unknown[thing.box.slices] |= thing.artefact
        strokes = None if thing.extent is Extent.BOX else self._strokes(image, thing, band_px)
        if strokes is None:
            return replace(thing, wanted=rle.encode(np.zeros(thing.box.shape, np.bool_)))
        if np.array_equal(strokes, thing.artefact):
            return thing
        known[thing.box.slices] |= self._surely_clean(image, thing, strokes)
        return replace(thing, wanted=rle.encode(strokes))

    def _strokes(self, image: Image, thing: OwnThing, band_px: int) -> NDArray[np.bool_] | None:
        """What is surely unwanted of a mask, bool of the shape of its box; None where nothing tells."""
        drawn = thing.artefact
        size_px = (image.width_px, image.height_px)
        if _grown_by_px(drawn, thing.box, size_px, at_most_px=band_px) < band_px:
            return drawn  # finer than anything that was grown
        sure = self._at_least(image, thing.box, _SURE) & drawn
        coloured = find_ink(image, thing.box, drawn)
        if coloured is not None:
            missed = int((sure & ~grow(coloured.artefact, 2 * band_px)).sum())
            if missed <= (1 - _MIN_COLOUR_RECALL) * sure.sum():
                # All of it is unlike what lies around: a plate, a logo, a seal.
                if coloured.artefact.sum() > _MAX_COLOUR_SHARE * drawn.sum():
                    return drawn
                shown = coloured.artefact
                if sure.any():  # what it sees, it sees whole: colours of the picture that lie in the mask are not that
                    shown = shown & grow(self._at_least(image, thing.box, _SURELY_NOT) & drawn, band_px)
                # Colours are exact, and shadows and soft edges have none of their own.
                return shown | (sure & grow(shown, band_px))
        return sure if span_of(sure, drawn) >= _MIN_SPAN else None

    def _surely_clean(self, image: Image, thing: OwnThing, strokes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Gaps of a mask that the network knows: not ink, and within a latent cell of ink that it sees."""
        if self._opened() is None:
            return np.zeros(thing.box.shape, np.bool_)
        cell_px = 2 * band_of(image.width_px, image.height_px)
        near = grow(self._at_least(image, thing.box, _SURE) & thing.artefact, cell_px)
        gaps: NDArray[np.bool_] = near & ~self._at_least(image, thing.box, _SURELY_NOT) & ~grow(strokes, 1)
        return gaps & thing.artefact

    def _at_least(self, image: Image, box: Box, probability: float) -> NDArray[np.bool_]:
        network = self._opened()
        if network is None:
            return np.zeros(box.shape, np.bool_)
        found: NDArray[np.bool_] = network.map_of(image).within(box) >= probability
        return found

    def _opened(self) -> InkNetwork | None:
        if not self._is_looked_for:
            file = WeightLibrary.discover().find(DEFAULT_WEIGHTS)
            self._network = InkNetwork.open(file, runtime=RuntimeConfig()) if file is not None else None
            self._is_looked_for = True
        return self._network


def without_growth(things: Sequence[OwnThing], *, width_px: int, height_px: int) -> list[OwnThing]:
    """Things of an image, finished masks as they were before they were grown, as far as their shape tells."""
    most_px = 2 * band_of(width_px, height_px)
    out = []
    for thing in things:
        if thing.extent is Extent.GROWN:
            drawn, size_px = thing.artefact, (width_px, height_px)
            by_px = _grown_by_px(drawn, thing.box, size_px, at_most_px=most_px)
            core = _ungrown(drawn, thing.box, size_px, by_px=by_px)
            at = (thing.box.x0, thing.box.y0)
            thing = OwnThing.of(thing.label, core, at=at, extent=Extent.AROUND, is_kind_known=thing.is_kind_known)
        out.append(thing)
    return out


def band_of(width_px: int, height_px: int) -> int:
    """Half a latent cell of 8 px at training size 1024, in pixels of the image: one cell of the ink network."""
    return max(1, round(LatentGrid.of(width_px, height_px).source_px(0.5)))


def _grown_by_px(drawn: NDArray[np.bool_], box: Box, size_px: tuple[int, int], *, at_most_px: int) -> int:
    """How far a mask, bool of the shape of its box, can have been grown: it is made of squares of that radius."""
    padded = _bordered(drawn, box, size_px, by_px=at_most_px)
    low, high = 0, at_most_px
    while low < high:
        middle = (low + high + 1) // 2
        opened = grow(_shrunk(padded, middle), middle) & padded
        if opened.sum() >= _SURVIVING_SHARE * padded.sum():
            low = middle
        else:
            high = middle - 1
    return low


def _ungrown(drawn: NDArray[np.bool_], box: Box, size_px: tuple[int, int], *, by_px: int) -> NDArray[np.bool_]:
    """A mask, bool of the shape of its box, without what a growth by that radius added; what is finer stays."""
    padded = _bordered(drawn, box, size_px, by_px=by_px)
    core = _shrunk(padded, by_px)
    left = core | (padded & ~grow(core, by_px))
    return left[by_px : by_px + drawn.shape[0], by_px : by_px + drawn.shape[1]]


def _bordered(drawn: NDArray[np.bool_], box: Box, size_px: tuple[int, int], *, by_px: int) -> NDArray[np.bool_]:
    """With a rim: beyond the edges of the image (width, height) masked as at them, elsewhere not masked."""
    rims = (box.y0 == 0, box.y1 == size_px[1]), (box.x0 == 0, box.x1 == size_px[0])
    out = drawn
    for axis, (is_first, is_last) in enumerate(rims):
        for is_edge, widths in ((is_first, (by_px, 0)), (is_last, (0, by_px))):
            pads = [(0, 0), (0, 0)]
            pads[axis] = widths
            out = np.pad(out, pads, mode="edge") if is_edge else np.pad(out, pads)
    return out


def _shrunk(artefact: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    return ~grow(~artefact, radius_px)
