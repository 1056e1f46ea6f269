"""The model threads and the queue before them: what arrives together runs together, and nothing else runs models."""

from __future__ import annotations

import collections
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from automask.errors import AutomaskError
from automask.run.pipeline import MaskPipeline
from automask.values.types import Found, Image
from automask_api.errors import Busy, DeadlinePassed
from automask_api.loaded_stages import LoadedStages, StageChoice
from automask_api.stopping import stopping_error

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OTHERS_TURN = 4
"""Every so many turns one goes to large images or background work first: a busy server gets on with them, too."""
_BATCH_PX = 6_000_000
"""Images of a batch are answered together: with more pixels than four of the usual size, small would wait for large."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call(Generic[T]):
    """Work for a model thread that cannot be batched."""

    work: Callable[[MaskPipeline], T]
    future: Future[T]
    deadline_s: float
    stages: StageChoice | None

    def run(self, pipeline: MaskPipeline) -> None:
        """Do it and tell who waits."""
        try:
            self.future.set_result(self.work(pipeline))
        except Exception as error:
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True, eq=False)
class _Analysis:
    """One image that waits for the pipeline."""

    image: Image
    future: Future[Found]
    deadline_s: float
    stages: StageChoice | None


_Task = _Call[object] | _Analysis


class ModelWorker:
    """One thread per loaded_stages; its stages are used by its own thread only.

    Futures that are cancelled, or whose deadline has passed, are dropped before they cost anything.

    Args:
        loaded_stages: Equal ones, one per thread.
        batch_size: Images that one call takes at most; fewer where they are large.
        capacity: Tasks that may wait; more are refused.
    """

    def __init__(self, loaded_stages: Sequence[LoadedStages], *, batch_size: int, capacity: int) -> None:
        self._loaded_stages = tuple(loaded_stages)
        self._batch_size = batch_size
        self._capacity = capacity
        self._condition = threading.Condition()
        self._waiting: collections.deque[_Task] = collections.deque()
        self._large: collections.deque[_Task] = collections.deque()
        self._background: collections.deque[_Task] = collections.deque()
        self._threads: list[threading.Thread] = []
        self._loaded = 0
        self._turns = 0
        self._closed = False
        self.analysed = 0
        """Images that models ran on for single requests and batches."""
        self.calls = 0
        """Batches and calls that were begun."""
        self.load_error: AutomaskError | None = None
        """Why the models could not be loaded, or None."""

    def models_fingerprint(self, stages: StageChoice | None = None) -> str:
        """Of everything that decides what is found in an image: stages, weights, saved templates."""
        pipeline = self._loaded_stages[0].of_choice(stages)
        templates = [template.id for template in pipeline.saved_templates.templates]
        refine = pipeline.fingerprints.refine
        return hashlib.sha256(" ".join([refine, *templates]).encode()).hexdigest()[:16] if templates else refine

    @property
    def ready(self) -> bool:
        """Whether all models are loaded."""
        return self._loaded == len(self._loaded_stages) and not self._closed

    @property
    def waiting(self) -> int:
        """Tasks that wait."""
        return len(self._waiting) + len(self._large) + len(self._background)

    def start(self) -> None:
        """Start the threads; each loads its models first."""
        for number, stages in enumerate(self._loaded_stages):
            name = f"automask-model-{number}"
            thread = threading.Thread(target=self._work, args=(stages,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def refuse_waiting(self) -> None:
        """Refuse the requests that wait; what is at work and what waits in the background goes on."""
        with self._condition:
            left = [*self._waiting, *self._large]
            self._waiting.clear()
            self._large.clear()
        _refuse(left, stopping_error())

    def close(self, *, timeout_s: float | None = None) -> None:
        """Refuse what waits, and end the threads after what they are at.

        Args:
            timeout_s: Wait no longer for them; a model cannot be interrupted.
        """
        with self._condition:
            self._closed = True
            left = self._all_removed()
            self._condition.notify_all()
        _refuse(left, stopping_error())
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))

    @property
    def is_at_work(self) -> bool:
        """Whether a thread is alive."""
        return any(thread.is_alive() for thread in self._threads)

    def analyse(
        self, image: Image, *, timeout_s: float, in_background: bool = False, stages: StageChoice | None = None
    ) -> Future[Found]:
        """Find what is unwanted in an image.

        Args:
            image: The pixels.
            timeout_s: How long anybody wants to know.
            in_background: Behind the single images that people wait for; never refused.
            stages: Which ones, of those that are loaded; None = the configured ones.

        Raises:
            Busy: Too much is waiting.
        """
        future: Future[Found] = Future()
        self._enqueue(_Analysis(image, future, time.monotonic() + timeout_s, stages), background=in_background)
        return future

    def call(
        self,
        work: Callable[[MaskPipeline], T],
        *,
        timeout_s: float,
        in_background: bool = False,
        stages: StageChoice | None = None,
    ) -> Future[T]:
        """Run something else on a model thread.

        Args:
            work: What to do with the thread's pipeline.
            timeout_s: How long anybody wants to know.
            in_background: Behind the requests that people wait for; never refused.
            stages: Those of the pipeline; None = the configured ones.

        Raises:
            Busy: Too much is waiting.
        """
        future: Future[T] = Future()
        task: _Call[T] = _Call(work, future, time.monotonic() + timeout_s, stages)
        self._enqueue(task, background=in_background)  # type: ignore[arg-type]  # nobody looks into its result
        return future

    def _enqueue(self, task: _Task, *, background: bool) -> None:
        with self._condition:
            if self._closed:
                raise stopping_error()
            if self.load_error is not None:
                raise self.load_error
            if background:
                self._background.append(task)
            elif len(self._waiting) + len(self._large) >= self._capacity:
                raise Busy("The server has as much work as it takes.")
            else:
                (self._large if _pixels(task) > _BATCH_PX else self._waiting).append(task)
            self._condition.notify()

    def _work(self, loaded_stages: LoadedStages) -> None:
        try:
            loaded_stages.load()
        except AutomaskError as error:
            self._refuse_all(error)
            return
        except Exception as error:
            logger.exception("the models could not be loaded")
            self._refuse_all(AutomaskError(f"The models could not be loaded: {type(error).__name__}: {error}"))
            return
        with self._condition:
            self._loaded += 1
        while self._work_once(loaded_stages):
            pass

    def _work_once(self, loaded_stages: LoadedStages) -> bool:
        """Wait for the next work and do it; False at the end. No name keeps it while the one after is waited for."""
        tasks = self._take()
        if tasks is None:
            return False
        with self._condition:
            self.calls += bool(tasks)
            self.analysed += len(tasks) if isinstance(tasks, list) else 0
        if isinstance(tasks, _Call):
            tasks.run(loaded_stages.of_choice(tasks.stages))
        elif tasks:
            _run_batch(loaded_stages.of_choice(tasks[0].stages), tasks)
        return True

    def _refuse_all(self, error: AutomaskError) -> None:
        with self._condition:
            self.load_error = error
            left = self._all_removed()
        _refuse(left, error)

    def _all_removed(self) -> list[_Task]:
        left = [*self._waiting, *self._large, *self._background]
        for queue in (self._waiting, self._large, self._background):
            queue.clear()
        return left

    def _take(self) -> _Call[object] | list[_Analysis] | None:
        """What to do next: a call, or a batch (empty where all were given up); None at the end."""
        with self._condition:
            while not (self._waiting or self._large or self._background or self._closed):
                self._condition.wait()
            if self._closed:
                return None
            queue = self._next_queue()
            task = queue.popleft()
            if isinstance(task, _Call):
                return task if _is_wanted(task) else []
            batch, pixels = [task], _pixels(task)
            while len(batch) < self._batch_size and queue:
                follower = queue[0]
                pixels += _pixels(follower)
                if not isinstance(follower, _Analysis) or follower.stages != task.stages or pixels > _BATCH_PX:
                    break
                batch.append(follower)
                queue.popleft()
        return [analysis for analysis in batch if _is_wanted(analysis)]

    def _next_queue(self) -> collections.deque[_Task]:
        """The one whose turn it is, of those in which something waits."""
        self._turns += 1
        queues = [self._waiting, self._large, self._background]
        round_number, turn = divmod(self._turns, _OTHERS_TURN)
        if turn == 0:
            queues.insert(0, queues[1 + round_number % 2])
        return next(queue for queue in queues if queue)


def _pixels(task: _Task) -> int:
    """Of its image; 0 where it has none."""
    return task.image.width_px * task.image.height_px if isinstance(task, _Analysis) else 0


def _refuse(tasks: Sequence[_Task], error: AutomaskError) -> None:
    for task in tasks:
        if task.future.set_running_or_notify_cancel():
            task.future.set_exception(error)


def _is_wanted(task: _Task) -> bool:
    if not task.future.set_running_or_notify_cancel():
        return False
    if time.monotonic() > task.deadline_s:
        task.future.set_exception(deadline_passed())
        return False
    return True


def _run_batch(pipeline: MaskPipeline, batch: Sequence[_Analysis]) -> None:
    try:
        results = pipeline.run([analysis.image for analysis in batch])
    except Exception as error:
        for analysis in batch:
            analysis.future.set_exception(error)
        return
    for analysis, result in zip(batch, results, strict=True):
        analysis.future.set_result(result)


def deadline_passed() -> DeadlinePassed:
    """The error of a request that took longer than it was given."""
    return DeadlinePassed(
        "The answer was not ready in the time that was allowed.",
        advice="Ask again with a longer deadline_s, or when the server has less to do.",
    )
