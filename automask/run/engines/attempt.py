"""One task, tried once: what ends a shard becomes an outcome, what would end every shard is raised."""

from __future__ import annotations

import logging
import threading

from automask.dataset.shards.samples import ShardDamaged
from automask.files.folders import Unreachable
from automask.files.urls import redacted
from automask.run.engines.protocol import ShardOutcome
from automask.run.events import EventSink
from automask.run.shards.worker import ShardTask, ShardWorker, Stopped

logger = logging.getLogger(__name__)

WAIT_S = 2.0
"""Until tasks are asked for again where others work on all that is left."""


def attempt(
    worker: ShardWorker,
    task: ShardTask,
    *,
    events: EventSink = lambda event: None,
    stop: threading.Event | None = None,
) -> ShardOutcome:
    """Work on a task.

    Raises:
        AutomaskError: Every other shard would meet the same: a full disk, missing weights.
    """
    try:
        return ShardOutcome(task.shard, worker.do(task, events=events, stop=stop))
    except Stopped:
        return ShardOutcome(task.shard, None)
    except (Unreachable, PermissionError, FileNotFoundError, ShardDamaged) as error:
        said = redacted(str(error))
        logger.warning("shard %s was not ended: %s", task.shard.name, said)
        return ShardOutcome(task.shard, None, said)
