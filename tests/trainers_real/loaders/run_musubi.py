"""musubi-tuner: what a release does with the configuration of the request's export."""

from __future__ import annotations

import sys
from argparse import Namespace

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path.insert(0, str(CHECKOUT / "src"))
stand_in_for("bitsandbytes", "av", "easydict", "sageattention", "flash_attn", "ascii_magic")

from musubi_tuner.dataset import config_utils  # noqa: E402


def blueprint(config):
    return config_utils.BlueprintGenerator(config_utils.ConfigSanitizer()).generate(
        config, Namespace(), architecture="hv"
    )


def main() -> None:
    config = config_utils.load_user_config(str(EXPORT / "dataset.toml"))
    try:
        blueprint(config)
        OUTCOME.note("config", "accepted")
    except Exception as error:
        OUTCOME.note("config", f"{type(error).__name__}: {error}")
    for dataset in config["datasets"]:
        dataset.pop("watermark_mask_suffix", None)
    group = config_utils.generate_dataset_group_by_blueprint(blueprint(config).dataset_group)
    found = [path for dataset in group.datasets for path in dataset.datasource.image_paths]
    OUTCOME.note("images", sum("_wmask" not in path for path in found))
    OUTCOME.note("masks taken for images", sum("_wmask" in path for path in found))
    OUTCOME.write()


if __name__ == "__main__":
    main()
