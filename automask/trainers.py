"""What each trainer does with a loss mask, read in its own source: names, sizes, reduction, settings, caches.

Snapshots: sd-scripts 48d368fa, OneTrainer 23df3832, ai-toolkit 27a03a91, SimpleTuner bc8e6ab77, diffusion-pipe 8f83dbf,
musubi-tuner 30c658c (open request 1062), invoke-training 99c673d, AnimaLoraStudio (requests 394, 395, 400); 2025-08 to
2026-08. File and line of every fact are in the docstring of the trainer's entry. In all of them white = train.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from automask import reducers
from automask.buckets import Bucket, ai_toolkit_bucket, kohya_bucket, nearest_ratio_bucket, rounded_bucket
from automask.errors import ConfigError
from automask.reducers import FloatArray


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
    reads: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

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

    def lifted(self, cells: FloatArray, *, floor: float) -> FloatArray:
        """Cells under a floor: clamped by OneTrainer, mapped to floor..1 by ai-toolkit."""
        if floor <= 0.0:
            return cells
        return (reducers.rescale if self.rescales_to_floor else reducers.clamp)(cells, minimum=floor)


_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

KOHYA = Trainer(
    name="kohya",
    title="kohya sd-scripts, mask folder (also bmaltais/kohya_ss and LoRA_Easy_Training_Scripts)",
    naming=MaskNaming(Place.FOLDER, extensions=_IMAGES, follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.ERROR,
    refuses_extra=True,
    reads=(*_IMAGES, ".avif"),
    mode=reducers.area,
    bucket=kohya_bucket,
    settings=(
        Setting("masked_loss", True, "without it the masks are loaded and never used"),
        Setting("conditioning_data_dir", "<masks>", "every subset of the dataset needs one"),
        Setting("random_crop", False, "masks are refused together with it"),
    ),
    cache="nothing, masks are read at every step",
)
"""Same stem, flat glob of each subset (library/train_util.py:2466-2476), assertions on missing and extra masks
(:2487-2492), equal size (:2537-2539), red channel / 255 and `interpolate(mode="area")`, plain mean
(custom_train_functions.py:490-501), no EXIF call in the loader. Buckets as `make_bucket_resolutions` and
`select_bucket` with their defaults."""

KOHYA_ALPHA = Trainer(
    name="kohya-alpha",
    title="kohya sd-scripts, alpha channel",
    naming=MaskNaming(Place.ALPHA, follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    mode=reducers.area,
    bucket=kohya_bucket,
    settings=(
        Setting("alpha_mask", True, "without it transparency is dropped and everything is trained"),
        Setting("random_crop", False, "masks are refused together with it"),
    ),
    cache="the latents: delete the *.npz files beside the images; alpha is stored in them and not compared",
)
"""A / 255, the same area path, used where no mask image is given (custom_train_functions.py:493-495); without alpha all
ones (train_util.py:1669); cached with the latents, of which only the key is checked (strategy_base.py:466)."""

ONETRAINER = Trainer(
    name="onetrainer",
    title="OneTrainer",
    naming=MaskNaming(Place.BESIDE, ending="-masklabel.png", follows_folders=True),
    size_rule=SizeRule.ASPECT,
    transposes_exif=True,
    missing=MissingMask.UNMASKED,
    mode=reducers.bilinear_antialias,
    bucket=nearest_ratio_bucket((1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0), step_px=64),
    floor=0.1,
    growth_cells=1.3,
    settings=(
        Setting("masked_training", True, "masks are not read at all"),
        Setting("unmasked_probability", 0.0, "the default 0.1 trains every tenth step without the mask"),
        Setting("unmasked_weight", 0.0, "the default 0.1 trains a tenth of what is masked"),
        Setting("normalize_masked_area_loss", False, "recommended; true divides by the mask's mean"),
    ),
    cache="the latent cache of every concept: it holds the masks (else KeyError latent_mask, or the old masks)",
)
"""`<stem>-masklabel.png` beside the image, PNG only, white where missing (DataLoaderText2ImageMixin.py:76, 99, 100);
bilinear with antialiasing, then `clamp(mask, unmasked_weight, 1)` (masked_loss.py:11); defaults in TrainConfig.py:1206.
The triangle filter reaches half a cell beyond the cell: 1.3 cells of growth leave at most 3 % of it."""

AI_TOOLKIT = Trainer(
    name="ai-toolkit",
    title="ostris/ai-toolkit",
    naming=MaskNaming(Place.FOLDER, extensions=(".jpg", ".jpeg", ".png", ".webp")),
    size_rule=SizeRule.ANY,
    transposes_exif=True,
    missing=MissingMask.IGNORED,
    reads=(".jpg", ".jpeg", ".png", ".webp"),
    mode=reducers.nearest,
    bucket=ai_toolkit_bucket,
    floor=0.1,
    rescales_to_floor=True,
    normalises=True,
    growth_cells=1.5,
    settings=(
        Setting("mask_path", "<masks>", "masks are not looked for without it"),
        Setting("mask_min_value", 0.0, "the web page writes 0.1, which trains a tenth of what is masked"),
        Setting("invert_mask", False, "white = train already"),
        Setting("alpha_mask", False, "it wins over mask_path, and fails on files without alpha"),
        Setting("buckets", True, "masks need bucketed datasets"),
    ),
    cache="nothing, masks are read with every image",
    fully_masked_is_nan=True,
)
"""Same stem in `mask_path` (dataloader_mixins.py:71, 1576-1580), grey, `value_map(0..1 -> min..1)` (:1657), a random
blur of up to 0.5 % of the short side (:1630), `interpolate` = nearest, then divided by the mean over the batch
(SDTrainer.py:1497, 1504); zeros where only other images of the batch have one (data_loader.py:409). The blur asks for
half a cell more."""

SIMPLETUNER = Trainer(
    name="simpletuner",
    title="SimpleTuner",
    naming=MaskNaming(Place.FOLDER, ending="", keeps_name=True, extensions=_IMAGES, follows_folders=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=True,
    missing=MissingMask.ERROR,
    mode=reducers.area,
    bucket=rounded_bucket(step_px=64),
    settings=(
        Setting("dataset_type", "conditioning", "for the mask dataset; otherwise masks are training images"),
        Setting("conditioning_type", "mask", "`segmentation` turns every weight above 0 into 1"),
        Setting("conditioning_data", "<id of the mask dataset>", "in the entry of the images"),
    ),
    cache="the VAE cache and the metadata (aspect_ratio_bucket_*.json) of both datasets",
)
"""Identical relative path, extension included (multiaspect/sampler.py:749-775); red channel, area
(models/common.py:6411-6416), not normalised; geometry copied from the image set (factory.py:3284); a mask for every
image (DREAMBOOTH.md:49). `masked_loss_probability` concerns `segmentation` only (:6419-6423)."""

DIFFUSION_PIPE = Trainer(
    name="diffusion-pipe",
    title="diffusion-pipe",
    naming=MaskNaming(Place.FOLDER, extensions=_IMAGES, follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    mode=reducers.nearest_exact,
    bucket=nearest_ratio_bucket((1.0, 1.26, 1.587, 2.0), step_px=32),
    settings=(Setting("mask_path", "<masks>", "masks are not looked for without it"),),
    cache="start once with --regenerate_cache: masks are cached and changed files are not noticed",
)
"""Same stem, any extension (utils/dataset.py:632-667), red / 255 (models/base.py:187), ValueError unless the size is
equal (:180-185), `ImageOps.fit` to the bucket, nearest-exact (models/sdxl.py:550, flux.py:334, wan.py:349,
qwen_image.py:422), not normalised, no EXIF call. Buckets: 7 ratios between 0.5 and 2 (examples/dataset.toml)."""

INVOKE = Trainer(
    name="invoke",
    title="invoke-training",
    naming=MaskNaming(Place.COLUMN, follows_folders=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.ERROR,
    mode=reducers.nearest,
    bucket=rounded_bucket(step_px=64),
    settings=(Setting("use_masks", True, "the column is not read without it; FLUX LoRA accepts it and ignores masks"),),
    cache="the VAE output cache of the run (`cache_vae_outputs`): masks are in it",
)
"""JSONL column `mask`, absolute or relative to the list (image_caption_jsonl_dataset.py:13, 77-93), grey, equal size
(sd_image_transform.py asserts), nearest (sdxl/lora/train.py:318). FLUX LoRA never applies it
(flux/lora/train.py:151-152 is the only use)."""

MUSUBI = Trainer(
    name="musubi",
    title="musubi-tuner with request 1062 (experimental)",
    naming=MaskNaming(Place.BESIDE, ending="_wmask.png", follows_folders=True),
    size_rule=SizeRule.ASPECT,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    mode=reducers.area,
    bucket=rounded_bucket(step_px=16),
    normalises=True,
    settings=(Setting("watermark_mask_suffix", "_wmask.png", "masks are not looked for without it"),),
    cache="the latent cache: run the caching script again",
    fully_masked_is_nan=True,
)
"""Upstream has no loss mask; the open request reads `<stem>_wmask.png` beside the image, reduces by area and divides
by the mask's sum; missing = ones."""

ANIMALORA = Trainer(
    name="animalora",
    title="AnimaLoraStudio",
    naming=MaskNaming(Place.BESIDE, ending=".mask", extensions=(".mask",), follows_folders=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    mode=reducers.area,
    bucket=kohya_bucket,
    normalises=True,
    settings=(Setting("masked_loss", True, "an explicit switch: masks alone do not turn it on"),),
    cache="the latent cache: masks are in it",
    fully_masked_is_nan=True,
)
"""`<stem>.mask` (the bytes of a grey PNG) beside the image; another size is a warning and no mask; area / 8,
`(loss * mask).sum() / mask.sum()`; missing = 255 (docs/design/preprocess-inpaint-mask-design.md)."""

TRAINERS: Mapping[str, Trainer] = MappingProxyType(
    {
        trainer.name: trainer
        for trainer in (
            KOHYA,
            KOHYA_ALPHA,
            ONETRAINER,
            AI_TOOLKIT,
            SIMPLETUNER,
            DIFFUSION_PIPE,
            INVOKE,
            MUSUBI,
            ANIMALORA,
        )
    }
)
"""All of them by name."""


def trainer_named(name: str) -> Trainer:
    """The trainer of a name.

    Raises:
        ConfigError: There is none.
    """
    trainer = TRAINERS.get(name)
    if trainer is None:
        raise ConfigError(
            f"There is no trainer {name!r}.", advice=f"Known names: {', '.join(TRAINERS)}.", code="trainer-unknown"
        )
    return trainer
