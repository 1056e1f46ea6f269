"""What a store holds of one image, on its way into `automask.mask.drawing.draw`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from automask.config import PipelineConfig, RenderConfig
from automask.mask.drawing import Drawn, draw, drawn_fingerprints
from automask.mask.rendering import CorrectionLayers
from automask.run.edited import MaskFile, edit_layers, pending_edit
from automask.store import Correction, StoredImage
from automask.store.reader import StoreReader
from automask.values.types import Found


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One image of a store: what was found, and what a person changed.

    Attributes:
        found: The result.
        content_sha256: Hash of the image file.
        correction: The newest, withdrawn ones as well, or None.
        edit: The mask file where a person saved over it and no run has kept that yet: it counts as the newest
            correction, as it will be. None otherwise.
    """

    found: Found
    content_sha256: str
    correction: Correction | None
    edit: MaskFile | None = None

    @classmethod
    def of(cls, store: StoreReader, stored: StoredImage) -> Self | None:
        """Read it, or None where nothing usable is stored.

        Raises:
            StoreError: The store cannot be read.
        """
        found = store.result(stored.image_id)
        if found is None or stored.content_sha256 is None:
            return None
        correction = store.correction(stored.content_sha256)
        return cls(found, stored.content_sha256, correction, pending_edit(store, stored))

    @property
    def layers(self) -> CorrectionLayers | None:
        """What a person changed and did not withdraw."""
        layers = self.correction.layers if self.correction is not None else None
        return layers if self.edit is None else edit_layers(self.edit, before=layers)

    @property
    def revision(self) -> int | None:
        """Of the correction, for the row of a mask that shows it."""
        return self.correction.revision if self.correction is not None else None

    def drawn(self, config: PipelineConfig, *, render: RenderConfig | None = None) -> Drawn:
        """The mask; see `draw`."""
        return draw(self.found, config, self.layers, render=render, content_sha256=self.content_sha256)


def is_current(stored: StoredImage, config: PipelineConfig, *, correction_revision: int | None) -> bool:
    """Whether the mask of a row is the one that would be drawn now; its file may be gone or changed.

    Args:
        stored: The row.
        config: What masks are drawn under.
        correction_revision: The newest.
    """
    known = stored.fingerprints
    return known is not None and stored.shows(drawn_fingerprints(known, config), correction_revision)
