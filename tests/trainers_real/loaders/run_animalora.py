"""AnimaLoraStudio: `ImageDataset` with its masks."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path[:0] = [str(CHECKOUT / "runtime"), str(CHECKOUT)]
stand_in_for("bitsandbytes", "xformers", "wandb", "prodigyplus")

import yaml  # noqa: E402
from training.dataset import BucketManager, ImageDataset, collate_fn  # noqa: E402


def main() -> None:
    logging.disable(logging.INFO)
    wants_masks = yaml.safe_load((EXPORT / "animalora.yaml").read_text(encoding="utf-8"))["masked_loss"]
    root = EXPORT / "images"
    dataset = ImageDataset(root, 1024, BucketManager(1024), load_masks=wants_masks)
    for index, sample in enumerate(dataset.samples):
        name = Path(sample["image"]).relative_to(root).as_posix()
        batch = collate_fn([dataset.get_with_flip(index, flip=False)])
        if batch.get("masks") is None:
            OUTCOME.error(name, "no mask")
            continue
        pixels = batch["pixel_values"][0].float()
        red = (pixels[0, 0] if pixels.ndim == 4 else pixels[0]) / 2 + 0.5
        OUTCOME.add(name, batch["masks"][0].float().squeeze(), red)
    OUTCOME.write()


if __name__ == "__main__":
    main()
