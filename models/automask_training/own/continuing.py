"""Going on from trained weights: the start, the schedule, and when to end."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automask.errors import WeightsError
from automask.weights import WEIGHTS_VARIABLE, user_cache_folder
from automask_models import WEIGHT_CATALOGUE
from automask_training.checkpoint import Progress, StateError, TrainingState, load_state, save_state
from automask_training.devices import moved
from automask_training.loop import LoopConfig, Task
from automask_training.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn

LATE_SAMPLES = 1_000_000
"""What a continued task says about samples before it: whatever fades in the first thousands has faded."""

HELD_OUT_FILE = "held-out.csv"
_CHECKS = 20
_PATIENCE_CHECKS = 6
_STEPS_PER_CHECK = 5
_WARMUP_SHARE = 0.05
_DECAY_FROM_SHARE = 0.5


def recipe_folders() -> tuple[Path, ...]:
    """Where recipes and states lie: in a clone beside the packages, in an installed wheel within this one."""
    package = Path(__file__).parents[1]
    return package.parent / "training", package / "recipes"


def trainable_weights(name: str) -> Path:
    """The trainable weights of a shipped weight: `NAME.state.pt`, `NAME.pt` or `NAME.safetensors`.

    Looked for in `$AUTOMASK_WEIGHTS`, the weights shipped with the package, the states of a clone or of an installed
    package, and the user cache.

    Raises:
        WeightsError: None of them has any.
    """
    places = [
        *([Path(os.environ[WEIGHTS_VARIABLE])] if os.environ.get(WEIGHTS_VARIABLE) else []),
        Path(WEIGHT_CATALOGUE).parent / "weights",
        *(folder / "state" for folder in recipe_folders()),
        user_cache_folder(),
    ]
    for place in places:
        for ending in (".state.pt", ".pt", ".safetensors"):
            if (place / f"{name}{ending}").is_file():
                return place / f"{name}{ending}"
    raise WeightsError(
        f"There are no trainable weights of {name!r} in {', '.join(str(place) for place in places)}.",
        advice="Name a state or .safetensors file with --start FILE, or train from nothing with --from-nothing.",
        code="weights-missing",
    )


@dataclass(frozen=True)
class ContinuedTask:
    """A task whose new module has the weights of a file instead of random ones.

    Attributes:
        task: The task.
        start: A state of that task, a .safetensors file with its module's values, or None to start from nothing.
    """

    task: Task[Any, Any]
    start: Path | None

    @property
    def name(self) -> str:
        """See `loop.Task`."""
        return self.task.name

    def build(self) -> nn.Module:
        """The module with the weights of the file.

        Raises:
            WeightsError: The file is damaged, or of another task or shape.
        """
        module = self.task.build()
        if self.start is not None:
            try:
                module.load_state_dict(_module_values(self.start, task=self.name))
            except WeightsError:
                raise
            except Exception as error:  # torch and safetensors raise a dozen types on damaged files
                raise WeightsError(
                    f"{self.start} does not hold weights of task {self.name!r}: {str(error).splitlines()[0]}.",
                    advice="Give a state of the same task and recipe.",
                    code="weights-layout",
                ) from error
        return module

    def sample(self, index: int) -> Any:  # noqa: ANN401 - whatever the task's samples are
        """See `loop.Task`."""
        return self.task.sample(index)

    def collate(self, samples: list[Any]) -> Any:  # noqa: ANN401
        """See `loop.Task`."""
        return self.task.collate(samples)

    def loss(self, module: nn.Module, batch: Any, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:  # noqa: ANN401
        """See `loop.Task`; a continued task is past its first thousands of samples.

        What its layers know of the spread of their inputs stays: twenty images would overwrite it with their own.
        """
        if self.start is not None:
            _keep_statistics(module)
        return self.task.loss(module, batch, samples=samples + (LATE_SAMPLES if self.start is not None else 0))


def _keep_statistics(module: nn.Module) -> None:
    """Let batch normalisation use and keep the statistics that it has."""
    from torch.nn.modules.batchnorm import _BatchNorm

    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _module_values(path: Path, *, task: str) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        values: dict[str, Any] = load_file(path)
        return values
    try:
        return load_state(path, task=task).average
    except StateError as error:
        raise WeightsError(f"{error}.", advice="Give a state of the same task.", code="weights-layout") from error


def continued_loop(
    config: LoopConfig, *, total_samples: int, rate: float, seed: int, threads: int | None, workers: int
) -> LoopConfig:
    """The loop of a recipe for a short run: warm up, hold, and decay from the middle on.

    Args:
        config: Of the recipe.
        total_samples: How many samples at most.
        rate: Peak rate as a share of the recipe's.
        seed: Of torch.
        threads: Of torch, or None for the recipe's.
        workers: Processes that make samples.
    """
    steps = max(1, total_samples // config.batch_samples)
    schedule = Schedule(
        peak=config.schedule.peak * rate,
        warmup_samples=int(total_samples * _WARMUP_SHARE),
        decay_start_samples=int(total_samples * _DECAY_FROM_SHARE),
        total_samples=total_samples,
    )
    return replace(
        config,
        schedule=schedule,
        average_decay=min(config.average_decay, max(0.8, 1 - 20 / steps)),
        log_steps=max(1, min(config.log_steps, steps // _CHECKS)),
        seed=seed,
        threads=threads or config.threads,
        workers=workers,
        checkpoint_seconds=min(config.checkpoint_seconds, 120.0),
    )


@dataclass(frozen=True)
class HeldOutLoss:
    """Loss on held-out samples after so many training samples."""

    samples: int
    loss: float


class EarlyStop:
    """Judges the moving average on held-out samples now and then, keeps the best, and says when to end.

    What it knows stands in `held-out.csv`; a resumed run drops the rows after its state and makes them again.

    Args:
        task: The task over the held-out images.
        out: Folder of the run; the best state goes to `best/state.pt` below it.
        every_samples: How often it judges.
        judged_samples: How many samples it judges by, always the same ones.
        since_samples: Where the run goes on.
    """

    def __init__(
        self, task: Task[Any, Any], out: Path, *, every_samples: int, judged_samples: int, since_samples: int
    ) -> None:
        self._task = task
        self._out = out
        self._every_samples = every_samples
        self._batches: list[Any] = []
        self._judged_samples = judged_samples
        self.rows = [row for row in _read_rows(out / HELD_OUT_FILE) if row.samples <= since_samples]
        self._write()

    @property
    def best(self) -> HeldOutLoss:
        """The best row of the training so far; the start itself does not count."""
        return min(self.rows[1:], key=lambda row: row.loss)

    @property
    def start(self) -> HeldOutLoss:
        """How good the weights were before."""
        return self.rows[0]

    @property
    def has_ended(self) -> bool:
        """Whether the loss has not fallen for too long."""
        trained = self.rows[1:]
        return bool(trained) and len(trained) - 1 - trained.index(self.best) >= _PATIENCE_CHECKS

    def judge_start(self, module: nn.Module) -> None:
        """Judge the weights before the training; does nothing when that was done."""
        if not self.rows:
            self._add(HeldOutLoss(0, self._loss(module)))

    def __call__(self, progress: Progress, module: nn.Module) -> bool:
        """Judge if it is time to; True to end the training."""
        if progress.samples < self.rows[-1].samples + self._every_samples:
            return False
        self.judge(progress, module)
        return self.has_ended

    def judge(self, progress: Progress, module: nn.Module) -> None:
        """Judge the moving average and keep it if it is the best so far."""
        row = HeldOutLoss(progress.samples, self._loss(module))
        if len(self.rows) == 1 or row.loss < self.best.loss:
            save_average(module, self._out / "best" / "state.pt", task=self._task.name, progress=progress)
        self._add(row)

    def _loss(self, module: nn.Module) -> float:
        import torch

        losses = []
        device = next(module.parameters()).device.type
        module.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for batch in self._held_out():
                losses.append(float(self._task.loss(module, moved(batch, device), samples=LATE_SAMPLES)[0]))
        return sum(losses) / len(losses)

    def _held_out(self) -> list[Any]:
        if not self._batches:
            size = 4
            for first in range(0, self._judged_samples, size):
                indices = range(first, min(first + size, self._judged_samples))
                self._batches.append(self._task.collate([self._task.sample(index) for index in indices]))
        return self._batches

    def _add(self, row: HeldOutLoss) -> None:
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        from automask.files.atomic import write_atomic

        lines = ["samples,loss", *(f"{row.samples},{row.loss!r}" for row in self.rows)]
        write_atomic(self._out / HELD_OUT_FILE, ("\n".join(lines) + "\n").encode())


def _read_rows(path: Path) -> list[HeldOutLoss]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [HeldOutLoss(int(row["samples"]), float(row["loss"])) for row in csv.DictReader(file)]


def save_average(module: nn.Module, path: Path, *, task: str, progress: Progress) -> None:
    """Write a module as a state to export or to continue from, without an optimizer."""
    import torch

    values = dict(module.state_dict())
    save_state(
        TrainingState(
            task=task,
            progress=progress,
            module=values,
            average=values,
            optimizer={"state": {}, "param_groups": []},
            torch_rng=torch.get_rng_state(),
        ),
        path,
    )


def checks_every(total_samples: int, *, batch_samples: int) -> int:
    """How many samples lie between two judgements.

    At least so many steps that the patience outlasts the warm-up of a short run; a judgement costs more than a step.
    """
    return max(_STEPS_PER_CHECK * batch_samples, total_samples // _CHECKS // batch_samples * batch_samples)
