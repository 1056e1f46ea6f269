"""`--to onetrainer`: masks beside the images."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.export.snippets import json_text
from automask.trainers.conventions import ONETRAINER, Trainer


class OneTrainerExporter(TrainerExporter):
    """`<stem>-masklabel.png` beside each image, in a folder of links or, with `--in-place`, in the user's own."""

    name = "onetrainer"
    about = "OneTrainer: <stem>-masklabel.png beside the images"
    trainer: ClassVar[Trainer] = ONETRAINER

    def snippet(self, context: ExportContext) -> Snippet:
        """The keys of the training configuration."""
        keys = {setting.key: setting.value for setting in ONETRAINER.settings}
        return Snippet(
            "onetrainer.json",
            json_text(keys),
            (
                f"Concept path: {context.images_root}"
                + (" (with subdirectories)" if context.folders != (".",) else ""),
                "In the window: tab training, Masked Training on, Unmasked Probability 0, Unmasked Weight 0.",
                "Inpainting models train without masks, and nothing says so.",
            ),
        )
