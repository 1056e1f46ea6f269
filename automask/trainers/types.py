"""What is said of a trainer: names and places of masks, sizes, reduction, settings, the images that it reads."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from automask.dataset.names import stem_of
from automask.trainers import reducers
from automask.trainers.buckets import Bucket
from automask.trainers.reducers import FloatArray


class Place(enum.StrEnum):
    """Where a trainer looks for masks."""

    FOLDER = "folder"
    """A folder of its own, never inside the image folder, where it would be read as training images."""
    BESIDE = "beside"
    """Next to the image."""
    COLUMN = "column"
    """Wherever the list of the dataset says."""
    ALPHA = "alpha"
    """The alpha channel of the image itself."""


class SizeRule(enum.StrEnum):
    """What the size of a mask must be."""

    EQUAL = "equal"
    """Width and height of the image as the trainer sees it."""
    ASPECT = "aspect"
    """The image's aspect ratio: the mask goes into the same bucket by itself."""
    ANY = "any"
    """Free: the mask is resized to the image."""


class MissingMask(enum.StrEnum):
    """What happens to an image without a mask."""

    ERROR = "error"
    UNMASKED = "unmasked"
    """It is trained as a whole, and nothing says so."""
    IGNORED = "ignored"
    """Its mask is all zero as soon as another image of the batch has one: it is not trained at all."""


Mode = Callable[[FloatArray, tuple[int, int]], FloatArray]
Value = str | bool | float


@dataclass(frozen=True, slots=True)
class MaskNaming:
    """How the path of a mask follows from the path of its image.

    Attributes:
        place: Where masks lie.
        ending: What follows the stem of the image; the name as a whole stays where `keeps_name`.
        keeps_name: The mask has the very name of the image, extension included.
        extensions: Endings that the trainer accepts, lower case; `ending` is what we write.
        follows_folders: Masks of sub-folders lie in sub-folders; otherwise the mask folder is flat, and stems must be
            unique over the whole dataset.
        one_entry_per_folder: The trainer reads no sub-folders: each folder needs an entry of its own in the dataset's
            configuration, with its own mask folder.
    """

    place: Place
    ending: str = ".png"
    keeps_name: bool = False
    extensions: tuple[str, ...] = (".png",)
    follows_folders: bool = False
    one_entry_per_folder: bool = False

    def mask_name(self, image_id: str) -> str:
        """Path of the mask relative to its root, for an image id relative to the dataset root."""
        path = PurePosixPath(image_id)
        name = path.name if self.keeps_name else path.stem + self.ending
        return str(path.with_name(name)) if self.follows_folders else name


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that has to stand in a trainer's configuration so that masked areas count zero.

    Attributes:
        key: Name as the trainer spells it.
        value: What it must be; a string in angle brackets stands for a path or name of the user's.
        why: What happens otherwise.
    """

    key: str
    value: Value
    why: str


@dataclass(frozen=True, slots=True)
class Trainer:
    """One way of one trainer to read masks.

    Attributes:
        name: As `--to` and `--for` take it.
        title: For people.
        naming: Names and places.
        size_rule: Of the mask.
        transposes_exif: Whether images are turned upright before the mask is laid over them. Where not, a mask must
            have the orientation of the stored pixels.
        missing: What an image without a mask means.
        stretches: Whether versions in use resize the whole mask to the bucket, while they crop what the image has over.
        refuses_extra: Whether a mask without an image is an error.
        mode: Reduction of the weight at bucket size to cells.
        bucket: From (width_px, height_px, training_px) of an image to its bucket.
        floor: From the trainer's own default settings: the least weight that they leave.
        rescales_to_floor: Whether weights are mapped to floor..1 instead of clamped to at least the floor.
        normalises: Whether the loss is divided by the mean of the mask; where not, a heavily masked image counts less.
        growth_cells: Growth that leaves at most 3 % of the weight on any cell that holds something unwanted.
        settings: Keys and values that make masked areas count zero.
        cache: What has to be cleared or rebuilt after masks were added or changed; empty where masks are read anew.
        reads: Extensions of the images that it takes, lower case. A mask of any other file is one too many.
        reads_mixed_case: Whether `a.Jpg` is an image to it; otherwise only `a.jpg` and `a.JPG` are.
        configs: Endings of the configuration files that it reads, lower case.
        subfolders_since: Version from which masks of sub-folders are found, where earlier ones are in use; or empty.
        cells_px: Latent cells of the models that it trains, the usual one first.
        fully_masked_is_nan: Whether an all-black mask divides by zero.
    """

    name: str
    title: str
    naming: MaskNaming
    size_rule: SizeRule
    transposes_exif: bool
    missing: MissingMask
    mode: Mode
    bucket: Callable[[int, int, int], Bucket]
    settings: tuple[Setting, ...]
    cache: str
    refuses_extra: bool = False
    floor: float = 0.0
    rescales_to_floor: bool = False
    normalises: bool = False
    growth_cells: float = 1.0
    cells_px: tuple[int, ...] = (8, 16, 32)
    fully_masked_is_nan: bool = False
    stretches: bool = False
    reads: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
    reads_mixed_case: bool = True
    configs: tuple[str, ...] = (".toml", ".yaml", ".yml", ".json")
    subfolders_since: str = ""

    def reads_name(self, name: str) -> bool:
        """Whether it takes a file of this name for an image."""
        suffix = name[len(stem_of(name)) :]
        return suffix.lower() in self.reads and (self.reads_mixed_case or suffix in (suffix.lower(), suffix.upper()))

    @property
    def reads_in_words(self) -> str:
        """Which images it takes, for people."""
        case = "" if self.reads_mixed_case else ", each all in lower or all in upper case"
        return f"{', '.join(self.reads)}{case}"

    def cropping_bucket(self, width_px: int, height_px: int, training_px: int) -> Bucket | None:
        """The bucket of an image whose mask is misplaced by versions that stretch; None where both ways are one."""
        if not self.stretches:
            return None
        bucket = self.bucket(width_px, height_px, training_px)
        return bucket if bucket.crops else None

    def fits_both_ways(self, levels: NDArray[np.uint8], *, training_px: int) -> NDArray[np.uint8]:
        """Black wherever versions that crop a mask, or versions that stretch it, need it black.

        Args:
            levels: (H, W) uint8, 255 = train, in the orientation in which the trainer sees the image.
            training_px: Training resolution.

        Returns:
            The same array where both are one, else a new one.
        """
        bucket = self.cropping_bucket(levels.shape[1], levels.shape[0], training_px)
        if bucket is None or int(levels.min()) == 255:
            return levels
        return np.minimum(levels, bucket.counter_stretched(levels))

    def cells(self, weight: FloatArray, *, training_px: int, cell_px: int, floor: float = 0.0) -> FloatArray:
        """What is left of a mask on the latent grid, before any normalisation.

        Args:
            weight: (H, W) float32, 1 = train, in the orientation in which the trainer sees the image.
            training_px: Training resolution.
            cell_px: Latent cell.
            floor: Least weight that the user's settings leave (`unmasked_weight`, `mask_min_value`); 0 as recommended.

        Returns:
            (rows, columns) float32 in cells of the image's bucket; what the bucket crops is not there.
        """
        height_px, width_px = weight.shape
        bucket = self.bucket(width_px, height_px, training_px)
        reduced = self.mode(bucket.fitted(weight), bucket.shape_cells(cell_px))
        return self.lifted(reduced, floor=floor)

    def certainly_trains(self, levels: NDArray[np.uint8], *, training_px: int, cell_px: int) -> bool:
        """Whether some cell keeps its weight under any reduction: the bucket shows a white square of three cells.

        Much cheaper than `cells`; a False proves nothing. Of three cells one is whole, with a cell's width around it
        that filters may reach into.

        Args:
            levels: (H, W) uint8, 255 = train, in the orientation in which the trainer sees the image.
            training_px: Training resolution.
            cell_px: Latent cell.
        """
        height_px, width_px = levels.shape
        bucket = self.bucket(width_px, height_px, training_px)
        rows, columns = bucket.shape_cells(cell_px)
        left, top = bucket.crop_px
        x_scale, y_scale = width_px / bucket.resized_width_px, height_px / bucket.resized_height_px
        shown = levels[
            math.ceil(top * y_scale) : int((top + bucket.height_px) * y_scale),
            math.ceil(left * x_scale) : int((left + bucket.width_px) * x_scale),
        ]
        side_px = 3 * math.ceil(max(bucket.height_px / rows * y_scale, bucket.width_px / columns * x_scale))
        down, across = shown.shape[0] // side_px, shown.shape[1] // side_px
        squares = shown[: down * side_px, : across * side_px].reshape(down, side_px, across, side_px)
        return bool((squares == 255).all(axis=(1, 3)).any())

    def lifted(self, cells: FloatArray, *, floor: float) -> FloatArray:
        """Cells under a floor: clamped by OneTrainer, mapped to floor..1 by ai-toolkit."""
        if floor <= 0.0:
            return cells
        return (reducers.rescale if self.rescales_to_floor else reducers.clamp)(cells, minimum=floor)
