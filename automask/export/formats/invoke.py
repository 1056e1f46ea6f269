"""`--to invoke`: a JSONL list with masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from automask.export.base import TrainerExporter, text_file
from automask.export.captions import caption_of
from automask.export.protocol import (
    MASKS_FOLDER,
    ExportContext,
    ExportImage,
    ExportRules,
    Orientation,
    OutputFile,
    Record,
    Snippet,
)
from automask.export.snippets import joined, json_line, yaml_string
from automask.trainers.conventions import INVOKE, Trainer

LIST_NAME = "metadata.jsonl"


class InvokeExporter(TrainerExporter):
    """`metadata.jsonl` with image, mask and caption for every image, and `masks/`."""

    name = "invoke"
    about = "invoke-training: JSONL list with a mask column (SD and SDXL; its FLUX LoRA ignores masks)"
    trainer: ClassVar[Trainer] = INVOKE

    @property
    def rules(self) -> ExportRules:
        """The reader goes by the list."""
        return ExportRules(trainer=INVOKE, orientation=Orientation.STORED, lists_images=True, shares_stems=True)

    def mask_file(self, image: ExportImage) -> OutputFile:
        """The mask, named in the list."""
        return OutputFile(f"{MASKS_FOLDER}/{image.mask_name}", f"{self.version}:{image.key}", image.mask_png)

    def record(self, image: ExportImage) -> Record:
        """A line of the list; the image's path is made absolute at the end."""
        return {"name": image.name, "mask": image.mask_name, "text": caption_of(image.path)}

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """The list."""
        lines = [
            json_line(
                {
                    "image": str(Path(context.images_root, str(record["name"]))),
                    "mask": f"{MASKS_FOLDER}/{record['mask']}",
                    "text": record["text"],
                }
            )
            for record in records
        ]
        return (text_file(LIST_NAME, "".join(lines)),)

    def snippet(self, context: ExportContext) -> Snippet:
        """The data loader's configuration."""
        lines = [
            "# invoke-training: the part of the pipeline's configuration that concerns masks.",
            "use_masks: true",
            "data_loader:",
            "  type: IMAGE_CAPTION_SD_DATA_LOADER",
            "  dataset:",
            "    type: IMAGE_CAPTION_JSONL_DATASET",
            f"    jsonl_path: {yaml_string(joined(context.output, LIST_NAME))}",
            "    image_column: image",
            "    caption_column: text",
            f"  resolution: {context.training_px}",
        ]
        return Snippet("invoke.yaml", "\n".join(lines) + "\n")
