"""AkaneTendo25/musubi-tuner: its configuration, `ImageDataset`, and what LTX-2 caches of a mask."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path.insert(0, str(CHECKOUT / "src"))
stand_in_for(
    *("bitsandbytes", "av", "easydict", "sageattention", "flash_attn", "ascii_magic", "librosa", "soundfile"),
    "torchaudio",
)

import torch  # noqa: E402
from musubi_tuner import ltx2_cache_latents  # noqa: E402
from musubi_tuner.dataset import config_utils  # noqa: E402
from musubi_tuner.training.losses import apply_loss_mask  # noqa: E402


class Encoder(torch.nn.Module):
    """Latents of the size that LTX-2 has, of nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, pixels):
        _, _, frames, height, width = pixels.shape
        return torch.zeros(pixels.shape[0], 128, (frames - 1) // 8 + 1, height // 32, width // 32)


def main() -> None:
    config = config_utils.load_user_config(str(EXPORT / "dataset.toml"))
    blueprint = config_utils.BlueprintGenerator(config_utils.ConfigSanitizer()).generate(
        config, Namespace(), architecture="ltx2"
    )
    group = config_utils.generate_dataset_group_by_blueprint(blueprint.dataset_group)
    saved: dict[str, object] = {}

    def save(item, latents, extra_tensors=None, **kwargs):
        saved[item.item_key] = extra_tensors["video_loss_mask"] if extra_tensors else None

    ltx2_cache_latents.save_latent_cache_ltx2 = save
    for dataset in group.datasets:
        for _, batch in dataset.retrieve_latent_cache_batches(num_workers=1):
            for item in batch:
                ltx2_cache_latents.encode_and_save_batch(Encoder(), [item])
                name = Path(item.item_key).relative_to(IMAGES).as_posix()
                mask = saved[item.item_key]
                if mask is None:
                    OUTCOME.error(name, "no mask")
                    continue
                OUTCOME.add(name, weights(mask[None]), item.content[..., 0] / 255.0)
    OUTCOME.write()


def weights(mask):
    """How much each cell counts, apart from the common factor that normalising brings."""
    error = torch.ones(1, 128, *mask.shape[2:], requires_grad=True)
    apply_loss_mask(error, mask)[0].backward()
    found = error.grad[0, 0, 0]
    return found / found.max()


if __name__ == "__main__":
    main()
