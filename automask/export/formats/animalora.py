"""`--to animalora`: mask sidecars for AnimaLoraStudio."""

from __future__ import annotations

from typing import ClassVar

from automask.export.base import TrainerExporter
from automask.export.protocol import ExportContext, Snippet
from automask.trainers.conventions import ANIMALORA, Trainer


class AnimaLoraExporter(TrainerExporter):
    """`<stem>.mask` beside each image: the bytes of a grey PNG under an extension that no image scan matches."""

    name = "animalora"
    about = "AnimaLoraStudio: <stem>.mask beside the images"
    trainer: ClassVar[Trainer] = ANIMALORA

    def snippet(self, context: ExportContext) -> Snippet:
        """The switch."""
        return Snippet(
            "animalora.yaml",
            "# AnimaLoraStudio: in the training configuration.\nmasked_loss: true\n",
            (f"Images and masks: {context.images_root}",),
        )
