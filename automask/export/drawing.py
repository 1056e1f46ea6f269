"""Masks of a store for one trainer: how far they grow, and when the store's own file is already right."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig, RenderConfig
from automask.export.protocol import Exporter, Instance, Orientation
from automask.mask.correcting import Touched, drawn_as_called
from automask.mask.rendering import FUSE_VERSION, CorrectionLayers, growth_px
from automask.run.loaded import Loaded, is_current
from automask.store import StoredImage
from automask.trainers.buckets import Bucket
from automask.trainers.conventions import Trainer
from automask.values import digests
from automask.values.grid import LatentGrid
from automask.values.types import Found, Kind

_LEAK = 0.03
"""Share of its weight that a cell with something unwanted in it may keep."""
_COVERED = 0.02
"""Share of a cell that something unwanted covers before the cell counts."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the masks of one export are drawn.

    Attributes:
        config: The configuration of the store's last run.
        render: What the export wants: the same with its own resolution, cell and growth.
        trainer: Whose buckets count, or None.
        least_growth_cells: Growth that the trainer's reduction needs, 0 without one.
        orientation: In which masks are written.
    """

    config: PipelineConfig
    render: RenderConfig
    trainer: Trainer | None
    least_growth_cells: float
    orientation: Orientation

    def growth_px(self, stored: StoredImage) -> int:
        """Growth in source pixels: that of the settings, or more where the trainer's bucket shrinks the image more.

        The growth covers each cell of the image's real bucket that holds something unwanted, up to the share that may
        be left. At the edge of a mask the resize to the bucket blends half a pixel of the coarser of both images.
        """
        wanted_px = growth_px(self.grid(stored), self.render.growth_cells)
        if self.trainer is None or self.least_growth_cells <= 0:
            return wanted_px
        bucket = self.trainer.bucket(*seen_size_px(stored, self.orientation), self.render.training_px)
        cell_px, coarser_px = self.render.cell_px, max(1.0, bucket.scale)
        blend_px = 0.5 * coarser_px - math.sqrt(2 * coarser_px * _LEAK * cell_px)  # below 0: it may end inside the cell
        reach_px = self.least_growth_cells * cell_px - _COVERED * cell_px + blend_px
        return max(wanted_px, math.ceil(reach_px / bucket.scale))

    def grid(self, stored: StoredImage) -> LatentGrid:
        """The grid of an image under the settings."""
        width_px, height_px = upright_size_px(stored)
        return LatentGrid.of(width_px, height_px, training_px=self.render.training_px, cell_px=self.render.cell_px)

    def takes_stored_mask(self, stored: StoredImage, *, correction_revision: int | None) -> bool:
        """Whether the mask file of the store shows what this export would draw, with the newest correction."""
        if stored.mask_name is None or not is_current(stored, self.config, correction_revision=correction_revision):
            return False
        if self.orientation is Orientation.STORED and is_turned(stored):
            return False
        if stored.masked_share and self._cropping_bucket(stored) is not None:
            return False
        own = self.config.render
        same = (own.training_px, own.cell_px) == (self.render.training_px, self.render.cell_px)
        return same and self.growth_px(stored) == growth_px(self.grid(stored), own.growth_cells)

    def key(self, stored: StoredImage, *, correction_revision: int | None) -> str:
        """Hash of everything that the mask depends on."""
        known, bucket = stored.fingerprints, self._cropping_bucket(stored)
        return digest(
            {
                "fuse": FUSE_VERSION,
                "content": stored.content_sha256,
                "refine": known.refine if known is not None else None,
                "templates": stored.template_set,
                "policy": self.config.policy.hashed,
                "training_px": self.render.training_px,
                "cell_px": self.render.cell_px,
                "fill_holes_cells": self.render.fill_holes_cells,
                "growth_px": self.growth_px(stored),
                "correction": correction_revision,
                "turned": stored.orientation if self.orientation is Orientation.STORED else None,
                **({"both_ways": dataclasses.astuple(bucket)} if bucket is not None else {}),
            }
        )

    def levels(self, stored: StoredImage, loaded: Loaded) -> NDArray[np.uint8]:
        """(H, W) uint8 mask, 255 = train, in the orientation of the export."""
        growth_cells = self.growth_px(stored) / self.grid(stored).source_px(1.0)
        drawn = loaded.drawn(self.config, render=self.render.model_copy(update={"growth_cells": growth_cells}))
        levels = self.turned(drawn.mask.levels, stored)
        return self.trainer.fits_both_ways(levels, training_px=self.render.training_px) if self.trainer else levels

    def _cropping_bucket(self, stored: StoredImage) -> Bucket | None:
        """The bucket of an image whose mask has to fit whether the trainer crops or stretches it."""
        if self.trainer is None:
            return None
        return self.trainer.cropping_bucket(*seen_size_px(stored, self.orientation), self.render.training_px)

    def turned(self, levels: NDArray[np.uint8], stored: StoredImage) -> NDArray[np.uint8]:
        """An upright array in the orientation of the export."""
        if self.orientation is Orientation.UPRIGHT:
            return levels
        return as_stored(levels, stored.orientation or 1)

    def instances(self, result: Found, correction: CorrectionLayers | None) -> list[Instance]:
        """Masked regions and what a person added, ungrown and upright, without what a person removed.

        Regions are of the kinds that a person gave them.
        """
        touched = Touched.by(correction, shape=(result.height_px, result.width_px))
        pairs = list(drawn_as_called(result, self.config, correction))
        found: list[Instance] = []
        for region, patch in pairs:
            artefact = np.zeros_like(touched.added)
            artefact[patch.box.slices] = touched.left_of(region, patch)
            if artefact.any():
                found.append(Instance(region.kind, region.confidence, artefact))
        added = touched.added_beside(pairs, growth_px=page_growth_px(result, self.config))
        if added.any():
            found.append(Instance(Kind.CUSTOM, 1.0, added))
        return found


def drawing_of(exporter: Exporter, config: PipelineConfig) -> Drawing:
    """How an exporter draws the masks of a store whose last run had a configuration."""
    rules, options = exporter.rules, exporter.options
    growth = options.growth_cells
    cell_px = options.cell_px or rules.cell_px
    changes = {"training_px": options.training_px, "cell_px": cell_px, "growth_cells": growth}
    return Drawing(
        config=config,
        render=config.render.model_copy(update={k: v for k, v in changes.items() if v is not None}),
        trainer=rules.trainer,
        least_growth_cells=rules.trainer.growth_cells if rules.trainer is not None and growth is None else 0.0,
        orientation=rules.orientation,
    )


def page_growth_px(result: Found, config: PipelineConfig) -> int:
    """How far the review page grows a region that it gives a weight."""
    render = config.render
    grid = LatentGrid.of(result.width_px, result.height_px, training_px=render.training_px, cell_px=render.cell_px)
    return growth_px(grid, render.growth_cells)


def upright_size_px(stored: StoredImage) -> tuple[int, int]:
    """(width, height) of the upright image.

    Raises:
        ValueError: It was never decoded.
    """
    if stored.width_px is None or stored.height_px is None:
        raise ValueError(f"{stored.image_id} was never decoded")
    return stored.width_px, stored.height_px


def seen_size_px(stored: StoredImage, orientation: Orientation) -> tuple[int, int]:
    """(width, height) as a reader of the given kind sees the image."""
    width_px, height_px = upright_size_px(stored)
    if orientation is Orientation.STORED and (stored.orientation or 1) >= 5:
        return height_px, width_px
    return width_px, height_px


def is_turned(stored: StoredImage) -> bool:
    """Whether the pixels lie in the file in another orientation than upright."""
    return (stored.orientation or 1) != 1


def as_stored(levels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation 1..8: from an upright array to the pixels as they lie in the file."""
    if orientation >= 5:
        levels = levels.T
    if orientation in (2, 3, 7, 8):
        levels = levels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        levels = levels[::-1]
    return np.ascontiguousarray(levels)


def digest(content: object) -> str:
    """Hash of plain JSON values, 24 hex digits."""
    return digests.digest(content, digits=24)
