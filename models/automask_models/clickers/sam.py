"""The thing at a click, from a segment-anything network. Encoded views are kept, so that later clicks are quick."""

from __future__ import annotations

from collections import OrderedDict
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.geometry import Box
from automask.protocols import WeightFile, WeightSource
from automask.types import Image, Patch
from automask_models.clickers.colour import patch_of
from automask_models.refiners.backends.factory import open_backend
from automask_models.refiners.backends.protocol import WANTED, Embedding, Prompts, SamBackend

WEIGHTS = ("automask-sam-tiny", "sam-vit-b")
"""Names that are tried, in order."""

_EMBEDDINGS = 8
_CLOSER = 4.0
"""A thing that is small in its view is shown again in a window this many times as large."""


class SamClicker:
    """Asks with one point; of the answers the one that the network trusts most is taken."""

    name = "sam"

    def __init__(self, weights: WeightFile, *, runtime: RuntimeConfig) -> None:
        self._weights = weights
        self._runtime = runtime
        self._backend: SamBackend | None = None
        self._embeddings: OrderedDict[tuple[str, Box], Embedding] = OrderedDict()

    @classmethod
    def find(cls, *, weights: WeightSource, runtime: RuntimeConfig) -> Self | None:
        """With the first weights that this machine has, or None."""
        for name in WEIGHTS:
            found = weights.find(name)
            if found is not None:
                return cls(found, runtime=runtime)
        return None

    def load(self) -> None:
        """See `automask.protocols.Clicker`."""
        self._loaded()

    def click(self, image: Image, x: int, y: int) -> Patch:
        """See `automask.protocols.Clicker`."""
        window, patch = image.box, self._ask(image, image.box, x, y)
        traits = self._loaded().traits
        scale = traits.side_px / max(window.width_px, window.height_px)
        if min(patch.box.shape) * scale < traits.min_short_px:
            side_px = int(max(_CLOSER * max(patch.box.shape), traits.side_px / 4))
            half = side_px // 2
            closer = Box(x - half, y - half, x + half, y + half).intersection(image.box)
            if closer is not None and closer.area_px < window.area_px:
                patch = self._ask(image, closer, x, y)
        return patch

    def _ask(self, image: Image, window: Box, x: int, y: int) -> Patch:
        embedding = self._embedding(image, window)
        point = np.array([[[x - window.x0 + 0.5, y - window.y0 + 0.5]]], dtype=np.float32)
        answer = self._loaded().decode(embedding, Prompts(points=point, labels=np.full((1, 1), WANTED, dtype=np.int64)))
        best = int(np.argmax(answer.ious[0]))
        inside = Box(0, 0, window.width_px, window.height_px)
        logits: NDArray[np.float32] = embedding.frame.window_logits(answer.logits[0, best], inside)
        artefact = np.zeros((image.height_px, image.width_px), dtype=np.bool_)
        artefact[window.slices] = logits > 0
        score = float(np.clip(answer.ious[0, best], 0.0, 1.0))
        return patch_of(artefact, x, y, score=score, refiner=self.name)

    def _embedding(self, image: Image, window: Box) -> Embedding:
        key = (image.id, window)
        kept = self._embeddings.get(key)
        if kept is None:
            kept = self._loaded().encode(np.ascontiguousarray(image.pixels[window.slices]))
            self._embeddings[key] = kept
            if len(self._embeddings) > _EMBEDDINGS:
                self._embeddings.popitem(last=False)
        self._embeddings.move_to_end(key)
        return kept

    def _loaded(self) -> SamBackend:
        if self._backend is None:
            self._backend = open_backend(self._weights.path, runtime=self._runtime)
        return self._backend
