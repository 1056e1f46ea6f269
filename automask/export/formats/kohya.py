"""`--to kohya`: a mask folder for sd-scripts and its front ends."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import joined, toml_string
from automask.trainers.conventions import KOHYA, Trainer


class KohyaExporter(TrainerExporter):
    """`masks/<folder>/<stem>.png`, one dataset subset for each folder of images.

    Masks fit both kinds of versions in use: those that stretch a mask to the bucket, and those that crop it.
    """

    name = "kohya"
    about = "kohya sd-scripts, kohya_ss, LoRA_Easy_Training_Scripts: conditioning_data_dir"
    trainer: ClassVar[Trainer] = KOHYA

    def snippet(self, context: ExportContext) -> Snippet:
        """A dataset configuration for `--dataset_config`."""
        lines = [
            "# sd-scripts: add --masked_loss and --dataset_config with this file to the training command.",
            "[[datasets]]",
            f"resolution = {context.training_px}",
            "enable_bucket = true",
        ]
        for folder in context.folders:
            lines += [
                "",
                "[[datasets.subsets]]",
                f"image_dir = {toml_string(joined(context.images_root, folder))}",
                f"conditioning_data_dir = {toml_string(joined(context.masks_root, folder))}",
                'caption_extension = ".txt"',
                "num_repeats = 1",
                "random_crop = false",
            ]
        flags = f"--masked_loss --dataset_config {joined(context.output, 'dataset.toml')}"
        return Snippet("dataset.toml", "\n".join(lines) + "\n", (f"Add to the training command: {flags}",))
