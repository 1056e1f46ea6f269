"""What an engine promises: it works on the shards that it is given, wherever it likes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

from automask.dataset.shards.samples import Shard
from automask.run.events import EventSink
from automask.run.shards.records import ShardRecord
from automask.run.shards.worker import ShardJob, ShardTask


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a user says about workers.

    Attributes:
        workers: How many; None = as many as there is room for.
        gpus_per_worker: GPUs that each needs; a fraction shares one.
    """

    workers: int | None = None
    gpus_per_worker: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What became of a task.

    Attributes:
        shard: Which.
        record: Its record, which is in the target; None where it was not ended.
        failure: Why it was not, without secrets; None where another driver has it, or the run was stopped.
        is_poison: It ended its worker again and again: later runs leave it alone.
    """

    shard: Shard
    record: ShardRecord | None
    failure: str | None = None
    is_poison: bool = False


@runtime_checkable
class Engine(Protocol):
    """Works on shards; an entry point of `automask.engines`."""

    name: ClassVar[str]
    """Its entry-point name."""

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build it. Checks, starts nothing.

        Raises:
            ConfigError: It cannot do what is asked.
        """
        ...

    def work(
        self, job: ShardJob, tasks: Iterator[ShardTask | None], *, events: EventSink, stop: threading.Event
    ) -> Iterator[ShardOutcome]:
        """Work on tasks until there is none left or `stop` is set; gives one outcome for each that was taken.

        Each task is claimed when it is taken from `tasks`: take one when somebody is free to work on it, not before.
        A worker process builds a `ShardWorker` from the job and calls `automask.run.engines.attempt.attempt`, which
        reads and writes by itself: neither pixels nor masks go through the engine.

        Args:
            job: The run. It pickles.
            tasks: What to do; None where others work on all that is left, and asking again later may give more.
            events: Called about images where that is cheap, else about progress.
            stop: Set when the user wants the run to end.
        """
        ...
