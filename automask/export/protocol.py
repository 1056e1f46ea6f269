"""What an exporter promises, and what the export promises it.

An exporter names files and says how their content is made; the export decides which images take part, renders masks,
writes atomically, skips what is up to date, and removes what an earlier export left. An exporter writes nothing itself.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel
from automask.trainers.conventions import Trainer
from automask.values.types import Kind

ImageMode = Literal["none", "link", "copy"]

MASKS_FOLDER = "masks"
IMAGES_FOLDER = "images"


class ExportOptions(FrozenModel):
    """Options that all exporters share; an exporter adds its own in a subclass."""

    images: ImageMode | None = Field(
        None, description="none, link or copy the images and their captions; by default what the format needs."
    )
    fully_masked: Literal["exclude", "error"] | None = Field(
        None, description="Images without a trained cell: leave them out, or refuse with the list."
    )
    accepted_only: bool = Field(False, description="Leave out images that a person should still look at.")
    flatten: bool = Field(False, description="All images in one folder, sub-folders in the names: sub__a.png.")
    in_place: bool = Field(False, description="Write masks beside the images, for formats that want them there.")
    training_px: int | None = Field(None, ge=64, le=8192, description="Training resolution; default as in the store.")
    cell_px: int | None = Field(None, ge=1, le=64, description="Latent cell; default as in the store.")
    growth_cells: float | None = Field(
        None, ge=0, le=16, description="Growth in cells; default what the trainer needs."
    )


class Orientation(enum.Enum):
    """In which orientation masks are written."""

    UPRIGHT = "upright"
    STORED = "stored"
    """As the pixels lie in the image file, for readers that ignore its EXIF orientation."""


@dataclass(frozen=True, slots=True)
class ExportRules:
    """What the export has to do for a format.

    Attributes:
        trainer: The trainer whose resolution, buckets and reduction count, or None for formats of no trainer.
        orientation: Of the masks.
        images: What happens to images unless the user says otherwise.
        images_folder: Where images and their captions go in the output.
        needs_images: Nothing can read the format without them: `--images none` is refused.
        writes_images: The format makes image files of its own, at `images_folder`; captions follow them.
        takes_captions: Captions go with the images.
        lists_images: Images that the export leaves out are left out of training too, even if their files stay, because
            the reader goes by a list that the export writes.
        flat: All images must end up in one folder (`--flatten`), or have unique stems.
        shares_stems: Two images with one stem get different mask names, so that they do not collide.
        in_place: Masks may be written beside the user's images.
        xml_names: Names of images go into XML: characters that it forbids are written as `%1b`, in the file names, too.
        cell_px: Latent cell unless the user says otherwise; None = as in the store.
        keeps_blank: Images without anything to train take part: the format is about things, not about weights.
    """

    trainer: Trainer | None = None
    orientation: Orientation = Orientation.UPRIGHT
    images: ImageMode = "none"
    images_folder: str = IMAGES_FOLDER
    needs_images: bool = False
    writes_images: bool = False
    takes_captions: bool = True
    lists_images: bool = False
    flat: bool = False
    shares_stems: bool = False
    in_place: bool = False
    cell_px: int | None = None
    keeps_blank: bool = False
    xml_names: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One unwanted thing, for formats that list things instead of weights.

    Attributes:
        kind: What it is; `custom` for what a person added.
        confidence: 0..1; 1 for what a person added.
        artefact: (H, W) bool of the upright image, ungrown.
    """

    kind: Kind
    confidence: float
    artefact: NDArray[np.bool_]


class ExportImage(Protocol):
    """One image that takes part. What is computed is computed once and let go with the object."""

    @property
    def image_id(self) -> str:
        """Path relative to the dataset root, as in the store."""
        ...

    @property
    def name(self) -> str:
        """Path in the export: the id, or a flat name with `--flatten`. Unique without regard to case."""
        ...

    @property
    def mask_name(self) -> str:
        """`name` with the ending .png, or with .png added where two images share a stem."""
        ...

    @property
    def path(self) -> Path:
        """The image file of the user."""
        ...

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) in the orientation of the rules."""
        ...

    @property
    def key(self) -> str:
        """Hash of everything that the mask and the instances depend on; cheap."""
        ...

    @property
    def image_key(self) -> str:
        """Hash of everything that the pixels depend on; cheap."""
        ...

    def levels(self) -> NDArray[np.uint8]:
        """(H, W) uint8 mask, 255 = train, in the orientation of the rules."""
        ...

    def mask_png(self) -> bytes:
        """The mask as 8-bit grey PNG: the very bytes of the store where they are what the trainer needs."""
        ...

    def instances(self) -> list[Instance]:
        """Drawn regions and corrections, ungrown, upright."""
        ...

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 upright RGB.

        Raises:
            ImageError: The file is gone or damaged by now.
        """
        ...


class Root(enum.Enum):
    """What the path of an exported file is relative to."""

    OUTPUT = "output"
    IMAGES = "images"
    """The user's own image folder (`--in-place`)."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file of the export.

    Attributes:
        name: Path relative to `root`, forward slashes.
        key: Hash of what its content depends on: a file of the same key is not written again.
        make: Gives the content, or the file that is linked or copied as the user wishes.
        root: What `name` is relative to.
    """

    name: str
    key: str
    make: Callable[[], bytes | Path]
    root: Root = Root.OUTPUT


Record = Mapping[str, object]
"""What an exporter wants to remember of an image for the files at the end; plain JSON values."""


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What is known when the closing files are written.

    Attributes:
        output: The folder of the export, absolute.
        images_root: Folder that holds the images as the trainer should read them, absolute.
        masks_root: Folder that holds the masks, absolute.
        folders: Folders with images, relative to `images_root`, `.` for itself, sorted.
        training_px: Training resolution that masks were rendered for.
        cell_px: Latent cell.
    """

    output: Path
    images_root: Path
    masks_root: Path
    folders: tuple[str, ...]
    training_px: int
    cell_px: int


@dataclass(frozen=True, slots=True)
class Snippet:
    """Text for the trainer's configuration.

    Attributes:
        name: File name in the output folder.
        text: What to paste, comments included.
        command: Flags or steps outside of the file, one line each.
    """

    name: str
    text: str
    command: tuple[str, ...] = ()


@runtime_checkable
class Exporter(Protocol):
    """One format. Stateless: methods may be called from several threads at once."""

    name: ClassVar[str]
    """Its entry-point name, what `--to` takes."""
    about: ClassVar[str]
    """One line for the list of formats."""
    version: ClassVar[int]
    """Raised with every change of what it writes."""
    Options: ClassVar[type[ExportOptions]]
    """Its options."""

    @classmethod
    def from_options(cls, options: ExportOptions) -> Self:
        """Build it; `options` is of its own `Options` class."""
        ...

    @property
    def options(self) -> ExportOptions:
        """What it was built from."""
        ...

    @property
    def rules(self) -> ExportRules:
        """What the export has to do for it."""
        ...

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """Files of one image, those of the image itself and its captions apart. Computes nothing yet."""
        ...

    def record(self, image: ExportImage) -> Record | None:
        """What to remember of an image, or None. May render."""
        ...

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """Files about the dataset as a whole; `records` are in the order of the store."""
        ...

    def snippet(self, context: ExportContext) -> Snippet | None:
        """The trainer's configuration, or None for a format of no trainer."""
        ...
