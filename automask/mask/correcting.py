"""What is unwanted on one image after a person's corrections, thing by thing, under the kinds that the person gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.mask.drawing import shown_things
from automask.mask.merging import Pair
from automask.mask.rendering import CorrectionLayers, grow, is_drawn
from automask.values.kinds import as_called, is_called
from automask.values.types import Found, Patch, Region

_COVERED = 0.5
"""Share of a region's pixels that are masked before a region that is not drawn by itself counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """What the layers of a correction say about pixels, each (H, W) bool.

    Attributes:
        added: Called unwanted.
        removed: Called wanted; shares no pixel with `added` where weights say which.
        weighed: Given a weight of their own, whatever it is, that takes some training away.
    """

    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]
    weighed: NDArray[np.bool_]

    @classmethod
    def by(cls, layers: CorrectionLayers | None, *, shape: tuple[int, int]) -> Self:
        """Read layers; without any, nobody touched anything."""
        added, removed, weighed = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
        if layers is None:
            return cls(added, removed, weighed)
        if layers.remove is not None:
            removed |= layers.remove
        if layers.add is not None:
            added |= layers.add
        if layers.weight_set is not None and layers.weight_levels is not None:
            is_black = layers.weight_levels < 128
            added = (added | (layers.weight_set & is_black)) & ~(layers.weight_set & ~is_black)
            removed = (removed | (layers.weight_set & ~is_black)) & ~added
            weighed = layers.weight_set & (layers.weight_levels < 255)
        return cls(added, removed, weighed)

    def left_of(self, region: Region, patch: Patch) -> NDArray[np.bool_]:
        """What is left of a region, bool of `patch.box.shape`.

        A region that was called another kind has the weight of that kind: it is still there, however light it is.
        """
        removed = self.removed[patch.box.slices]
        if is_called(region):
            removed = removed & ~self.weighed[patch.box.slices]
        left: NDArray[np.bool_] = patch.artefact & ~removed
        return left

    def added_beside(self, pairs: Sequence[Pair], *, growth_px: int) -> NDArray[np.bool_]:
        """(H, W) bool, what was added and is none of the given regions that a person called another kind.

        Args:
            pairs: Regions and their outlines.
            growth_px: How far the page grew a region that it gave a weight.
        """
        added = self.added.copy()
        for _, patch in (pair for pair in pairs if is_called(pair[0])):
            own = np.zeros_like(added)
            own[patch.box.slices] = patch.artefact
            added &= ~(own | (grow(own, growth_px) & self.weighed))
        return added


def drawn_as_called(found: Found, config: PipelineConfig, layers: CorrectionLayers | None) -> Iterator[Pair]:
    """The regions of an image that are masked, under the kinds that a person gave, with their ungrown outlines.

    Those are the regions that are drawn as what they were found as, since the mask is made of them, and those that a
    person called another kind and masked by hand. Where a person drew the mask instead, only the latter.

    Args:
        found: What was found.
        config: What is drawn.
        layers: The newest correction's, or None.
    """
    masked: NDArray[np.bool_] | None = None
    for thing in shown_things(found, config, layers):
        region, patch = thing.region, thing.patch
        if is_drawn(region, config.policy) and not (layers is not None and layers.replaces):
            yield as_called(region), patch
        elif is_called(region):
            if masked is None:
                touched = Touched.by(layers, shape=(found.height_px, found.width_px))
                masked = touched.added | touched.weighed
            covered = patch.artefact & masked[patch.box.slices]
            if covered.any() and covered.sum() >= _COVERED * patch.artefact.sum():
                yield as_called(region), Patch(patch.box, covered, patch.score, patch.refiner, patch.note)
