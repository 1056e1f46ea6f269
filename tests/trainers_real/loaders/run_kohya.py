"""sd-scripts: its configuration, its datasets, `apply_masked_loss`.

With `masks`, the mask folder; with `alpha`, the alpha channel.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from outcome import arguments
from stand_ins import lend, stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
MODE = sys.argv[5]
sys.path.insert(0, str(CHECKOUT))
os.chdir(CHECKOUT)
stand_in_for("bitsandbytes", "xformers", "lion_pytorch", "dadaptation", "prodigyopt", "schedulefree", "wandb", "ftfy")

import torch  # noqa: E402
from diffusers import StableDiffusionPipeline  # noqa: E402, F401  # it imports transformers anew

lend("transformers", "CLIPFeatureExtractor")

import train_network  # noqa: E402
from library import config_util, strategy_base, train_util  # noqa: E402
from library.custom_train_functions import apply_masked_loss  # noqa: E402

CELL_PX = 8


class NoText(strategy_base.TokenizeStrategy):
    """No text encoder is wanted here."""

    def tokenize(self, text, *args, **kwargs):
        return [torch.zeros(1, 77, dtype=torch.long)]


def main() -> None:
    logging.disable(logging.INFO)
    config = EXPORT / "dataset.toml"
    arguments_of = ["--dataset_config", str(config)] + (["--masked_loss"] if MODE != "alpha" else [])
    args = train_network.setup_parser().parse_args(arguments_of)
    train_util.prepare_dataset_args(args, True)
    strategy_base.TokenizeStrategy.set_strategy(NoText())
    sanitizer = config_util.ConfigSanitizer(True, True, args.masked_loss, True)
    blueprint = config_util.BlueprintGenerator(sanitizer).generate(config_util.load_user_config(str(config)), args)
    group, _ = config_util.generate_dataset_group_by_blueprint(blueprint.dataset_group)
    group.set_current_strategies()
    root = EXPORT / "images" if MODE == "alpha" else IMAGES
    for dataset in group.datasets:
        inner = getattr(dataset, "dreambooth_dataset_delegate", dataset)
        for index in range(len(dataset)):
            place = inner.buckets_indices[index]
            key = inner.bucket_manager.buckets[place.bucket_index][place.batch_index * place.bucket_batch_size]
            info = inner.image_data[key]
            example = dataset[index]
            red = example["images"][0, 0] / 2 + 0.5
            shape = (1, 4, red.shape[0] // CELL_PX, red.shape[1] // CELL_PX)
            weight = apply_masked_loss(torch.ones(shape), example)[0, 0]
            OUTCOME.add(Path(info.absolute_path).relative_to(root).as_posix(), weight, red)
    OUTCOME.write()


if __name__ == "__main__":
    main()
