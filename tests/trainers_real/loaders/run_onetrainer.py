"""OneTrainer: the modules of its SDXL data loader in a real MGDS, and `masked_losses`."""

from __future__ import annotations

import json
import os
import sys
from unittest.mock import MagicMock

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT.parent / "mgds" / "src")]
os.chdir(CHECKOUT)
stand_in_for(
    *("bitsandbytes", "xformers", "runpod", "fabric", "scalene", "adv_optm", "muon", "prodigyopt", "dadaptation"),
    *("lion_pytorch", "schedulefree", "pytorch_optimizer", "prodigyplus", "pooch", "av", "yt_dlp", "scenedetect"),
    *("invisible_watermark", "flash_attn", "deepspeed", "peft", "came_pytorch", "tensorboard"),
)

import torch  # noqa: E402
from mgds.LoadingPipeline import PipelineState  # noqa: E402
from mgds.MGDS import MGDS  # noqa: E402
from mgds.OutputPipelineModule import OutputPipelineModule  # noqa: E402
from mgds.pipelineModules.ScaleImage import ScaleImage  # noqa: E402
from modules.dataLoader.StableDiffusionXLBaseDataLoader import StableDiffusionXLBaseDataLoader  # noqa: E402
from modules.util.config.ConceptConfig import ConceptConfig  # noqa: E402
from modules.util.config.TrainConfig import TrainConfig  # noqa: E402
from modules.util.enum.DataType import DataType  # noqa: E402
from modules.util.loss.masked_loss import masked_losses  # noqa: E402


def main() -> None:
    root = EXPORT / "images"
    config = TrainConfig.default_values()
    pasted = json.loads((EXPORT / "onetrainer.json").read_text(encoding="utf-8"))
    OUTCOME.note("unknown keys", sorted(set(pasted) - set(config.to_dict())))
    config.from_dict({**config.to_dict(), **pasted})
    config.resolution = "1024"
    concept = ConceptConfig.default_values()
    concept.path, concept.include_subdirectories = str(root), True
    concept.image.enable_random_flip = concept.image.enable_crop_jitter = False
    loader = StableDiffusionXLBaseDataLoader.__new__(StableDiffusionXLBaseDataLoader)
    modules = [
        loader._enumerate_input_modules(config),
        loader._load_input_modules(config, DataType.FLOAT_32),
        loader._mask_augmentation_modules(config),
        loader._aspect_bucketing_in(config, 64),
        loader._crop_modules(config),
        loader._augmentation_modules(config),
        [module for module in loader._preparation_modules(config, MagicMock()) if isinstance(module, ScaleImage)],
        [OutputPipelineModule(names=["image_path", "image", "latent_mask"])],
    ]
    dataset = MGDS(
        torch.device("cpu"),
        concepts=[concept.to_dict()],
        settings={"target_resolution": config.resolution, "target_frames": "1"},
        definition=modules,
        batch_size=1,
        state=PipelineState(1),
        initial_epoch=0,
        initial_epoch_sample=0,
    )
    dataset.start_next_epoch()
    for item in dataset:
        mask = item["latent_mask"].float()[None]
        losses = torch.ones(1, 4, *mask.shape[-2:])
        weight = masked_losses(losses, mask, config.unmasked_weight, config.normalize_masked_area_loss)
        OUTCOME.add(os.path.relpath(item["image_path"], root), weight[0, 0], item["image"].float()[0])
    OUTCOME.write()


if __name__ == "__main__":
    main()
