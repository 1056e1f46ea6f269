"""What most formats have in common: options kept as they are, masks by the naming of a trainer, nothing at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Generic, Self, TypeVar

from automask.export.protocol import (
    IMAGES_FOLDER,
    MASKS_FOLDER,
    ExportContext,
    ExportImage,
    ExportOptions,
    ExportRules,
    Orientation,
    OutputFile,
    Record,
    Root,
    Snippet,
)
from automask.trainers.conventions import Place, Trainer

O_co = TypeVar("O_co", bound=ExportOptions, covariant=True)


def text_file(name: str, text: str) -> OutputFile:
    """A file of given text in the output folder."""
    return OutputFile(name, hashlib.sha256(text.encode()).hexdigest()[:24], lambda: text.encode())


class BaseExporter(Generic[O_co]):
    """Start of an exporter; see `automask.export.protocol.Exporter` for what the members mean."""

    name: ClassVar[str]
    about: ClassVar[str]
    version: ClassVar[int] = 1
    Options: ClassVar[type[ExportOptions]] = ExportOptions

    def __init__(self, options: O_co) -> None:
        self._options = options

    @classmethod
    def from_options(cls, options: ExportOptions) -> Self:
        """Build it; `options` is of its own `Options` class."""
        if not isinstance(options, cls.Options):
            raise TypeError(f"{cls.name} takes {cls.Options.__name__}, got {type(options).__name__}")
        return cls(options)  # type: ignore[arg-type]  # checked in the line above, which the type of `Options` cannot say

    @property
    def options(self) -> O_co:
        """What it was built from."""
        return self._options

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """None."""
        return ()

    def record(self, image: ExportImage) -> Record | None:
        """Nothing to remember."""
        return None

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """Nothing about the dataset as a whole."""
        return ()

    def snippet(self, context: ExportContext) -> Snippet | None:
        """No configuration."""
        return None


class TrainerExporter(BaseExporter[ExportOptions]):
    """A format of a trainer that reads one grey mask per image."""

    trainer: ClassVar[Trainer]
    cell_px: ClassVar[int | None] = None
    """Latent cell unless the user says otherwise; None = as in the store."""

    @property
    def rules(self) -> ExportRules:
        """Those that follow from what is known about the trainer."""
        naming = self.trainer.naming
        return ExportRules(
            trainer=self.trainer,
            orientation=Orientation.UPRIGHT if self.trainer.transposes_exif else Orientation.STORED,
            images="link" if naming.place is Place.BESIDE and not self.options.in_place else "none",
            flat=not naming.follows_folders,
            shares_stems=naming.keeps_name,
            in_place=naming.place is Place.BESIDE,
            cell_px=self.cell_px,
        )

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The mask."""
        return (self.mask_file(image),)

    def mask_file(self, image: ExportImage) -> OutputFile:
        """The mask under the name that the trainer looks for."""
        naming = self.trainer.naming
        name = naming.mask_name(image.name)
        root = Root.OUTPUT
        if naming.place is not Place.BESIDE:
            name = f"{MASKS_FOLDER}/{name}"
        elif self.options.in_place:
            root = Root.IMAGES
        else:
            name = f"{IMAGES_FOLDER}/{name}"
        return OutputFile(name, f"{self.version}:{image.key}", image.mask_png, root)
