"""What each trainer does with a loss mask, read in its own source: names, sizes, reduction, settings, caches.

Snapshots: docs/trainers/conformance.md. File and line of every fact are in the docstring of the trainer's entry. In all
of them white = train.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from automask.dataset.names import IMAGE_SUFFIXES
from automask.errors import ConfigError
from automask.trainers import reducers
from automask.trainers.buckets import (
    ai_toolkit_bucket,
    animalora_bucket,
    kohya_bucket,
    nearest_ratio_bucket,
    rounded_bucket,
)
from automask.trainers.types import MaskNaming, MissingMask, Mode, Place, Setting, SizeRule, Trainer, Value

__all__ = [
    "TRAINERS",
    "MaskNaming",
    "MissingMask",
    "Mode",
    "Place",
    "Setting",
    "SizeRule",
    "Trainer",
    "Value",
    "trainer_named",
]

_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_ANY = tuple(sorted(IMAGE_SUFFIXES))

KOHYA = Trainer(
    name="kohya",
    title="kohya sd-scripts, mask folder (also bmaltais/kohya_ss and LoRA_Easy_Training_Scripts)",
    naming=MaskNaming(Place.FOLDER, extensions=_IMAGES, follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.ERROR,
    refuses_extra=True,
    stretches=True,
    reads_mixed_case=False,
    configs=(".toml", ".json"),
    mode=reducers.area,
    bucket=kohya_bucket,
    settings=(
        Setting("masked_loss", True, "without it the masks are loaded and never used"),
        Setting("conditioning_data_dir", "<masks>", "every subset of the dataset needs one"),
        Setting("random_crop", False, "masks are refused together with it"),
    ),
    cache="nothing, masks are read at every step",
)
"""Same stem, flat glob of each subset, endings all lower or all upper (library/train_util.py:104, 2466-2476; `.avif`
only with a plug-in), assertions on missing and extra masks (:2487-2492), equal size (:2537-2539). Until request 2368 of
2026-06-12 the mask was stretched to the bucket of a cropped image (:2541-2557); since then both are cropped, and an
extra mask is a warning (library/controlnet_dataset.py). Red channel / 255 and `interpolate(mode="area")`, plain mean
(custom_train_functions.py:490-501), no EXIF call in the loader. Buckets as `make_bucket_resolutions` and
`select_bucket` with their defaults."""

KOHYA_ALPHA = Trainer(
    name="kohya-alpha",
    title="kohya sd-scripts, alpha channel",
    naming=MaskNaming(Place.ALPHA, follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    reads_mixed_case=False,
    configs=(".toml", ".json"),
    mode=reducers.area,
    bucket=kohya_bucket,
    settings=(
        Setting("alpha_mask", True, "without it transparency is dropped and everything is trained"),
        Setting(
            "resize_interpolation",
            "bicubic",
            "images smaller than their bucket are enlarged with premultiplied alpha: masked areas turn black",
        ),
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
    reads=(*_IMAGES, ".tif", ".tiff", ".avif"),
    configs=(".json",),
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
    configs=(".yaml", ".yml", ".json"),
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
"""Images by data_loader.py:39, in any case; same stem in `mask_path` (dataloader_mixins.py:71, 1576-1580), grey,
`value_map(0..1 -> min..1)` (:1657), a random blur of up to 0.5 % of the short side (:1630), `interpolate` = nearest,
then divided by the mean over the batch (SDTrainer.py:1497, 1504); zeros where only other images of the batch have one
(data_loader.py:409). The blur asks for half a cell more."""

SIMPLETUNER = Trainer(
    name="simpletuner",
    title="SimpleTuner",
    naming=MaskNaming(Place.FOLDER, ending="", keeps_name=True, extensions=_ANY, follows_folders=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.ERROR,
    reads=_ANY,
    configs=(".json", ".toml"),
    subfolders_since="4.9.2",
    mode=reducers.area,
    bucket=rounded_bucket(step_px=64),
    settings=(
        Setting("dataset_type", "conditioning", "for the mask dataset; otherwise masks are training images"),
        Setting("conditioning_type", "mask", "`segmentation` turns every weight above 0 into 1"),
        Setting("conditioning_data", "<id of the mask dataset>", "in the entry of the images"),
        Setting("crop_style", "center", "in both entries; by default each is cropped at a random place of its own"),
    ),
    cache="the VAE cache and the metadata (aspect_ratio_bucket_*.json) of both datasets",
)
"""Identical relative path, extension included (multiaspect/sampler.py:749-775); red channel, area
(models/common.py:6411-6416), not normalised; geometry copied from the image set (factory.py:3284); a mask for every
image (DREAMBOOTH.md:49). `masked_loss_probability` concerns `segmentation` only (:6419-6423). Images train as they are
stored: EXIF is gone when `exif_transpose` is called (image_manipulation/load.py:115-155, training_sample.py:654-662).
`crop_style` is `random` by default, with `crop: false` too. Versions up to 4.9.1 join the path of a mask in a
sub-folder to the root (#3198)."""

DIFFUSION_PIPE = Trainer(
    name="diffusion-pipe",
    title="diffusion-pipe",
    naming=MaskNaming(Place.FOLDER, extensions=_ANY, follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    reads=_ANY,
    configs=(".toml",),
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
    reads=_ANY,
    configs=(".yaml", ".yml"),
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
    reads=(*_IMAGES, ".avif"),
    reads_mixed_case=False,
    configs=(".toml", ".json"),
    mode=reducers.area,
    bucket=rounded_bucket(step_px=16),
    normalises=True,
    settings=(
        Setting("watermark_mask_suffix", "_wmask.png", "masks are not looked for without it; releases refuse the key"),
    ),
    cache="the latent cache: run the caching script again",
    fully_masked_is_nan=True,
)
"""Upstream has no loss mask: a release stops at the key (`extra keys not allowed`, dataset/config_utils.py); masks
beside images are no images to it, because they have no caption. The open request reads `<stem>_wmask.png` beside the
image, reduces by area and divides by the mask's sum; missing = ones."""

MUSUBI_FORK = Trainer(
    name="musubi-fork",
    title="AkaneTendo25/musubi-tuner, branch ltx-2",
    naming=MaskNaming(Place.FOLDER, extensions=(*_IMAGES, ".avif"), follows_folders=True, one_entry_per_folder=True),
    size_rule=SizeRule.ASPECT,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    reads=(*_IMAGES, ".avif"),
    reads_mixed_case=False,
    configs=(".toml", ".json"),
    mode=reducers.nearest_exact,
    bucket=rounded_bucket(step_px=32),
    normalises=True,
    settings=(
        Setting("loss_mask_directory", "<masks>", "masks are not looked for without it"),
        Setting("loss_mask_invert", False, "white = train already"),
        Setting("loss_mask_use_alpha", False, "used where there is no mask folder"),
    ),
    cache="the latent cache: run the caching script again, masks are in it",
    cells_px=(32, 8, 16),
)
"""Same stem in `loss_mask_directory`, images from a flat glob with captions (dataset/image_video_dataset.py at e0e570f:
109-176, 1315-1319), the alpha of a mask that has one, else grey (:179-189); image and mask each scaled to cover the
bucket and cropped alike (:348-384), no EXIF call; `interpolate(mode="trilinear")` to the latents of 32 px
(ltx2_cache_latents.py:106-170), which takes the pixels in the middle of a cell; divided by the mask's mean, and trained
whole where that is 0 (training/losses.py:20-53)."""

ANIMALORA = Trainer(
    name="animalora",
    title="AnimaLoraStudio",
    naming=MaskNaming(Place.BESIDE, ending=".mask", extensions=(".mask",), follows_folders=True),
    size_rule=SizeRule.EQUAL,
    transposes_exif=False,
    missing=MissingMask.UNMASKED,
    reads=(*_IMAGES, ".gif"),
    configs=(".yaml", ".yml"),
    mode=reducers.area,
    bucket=animalora_bucket,
    normalises=True,
    settings=(Setting("masked_loss", True, "an explicit switch: masks alone do not turn it on"),),
    cache="the latent cache: masks are in it",
    fully_masked_is_nan=True,
)
"""`<stem>.mask` (the bytes of a grey PNG) beside the image; another size is a warning and no mask; resized to the
bucket by nearest neighbour, then area / 8, `(loss * mask).sum() / mask.sum()`; missing = 255
(docs/design/preprocess-inpaint-mask-design.md, runtime/training/dataset.py:163-245, 653-692, 773-807)."""

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
            MUSUBI_FORK,
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
