"""The engine `local`: one shard after the other, in this process. More of a machine is used by more such drivers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

from automask.errors import OutputError
from automask.files.folders import Unreachable
from automask.files.urls import redacted
from automask.run.engines.protocol import ShardOutcome
from automask.run.events import EventSink
from automask.run.pipeline import MaskPipeline
from automask.run.shards.worker import ShardJob, ShardTask, ShardWorker, Stopped

logger = logging.getLogger(__name__)


class LocalEngine:
    """Works in the caller's thread, with the threads of `ShardWorker`.

    Args:
        pipeline: A pipeline of the job's configuration, to save building it again.
    """

    name: ClassVar[str] = "local"

    def __init__(self, pipeline: MaskPipeline | None = None) -> None:
        self._pipeline = pipeline

    def work(
        self,
        job: ShardJob,
        tasks: Iterator[ShardTask],
        *,
        events: EventSink,
        stop: threading.Event,
        holds: Callable[[str], bool],
    ) -> Iterator[ShardOutcome]:
        """See `Engine`.

        Raises:
            OutputError: The disk of the target is full or read-only: the next shard would meet the same.
        """
        worker = ShardWorker(job, pipeline=self._pipeline)
        for task in tasks:
            name = task.shard.name
            try:
                record = worker.do(task, events=events, stop=stop, may_end=lambda name=name: holds(name))  # type: ignore[misc]
            except Stopped:
                yield ShardOutcome(task.shard, None)
                return
            except OutputError:
                raise
            except (Unreachable, PermissionError, FileNotFoundError) as error:
                logger.warning("shard %s was not ended: %s", name, redacted(str(error)))
                yield ShardOutcome(task.shard, None, redacted(str(error)))
                continue
            yield ShardOutcome(task.shard, record)
            if stop.is_set():
                return
