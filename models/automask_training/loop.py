"""The one training loop: resumable to the bit, stoppable, with a log that a table program can read."""

from __future__ import annotations

import csv
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, get_args

from automask_training.average import MovingAverage
from automask_training.checkpoint import Progress, StateError, TrainingState, load_state, save_state
from automask_training.devices import moved
from automask_training.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import FrameType

    from torch import Tensor, nn

LOGGER = logging.getLogger(__name__)
STATE_FILE = "state.pt"
LOSS_FILE = "loss.csv"
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How to train, apart from what. `pretrained` and `pretrained_rate` as for `muon.parameter_groups`.

    `precision` is that of the products in convolutions and linear layers, so also of what such a layer puts out: a task
    casts what it computes its loss from. Weights stay in float32. bfloat16 takes three fifths of the time of a step on
    processors that compute with it (AVX-512 BF16, AMX) and is slow on others.
    """

    batch_samples: int = 4
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 0.05
    average_decay: float = 0.998
    clip_norm: float = 1.0
    pretrained: str = ""
    pretrained_rate: float = 1.0
    seed: int = 0
    precision: Precision = "float32"
    threads: int = 2
    workers: int = 1
    prefetch_batches: int = 4
    checkpoint_seconds: float = 600.0
    log_steps: int = 20

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if self.batch_samples < 1 or self.threads < 1 or self.log_steps < 1 or self.workers < 0:
            raise ValueError("batch_samples, threads and log_steps must be at least 1 and workers at least 0")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision is {self.precision!r}, known are {', '.join(get_args(Precision))}")


SampleT = TypeVar("SampleT")
BatchT = TypeVar("BatchT")


class Task(Protocol[SampleT, BatchT]):
    """What is trained. `sample` runs in worker processes: it must be a pure function of the index."""

    @property
    def name(self) -> str:
        """Short name that guards against resuming another task's state."""
        ...

    def build(self) -> nn.Module:
        """New module; the loop seeds torch before the call."""
        ...

    def sample(self, index: int) -> SampleT:
        """Training sample number `index`, picklable."""
        ...

    def collate(self, samples: list[SampleT]) -> BatchT:
        """Batch of samples as tensors."""
        ...

    def loss(self, module: nn.Module, batch: BatchT, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Scalar loss and its named parts; `samples` is how many came before this batch."""
        ...


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a run ended with: `module` is the moving average, ready for evaluation or export."""

    module: nn.Module
    progress: Progress
    finished: bool


class _StopFlag:
    """Turns SIGTERM and SIGINT into a request to save and return; other handlers come back on exit."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> _StopFlag:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True


def train(
    task: Task[SampleT, BatchT],
    config: LoopConfig,
    out: Path,
    *,
    after_log: Callable[[Progress], None] | None = None,
    ends: Callable[[Progress, nn.Module], bool] | None = None,
    device: str = "cpu",
) -> TrainingResult:
    """Train `task` into folder `out`, going on from the state that is there, if any.

    Stops at `schedule.total_samples`, when `ends` says so, or on SIGTERM/SIGINT (main thread only), and saves in every
    case. The state depends on samples seen, never on the clock, which only decides when a checkpoint is written.

    Args:
        task: What is trained.
        config: How.
        out: Folder of the state and the log.
        after_log: Called with every row of the log.
        ends: Called after every step with the moving average; True finishes the training early.
        device: Where torch computes: cpu, cuda or mps. States are the same for all of them, but only on one CPU does a
            resumed training equal an uninterrupted one to the bit.

    Raises:
        StateError: `out` holds a state of another task.
    """
    import torch

    from automask_training.muon import MuonAdamW, parameter_groups

    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    module = task.build().to(device).train()
    average = MovingAverage(module, decay=config.average_decay)
    groups = parameter_groups(
        module,
        weight_decay=config.weight_decay,
        pretrained=config.pretrained,
        pretrained_rate=config.pretrained_rate,
    )
    optimizer = MuonAdamW(groups, rate=config.schedule.peak)
    progress = Progress()
    state_path = out / STATE_FILE
    if state_path.exists():
        state = load_state(state_path, task=task.name)
        module.load_state_dict(state.module)
        average.load_state_dict(state.average)
        optimizer.load_state_dict(state.optimizer)
        torch.set_rng_state(state.torch_rng)
        progress = state.progress
        LOGGER.info("going on from %s at %d samples", state_path, progress.samples)

    def checkpoint() -> None:
        save_state(
            TrainingState(
                task=task.name,
                progress=progress,
                module=module.state_dict(),
                average=average.state_dict(),
                optimizer=optimizer.state_dict(),
                torch_rng=torch.get_rng_state(),
            ),
            state_path,
        )

    log = LossLog(out / LOSS_FILE, since_samples=progress.samples)
    last_save = time.monotonic()
    ended = False
    total = config.schedule.total_samples
    with _StopFlag() as stop:
        batches = _batches(task, config, first=progress.samples)
        while not (stop.requested or ended):
            try:
                batch = next(batches)
            except StopIteration:
                break
            except Exception:
                # A stop signal to the whole group ends the workers too; that is no error of the data.
                if stop.requested:
                    break
                # Between two steps the state is whole: keep it, whatever is wrong with the data.
                checkpoint()
                raise
            started = time.process_time()
            rate = config.schedule.rate(progress.samples)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate_share"]
            with torch.autocast(device, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
                loss, parts = task.loss(module, moved(batch, device), samples=progress.samples)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm))
            if norm == norm and norm != float("inf"):
                optimizer.step()
            else:
                LOGGER.warning("step %d has a gradient that is not finite and is skipped", progress.steps)
            steps = progress.steps + 1
            average.update(module, steps=steps)
            progress = Progress(
                steps=steps,
                samples=progress.samples + config.batch_samples,
                seconds=progress.seconds + time.process_time() - started,
            )
            log.add({"loss": float(loss.detach()), "norm": norm, **parts})
            if steps % config.log_steps == 0:
                log.flush(progress, rate=rate)
                if after_log is not None:
                    after_log(progress)
            # Before the checkpoint: whatever `ends` keeps is then never behind the state.
            ended = ends is not None and ends(progress, average.module)
            if time.monotonic() - last_save > config.checkpoint_seconds:
                checkpoint()
                last_save = time.monotonic()
    checkpoint()
    return TrainingResult(module=average.module.cpu(), progress=progress, finished=ended or progress.samples >= total)


class LossLog:
    """Means of the loss parts over `log_steps` steps, one CSV row each; rows after a resume point are dropped."""

    def __init__(self, path: Path, *, since_samples: int) -> None:
        """Open `path` for appending, keeping rows up to `since_samples`."""
        self._path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with path.open(newline="") as file:
                rows = list(csv.reader(file))
            kept = rows[:1] + [row for row in rows[1:] if int(row[0]) <= since_samples]
            with path.open("w", newline="") as file:
                csv.writer(file).writerows(kept)

    def add(self, values: Mapping[str, float]) -> None:
        """Add one step."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def flush(self, progress: Progress, *, rate: float) -> None:
        """Write one row of means since the last flush."""
        means = {name: total / self._count for name, total in self._sums.items()}
        row = [
            progress.samples,
            progress.steps,
            f"{progress.seconds / 3600:.4f}",
            f"{rate:.3g}",
            *(f"{value:.4f}" for value in means.values()),
        ]
        new = not self._path.exists()
        with self._path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["samples", "steps", "hours", "rate", *means])
            writer.writerow(row)
        LOGGER.info(
            "%d samples, %.0f s: %s",
            progress.samples,
            progress.seconds,
            ", ".join(f"{name} {value:.4f}" for name, value in means.items()),
        )
        self._sums, self._count = {}, 0


class _IndexedSamples(Generic[SampleT]):
    """Map-style dataset over a task's samples."""

    def __init__(self, task: Task[SampleT, Any]) -> None:
        self._task = task

    def __getitem__(self, index: int) -> SampleT:
        return self._task.sample(index)


def _batches(task: Task[Any, BatchT], config: LoopConfig, *, first: int) -> Iterator[BatchT]:
    import torch
    from torch.utils.data import DataLoader

    step = config.batch_samples
    order = [list(range(start, start + step)) for start in range(first, config.schedule.total_samples, step)]
    loader: DataLoader[Any] = DataLoader(
        _IndexedSamples(task),
        batch_sampler=order,
        collate_fn=task.collate,
        num_workers=config.workers,
        prefetch_factor=config.prefetch_batches if config.workers else None,
        worker_init_fn=_quiet_worker,
        # A loader draws a seed when it starts; from the global generator, that would make a resumed run differ.
        generator=torch.Generator(),
    )
    yield from loader


def _quiet_worker(worker: int) -> None:
    # Forked workers inherit the trainer's handlers. SIGTERM must end them (multiprocessing relies on it at exit), and
    # Ctrl-C must not print a traceback per worker: the trainer ends them itself.
    # A signal to the whole group (`timeout`, a queue of jobs) is for the trainer alone: a worker that it ends would
    # break the step that the trainer is in, before it can save.
    if sys.platform != "win32":
        os.setpgrp()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


__all__ = ["LoopConfig", "LossLog", "StateError", "Task", "TrainingResult", "train"]
