"""The thread that works on jobs, one after the other; the models it needs run in the model threads."""

from __future__ import annotations

import collections
import hashlib
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from automask.config import PipelineConfig
from automask.dataset.decode import DecodeData, decode_bytes
from automask.dataset.walk import real_path
from automask.errors import AutomaskError
from automask.http.request import MaskOptions
from automask.http.wire import WireIssue
from automask.run.events import Counted, FileSkipped, ImageDone, ImageFailed, ImageReused, Notice, RunEvent
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.values.types import Found, Image, Issue, Region, Verdict
from automask_api.errors import Busy, Conflict, NotFound
from automask_api.jobs.decoding import UploadDecoding
from automask_api.jobs.job_files import JobFiles
from automask_api.jobs.records import Job, JobProblem, JobProgress, JobRequest, JobState, UploadRequest
from automask_api.jobs.repeats import Submitted, key_reused
from automask_api.jobs.roots import Choice, allowed_folder, pattern_of
from automask_api.jobs.uploads import Staged, UploadShelf
from automask_api.loaded_stages import LoadedStages, StageChoice
from automask_api.settings import TEMPORARY_FOLDER, ServiceSettings
from automask_api.uploads.decoder import UploadDecoder
from automask_api.worker import ModelWorker

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_WAITING = 1000


class QueuedPipeline(MaskPipeline):
    """A pipeline whose models run in the model threads, behind the requests that people wait for.

    Args:
        base: Of the model threads; only its stages' names and hashes are used here.
        config: Of the job; its stages are those of `base`.
        worker: The model threads.
    """

    def __init__(self, base: MaskPipeline, config: PipelineConfig, worker: ModelWorker) -> None:
        super().__init__(
            config, detectors=base.detectors, refiner=base.refiner, dataset_detectors=base.dataset_detectors
        )
        self._worker = worker
        self._choice = StageChoice.of(config)

    def load(self) -> None:
        """Wait until the model threads have loaded everything."""
        self._called(lambda models: models.load())

    def analyse(self, images: Sequence[Image]) -> list[Found]:
        """See `MaskPipeline`."""
        return self._called(lambda models: models.analyse(images))

    def refine(self, image: Image, regions: Sequence[Region], *, issues: Sequence[Issue] = ()) -> Found:
        """See `MaskPipeline`."""
        return self._called(lambda models: models.refine(image, regions, issues=issues))

    def _called(self, work: Callable[[MaskPipeline], T]) -> T:
        return self._worker.call(work, timeout_s=math.inf, in_background=True, stages=self._choice).result()


class JobRunner:
    """Keeps and works on jobs. Any thread may use it.

    Args:
        loaded_stages: Of a model thread.
        worker: The model threads.
        settings: Data folder, roots, how many jobs to keep.
        decoder: Of what strangers send; folders below the roots are the operator's.
    """

    def __init__(
        self, loaded_stages: LoadedStages, worker: ModelWorker, settings: ServiceSettings, decoder: UploadDecoder
    ) -> None:
        self._loaded_stages = loaded_stages
        self._worker = worker
        self._settings = settings
        self._decoder = decoder
        self._job_files = JobFiles(settings.data_dir)
        self.uploads = UploadShelf(settings, temporary=settings.data_dir / TEMPORARY_FOLDER)
        self._condition = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._queue: collections.deque[str] = collections.deque()
        self._stops: dict[str, threading.Event] = {}
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="automask-jobs", daemon=True)

    def start(self) -> None:
        """Take up what an earlier server left, and begin."""
        for job in self._job_files.read():
            self._jobs[job.id] = job
            if not job.state.is_final:
                self._queue.append(job.id)
        self.uploads.sweep(self._jobs.values())
        self._thread.start()

    def begin_stop(self) -> None:
        """Begin nothing after the image in hand; jobs go on when a server starts again."""
        with self._condition:
            self._stopping.set()
            for job_id, stop in self._stops.items():
                stop.set()
                if job_id in self._cancelled:  # its image in hand may take longer than the server waits
                    self._put(self._jobs[job_id], state=JobState.CANCELLED, finished_s=time.time())
            self._condition.notify_all()

    def stop(self, *, timeout_s: float | None = None) -> None:
        """Finish the image in hand, if that takes no longer than `timeout_s`."""
        self.begin_stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def is_at_work(self) -> bool:
        """Whether its thread is alive."""
        return self._thread.is_alive()

    @property
    def unfinished(self) -> int:
        """Jobs that wait or are at work."""
        with self._condition:
            return sum(not job.state.is_final for job in self._jobs.values())

    def submit(self, request: JobRequest, *, idempotency: str = "") -> Submitted:
        """Take a job for a folder.

        Args:
            request: What is asked for.
            idempotency: From `idempotency_of`; the same again gives the job that is there.

        Raises:
            OriginRefused: Its folder is in none of the roots.
            InputError: Its folder is not one.
            ConfigError: An option is wrong, or the key came with another request.
            Busy: Too many jobs wait.
            OutputError: It cannot be kept.
        """
        with self._condition:
            known = self._known(idempotency, request)
        if known is not None:
            return known
        folder = allowed_folder(request.folder, self._settings.roots)
        return self._submit(request, folder, idempotency=idempotency)

    def submit_upload(self, staged: Staged, options: MaskOptions, *, idempotency: str = "") -> Submitted:
        """Take a job for images that were sent; raises as `submit` does."""
        request = UploadRequest(upload_sha256=staged.sha256, images=staged.images, options=options)
        return self._submit(request, self.uploads.folder_of(request), idempotency=idempotency, staged=staged)

    def _submit(
        self, request: JobRequest | UploadRequest, folder: Path, *, idempotency: str, staged: Staged | None = None
    ) -> Submitted:
        config = self._configured(request)
        same = "\n".join((str(folder), pattern_of(request) or "", config.model_dump_json()))
        job = Job(
            id=secrets.token_hex(8),
            request=request,
            state=JobState.QUEUED,
            folder=str(folder),
            store=hashlib.sha256(same.encode("utf-8", "surrogateescape")).hexdigest()[:16],
            created_s=time.time(),
            idempotency=idempotency,
        )
        with self._condition:
            known = self._known(idempotency, request)
            if known is not None:
                return known
            if len(self._queue) >= _MOST_WAITING:
                raise Busy("Too many jobs are waiting.", retry_after_s=60)
            if staged is not None:
                self.uploads.keep(staged)
            self._job_files.write(job)
            self._jobs[job.id] = job
            self._queue.append(job.id)
            self._drop_oldest()
            self._condition.notify_all()
        return Submitted(job, is_new=True)

    def job(self, job_id: str) -> Job:
        """A job as it is now.

        Raises:
            NotFound: There is none of that id (any more).
        """
        with self._condition:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id!r}.", advice="GET /v1/jobs lists them.", code="job-unknown")
        return job

    def jobs(self) -> list[Job]:
        """All jobs, newest first."""
        with self._condition:
            return sorted(self._jobs.values(), key=lambda job: (job.created_s, job.id), reverse=True)

    def finished(self, job_id: str) -> Job:
        """A job whose masks can be fetched.

        Raises:
            NotFound: There is none of that id.
            Conflict: It is not done.
        """
        job = self.job(job_id)
        if job.state is not JobState.DONE:
            raise Conflict(
                f"The job {job_id} is {job.state.value}.",
                advice="Only jobs that are done have a result.",
                code="job-not-done",
            )
        return job

    def cancel(self, job_id: str) -> Job:
        """End a job after the image in hand; what it made is kept. A finished job stays as it is.

        Raises:
            NotFound: There is none of that id.
        """
        with self._condition:
            job = self.job(job_id)
            if job.state is JobState.QUEUED:
                self._queue.remove(job_id)
                return self._put(job, state=JobState.CANCELLED, finished_s=time.time())
            stop = self._stops.get(job_id)
            if stop is not None:
                stop.set()
                self._cancelled.add(job_id)
            return job

    def remove(self, job_id: str) -> None:
        """Forget a job and its masks.

        Raises:
            NotFound: There is none of that id.
            Conflict: It is still at work.
        """
        with self._condition:
            job = self.job(job_id)
            if not job.state.is_final:
                raise Conflict(f"The job {job_id} is {job.state.value}.", advice="Cancel it first.", code="job-active")
            self._forget(job)

    def store_of(self, job: Job) -> Path:
        """Folder of the store with a job's masks."""
        return self._job_files.store_root(job)

    def _known(self, idempotency: str, request: JobRequest | UploadRequest) -> Submitted | None:
        """The job that came with a key before."""
        job = next((one for one in self._jobs.values() if idempotency and one.idempotency == idempotency), None)
        if job is not None and job.request != request:
            raise key_reused()
        return None if job is None else Submitted(job, is_new=False)

    def _configured(self, request: JobRequest | UploadRequest) -> PipelineConfig:
        return self._loaded_stages.checked(request.options.applied_to(self._loaded_stages.pipeline.config))

    def _forget(self, job: Job) -> None:
        del self._jobs[job.id]
        self._job_files.remove(job, others=self._jobs.values())
        if isinstance(job.request, UploadRequest):
            self.uploads.remove(job.request, others=self._jobs.values())

    def _drop_oldest(self) -> None:
        finished = sorted((job for job in self._jobs.values() if job.state.is_final), key=lambda job: job.created_s)
        for job in finished[: max(0, len(finished) - self._settings.jobs_kept)]:
            self._forget(job)

    def _put(self, job: Job, **changes: object) -> Job:
        changed = job.model_copy(update=changes)
        self._jobs[job.id] = changed
        self._job_files.write(changed)
        return changed

    def _work(self) -> None:
        while True:
            with self._condition:
                while not (self._queue or self._stopping.is_set()):
                    self._condition.wait()
                if self._stopping.is_set():
                    return
                job_id = self._queue.popleft()
                job = self._jobs[job_id]
                stop = self._stops[job_id] = threading.Event()
            try:
                self._run(job, stop)
            except Exception:
                logger.exception("the job %s cannot be kept", job_id)
            finally:
                with self._condition:
                    del self._stops[job_id]
                    self._cancelled.discard(job_id)

    def _run(self, job: Job, stop: threading.Event) -> None:
        with self._condition:
            job = self._put(
                job,
                state=JobState.RUNNING,
                started_s=job.started_s or time.time(),
                starts=job.starts + 1,
                progress=JobProgress(),
                problem=None,
            )
        counting = _Counting(lambda progress: self._tell(job.id, progress))
        problem = None
        try:
            if isinstance(job.request, UploadRequest):
                folder = self.uploads.folder_of(job.request)
                roots: tuple[Path, ...] = (real_path(folder),)
                decode_data: DecodeData = UploadDecoding(self._decoder, self._settings, stop=stop)
            else:
                decode_data = decode_bytes
                roots = self._settings.roots  # they may be others than when it came
                folder = allowed_folder(job.folder, roots)
            config = self._configured(job.request)
            run_dataset(
                folder,
                self._job_files.store_root(job),
                config,
                choose=Choice(roots, pattern_of(job.request)),
                events=counting,
                stop=stop,
                pipeline=QueuedPipeline(self._loaded_stages.of_choice(StageChoice.of(config)), config, self._worker),
                decode_data=decode_data,
            )
        except AutomaskError as error:
            problem = JobProblem(code=error.code, detail=error.message, advice=error.advice)
        except Exception as error:
            logger.exception("the job %s failed", job.id)
            problem = JobProblem(code=AutomaskError.default_code, detail=f"Unexpected {type(error).__name__}.")
        with self._condition:
            if self._stopping.is_set():
                return  # still "running" on disk: the next server goes on with it
            state = JobState.FAILED if problem else JobState.CANCELLED if stop.is_set() else JobState.DONE
            self._put(
                job,
                state=state,
                finished_s=time.time(),
                progress=counting.progress,
                notices=counting.notices,
                problem=problem,
            )

    def _tell(self, job_id: str, progress: JobProgress) -> None:
        with self._condition:
            job = self._jobs.get(job_id)
            if job is not None:
                self._jobs[job_id] = job.model_copy(update={"progress": progress})


class _Counting:
    """Turns the events of a run into a job's progress."""

    def __init__(self, tell: Callable[[JobProgress], None]) -> None:
        self._tell = tell
        self.progress = JobProgress()
        self.notices: list[WireIssue] = []

    def __call__(self, event: RunEvent) -> None:
        """Count one event."""
        now = self.progress
        match event:
            case Counted(total):
                changes: dict[str, object] = {"total": total}
            case ImageDone():
                changes = {"written": now.written + 1, "review": now.review + (event.verdict is Verdict.REVIEW)}
            case ImageReused():
                changes = {"reused": now.reused + 1, "review": now.review + (event.verdict is Verdict.REVIEW)}
            case ImageFailed():
                changes = {"failed": now.failed + 1}
            case FileSkipped():
                changes = {"skipped": {**now.skipped, event.reason: now.skipped.get(event.reason, 0) + 1}}
            case Notice(issue):
                self.notices.append(WireIssue.of(issue))
                return
            case _:
                return
        if isinstance(event, (ImageDone, ImageReused, ImageFailed)):
            changes |= {"done": now.done + 1, "image_id": event.image_id}
        self.progress = now.model_copy(update=changes)
        self._tell(self.progress)
