"""The figures of one arm: how often its samples carry the mark, how near they are to clean pictures, and when asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from automask_training.proof.arms import Arm
from automask_training.proof.detector import Finder, SmallNet, as_tensor, features_of
from automask_training.proof.estimates import kernel_distance, share_above
from automask_training.proof.model import Denoiser, Sampling, drawn_samples
from automask_training.proof.pictures import SUBJECTS
from automask_training.synth.raster import Bytes

FIGURES_FILE = "figures.json"
SAMPLES_FILE = "samples.npz"
GRID_FILE = "grid.jpg"
START_TIMES = (0.5, 0.7)
"""Shares of noise that pictures with a mark are sampled from: half, and more than most people use."""
_GRID_COLUMNS = 12
_BATCH = 24
_NOISE_SEED = 1000


@dataclass(frozen=True, eq=False)
class Judges:
    """What samples are measured with.

    Attributes:
        finder: Finds marks of the arm's kind.
        network: Whose features the distance is taken over.
        reference: Features of the clean pictures, float32 (M, D).
        clean: Held-out pictures without marks, uint8 (K, 64, 64, 3).
        marked: The same with marks.
        subject: int64 (K,), of both.
    """

    finder: Finder
    network: SmallNet
    reference: NDArray[np.float32]
    clean: Bytes
    marked: Bytes
    subject: NDArray[np.int64]


def samples_of(model: Denoiser, subject: NDArray[np.int64], sampling: Sampling, *, start: Bytes | None = None) -> Bytes:
    """Samples uint8 (N, 64, 64, 3) of subjects (N,); number i starts from the same noise in every arm and seed."""
    made = []
    for at in range(0, len(subject), _BATCH):
        chosen = subject[at : at + _BATCH]
        noise = np.stack(
            [
                np.random.default_rng((_NOISE_SEED, at + number)).standard_normal((12, 32, 32), dtype=np.float32)
                for number in range(len(chosen))
            ]
        )
        drawn = drawn_samples(
            model,
            torch.from_numpy(chosen),
            torch.from_numpy(noise),
            sampling,
            start=None if start is None else as_tensor(start[at : at + _BATCH]),
        )
        made.append(((drawn + 1.0) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(made)


def sampling_of(arm: Arm) -> Sampling:
    """How an arm's samples are drawn; a negative prompt acts at all times: it is all that holds the mark off."""
    return Sampling(negative=True, guided_times=(0.0, 1.0)) if arm.negative else Sampling()


def measure(arm: Arm, model: Denoiser, judges: Judges, out: Path, *, per_subject: int) -> dict[str, Any]:
    """Draw samples of a trained arm and write its figures, samples and grid to `out`.

    Returns:
        What is written: `share` of samples with the mark as found, `mistaken` of held-out clean pictures, `missed` of
        held-out marked ones, `share_less_mistaken` and `kid` with intervals, `asked` for what brings it back.
    """
    model = model.eval()
    subject = np.repeat(np.arange(len(SUBJECTS)), per_subject)
    sampling = sampling_of(arm)
    samples = samples_of(model, subject, sampling)
    found = judges.finder.found(samples)
    mistaken = judges.finder.found(judges.clean)
    asked: dict[str, float] = {}
    for time in START_TIMES:
        again = samples_of(model, judges.subject, replace(sampling, start_time=time), start=judges.marked)
        asked[f"from a marked picture, noise {time:g}"] = float(judges.finder.found(again).mean())
    if arm.tagged:
        few = subject[:: max(1, per_subject // 50)]
        asked["by the tag"] = float(judges.finder.found(samples_of(model, few, Sampling(tag=1))).mean())
    figures: dict[str, Any] = {
        "samples": len(samples),
        "share": float(found.mean()),
        "share_by_subject": {each.name: float(found[subject == number].mean()) for number, each in enumerate(SUBJECTS)},
        "mistaken": float(mistaken.mean()),
        "missed": float(1.0 - judges.finder.found(judges.marked).mean()),
        "held_out": len(judges.clean),
        "share_less_mistaken": asdict(share_above(found, mistaken)),
        "kid": asdict(kernel_distance(features_of(judges.network, samples), judges.reference)),
        "asked": asked,
    }
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / SAMPLES_FILE, samples=samples, subject=subject, found=found)
    write_grid(samples, subject, out / GRID_FILE)
    (out / FIGURES_FILE).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def write_grid(samples: Bytes, subject: NDArray[np.int64], path: Path) -> None:
    """The first samples of every subject by index, a row each."""
    rows = [samples[subject == number][:_GRID_COLUMNS] for number in range(len(SUBJECTS))]
    Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows])).save(path, quality=90)
