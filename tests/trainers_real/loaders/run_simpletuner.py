"""SimpleTuner: its backends, metadata, sampler, preparation of images, masks of a batch, and the loss of its models."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from outcome import arguments
from stand_ins import stand_in_for

CHECKOUT, EXPORT, IMAGES, OUTCOME = arguments()
sys.path.insert(0, str(CHECKOUT))
os.environ["SIMPLETUNER_LOG_LEVEL"] = "ERROR"
stand_in_for(
    *("bitsandbytes", "deepspeed", "xformers", "optimum", "wandb", "boto3", "botocore", "torchaudio", "av", "compel"),
    *("flash_attn", "sageattention", "torchsde", "pillow_jxl", "peft", "lycoris", "torchao", "colorama", "datasets"),
)

import torch  # noqa: E402
from simpletuner.helpers.caching import vae  # noqa: E402
from simpletuner.helpers.data_backend import factory  # noqa: E402
from simpletuner.helpers.data_backend.local import LocalDataBackend  # noqa: E402
from simpletuner.helpers.metadata.backends.discovery import DiscoveryMetadataBackend  # noqa: E402
from simpletuner.helpers.metadata.utils.duplicator import DatasetDuplicator  # noqa: E402
from simpletuner.helpers.models.common import ImageModelFoundation, PredictionTypes  # noqa: E402
from simpletuner.helpers.multiaspect.sampler import MultiAspectSampler  # noqa: E402
from simpletuner.helpers.training import collate  # noqa: E402
from simpletuner.helpers.training.state_tracker import StateTracker  # noqa: E402


class Arguments(SimpleNamespace):
    """The trainer's arguments; those that nobody set are None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


ACCELERATOR = SimpleNamespace(
    device=torch.device("cpu"), is_main_process=True, is_local_main_process=True, num_processes=1, process_index=0
)
ARGUMENTS = Arguments(
    resolution=1.0,
    resolution_type="pixel_area",
    model_family="sdxl",
    model_type="lora",
    output_dir=tempfile.mkdtemp(),
    aspect_bucket_alignment=64,
    aspect_bucket_rounding=2,
    aspect_bucket_worker_count=1,
    conditioning_multidataset_sampling="combined",
    vae_cache_ondemand=False,
    controlnet=False,
    metadata_backend="discovery",
    caption_strategy="textfile",
    seed=1,
    loss_type="l2",
    masked_loss_probability=1.0,
    train_batch_size=1,
)


class Model(ImageModelFoundation):
    """Only its loss and its transforms are wanted."""

    MAXIMUM_CANVAS_SIZE = None
    PREDICTION_TYPE = PredictionTypes.FLOW_MATCHING

    def __init__(self) -> None:
        self.config, self.accelerator = ARGUMENTS, ACCELERATOR


Model.__abstractmethods__ = frozenset()


def told(name: str, value: object) -> None:
    """Set something of the global state, whatever this version calls the door."""
    setter = getattr(StateTracker, f"set_{name}", None)
    if setter is not None:
        setter(value)
    setattr(StateTracker, name, value)


def backend(entry: dict[str, object], model: Model) -> dict[str, object]:
    """A dataset of the configuration, as the factory makes it."""
    factory.FactoryRegistry._handle_resolution_conversion(SimpleNamespace(args=ARGUMENTS), entry)
    made = dict(factory.init_backend_config(entry, ARGUMENTS, ACCELERATOR))
    made |= {key: entry[key] for key in ("id", "dataset_type", "instance_data_dir")}
    for key in ("instance_data_dir", "dataset_type"):
        made["config"].setdefault(key, entry[key])
    StateTracker.register_data_backend(made)
    made["data_backend"] = LocalDataBackend(ACCELERATOR, entry["id"])
    made["metadata_backend"] = DiscoveryMetadataBackend(
        id=entry["id"],
        instance_data_dir=entry["instance_data_dir"],
        cache_file=f"{ARGUMENTS.output_dir}/cache_{entry['id']}",
        metadata_file=f"{ARGUMENTS.output_dir}/metadata_{entry['id']}",
        data_backend=made["data_backend"],
        accelerator=ACCELERATOR,
        batch_size=1,
        resolution=made["config"]["resolution"],
        resolution_type=made["config"]["resolution_type"],
    )
    sampler = MultiAspectSampler.__new__(MultiAspectSampler)
    is_mask = entry.get("conditioning_type") is not None
    for key, value in {
        "id": entry["id"],
        "metadata_backend": made["metadata_backend"],
        "data_backend": made["data_backend"],
        "model": model,
        "conditioning_type": entry.get("conditioning_type"),
        "source_dataset_id": None,
        "caption_strategy": "filename" if is_mask else "textfile",
        "instance_prompt": None,
        "prepend_instance_prompt": False,
        "use_captions": True,
        "disable_multiline_split": False,
        "accelerator": ACCELERATOR,
        "current_epoch": 1,
        "logger": logging.getLogger("sampler"),
        "rank_info": "",
    }.items():
        setattr(sampler, key, value)
    made["sampler"] = sampler
    return made


def main() -> None:
    random.seed(1)
    model = Model()
    for name, value in (("args", ARGUMENTS), ("model", model), ("accelerator", ACCELERATOR)):
        told(name, value)
    entries = json.loads((EXPORT / "multidatabackend.json").read_text(encoding="utf-8"))
    images, masks = (backend(entry, model) for entry in entries)
    root = Path(images["instance_data_dir"])
    names = sorted(path for path in root.rglob("*") if path.suffix in (".png", ".jpg", ".webp"))
    metadata, buckets, found = images["metadata_backend"], {}, {}
    for path in names:
        buckets = metadata._process_for_bucket(str(path), buckets, metadata_updates=found, statistics={}) or buckets
    metadata.image_metadata, metadata.aspect_ratio_bucket_indices = dict(found), buckets
    for path, facts in found.items():
        metadata.set_metadata_by_filepath(path, facts, update_json=False)
    StateTracker.set_conditioning_datasets(images["id"], [masks["id"]])
    DatasetDuplicator.copy_metadata(source_backend=images, target_backend=masks)
    for path in names:
        one_image(path, path.relative_to(root).as_posix(), images, masks, model)
    OUTCOME.write()


def one_image(path: Path, name: str, images: dict, masks: dict, model: Model) -> None:
    facts = images["metadata_backend"].get_metadata_by_filepath(str(path))
    facts = dict(facts, data_backend_id=images["id"], image_path=str(path), instance_prompt_text="x")
    try:
        pairs = images["sampler"].connect_conditioning_samples((facts,))
    except Exception as error:
        return OUTCOME.error(name, error)
    found = [pair for pair in pairs if not isinstance(pair, dict)]
    if not found:
        return OUTCOME.error(name, "no mask")
    picture = images["data_backend"].read_image(str(path))
    prepared = vae.prepare_sample(image=picture, data_backend_id=images["id"], filepath=str(path), model=model)
    prepared = prepared[0] if isinstance(prepared, tuple) else prepared
    pixels = getattr(prepared, "image", prepared)
    pixels = pixels if torch.is_tensor(pixels) else model.get_transforms()(pixels)
    conditioning = collate.conditioning_pixels(
        [found[0].image_path()], [found[0].training_sample_path(images["id"])], [facts], masks["id"], images["id"]
    )
    OUTCOME.add(name, weights(model, conditioning, pixels.shape[-2:]), pixels[0] / 2 + 0.5)
    return None


def weights(model: Model, conditioning: torch.Tensor, shape_px: tuple[int, int]) -> torch.Tensor:
    """How much each cell counts: the derivative of the loss by a unit error there."""
    latents = torch.zeros(1, 4, shape_px[0] // 8, shape_px[1] // 8)
    batch = {
        "latents": latents,
        "noise": torch.ones_like(latents),
        "loss_mask_type": "mask",
        "conditioning_pixel_values": conditioning,
        "timesteps": torch.zeros(1),
        "sigmas": torch.ones(1),
    }
    prediction = torch.zeros_like(latents).requires_grad_(True)
    model.loss(batch, {"model_prediction": prediction}).backward()
    return prediction.grad.abs()[0, 0] * latents.numel() / 2


if __name__ == "__main__":
    main()
