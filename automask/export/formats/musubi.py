"""`--to musubi`: masks for the open request 1062 of musubi-tuner. Experimental: no release reads them."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import joined, toml_string
from automask.trainers.conventions import MUSUBI, Trainer


class MusubiExporter(TrainerExporter):
    """`<stem>_wmask.png` beside each image."""

    name = "musubi"
    about = "musubi-tuner with request 1062 (experimental): <stem>_wmask.png beside the images"
    trainer: ClassVar[Trainer] = MUSUBI

    def snippet(self, context: ExportContext) -> Snippet:
        """A dataset configuration."""
        lines = [
            "# musubi-tuner with the changes of request 1062. A release stops at the suffix: extra keys not allowed.",
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
                f"cache_directory = {toml_string(joined(context.output / 'cache', folder))}",
                'watermark_mask_suffix = "_wmask.png"',
            ]
        return Snippet("dataset.toml", "\n".join(lines) + "\n", ("Run the caching script again after every export.",))
