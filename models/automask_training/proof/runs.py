"""A proof on disk: what has been made, what comes next, and making it. Everything goes on where it was stopped."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from automask_training.checkpoint import load_state
from automask_training.loop import STATE_FILE, LoopConfig, train
from automask_training.proof import arrays, detector, measure, sets
from automask_training.proof.arms import Arm, all_runs
from automask_training.proof.marks import Kind, Marker
from automask_training.proof.model import Denoiser, ModelConfig
from automask_training.proof.pictures import LIST_FILE, SUBJECTS, CleanPicture, Part, build_pictures, read_list
from automask_training.proof.task import ProofTask, loop_config

LOGGER = logging.getLogger(__name__)
MASKS_FILE = "masks.json"
_BASE = Arm(name="base", about="clean pictures that no arm sees", pixels="clean")
_ARM_PEAK = 1e-3
"""Half of the base's rate: what is there is changed, not learned anew."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large a proof is. `base_samples` make one model on clean pictures, which all arms go on from."""

    quota: Mapping[Part, int] = field(default_factory=lambda: {"train": 340, "held_out": 60})
    base_samples: int = 600_000
    total_samples: int = 30_000
    batch_samples: int = 16
    widths: tuple[int, int, int] = (32, 64, 128)
    per_subject: int = 200
    finder_epochs: int = 8
    feature_epochs: int = 15


class Proof:
    """A folder with pictures, masks, judges and runs.

    Args:
        out: The folder.
        materials: Folders of `synth.materials` that pictures are cut from.
        marker: Opens what lays marks, when it is needed.
        scale: How large.
    """

    def __init__(
        self, out: Path, materials: tuple[Path, ...], marker: Callable[[], Marker], scale: Scale | None = None
    ) -> None:
        self.out, self._materials, self._marker, self._scale = out, materials, marker, scale or Scale()

    def folder_of(self, arm: Arm, seed: int) -> Path:
        """Folder of one run."""
        return self.out / "runs" / arm.run_name(seed)

    def is_measured(self, arm: Arm, seed: int) -> bool:
        """Whether a run is done."""
        return (self.folder_of(arm, seed) / measure.FIGURES_FILE).exists()

    def state_of(self, arm: Arm, seed: int) -> str:
        """One word: measured, started or missing."""
        if self.is_measured(arm, seed):
            return "measured"
        return "started" if (self.folder_of(arm, seed) / STATE_FILE).exists() else "missing"

    def missing(self) -> Iterator[tuple[Arm, int]]:
        """Runs without figures, in order."""
        yield from ((arm, seed) for arm, seed in all_runs() if not self.is_measured(arm, seed))

    # ---- what runs need, each made once ----

    def pictures(self) -> list[CleanPicture]:
        """The clean pictures."""
        path = self.out / LIST_FILE
        if path.exists():
            return read_list(path)
        return build_pictures(self._materials, self.out, quota=self._scale.quota)

    def base(self, *, threads: int = 1) -> Mapping[str, torch.Tensor] | None:
        """Weights of the model that all arms go on from, trained on clean pictures; None when that was stopped."""
        data = arrays.arm_set(self.out, self.pictures(), _BASE, use="base")
        task = ProofTask(_BASE, 0, data, self._model)
        result = train(task, self._loop(0, self._scale.base_samples, threads=threads), self.folder_of(_BASE, 0))
        if not result.finished:
            return None
        return load_state(self.folder_of(_BASE, 0) / STATE_FILE, task=task.name).average

    def base_told(self) -> str:
        """How far the base is, in words."""
        path = self.folder_of(_BASE, 0) / STATE_FILE
        if not path.exists():
            return "missing"
        state = load_state(path, task=ProofTask.name_of(_BASE, 0))
        return f"{state.progress.samples} of {self._scale.base_samples} samples"

    @property
    def _model(self) -> ModelConfig:
        return ModelConfig(subjects=len(SUBJECTS), widths=self._scale.widths)

    def _loop(self, seed: int, total_samples: int, *, threads: int, peak: float = 2e-3) -> LoopConfig:
        batch = self._scale.batch_samples
        return loop_config(seed, total_samples=total_samples, batch_samples=batch, threads=threads, peak=peak)

    def prepare(self, arm: Arm) -> None:
        """Lay the marks of an arm's kind, and let automask make masks where the arm trains with them."""
        pictures = self.pictures()
        sets.lay_marks(pictures, self.out, arm.kind, self._marker)
        if arm.masks == "automask":
            names = [each.name for each in arrays.arms_of(pictures)]
            if not sets.automask_finished(self.out, arm.kind, len(names)):
                sets.run_automask(self.out, arm.kind, names)
            self._compare_masks(arm.kind)

    def judges(self, kind: Kind) -> measure.Judges:
        """Finder, features and held-out pictures for a kind."""
        pictures = self.pictures()
        held = [each for each in pictures if each.part == "held_out"]
        clean_set = arrays.arm_set(self.out, pictures, Arm(name="clean", about="", kind=kind, pixels="clean"))
        marked_set = arrays.arm_set(self.out, pictures, Arm(name="plain", about="", kind=kind))
        finder_path, features_path = self.out / f"finder-{kind}.pt", self.out / "features.pt"
        if not finder_path.exists():
            has = marked_set.marked
            finder = detector.trained_finder(
                clean_set.pixels[has], marked_set.pixels[has], epochs=self._scale.finder_epochs
            )
            detector.save_finder(finder, finder_path)
        network = detector.SmallNet(len(SUBJECTS) + len(clean_set.subject))
        if not features_path.exists():
            network = detector.trained_features(clean_set.pixels, clean_set.subject, epochs=self._scale.feature_epochs)
            torch.save(network.state_dict(), features_path)
        network.load_state_dict(torch.load(features_path, map_location="cpu", weights_only=True))
        clean, marked = arrays.held_out_pair(self.out, held, kind, self._marker)
        return measure.Judges(
            finder=detector.load_finder(finder_path),
            network=network.eval(),
            reference=detector.features_of(network.eval(), clean_set.pixels),
            clean=clean,
            marked=marked,
            subject=np.array([each.subject for each in held]),
        )

    # ---- one run ----

    def do(self, arm: Arm, seed: int, *, threads: int = 1) -> bool:
        """Prepare, train and measure one run, or go on with it; False when it was stopped before its end."""
        base = self.base(threads=threads)
        if base is None:
            return False
        self.prepare(arm)
        folder = self.folder_of(arm, seed)
        data = arrays.arm_set(self.out, self.pictures(), arm, use="arms")
        task = ProofTask(arm, seed, data, self._model, start=base)
        config = self._loop(seed, self._scale.total_samples, threads=threads, peak=_ARM_PEAK)
        result = train(task, config, folder)
        if not result.finished:
            return False
        torch.set_num_threads(threads)
        model: Denoiser = result.module
        began = time.process_time()
        figures = measure.measure(arm, model, self.judges(arm.kind), folder, per_subject=self._scale.per_subject)
        figures |= {
            "run": arm.run_name(seed),
            "about": arm.about,
            "training_samples": result.progress.samples,
            "training_hours": round(result.progress.seconds / 3600, 3),
            "measuring_hours": round((time.process_time() - began) / 3600, 3),
            "trained_weight": float(data.weight.mean()),
            "pictures": len(data.subject),
            "marked_pictures": int(data.marked.sum()),
        }
        (folder / measure.FIGURES_FILE).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        return True

    def _compare_masks(self, kind: Kind) -> None:
        path = self.out / f"{kind}-{MASKS_FILE}"
        if path.exists():
            return
        pictures = self.pictures()
        own = arrays.arm_set(
            self.out, pictures, Arm(name="automask", about="", kind=kind, masks="automask"), use="arms"
        )
        true = arrays.arm_set(self.out, pictures, Arm(name="truth", about="", kind=kind, masks="truth"), use="arms")
        found: dict[str, Any] = arrays.leak_and_waste(own.weight, true.weight)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        LOGGER.info("masks of %s: %s", kind, found)
