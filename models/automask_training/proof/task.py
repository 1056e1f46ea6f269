"""One arm as a task of the training loop: which pixels, which weights, and `automask.training`'s masked loss."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from automask.training import masked_loss
from automask_training.loop import LoopConfig
from automask_training.proof.arms import Arm
from automask_training.proof.model import Denoiser, ModelConfig, folded
from automask_training.schedule import Schedule

NO_SUBJECT_SHARE = 0.1
"""Of the samples, for classifier-free guidance."""


@dataclass(frozen=True, eq=False)
class ArmSet:
    """What one arm trains on.

    Attributes:
        pixels: uint8 (N, 64, 64, 3).
        weight: float32 (N, 32, 32), 1 = train.
        subject: int64 (N,).
        marked: bool (N,).
    """

    pixels: NDArray[np.uint8]
    weight: NDArray[np.float32]
    subject: NDArray[np.int64]
    marked: NDArray[np.bool_]


class _Sample(NamedTuple):
    pixels: NDArray[np.float32]
    weight: NDArray[np.float32]
    subject: int
    tag: int
    time: float
    noise: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ProofBatch:
    """Tensors of one step: (B, 3, 64, 64), (B, 1, 32, 32), (B,), (B,), (B,), (B, 12, 32, 32)."""

    pixels: Tensor
    weight: Tensor
    subject: Tensor
    tag: Tensor
    time: Tensor
    noise: Tensor


class ProofTask:
    """Trains a `Denoiser`. Nothing is mirrored: that would mirror the marks."""

    def __init__(
        self, arm: Arm, seed: int, data: ArmSet, config: ModelConfig, *, start: Mapping[str, Tensor] | None = None
    ) -> None:
        """Train from `start`, weights by name, or from random ones."""
        self._arm, self._seed, self._data, self._config, self._start = arm, seed, data, config, start

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.name_of(self._arm, self._seed)

    @staticmethod
    def name_of(arm: Arm, seed: int) -> str:
        """The name that states of a run carry."""
        return f"proof-{arm.run_name(seed)}"

    def build(self) -> Denoiser:
        """New network, laid out as convolutions on a processor like it best (a quarter faster, measured)."""
        network: Denoiser = Denoiser(self._config)
        if self._start is not None:
            network.load_state_dict(dict(self._start))
        laid_out: Denoiser = network.to(memory_format=torch.channels_last)
        return laid_out

    def sample(self, index: int) -> _Sample:
        """Picture, noise and time number `index`: the same in every arm of a seed."""
        data = self._data
        epoch, place = divmod(index, len(data.subject))
        order = np.random.default_rng((self._seed, epoch)).permutation(len(data.subject))
        picture = int(order[place])
        rng = np.random.default_rng((self._seed, 1, index))
        dropped = rng.random() < NO_SUBJECT_SHARE
        # Logit-normal times (Esser et al. 2024): both ends are easy and need few steps.
        time = 1.0 / (1.0 + np.exp(-rng.normal()))
        return _Sample(
            pixels=data.pixels[picture].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1.0,
            weight=data.weight[picture][None],
            subject=self._config.subjects if dropped else int(data.subject[picture]),
            tag=int(self._arm.tagged and bool(data.marked[picture]) and not dropped),
            time=float(time),
            noise=rng.standard_normal((12, 32, 32), dtype=np.float32),
        )

    def collate(self, samples: list[_Sample]) -> ProofBatch:
        """A batch of samples."""
        return ProofBatch(
            pixels=torch.from_numpy(np.stack([each.pixels for each in samples])),
            weight=torch.from_numpy(np.stack([each.weight for each in samples])),
            subject=torch.tensor([each.subject for each in samples]),
            tag=torch.tensor([each.tag for each in samples]),
            time=torch.tensor([each.time for each in samples], dtype=torch.float32),
            noise=torch.from_numpy(np.stack([each.noise for each in samples])),
        )

    def loss(self, module: Denoiser, batch: ProofBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Masked error of the told direction, by cell."""
        latents = folded(batch.pixels)
        time = batch.time[:, None, None, None]
        told = module((1 - time) * latents + time * batch.noise, batch.time, batch.subject, batch.tag)
        errors = (told - (batch.noise - latents)).square()
        loss = masked_loss(errors, batch.weight).mean()
        return loss, {"error": float(errors.detach().mean())}


def loop_config(
    seed: int, *, total_samples: int, batch_samples: int = 16, threads: int = 1, peak: float = 2e-3
) -> LoopConfig:
    """How the base and every arm are trained; how long is told in docs/proof.md."""
    return LoopConfig(
        batch_samples=batch_samples,
        schedule=Schedule(
            peak=peak,
            warmup_samples=min(1600, total_samples // 10),
            decay_start_samples=round(total_samples * 0.6),
            total_samples=total_samples,
        ),
        average_decay=0.998,
        pretrained="net",
        seed=seed,
        threads=threads,
        workers=0,
        checkpoint_seconds=120.0,
        log_steps=50,
    )


def has_mask(name: str, recall: float) -> bool:
    """Whether a marked picture is among the share that has its mask; a larger share holds every smaller one."""
    return zlib.crc32(b"recall" + name.encode()) % 1000 < 1000 * recall
