"""Training states on disk: written atomically, read without running pickled code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

STATE_VERSION = 1
_KEPT_VALUES = 4096


class StateError(Exception):
    """A training state cannot be used; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is. `seconds` is processor time spent inside steps (pauses do not count), for the log only."""

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState:
    """Everything that the next step depends on. The dictionaries are torch state dicts."""

    task: str
    progress: Progress
    module: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    torch_rng: Any


def save_state(state: TrainingState, path: Path) -> None:
    """Write `state` to `path` so that the file is always either the old or the new one."""
    import torch

    payload = {
        "version": STATE_VERSION,
        "task": state.task,
        "progress": vars(state.progress),
        "module": state.module,
        "average": state.average,
        "optimizer": state.optimizer,
        "torch_rng": state.torch_rng,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(payload, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def compact(state: TrainingState) -> TrainingState:
    """A state a quarter of the size, or less, to travel with the project: going on is close, not equal to the bit.

    Weights of two and more dimensions become float16; of the optimizer only what AdamW knows of small parts stays (the
    rest fills again within some twenty steps).
    """

    def halved(weights: dict[str, Any]) -> dict[str, Any]:
        return {k: v.half() if v.dtype.is_floating_point and v.ndim > 1 else v for k, v in weights.items()}

    module, average = halved(state.module), halved(state.average)
    # What is not trained is the same in both, and is stored once where both hold one tensor.
    average = {
        key: module[key] if key in module and module[key].equal(value) else value for key, value in average.items()
    }
    kept = {
        index: values
        for index, values in state.optimizer["state"].items()
        if "square" in values and values["square"].numel() <= _KEPT_VALUES
    }
    return TrainingState(
        task=state.task,
        progress=state.progress,
        module=module,
        average=average,
        optimizer={"state": kept, "param_groups": state.optimizer["param_groups"]},
        torch_rng=state.torch_rng,
    )


def mean_state(states: Sequence[TrainingState]) -> TrainingState:
    """The last of some states of one run, with the mean of all their weights ("model soup", Wortsman et al., 2022).

    States of one run lie in one basin: their mean is often as good as the best of them, and surer on other pictures.

    Raises:
        StateError: There are none, or they are of different networks.
    """
    if not states:
        raise StateError("There are no states to average: name at least one.")
    last = states[-1]

    def mean_of(name: str) -> dict[str, Any]:
        all_weights: list[dict[str, Any]] = [getattr(state, name) for state in states]
        shapes = [{key: value.shape for key, value in weights.items()} for weights in all_weights]
        if any(each != shapes[-1] for each in shapes):
            raise StateError("The states are of different networks: average states of one run.")
        return {
            key: (sum(weights[key].double() for weights in all_weights) / len(all_weights)).to(value.dtype)
            if value.dtype.is_floating_point
            else value
            for key, value in all_weights[-1].items()
        }

    return replace(last, module=mean_of("module"), average=mean_of("average"))


def load_state(path: Path, *, task: str) -> TrainingState:
    """Read a state of `task`.

    Raises:
        StateError: the file is of another task or version.
    """
    import torch

    payload = torch.load(path, map_location="cpu", weights_only=True)
    if payload.get("version") != STATE_VERSION:
        raise StateError(f"{path} has state version {payload.get('version')}, this program reads {STATE_VERSION}")
    if payload["task"] != task:
        raise StateError(f"{path} is a state of task {payload['task']!r}, not {task!r}")
    return TrainingState(
        task=payload["task"],
        progress=Progress(**payload["progress"]),
        module=payload["module"],
        average=payload["average"],
        optimizer=payload["optimizer"],
        torch_rng=payload["torch_rng"],
    )
