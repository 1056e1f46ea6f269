"""Pictures and cut-out figures that samples are drawn from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from automask.errors import InputError
from automask_training.synth.index import MaterialIndex, Picture
from automask_training.synth.layout.paints import Pixels, Rng, painted

_LONG_SIDE_PX = 520
"""Samples end at 256 px: more would only be thrown away."""
_KEPT = 600
_MIN_CROP_PX = 100


class PictureShelf:
    """Free pictures of some sources, shrunk; a source weighs the square root of its size."""

    def __init__(self, materials: Path, *, sources: frozenset[str] | None = None) -> None:
        """Use the pictures and cut-outs below `materials` that are of `sources`, or all."""
        index = MaterialIndex.read(materials)
        self._folder = materials
        self._backgrounds = _by_source(index.backgrounds, sources)
        self._cutouts = _by_source(index.sprites, sources)
        self._kept: OrderedDict[str, Pixels] = OrderedDict()

    def picture(self, rng: Rng) -> Pixels:
        """A part of a photograph or a painting, (H, W, 3) RGB; paint where there are none."""
        if not self._backgrounds:
            return painted(rng, 300, 400)
        whole = self._read(_choose(self._backgrounds, rng))
        height_px, width_px = whole.shape[:2]
        high, wide = (max(min(each, _MIN_CROP_PX), round(each * rng.uniform(0.5, 1))) for each in (height_px, width_px))
        y, x = int(rng.integers(0, height_px - high + 1)), int(rng.integers(0, width_px - wide + 1))
        part = whole[y : y + high, x : x + wide, :3]
        return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)

    def cutout(self, rng: Rng) -> Pixels:
        """A figure with its alpha, (H, W, 4) RGBA."""
        if not self._cutouts:
            part = self.picture(rng)
            return np.dstack([part, np.full(part.shape[:2], 255, np.uint8)])
        found = self._read(_choose(self._cutouts, rng))
        if found.shape[2] == 3:
            found = np.dstack([found, np.full(found.shape[:2], 255, np.uint8)])
        return np.ascontiguousarray(found[:, ::-1] if rng.random() < 0.5 else found)

    def _read(self, file: str) -> Pixels:
        if file in self._kept:
            self._kept.move_to_end(file)
            return self._kept[file]
        found = cv2.imread(str(self._folder / file), cv2.IMREAD_UNCHANGED)
        if found is None:
            raise InputError(f"{file} cannot be read.", advice="Collect the materials again.")
        if found.ndim == 2:
            found = cv2.cvtColor(found, cv2.COLOR_GRAY2BGR)
        factor = min(1.0, _LONG_SIDE_PX / max(found.shape[:2]))
        size = max(1, round(found.shape[1] * factor)), max(1, round(found.shape[0] * factor))
        order = [2, 1, 0, 3][: found.shape[2]]
        found = np.ascontiguousarray(cv2.resize(found, size, interpolation=cv2.INTER_AREA)[..., order])
        self._kept[file] = found
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found


def _by_source(pictures: Sequence[Picture], sources: frozenset[str] | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in pictures:
        if sources is None or each.source in sources:
            found.setdefault(each.source, []).append(each.file)
    return dict(sorted(found.items()))


def _choose(pool: dict[str, list[str]], rng: Rng) -> str:
    groups = list(pool.values())
    shares = np.sqrt([len(group) for group in groups])
    group = groups[int(rng.choice(len(groups), p=shares / shares.sum()))]
    return group[int(rng.integers(len(group)))]
