"""`--to simpletuner`: a conditioning dataset of masks."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import json_text
from automask.trainers.conventions import SIMPLETUNER, Trainer


class SimpleTunerExporter(TrainerExporter):
    """`masks/<relative path of the image, extension included>`; the content is PNG whatever the extension says."""

    name = "simpletuner"
    about = "SimpleTuner: conditioning dataset of type mask"
    trainer: ClassVar[Trainer] = SIMPLETUNER

    def snippet(self, context: ExportContext) -> Snippet:
        """Two entries of the data backend configuration."""
        common: dict[str, object] = {
            "type": "local",
            "resolution": context.training_px,
            "resolution_type": "pixel_area",
            "crop": False,
            "crop_style": "center",
        }
        entries = [
            {
                "id": "images",
                "dataset_type": "image",
                "conditioning_data": "masks",
                "instance_data_dir": str(context.images_root),
                "caption_strategy": "textfile",
                "cache_dir_vae": "cache/vae/images",
                **common,
            },
            {
                "id": "masks",
                "dataset_type": "conditioning",
                "conditioning_type": "mask",
                "instance_data_dir": str(context.masks_root),
                "cache_dir_vae": "cache/vae/masks",
                **common,
            },
        ]
        return Snippet(
            "multidatabackend.json",
            json_text(entries),
            (
                "Never use conditioning_type segmentation: any weight above 0 becomes 1 there.",
                *self._about_folders(context),
            ),
        )

    def _about_folders(self, context: ExportContext) -> tuple[str, ...]:
        if context.folders == (".",):
            return ()
        return (
            f"Sub-folders need SimpleTuner {SIMPLETUNER.subfolders_since} or newer: earlier versions find no mask "
            "there; for those export with --flatten --images link.",
        )
