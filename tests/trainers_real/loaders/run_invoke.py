"""invoke-training: its data loader, and the lines of SDXL LoRA training that lay the mask over the loss."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path.insert(0, str(CHECKOUT / "src"))
stand_in_for("invokeai", "bitsandbytes", "xformers", "gradio", "peft", "accelerate")

import torch  # noqa: E402
import yaml  # noqa: E402
from invoke_training._shared.data.data_loaders.image_caption_sd_dataloader import (  # noqa: E402
    build_image_caption_sd_dataloader,
)
from invoke_training.config.data.data_loader_config import ImageCaptionSDDataLoaderConfig  # noqa: E402

BUCKETS = {"target_resolution": 1024, "start_dim": 512, "end_dim": 2048, "divisible_by": 64}


def mask_lines() -> str:
    """The part of the training step, as it stands in the checkout."""
    path = CHECKOUT / "src/invoke_training/pipelines/stable_diffusion_xl/lora/train.py"
    source = path.read_text(encoding="utf-8")
    start, last = source.index("    if use_masks:\n        # TODO(ryand)"), "        loss = loss * mask\n"
    return textwrap.dedent(source[start : source.index(last, start) + len(last)])


def main() -> None:
    config = yaml.safe_load((EXPORT / "invoke.yaml").read_text(encoding="utf-8"))
    loader_config = ImageCaptionSDDataLoaderConfig(**config["data_loader"], aspect_ratio_buckets=BUCKETS)
    listing = config["data_loader"]["dataset"]["jsonl_path"]
    lines = Path(listing).read_text(encoding="utf-8").splitlines()
    names = [os.path.relpath(json.loads(line)["image"], IMAGES) for line in lines]
    step = compile(mask_lines(), "train.py", "exec")
    loader = build_image_caption_sd_dataloader(loader_config, 1, use_masks=config["use_masks"], shuffle=False)
    for batch in loader:
        image = batch["image"][0] / 2 + 0.5
        loss = torch.ones(1, 4, image.shape[1] // 8, image.shape[2] // 8)
        scope = {"torch": torch, "use_masks": config["use_masks"], "data_batch": batch, "loss": loss}
        exec(step, scope)
        OUTCOME.add(names[int(batch["id"][0])], scope["loss"][0, 0], image[0])
    OUTCOME.write()


if __name__ == "__main__":
    main()
