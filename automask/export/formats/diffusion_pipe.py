"""`--to diffusion-pipe`: a mask folder for each folder of images."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import joined, toml_string
from automask.trainers.conventions import DIFFUSION_PIPE, Trainer


class DiffusionPipeExporter(TrainerExporter):
    """`masks/<folder>/<stem>.png`, one `[[directory]]` for each folder of images."""

    name = "diffusion-pipe"
    about = "diffusion-pipe: mask_path of each directory"
    trainer: ClassVar[Trainer] = DIFFUSION_PIPE

    def snippet(self, context: ExportContext) -> Snippet:
        """A dataset configuration."""
        lines = [
            "# diffusion-pipe: name this file as `dataset` in the training configuration.",
            f"resolutions = [{context.training_px}]",
            "enable_ar_bucket = true",
            "min_ar = 0.5",
            "max_ar = 2.0",
            "num_ar_buckets = 7",
        ]
        for folder in context.folders:
            lines += [
                "",
                "[[directory]]",
                f"path = {toml_string(joined(context.images_root, folder))}",
                f"mask_path = {toml_string(joined(context.masks_root, folder))}",
                "num_repeats = 1",
            ]
        return Snippet(
            "dataset.toml",
            "\n".join(lines) + "\n",
            ("Start the training once with --regenerate_cache whenever masks were added or changed.",),
        )
