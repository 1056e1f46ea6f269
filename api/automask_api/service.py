"""The state of one app, typed, and how routes reach it."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope

from automask.config import PipelineConfig
from automask.http.request import MaskOptions
from automask.run.pipeline import MaskPipeline
from automask.store import Store
from automask_api.cache import ResultCache
from automask_api.connections import Connections
from automask_api.decoding import PixelBudget
from automask_api.errors import Busy
from automask_api.jobs.runner import JobRunner
from automask_api.labelstudio.backend import LabelStudioBackend
from automask_api.loaded_stages import LoadedStages
from automask_api.masking import MaskMaker
from automask_api.metrics import Metrics
from automask_api.refining.open_images import OpenImages
from automask_api.security.limits import ARRIVAL, Arrival
from automask_api.settings import TEMPORARY_FOLDER, ServiceSettings
from automask_api.stopping import Stopping
from automask_api.trimming import Trimmer
from automask_api.uploads.decoder import UploadDecoder
from automask_api.worker import ModelWorker, deadline_passed

__all__ = ["Service", "ServiceDep", "deadline_passed", "service_of"]

_DECODED_AHEAD_PX = 50_000_000
_OPEN_PX = 100_000_000
_THREADS = 2
_WAITING_THREADS = 8
_RETRY_AFTER_S = 2
_WATCHING_SHARE = 4
_LAST_S = 1.5


class Service:
    """What all routes share.

    Args:
        pipeline: Finds and outlines; used by the first model thread only once the service has started.
        store: The dataset that the review page shows, or None.
        settings: Everything else.
    """

    def __init__(self, pipeline: MaskPipeline, store: Store | None, settings: ServiceSettings) -> None:
        self.settings = settings
        self.store = store
        self.pipelines = _one_per_device(pipeline, settings)
        all_stages = [LoadedStages.of(each, settings) for each in self.pipelines]
        self.loaded_stages = all_stages[0]
        self.worker = ModelWorker(all_stages, batch_size=settings.batch_size, capacity=settings.queue_size)
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="automask-api")
        self.decoder = UploadDecoder(seconds=settings.max_decode_s, memory_bytes=settings.max_decode_bytes)
        self.waiting_threads = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="automask-waiting")
        """For what waits for disks and networks: it must not hold up what computes."""
        self.cache = ResultCache(settings.data_dir / "cache", most_bytes=settings.cache_bytes)
        self.masks = MaskMaker(
            self.worker,
            pipeline.config,
            cache=self.cache,
            threads=self.threads,
            decoder=self.decoder,
            budget=PixelBudget(_DECODED_AHEAD_PX),
            max_megapixels=settings.max_megapixels,
            reduce_above_megapixels=settings.reduce_above_megapixels,
        )
        refiners = self.loaded_stages.more_refiners.values()
        self.open_images = OpenImages(pipeline, most=settings.embeddings, most_px=_OPEN_PX, loaded=refiners)
        self.jobs = JobRunner(self.loaded_stages, self.worker, settings, self.decoder)
        self.label_studio = LabelStudioBackend(self.masks, settings, threads=self.waiting_threads)
        self.stopping = Stopping()
        self._places: set[Arrival] = set()
        self._watchers = 0
        self.admissions = 0
        """Requests that ever got a place."""
        self._left = 0
        self._trimmer = Trimmer(lambda: self.admissions + self._left)
        self._ender = threading.Thread(target=self._end_threads, name="automask-end", daemon=True)
        self.connections = Connections(settings.connection_limits)
        self.metrics = Metrics(self)

    @property
    def config(self) -> PipelineConfig:
        """The pipeline's configuration."""
        return self.masks.config

    def configured(self, options: MaskOptions) -> PipelineConfig:
        """The configuration of a request.

        Raises:
            ConfigError: A value is out of range, or it names a stage that is not loaded here.
        """
        return self.loaded_stages.checked(options.applied_to(self.config))

    def start(self) -> None:
        """Start all threads, after what a killed server left half-made is gone."""
        shutil.rmtree(self.settings.data_dir / TEMPORARY_FOLDER, ignore_errors=True)
        self.decoder.start()
        self._trimmer.start()
        self.worker.start()
        self.jobs.start()

    def begin_stop(self) -> None:
        """What the first signal does, on the event loop: begin nothing new, give what is in hand a few seconds."""
        self.stopping.begin()
        self.worker.refuse_waiting()
        self.jobs.begin_stop()

    def stop(self) -> None:
        """End all threads, but wait for no longer than a few seconds: nothing can interrupt a model."""
        self.jobs.stop(timeout_s=_LAST_S)
        self.worker.close(timeout_s=_LAST_S)
        self.decoder.close()
        self._trimmer.close()
        self._ender.start()
        self._ender.join(_LAST_S)

    def _end_threads(self) -> None:
        for pool in (self.threads, self.waiting_threads):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self.threads, self.waiting_threads):
            pool.shutdown()

    @property
    def is_at_work(self) -> bool:
        """Whether something still runs that `stop` did not wait for. It leaves nothing half-made when it is killed."""
        return self.jobs.is_at_work or self.worker.is_at_work or self._ender.is_alive()

    @contextlib.contextmanager
    def admission(self, scope: Scope) -> Iterator[None]:
        """A place for a request, taken before its body is read; on the event loop only.

        When all are taken, the request whose body arrives slowest gives up its own.

        Raises:
            Busy: All are taken by requests in work.
        """
        place: Arrival = scope[ARRIVAL]
        if self.admitted >= self.settings.queue_size:
            giving_way = (one for one in self._places if one.gives_way_to(place))
            slowest = min(giving_way, key=lambda one: one.rate, default=None)
            if slowest is None:
                raise Busy("The server has as much work as it takes.", retry_after_s=_RETRY_AFTER_S)
            slowest.give_up()
        place.take_place()
        self._places.add(place)
        self.admissions += 1
        try:
            yield
        finally:
            self._places.discard(place)
            self._left += 1

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """A place for a stream that may have no end: all of them together leave most connections to others.

        Raises:
            Busy: All are taken.
        """
        if self._watchers >= max(1, self.connections.limits.most // _WATCHING_SHARE):
            raise Busy("As many clients watch jobs as the server lets.", retry_after_s=_RETRY_AFTER_S)
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    @property
    def admitted(self) -> int:
        """Requests that have a place."""
        return sum(not place.given_up for place in self._places)


def service_of(connection: HTTPConnection) -> Service:
    """The service of the app that a request came to."""
    return cast("Service", connection.app.state.service)


ServiceDep = Annotated[Service, Depends(service_of)]


def _one_per_device(pipeline: MaskPipeline, settings: ServiceSettings) -> list[MaskPipeline]:
    config = pipeline.config
    pipelines = [pipeline]
    for device in settings.devices[1:]:
        runtime = config.runtime.model_copy(update={"device": device})
        pipelines.append(MaskPipeline.from_config(config.model_copy(update={"runtime": runtime})))
    return pipelines
