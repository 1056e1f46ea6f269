"""The engine `local`: one shard after the other, in this process. More of a machine is used by more such drivers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import ClassVar, Self

from automask.errors import ConfigError
from automask.run.engines.attempt import WAIT_S, attempt
from automask.run.engines.protocol import EngineOptions, ShardOutcome
from automask.run.events import EventSink
from automask.run.pipeline import MaskPipeline
from automask.run.shards.worker import ShardJob, ShardTask, ShardWorker


class LocalEngine:
    """Works in the caller's thread, with the threads of `ShardWorker`.

    Args:
        pipeline: A pipeline of the job's configuration, to save building it again.
    """

    name: ClassVar[str] = "local"

    def __init__(self, pipeline: MaskPipeline | None = None) -> None:
        self._pipeline = pipeline

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """See `Engine`."""
        if (options.workers or 1) > 1 or options.gpus_per_worker:
            raise ConfigError(
                "The engine local is one worker, in this process.",
                advice="Start the same command several times instead: drivers share the shards of a target.",
            )
        return cls()

    def work(
        self, job: ShardJob, tasks: Iterator[ShardTask | None], *, events: EventSink, stop: threading.Event
    ) -> Iterator[ShardOutcome]:
        """See `Engine`."""
        worker = ShardWorker(job, pipeline=self._pipeline)
        for task in tasks:
            if task is None:
                stop.wait(WAIT_S)
            else:
                yield attempt(worker, task, events=events, stop=stop)
            if stop.is_set():
                return
