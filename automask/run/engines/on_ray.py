"""The engine `ray`: actors on the nodes of a Ray cluster load the models once and work on one shard after the other.

Tasks name shards and outcomes are records: no pixel goes through Ray's object store. An actor that dies costs its shard
in hand, which another one does; a shard whose actors die again and again is put aside.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from automask.errors import AutomaskError, ConfigError, PluginError, StageError
from automask.run.engines.attempt import WAIT_S, attempt
from automask.run.engines.protocol import EngineOptions, ShardOutcome
from automask.run.events import EventSink, StageProgress
from automask.run.shards.worker import ShardJob, ShardTask, ShardWorker

_MOST_DEATHS = 3
"""Workers that a shard may end before it is put aside: a node that is lost takes one with it through no fault of it."""
_PLACING_S = 120.0
"""That actors may take to be placed and to import automask; a cluster whose cores others use says so after that."""
_LOOK_S = 1.0


class RayEngine:
    """Works on shards in actors.

    Args:
        options: How many, and what each needs.
    """

    name: ClassVar[str] = "ray"

    def __init__(self, options: EngineOptions) -> None:
        self._options = options

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """See `Engine`.

        Raises:
            PluginError: Ray is not installed.
        """
        _ray()
        return cls(options)

    def work(
        self, job: ShardJob, tasks: Iterator[ShardTask | None], *, events: EventSink, stop: threading.Event
    ) -> Iterator[ShardOutcome]:
        """See `Engine`. A cluster that runs is used (`RAY_ADDRESS`, `ray start`), else one is started on this machine.

        Raises:
            ConfigError: The cluster cannot place the workers.
        """
        ray = _ray()
        was_connected = ray.is_initialized()
        if not was_connected:
            _connect(ray)
        try:
            threads = job.config.runtime.threads or 1
            count = _workers(ray.nodes(), self._options, threads)
            runtime = job.config.runtime.model_copy(update={"threads": threads})
            job = dataclasses.replace(job, config=job.config.model_copy(update={"runtime": runtime}))
            pool = _Pool(ray, job, count, num_cpus=threads, num_gpus=self._options.gpus_per_worker)
            try:
                pool.place(events, stop)
                yield from pool.work(tasks, events, stop)
            finally:
                pool.end()
        finally:
            if not was_connected:
                ray.shutdown()


class RayShardWorker:
    """What an actor runs; built anew where Ray starts it again.

    Args:
        job: The run.
    """

    def __init__(self, job: ShardJob) -> None:
        self._job = job
        self._worker: ShardWorker | None = None

    def ready(self) -> str:
        """The node, once this process has imported what it needs."""
        return str(_ray().get_runtime_context().get_node_id())

    def do(self, task: ShardTask) -> ShardOutcome | AutomaskError:
        """Work on a task; what would end every shard is given back, since Ray wraps what is raised."""
        try:
            if self._worker is None:
                self._worker = ShardWorker(self._job)
            outcome = attempt(self._worker, task)
        except AutomaskError as error:
            return error
        self._count(outcome)
        return outcome

    def _count(self, outcome: ShardOutcome) -> None:
        """Add to the metrics that Ray's dashboard and Prometheus show."""
        from ray.util.metrics import Counter

        if outcome.record is not None:
            Counter("automask_shards_done", description="Shards that were ended.").inc(1)
            if outcome.record.images:
                Counter("automask_images_done", description="Images with a row.").inc(outcome.record.images)


@dataclass(slots=True)
class _Pool:
    """The actors, and what each works on."""

    ray: Any
    job: ShardJob
    count: int
    num_cpus: float
    num_gpus: float
    _actors: list[Any] = field(init=False, default_factory=list)
    _idle: collections.deque[Any] = field(init=False, default_factory=collections.deque)
    _coming: dict[Any, Any] = field(init=False, default_factory=dict)
    """Actors that are being placed, by what says that they are there."""
    _busy: dict[Any, tuple[Any, ShardTask]] = field(init=False, default_factory=dict)
    _again: collections.deque[ShardTask] = field(init=False, default_factory=collections.deque)
    _deaths: collections.Counter[str] = field(init=False, default_factory=collections.Counter)

    def place(self, events: EventSink, stop: threading.Event) -> None:
        """Start the actors and wait for the first; the others join as there is room.

        Raises:
            ConfigError: None was placed.
        """
        remote = self.ray.remote(RayShardWorker).options(
            num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_restarts=-1, max_task_retries=0
        )
        for _ in range(self.count):
            actor = remote.remote(self.job)
            self._actors.append(actor)
            self._coming[actor.ready.remote()] = actor
        self._wait_for_one(events, stop)

    def work(
        self, tasks: Iterator[ShardTask | None], events: EventSink, stop: threading.Event
    ) -> Iterator[ShardOutcome]:
        """Give a task to whoever is idle, and give out what comes back."""
        began_s, shards, images, is_over = time.monotonic(), 0, 0, False
        while not stop.is_set():
            self._welcome(0)
            while self._idle and not is_over:
                task = self._again.popleft() if self._again else next(tasks, _OVER)
                if task is None:
                    break
                if isinstance(task, _Over):
                    is_over = True
                    break
                self._start(task)
            while self._idle and self._again:
                self._start(self._again.popleft())
            if not self._busy:
                if is_over and not self._again:
                    return
                if not self._idle:
                    self._wait_for_one(events, stop)
                else:
                    stop.wait(WAIT_S)
                continue
            done, _ = self.ray.wait(list(self._busy), num_returns=1, timeout=_LOOK_S)
            for reference in done:
                outcome = self._outcome(reference)
                if outcome is None:
                    continue
                if outcome.record is not None:
                    shards, images = shards + 1, images + outcome.record.images
                    rate = images / max(time.monotonic() - began_s, 1e-9)
                    words = f"{images} images, {rate:.1f} a second, {len(self._busy) + len(self._idle)} workers"
                    events(StageProgress("shards", words, shards, None))
                yield outcome
        for _, task in self._busy.values():
            yield ShardOutcome(task.shard, None)
        for task in self._again:
            yield ShardOutcome(task.shard, None)

    def end(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self.ray.kill(actor)

    def _start(self, task: ShardTask) -> None:
        actor = self._idle.popleft()
        self._busy[actor.do.remote(task)] = (actor, task)

    def _outcome(self, reference: Any) -> ShardOutcome | None:  # noqa: ANN401 - Ray's
        """What came back, or None where its actor died and another one will try."""
        actor, task = self._busy.pop(reference)
        try:
            answer: ShardOutcome | AutomaskError = self.ray.get(reference)
        except self.ray.exceptions.RayActorError:
            self._coming[actor.ready.remote()] = actor
            self._deaths[task.shard.name] += 1
            if self._deaths[task.shard.name] < _MOST_DEATHS:
                self._again.append(task)
                return None
            why = f"{_MOST_DEATHS} workers ended while they worked on it: out of memory, or a crash of a library."
            return ShardOutcome(task.shard, None, why, is_poison=True)
        except self.ray.exceptions.RayTaskError as error:
            message = f"A worker failed on shard {task.shard.name}: {type(error.cause).__name__}: {error.cause}"
            raise StageError(message, advice="This is a defect: please report it.") from None
        self._idle.append(actor)
        if isinstance(answer, AutomaskError):
            raise answer
        return answer

    def _welcome(self, timeout_s: float) -> None:
        """Take in the actors that were placed meanwhile."""
        if not self._coming:
            return
        ready, _ = self.ray.wait(list(self._coming), num_returns=1, timeout=timeout_s)
        for reference in ready:
            actor = self._coming.pop(reference)
            try:
                self.ray.get(reference)
            except self.ray.exceptions.RayActorError:
                self._coming[actor.ready.remote()] = actor  # it died on its way; Ray starts it again
                continue
            self._idle.append(actor)

    def _wait_for_one(self, events: EventSink, stop: threading.Event) -> None:
        began_s = time.monotonic()
        while not self._idle and not stop.is_set():
            self._welcome(_LOOK_S)
            waited_s = time.monotonic() - began_s
            if self._idle:
                return
            if waited_s > _PLACING_S:
                raise ConfigError(
                    f"No worker of {self.num_cpus:g} cores and {self.num_gpus:g} GPUs was placed within "
                    f"{_PLACING_S:.0f} s: others use the cluster, or its nodes cannot start automask.",
                    advice="Look at `ray status`, and at the logs of the actors in Ray's dashboard.",
                    code="engine-no-room",
                )
            events(StageProgress("ray", f"{len(self._coming)} workers are being placed", int(waited_s), None))


class _Over:
    """There is no task left."""


_OVER = _Over()


def _workers(nodes: list[dict[str, Any]], options: EngineOptions, threads: int) -> int:
    """How many workers to start.

    Raises:
        ConfigError: There is no room for so many, or for any.
    """
    needs = {"CPU": float(threads), **({"GPU": options.gpus_per_worker} if options.gpus_per_worker else {})}
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    room = sum(int(min(node.get(name, 0.0) / need + 1e-6 for name, need in needs.items())) for node in alive)
    wanted = options.workers or room
    if room >= wanted > 0:
        return wanted
    needed = " and ".join(f"{need:g} {name}" for name, need in needs.items())
    there = "; ".join(", ".join(f"{node.get(name, 0.0):g} {name}" for name in ("CPU", "GPU")) for node in alive)
    raise ConfigError(
        f"The cluster has room for {room} workers that need {needed} each, not for {max(wanted, 1)}. "
        f"Its nodes have: {there or 'nothing'}.",
        advice="Ask for fewer --workers, fewer --threads or a smaller --gpus-per-worker, or add nodes.",
        code="engine-no-room",
    )


def _connect(ray: Any) -> None:  # noqa: ANN401 - the module
    """Connect to a cluster that runs, or start one here that tells nobody anything."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"Ray cannot be reached or started: {' '.join(str(error).split())}",
            advice="Check RAY_ADDRESS and `ray status`.",
            code="engine-unreachable",
        ) from error


def _ray() -> Any:  # noqa: ANN401 - a module
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise PluginError(
            "The engine ray needs Ray, which is not installed.", advice="Install the extra `ray`."
        ) from error
    return ray
