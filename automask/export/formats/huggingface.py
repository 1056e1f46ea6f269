"""`--to huggingface`: an image folder for the `datasets` library, with a column of masks."""

from __future__ import annotations

from collections.abc import Sequence

from automask.export.base import BaseExporter, text_file
from automask.export.captions import caption_of
from automask.export.protocol import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    ExportContext,
    ExportImage,
    ExportOptions,
    ExportRules,
    OutputFile,
    Record,
)
from automask.export.snippets import json_line


class HuggingFaceExporter(BaseExporter[ExportOptions]):
    """`metadata.jsonl` with `file_name`, `mask_file_name`, `text`: `load_dataset("imagefolder", data_dir=...)`."""

    name = "huggingface"
    about = "Hugging Face imagefolder with a column of masks"

    @property
    def rules(self) -> ExportRules:
        """`datasets` turns images upright, and goes by the list."""
        return ExportRules(images="link", needs_images=True, takes_captions=False, lists_images=True, shares_stems=True)

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The mask."""
        return (OutputFile(f"{MASKS_FOLDER}/{image.mask_name}", f"{self.version}:{image.key}", image.mask_png),)

    def record(self, image: ExportImage) -> Record:
        """A line of the list."""
        return {
            "file_name": f"{IMAGES_FOLDER}/{image.name}",
            "mask_file_name": f"{MASKS_FOLDER}/{image.mask_name}",
            "text": caption_of(image.path),
        }

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """The list."""
        return (text_file("metadata.jsonl", "".join(json_line(record) for record in records)),)
