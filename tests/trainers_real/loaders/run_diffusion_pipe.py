"""diffusion-pipe: `DirectoryDataset`, `PreprocessMediaFile`, the inputs and the loss of SDXL."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path.insert(0, str(CHECKOUT))
os.chdir(CHECKOUT)
stand_in_for("deepspeed", "comfy", "comfy_api", "torchaudio", "bitsandbytes", "flash_attn", "imageio", "av", "peft")

import deepspeed.utils.logging  # noqa: E402
import torch  # noqa: E402

deepspeed.utils.logging.logger = logging.getLogger("diffusion-pipe")

import models.base  # noqa: E402
import models.sdxl  # noqa: E402
import utils.dataset  # noqa: E402
from diffusers import DDPMScheduler  # noqa: E402

utils.dataset.is_main_process = lambda: True
utils.dataset.NUM_PROC = 1


class Pipeline(models.base.BasePipeline):
    """Only its loss is wanted."""

    def __init__(self) -> None:
        self.config: dict[str, object] = {}


def model() -> SimpleNamespace:
    """What `SDXLPipeline.prepare_inputs` asks of itself beside latents and mask."""
    return SimpleNamespace(
        _get_input_ids=lambda *args: torch.zeros(1, 1),
        _get_add_time_ids=lambda *args, **kwargs: torch.zeros(1, 6),
        tokenizer=None,
        tokenizer_2=None,
        v_pred=False,
        vae_scale_factor=8,
        text_encoder_2=SimpleNamespace(config=SimpleNamespace(projection_dim=1)),
        scheduler=DDPMScheduler(),
    )


def bucket_px(buckets) -> tuple[int, int]:
    side = buckets.resolutions[0]
    width = (side**2 * buckets.ar_frames[0]) ** 0.5
    step = buckets.round_to_multiple
    return tuple(utils.dataset.round_to_nearest_multiple(value, step) for value in (width, side**2 / width))


def main() -> None:
    config = tomllib.loads((EXPORT / "dataset.toml").read_text(encoding="utf-8"))
    preprocess = models.base.PreprocessMediaFile(config, support_video=False, framerate=None)
    loss = Pipeline().get_loss_fn()
    for directory in config["directory"]:
        dataset = utils.dataset.DirectoryDataset(directory, config, "sdxl", skip_dataset_validation=True)
        dataset.cache_metadata(regenerate_cache=True)
        for buckets in dataset.ar_bucket_datasets:
            width, height = bucket_px(buckets)
            for example in buckets.metadata_dataset:
                name = Path(example["image_spec"][1]).relative_to(IMAGES).as_posix()
                try:
                    ((image, _, mask),) = preprocess(example["image_spec"], example["mask_file"], (width, height, 1))
                except Exception as error:
                    OUTCOME.error(name, error)
                    continue
                shape = (1, 4, height // 8, width // 8)
                inputs = {"latents": torch.zeros(shape), "caption": ["x"], "mask": None if mask is None else mask[None]}
                _, (target, cells) = models.sdxl.SDXLPipeline.prepare_inputs(model(), inputs)
                OUTCOME.add(name, weights(loss, target, cells), image[0])
        shutil.rmtree(Path(directory["path"], "cache"), ignore_errors=True)
    OUTCOME.write()


def weights(loss, target, cells):
    """How much each cell counts: the derivative of the loss by a unit error there."""
    output = (target + 1).requires_grad_(True)
    loss(output, (target, cells if cells is not None else torch.tensor([]))).backward()
    return output.grad[0, 0] * output.numel() / 2


if __name__ == "__main__":
    main()
