"""`--to ai-toolkit`: one flat mask folder."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import yaml_string
from automask.trainers.conventions import AI_TOOLKIT, Trainer


class AiToolkitExporter(TrainerExporter):
    """`masks/<stem>.png`, flat whatever the folders of the images."""

    name = "ai-toolkit"
    about = "ostris/ai-toolkit: mask_path"
    trainer: ClassVar[Trainer] = AI_TOOLKIT

    def snippet(self, context: ExportContext) -> Snippet:
        """The entry of `datasets`."""
        lines = [
            "# ai-toolkit: the entry of `datasets` in the job's configuration.",
            "datasets:",
            f"  - folder_path: {yaml_string(str(context.images_root))}",
            f"    mask_path: {yaml_string(str(context.masks_root))}",
            "    mask_min_value: 0.0   # the web page writes 0.1",
            "    invert_mask: false",
            "    alpha_mask: false",
            "    buckets: true",
            '    caption_ext: "txt"',
            f"    resolution: [{context.training_px}]",
        ]
        return Snippet(
            "dataset.yaml",
            "\n".join(lines) + "\n",
            ('A line "Could not apply mask multiplier to loss" in the log means that masks are not used.',),
        )
