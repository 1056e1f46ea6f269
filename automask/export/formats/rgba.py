"""`--to rgba`: images with the mask as alpha channel."""

from __future__ import annotations

from collections.abc import Sequence

from automask.export.base import BaseExporter
from automask.export.pictures import rgba_file
from automask.export.protocol import IMAGES_FOLDER, ExportImage, ExportOptions, ExportRules, OutputFile


class RgbaExporter(BaseExporter[ExportOptions]):
    """`images/<relative path>.png`: upright RGB as it was, alpha = weight."""

    name = "rgba"
    about = "RGBA PNG images, opaque = train; colours under transparent pixels are kept"

    @property
    def rules(self) -> ExportRules:
        """Images of its own."""
        return ExportRules(writes_images=True, shares_stems=True)

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The image with its mask as alpha."""
        return (rgba_file(image, folder=IMAGES_FOLDER, version=self.version),)
