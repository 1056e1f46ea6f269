"""ai-toolkit: its data loader, and the lines of its training step that lay the mask over the loss.

The blur of masks is random: each image is loaded ten times with Python's seeded generator, and the weights are means.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import textwrap
from types import SimpleNamespace

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path.insert(0, str(CHECKOUT))
os.chdir(CHECKOUT)
stand_in_for(
    *("bitsandbytes", "xformers", "optimum", "controlnet_aux", "lycoris", "k_diffusion", "pytorch_wavelets"),
    *("hf_transfer", "prodigyopt", "torchaudio", "librosa", "av", "open_clip", "lpips", "pytorch_fid", "easy_dwpose"),
    *("custom_midas_repo", "flash_attn", "sageattention", "deepspeed", "torchcodec", "oyaml", "peft", "albumentations"),
    *("slugify", "soundfile", "flatten_json", "dotenv", "torchao", "gguf"),
)

import torch  # noqa: E402
import yaml  # noqa: E402
from toolkit.data_loader import get_dataloader_from_datasets  # noqa: E402

CELL_PX, DRAWS = 8, 10


def model() -> SimpleNamespace:
    """What the data loader asks of the model."""
    return SimpleNamespace(
        get_bucket_divisibility=lambda: 16,
        is_xl=True,
        is_v3=False,
        is_auraflow=False,
        is_flux=False,
        model_config=SimpleNamespace(latent_space_version="sdxl", is_pixart_sigma=False, arch="sdxl"),
        latent_space_version=None,
        vae=SimpleNamespace(config=SimpleNamespace()),
        unet=SimpleNamespace(config=SimpleNamespace()),
        is_audio_model=False,
        text_embedding_space_version="sd",
        te_padding_side="right",
        encode_control_in_text_embeddings=False,
        adapter=None,
        use_raw_control_images=False,
        do_masked_loss=True,
    )


def mask_lines() -> str:
    """The part of the training step, as it stands in the checkout."""
    source = (CHECKOUT / "extensions_built_in/sd_trainer/SDTrainer.py").read_text(encoding="utf-8").split("\n")
    start = next(at for at, line in enumerate(source) if "mask_multiplier = torch.ones((noisy_latents.shape[0]" in line)
    stop = next(at for at in range(start, len(source)) if "mask_multiplier / mask_multiplier.mean()" in source[at])
    return textwrap.dedent("\n".join(source[start : stop + 1]))


class Step:
    """The training step's own `self`."""

    device_torch = "cpu"

    def __init__(self, sd: SimpleNamespace) -> None:
        self.sd = sd

    @contextlib.contextmanager
    def timer(self, name):
        yield


def main() -> None:
    datasets = yaml.safe_load((EXPORT / "dataset.yaml").read_text(encoding="utf-8"))["datasets"]
    datasets[0]["num_workers"] = 0  # so that one generator makes all draws
    sd, step = model(), compile(mask_lines(), "SDTrainer.py", "exec")
    random.seed(0)
    torch.manual_seed(0)
    weights: dict[str, list] = {}
    reds = {}
    loader = get_dataloader_from_datasets(datasets, 1, sd)
    for _ in range(DRAWS):
        for batch in loader:
            image = batch.tensor[0] / 2 + 0.5
            latents = torch.zeros(1, 4, image.shape[1] // CELL_PX, image.shape[2] // CELL_PX)
            scope = {
                "torch": torch,
                "noisy_latents": latents,
                "batch": batch,
                "self": Step(sd),
                "dtype": torch.float32,
            }
            exec(step, scope)
            found = scope["mask_multiplier"][0, 0]
            item = batch.file_items[0]
            name = os.path.relpath(item.path, datasets[0]["folder_path"])
            if not item.has_mask_image:
                OUTCOME.error(name, "no mask")
                continue
            weights.setdefault(name, []).append(found / found.max())  # without the factor that normalising brings
            reds[name] = image[0]
    for name, draws in weights.items():
        OUTCOME.add(name, torch.stack(draws).mean(dim=0), reds[name])
    OUTCOME.note("draws", DRAWS)
    OUTCOME.note("draws differ", any(not torch.equal(draws[0], draw) for draws in weights.values() for draw in draws))
    OUTCOME.write()


if __name__ == "__main__":
    main()
