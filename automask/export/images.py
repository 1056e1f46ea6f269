"""The image that an exporter sees, over the store."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.config import DecodeConfig
from automask.dataset.decode import decode
from automask.dataset.stored import file_of_row
from automask.errors import StoreError
from automask.export.drawing import Drawing, digest, seen_size_px
from automask.export.protocol import Instance
from automask.files.png import encode_mask, read_mask
from automask.run.edited import MaskFile, pending_edit
from automask.run.loaded import Loaded
from automask.store import Store, StoredImage


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image that takes part in an export.

    Attributes:
        stored: Its row.
        path: The user's file.
        name: Path in the export.
        mask_name: Path of its mask in formats that name masks freely.
        is_outdated: It was corrected after the mask in the store was drawn.
    """

    stored: StoredImage
    path: Path
    name: str
    mask_name: str
    is_outdated: bool


class StoredExportImage:
    """`ExportImage` over a store. Made for one image at a time and let go."""

    def __init__(self, chosen: Chosen, *, store: Store, drawing: Drawing, decode_config: DecodeConfig) -> None:
        self.stored = chosen.stored
        self.image_id = chosen.stored.image_id
        self.name = chosen.name
        self.mask_name = chosen.mask_name
        self.path = chosen.path
        self._is_outdated = chosen.is_outdated
        self._store = store
        self._drawing = drawing
        self._decode_config = decode_config

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) in the orientation of the rules."""
        return seen_size_px(self.stored, self._drawing.orientation)

    @functools.cached_property
    def key(self) -> str:
        """Hash of everything that the mask and the instances depend on."""
        if self._edit is not None:
            sha256 = self._edit.written.sha256 if self._edit.written is not None else ""
            return f"edited:{sha256}:{self._drawing.key(self.stored, correction_revision=None)}"
        if self._takes_stored_mask:
            return f"store:{self.stored.mask_sha256}{self._called}"
        return self._drawing.key(self.stored, correction_revision=self._newest_revision)

    @functools.cached_property
    def image_key(self) -> str:
        """Hash of everything that the pixels depend on."""
        return digest([self.stored.content_sha256, self._decode_config.model_dump(mode="json")])

    def levels(self) -> NDArray[np.uint8]:
        """(H, W) uint8 mask, 255 = train, in the orientation of the rules."""
        return self._levels

    def mask_png(self) -> bytes:
        """The mask as 8-bit grey PNG."""
        if self._takes_stored_mask:
            data = self._store.mask_bytes(self.stored)
            if data is not None:
                return data
        return encode_mask(self._levels)

    def instances(self) -> list[Instance]:
        """Masked regions under the kinds that people gave them and other corrections, ungrown, upright."""
        return self._drawing.instances(self._loaded.found, self._loaded.layers)

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 upright RGB.

        Raises:
            ImageError: The file is gone or damaged by now.
        """
        return decode(file_of_row(self.stored, self.path), self._decode_config).image.pixels

    def is_blank(self) -> bool:
        """Whether nothing is left to train on the trainer's own cells; without a trainer, in the mask."""
        levels = self._levels
        if levels.max() == 0:
            return True
        trainer, render = self._drawing.trainer, self._drawing.render
        if trainer is None or trainer.certainly_trains(levels, training_px=render.training_px, cell_px=render.cell_px):
            return False
        weight = levels.astype(np.float32) / 255.0
        return bool(trainer.cells(weight, training_px=render.training_px, cell_px=render.cell_px).max() <= 0.0)

    def may_be_blank(self) -> bool:
        """Whether `is_blank` has to be asked: a cheap bound from the boxes of what was found."""
        if self.stored.correction_revision is not None or self._is_outdated or self._edit is not None:
            return True
        if not self.stored.kinds:
            return False
        width_px, height_px = self.stored.width_px or 1, self.stored.height_px or 1
        growth_px = self._drawing.growth_px(self.stored)
        covered_px = sum(
            region.box.padded(growth_px, width_px=width_px, height_px=height_px).area_px
            for region in self._store.regions(self.image_id)
            if self._drawing.config.policy.of(region.kind).action != "keep"
        )
        return covered_px >= 0.5 * width_px * height_px  # filled holes may add to what the boxes cover

    @functools.cached_property
    def _takes_stored_mask(self) -> bool:
        if self._edit is not None:
            return False
        return self._drawing.takes_stored_mask(self.stored, correction_revision=self._newest_revision)

    @functools.cached_property
    def _edit(self) -> MaskFile | None:
        """What a person saved over the mask file since the last run."""
        return pending_edit(self._store, self.stored)

    @property
    def _called(self) -> str:
        """What people called regions, as part of a key: it need not change the mask."""
        if self.stored.correction_revision is None:
            return ""
        kinds = self._store.called_kinds(self.stored.content_sha256)
        return f":{digest({key: kind.value for key, kind in kinds.items()})}" if kinds else ""

    @functools.cached_property
    def _levels(self) -> NDArray[np.uint8]:
        written = self._store.mask_bytes(self.stored) if self._takes_stored_mask else None
        return read_mask(written) if written is not None else self._drawing.levels(self.stored, self._loaded)

    @functools.cached_property
    def _newest_revision(self) -> int | None:
        if not self._is_outdated or self.stored.content_sha256 is None:
            return self.stored.correction_revision
        newest = self._store.correction(self.stored.content_sha256)
        return newest.revision if newest is not None else None

    @functools.cached_property
    def _loaded(self) -> Loaded:
        loaded = Loaded.of(self._store, self.stored)
        if loaded is None:
            raise StoreError(
                f"What was found in {self.image_id} is damaged.", advice="`automask run` analyses it again."
            )
        return loaded
