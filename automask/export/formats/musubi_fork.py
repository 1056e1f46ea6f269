"""`--to musubi-fork`: a mask folder for AkaneTendo25's fork of musubi-tuner."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import joined, toml_string
from automask.trainers.conventions import MUSUBI_FORK, Trainer


class MusubiForkExporter(TrainerExporter):
    """`masks/<folder>/<stem>.png`, one `[[datasets]]` for each folder of images; drawn for the cells of LTX-2."""

    name = "musubi-fork"
    about = "AkaneTendo25/musubi-tuner (LTX-2): loss_mask_directory"
    trainer: ClassVar[Trainer] = MUSUBI_FORK
    cell_px: ClassVar[int | None] = MUSUBI_FORK.cells_px[0]

    def snippet(self, context: ExportContext) -> Snippet:
        """A dataset configuration."""
        lines = [
            "# AkaneTendo25/musubi-tuner, branch ltx-2; the release of kohya-ss has no loss masks.",
            "[general]",
            f"resolution = [{context.training_px}, {context.training_px}]",
            "enable_bucket = true",
            'caption_extension = ".txt"',
        ]
        for folder in context.folders:
            lines += [
                "",
                "[[datasets]]",
                f"image_directory = {toml_string(joined(context.images_root, folder))}",
                f"loss_mask_directory = {toml_string(joined(context.masks_root, folder))}",
                f"cache_directory = {toml_string(joined(context.output / 'cache', folder))}",
                "loss_mask_invert = false",
            ]
        return Snippet(
            "dataset.toml",
            "\n".join(lines) + "\n",
            (
                "Run the caching script again after every export: masks are cached with the latents.",
                "Images without a caption file are not trained.",
            ),
        )
