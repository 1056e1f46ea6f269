"""Datasets that are right for each trainer; the tests of `check` break them one trap at a time."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from automask.check import check_folder
from automask.trainers.conventions import TRAINERS, trainer_named

TRAINING_PX = 256
SIZE_PX = (320, 240)
NAMES = ("a.png", "b.png", "c.png")
MASK_FOLDER = ("kohya", "ai-toolkit", "simpletuner", "diffusion-pipe", "musubi-fork")
BESIDE = ("onetrainer", "musubi", "animalora")
ALL = tuple(TRAINERS)


def picture(seed=0, size_px=SIZE_PX):
    noise = np.random.default_rng(seed).integers(40, 220, (size_px[1] // 8, size_px[0] // 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size_px, Image.Resampling.BICUBIC)


def mask_of(*boxes_xyxy, size_px=SIZE_PX):
    """White, black in the boxes, (H, W) uint8."""
    levels = np.full(size_px[::-1], 255, dtype=np.uint8)
    for x0, y0, x1, y1 in boxes_xyxy:
        levels[y0:y1, x0:x1] = 0
    return levels


GROWN = (80, 60, 200, 140)
"""A box of 96 x 56 px grown by 12 px: more than one cell of 8 px at 256 px training."""


def told(report):
    """Findings but one: kohya's buckets crop the images here, whose masks, made by hand, old versions would stretch."""
    return tuple(finding for finding in report.findings if finding.code != "masks-shifted")


@dataclass
class Case:
    """One dataset on disk.

    Attributes:
        name: The trainer's.
        images: Folder of the images.
        masks: Folder of the masks, where they have one.
        config: The trainer's configuration files.
    """

    name: str
    images: Path
    masks: Path | None
    config: list[Path]

    def mask_path(self, name: str) -> Path:
        trainer = trainer_named(self.name)
        if self.name == "invoke":
            return self.images.parent / "masks" / name
        if self.masks is not None:
            return self.masks / trainer.naming.mask_name(name)
        return self.images / trainer.naming.mask_name(name)

    def put_mask(self, name: str, levels) -> None:
        if self.name == "kohya-alpha":
            image = Image.open(self.images / name).convert("RGB")
            image.putalpha(Image.fromarray(levels))
            image.save(self.images / name)
            return
        path = self.mask_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(path, "PNG")

    def check(self, *, with_config=True, **options):
        options.setdefault("training_px", None if with_config and self.config else TRAINING_PX)
        if self.name == "musubi-fork":
            options.setdefault("cell_px", 8)  # the masks here are not grown for its 32
        return check_folder(
            self.images,
            trainer_named(self.name),
            masks_root=None if with_config and self.config else self.masks,
            config_files=self.config if with_config else (),
            **options,
        )

    def codes(self, **options) -> set[str]:
        return {str(finding.code) for finding in told(self.check(**options))}

    def edit(self, old: str, new: str, *, at: int = 0) -> int:
        """Replace text in a configuration file; gives the line that it stands on."""
        text = self.config[at].read_text()
        assert old in text, (old, text)
        self.config[at].write_text(text.replace(old, new, 1))
        return text[: text.index(old)].count("\n") + 1


def right(root: Path, name: str, *, names=NAMES) -> Case:
    """A dataset without a trap: two images with something masked, one with a white mask."""
    images = root / "images"
    images.mkdir(parents=True)
    masks = root / "masks" if name in MASK_FOLDER else None
    case = Case(name, images, masks, [])
    for seed, file in enumerate(names):
        picture(seed).save(images / file)
        case.put_mask(file, mask_of(GROWN) if seed < len(names) - 1 else mask_of())
    case.config = _config(root, case)
    return case


def _config(root: Path, case: Case) -> list[Path]:
    images, masks = str(case.images), str(case.masks)
    path = root / "config"
    if case.name == "kohya":
        dataset = path.with_suffix(".toml")
        dataset.write_text(
            f"[[datasets]]\nresolution = {TRAINING_PX}\nenable_bucket = true\n\n"
            f'[[datasets.subsets]]\nimage_dir = "{images}"\nconditioning_data_dir = "{masks}"\nrandom_crop = false\n'
        )
        arguments = root / "arguments.toml"
        arguments.write_text(f'[training]\nmasked_loss = true\ndataset_config = "{dataset}"\n')
        return [arguments, dataset]
    if case.name == "kohya-alpha":
        dataset = path.with_suffix(".toml")
        dataset.write_text(
            f"[general]\nresolution = [{TRAINING_PX}, {TRAINING_PX}]\n[[datasets]]\n[[datasets.subsets]]\n"
            f'image_dir = "{images}"\nalpha_mask = true\nresize_interpolation = "bicubic"\n'
        )
        return [dataset]
    if case.name == "onetrainer":
        content = {
            "model_type": "STABLE_DIFFUSION_XL_10_BASE",
            "resolution": str(TRAINING_PX),
            "cache_dir": str(root / "cache"),
            "masked_training": True,
            "unmasked_probability": 0.0,
            "unmasked_weight": 0.0,
            "normalize_masked_area_loss": False,
        }
        return [_json(path, content)]
    if case.name == "ai-toolkit":
        dataset = {"folder_path": images, "mask_path": masks, "mask_min_value": 0.0, "resolution": [TRAINING_PX]}
        process = {"type": "sd_trainer", "datasets": [dataset], "model": {"arch": "sdxl"}}
        path = path.with_suffix(".yaml")
        path.write_text(yaml.safe_dump({"job": "extension", "config": {"process": [process]}}, sort_keys=False))
        return [path]
    if case.name == "simpletuner":
        content = [
            {"id": "img", "type": "local", "instance_data_dir": images, "conditioning_data": "msk",
             "resolution": TRAINING_PX, "resolution_type": "pixel_area", "cache_dir_vae": str(root / "vae"),
             "crop_style": "center"},
            {"id": "msk", "type": "local", "dataset_type": "conditioning", "conditioning_type": "mask",
             "instance_data_dir": masks, "crop_style": "center"},
            {"id": "text", "type": "local", "dataset_type": "text_embeds", "cache_dir": "text"},
        ]  # fmt: skip
        return [_json(path, content)]
    if case.name == "diffusion-pipe":
        dataset = path.with_suffix(".toml")
        dataset.write_text(
            f'resolutions = [{TRAINING_PX}]\n\n[[directory]]\npath = "{images}"\nmask_path = "{masks}"\n'
        )
        main = root / "main.toml"
        main.write_text(f'dataset = "{dataset.name}"\n[model]\ntype = "sdxl"\n')
        return [main]
    if case.name == "invoke":
        rows = [{"image": file, "text": "x", "mask": f"../masks/{file}"} for file in NAMES]
        listing = case.images / "data.jsonl"
        listing.write_text("".join(json.dumps(row) + "\n" for row in rows))
        path = path.with_suffix(".yaml")
        path.write_text(
            "type: SDXL_LORA\nuse_masks: true\ndata_loader:\n  dataset:\n"
            f"    jsonl_path: {listing}\n  resolution: {TRAINING_PX}\n"
        )
        return [path]
    if case.name == "musubi":
        path = path.with_suffix(".toml")
        path.write_text(
            f'[general]\nresolution = [{TRAINING_PX}, {TRAINING_PX}]\n\n[[datasets]]\nimage_directory = "{images}"\n'
            f'cache_directory = "{root / "cache"}"\nwatermark_mask_suffix = "_wmask.png"\n'
        )
        return [path]
    if case.name == "musubi-fork":
        path = path.with_suffix(".toml")
        path.write_text(
            f'[general]\nresolution = [{TRAINING_PX}, {TRAINING_PX}]\n\n[[datasets]]\nimage_directory = "{images}"\n'
            f'cache_directory = "{root / "cache"}"\nloss_mask_directory = "{masks}"\n'
        )
        return [path]
    path = path.with_suffix(".yaml")
    path.write_text(f"masked_loss: true\nresolution: {TRAINING_PX}\n")
    return [path]


def _json(path: Path, content: object) -> Path:
    path = path.with_suffix(".json")
    path.write_text(json.dumps(content, indent=2))
    return path


def age(path: Path, *, hours: float) -> None:
    """Set a file's time relative to now; negative is older."""
    time_s = time.time() + hours * 3600
    os.utime(path, (time_s, time_s))
