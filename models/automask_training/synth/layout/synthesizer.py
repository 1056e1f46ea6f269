"""Samples for the layout network: any picture squashed to a square, and what each of its cells holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from automask_training.synth.layout.framed import CHANNELS, IGNORED, Framed
from automask_training.synth.layout.kinds import LayoutShares, draw
from automask_training.synth.layout.paints import Pixels, Rng
from automask_training.synth.layout.pictures import PictureShelf

SIDE_PX = 256
"""Every picture is squashed to this square: where a frame is can be seen from afar."""
CELLS = 64
UNKNOWN = 255
"""Share of a cell about which nothing is said."""
_FRAME_LEVEL, _IGNORED_LEVEL = 200, 60
_MAX_IGNORED = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class LayoutSample:
    """A picture as the network sees it.

    Attributes:
        kind: Name of what was drawn.
        pixels: (256, 256, 3) uint8 RGB.
        shares: (4, 64, 64) uint8, percent of each cell that is each of `CHANNELS`, or `UNKNOWN`.
    """

    kind: str
    pixels: Pixels
    shares: NDArray[np.uint8]


class LayoutSynthesizer:
    """Makes sample number `index`, always the same one for the same materials, seed and shares."""

    def __init__(
        self, materials: Path, *, seed: int, sources: frozenset[str] | None = None, shares: LayoutShares | None = None
    ) -> None:
        """Draw with the pictures of `sources`, or with all."""
        self._shelf = PictureShelf(materials, sources=sources)
        self._seed = seed
        self._shares = shares or LayoutShares()

    def framed(self, index: int) -> tuple[str, Framed]:
        """What sample number `index` shows, before it is squashed, and the name of its kind."""
        return draw(self._shelf, np.random.default_rng((self._seed, index)), self._shares)

    def sample(self, index: int) -> LayoutSample:
        """Sample number `index`."""
        rng = np.random.default_rng((self._seed, index))
        kind, framed = draw(self._shelf, rng, self._shares)
        pixels = _degraded(rng, squashed(framed.pixels))
        return LayoutSample(kind=kind, pixels=pixels, shares=cell_shares(framed))


def squashed(pixels: Pixels) -> Pixels:
    """A picture of any size as the network's square."""
    return np.asarray(cv2.resize(pixels, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA))


def cell_shares(framed: Framed) -> NDArray[np.uint8]:
    """What each cell of a framed picture holds, as in `LayoutSample.shares`."""
    found = np.zeros((len(CHANNELS), CELLS, CELLS), np.uint8)
    size, block = (SIDE_PX, SIDE_PX), (CELLS, SIDE_PX // CELLS, CELLS, SIDE_PX // CELLS)
    truth = cv2.resize(framed.truth, size, interpolation=cv2.INTER_AREA).reshape(block)
    ignored = ((truth > _IGNORED_LEVEL) & (truth < _FRAME_LEVEL)).mean(axis=(1, 3))
    found[0] = np.round((truth >= _FRAME_LEVEL).mean(axis=(1, 3)) * 100)
    for name, each in framed.others.items():
        part = cv2.resize(each, size, interpolation=cv2.INTER_AREA).reshape(block)
        found[CHANNELS.index(name)] = np.round(part.mean(axis=(1, 3)) / 2.55)
    if (framed.truth == IGNORED).any():
        found[0][ignored > _MAX_IGNORED] = UNKNOWN
    return found


def _degraded(rng: Rng, pixels: Pixels) -> Pixels:
    """Compressed, brighter or darker, noisy, blunt: each in some."""
    if rng.random() < 0.2:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.2)))
    if rng.random() < 0.3:
        changed = pixels * rng.uniform(0.7, 1.2) + rng.uniform(-12, 12)
        pixels = np.clip(changed + rng.normal(0, rng.uniform(0, 8), pixels.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])
        pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(pixels)
