"""Pictures for the detector of marks: those of `Synthesizer`, pictorial marks and codes, and printed things."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from automask_training.synth.backgrounds import Backgrounds, PictureCache
from automask_training.synth.belongings import BelongingDrawer
from automask_training.synth.index import MaterialIndex, Split
from automask_training.synth.lettering import FontCollection
from automask_training.synth.marks import MarkDrawer
from automask_training.synth.pictorial import PictorialDrawer
from automask_training.synth.raster import Bytes, Canvas
from automask_training.synth.stock import StockMarkDrawer
from automask_training.synth.synthesizer import Synthesizer, SynthRecipe

Materials = Literal["train", "val", "all"]


@dataclass(frozen=True, kw_only=True)
class MarkShares:
    """How often things occur in pictures for the detector.

    Attributes:
        pictorial: Share of pictures with things put on that carry a pictorial mark or a code, and nothing else.
        more_pictorial: Share of the others that get one besides.
        belongings: Share of all pictures with printed things in them.
    """

    pictorial: float = 0.34
    more_pictorial: float = 0.12
    belongings: float = 0.3


class MarkSynthesizer(Synthesizer):
    """`Synthesizer` with pictorial marks and codes, and with printed things that are no marks.

    Logos are held out by file, as backgrounds are: `train` has all but a twentieth of both, `val` has those, and `all`
    everything, for a folder of materials that no training saw.
    """

    def __init__(
        self,
        materials: Path,
        *,
        seed: int,
        size_px: int = 640,
        recipe: SynthRecipe | None = None,
        shares: MarkShares | None = None,
        part: Materials = "train",
    ) -> None:
        """Read the list of materials; raises InputError when the folder has none."""
        self._shares, self._part = shares or MarkShares(), part
        split: Split = "val" if part == "val" else "train"
        super().__init__(materials, seed=seed, size_px=size_px, recipe=recipe, split=split)

    def _open(self) -> None:
        super()._open()
        index = MaterialIndex.read(self._materials)
        if self._part != "all":
            kept = tuple(each for each in index.logos if each.split == self._part)
            index = replace(index.of_split(self._part), logos=kept)
        cache = PictureCache(self._materials, limit_bytes=self._recipe.cache_bytes)
        fonts = FontCollection(self._materials, index.faces)
        self._backgrounds = Backgrounds(cache, index)
        self._marks = MarkDrawer(cache, index, fonts)
        self._stock = StockMarkDrawer(self._marks)
        self._pictorial = PictorialDrawer(self._marks, fonts)
        self._belongings = BelongingDrawer(self._marks, self._pictorial)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out fonts and decoded pictures."""
        return {**super().__getstate__(), "_shares": self._shares, "_part": self._part}

    def _background(self, rng: np.random.Generator, side_px: int, *, busy_share: float) -> Bytes:
        pixels = super()._background(rng, side_px, busy_share=busy_share)
        return self._belongings.add(rng, pixels) if rng.random() < self._shares.belongings else pixels

    def _compose(self, rng: np.random.Generator, canvas: Canvas) -> None:
        if rng.random() < self._shares.pictorial:
            for _ in range(int(rng.choice([1, 2, 3], p=[0.75, 0.2, 0.05]))):
                self._pictorial.draw(rng, canvas)
            return
        super()._compose(rng, canvas)
        if rng.random() < self._shares.more_pictorial:
            self._pictorial.draw(rng, canvas)
