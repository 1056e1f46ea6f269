"""`--to kohya-alpha`: training images whose alpha channel is the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.pictures import rgba_file
from automask.export.protocol import IMAGES_FOLDER, ExportContext, ExportImage, ExportRules, OutputFile, Snippet
from automask.export.snippets import joined, toml_string
from automask.trainers.conventions import KOHYA_ALPHA, Trainer


class KohyaAlphaExporter(TrainerExporter):
    """`images/<folder>/<stem>.png`: upright RGB as it was, alpha = weight, for every image."""

    name = "kohya-alpha"
    about = "kohya sd-scripts: RGBA images with alpha_mask"
    trainer: ClassVar[Trainer] = KOHYA_ALPHA

    @property
    def rules(self) -> ExportRules:
        """New files without an EXIF orientation: upright for every reader."""
        return ExportRules(trainer=KOHYA_ALPHA, writes_images=True)

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The image with its mask as alpha."""
        return (rgba_file(image, folder=IMAGES_FOLDER, version=self.version),)

    def snippet(self, context: ExportContext) -> Snippet:
        """A dataset configuration for `--dataset_config`."""
        lines = [
            "# sd-scripts: give this file as --dataset_config.",
            "[[datasets]]",
            f"resolution = {context.training_px}",
            "enable_bucket = true",
        ]
        for folder in context.folders:
            lines += [
                "",
                "[[datasets.subsets]]",
                f"image_dir = {toml_string(joined(context.images_root, folder))}",
                "alpha_mask = true",
                'resize_interpolation = "bicubic"   # the default turns masked areas of enlarged images black',
                'caption_extension = ".txt"',
                "num_repeats = 1",
                "random_crop = false",
            ]
        return Snippet(
            "dataset.toml",
            "\n".join(lines) + "\n",
            (f"Add to the training command: --dataset_config {joined(context.output, 'dataset.toml')}",),
        )
