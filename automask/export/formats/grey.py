"""`--to grey`: plain greyscale masks for anything else."""

from __future__ import annotations

from collections.abc import Sequence

from automask.export.base import BaseExporter
from automask.export.protocol import MASKS_FOLDER, ExportImage, ExportOptions, ExportRules, OutputFile


class GreyExporter(BaseExporter[ExportOptions]):
    """`masks/<relative path>.png`: 8-bit grey, upright, white = train."""

    name = "grey"
    about = "8-bit grey PNG masks, white = train, for anything else"

    @property
    def rules(self) -> ExportRules:
        """Masks alone."""
        return ExportRules(shares_stems=True)

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The mask."""
        return (OutputFile(f"{MASKS_FOLDER}/{image.mask_name}", f"{self.version}:{image.key}", image.mask_png),)
