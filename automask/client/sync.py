"""The client for programs that wait for their answers; several threads may share one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

from automask.client import calls, jobs
from automask.client.answers import Analysis, BatchAnswer, BatchRefusal, ImageSource, MaskAnswer, ServerFacts
from automask.client.base import BaseClient
from automask.client.batches import AT_ONCE, batches_of
from automask.client.edits import FORGOTTEN, Adjustment, Prompt, RefinedMask, Refinement, adjust_call, read_refined
from automask.client.jobs import NamedImages
from automask.errors import AutomaskError
from automask.http.request import MaskOptions
from automask.http.wire_jobs import WireJob

if TYPE_CHECKING:
    import httpx


class Client(BaseClient["httpx.Client", "httpx.BaseTransport"]):
    """Asks an automask server for masks. Use as a context manager, or call `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def mask(self, image: ImageSource, *, options: MaskOptions | None = None) -> MaskAnswer:
        """The mask of an image, as the server draws it.

        Raises:
            InputError: The file cannot be read.
            ServerError: The server cannot be reached, is too busy, or wants a key.
            AutomaskError: What the server says, such as `ImageError` for a damaged image.
        """
        return calls.read_mask(self._ask(calls.mask_call(image, options)))

    def analyse(self, image: ImageSource, *, options: MaskOptions | None = None) -> Analysis:
        """Everything that the server found on an image; raises as `mask` does."""
        return calls.read_analysis(self._ask(calls.analysis_call(image, options)))

    def masks(
        self, images: Iterable[ImageSource], *, options: MaskOptions | None = None, at_once: int = AT_ONCE
    ) -> Iterator[BatchAnswer | BatchRefusal]:
        """Masks and findings of many images, one answer for each, as soon as the server has it.

        An image that cannot be used gives a `BatchRefusal` and does not end the work. Images are read from the disk and
        sent `at_once` at a time; what a broken connection left without an answer is asked for again.

        Raises:
            ServerError: The server cannot be reached, is too busy, or wants a key.
            AutomaskError: What the server says about a request as a whole.
        """
        for batch in batches_of(images, at_once=at_once, options=options):
            yield from batch.refused
            while not batch.is_done:
                response = self._ask(batch.call(), streams=True)
                try:
                    with batch.reading():
                        for line in response.iter_lines():
                            yield from batch.answers(line)
                finally:
                    response.close()
                time.sleep(batch.pause_s(self._retries))

    def facts(self) -> ServerFacts:
        """Version, configuration and fingerprints of the server; raises as `mask` does."""
        return calls.read_facts(self._ask(calls.facts_call()))

    def refine(self, image: ImageSource, prompt: Prompt, *, mask: ImageSource | None = None) -> RefinedMask:
        """A mask with one thing more masked, or trained again: what was clicked on, boxed or drawn.

        Args:
            image: The image file; sent once, as long as the server remembers it.
            prompt: What is meant.
            mask: The mask so far; None = all white.

        Raises:
            InputError: A file cannot be read, or nothing is pointed at.
            ServerError: The server cannot be reached, is too busy, or wants a key.
        """
        refinement = Refinement(image, prompt, mask)
        if refinement.content_sha256 in self._remembered:
            try:
                return read_refined(self._ask(refinement.call(with_image=False)))
            except AutomaskError as error:
                if error.code != FORGOTTEN:
                    raise
        answer = read_refined(self._ask(refinement.call(with_image=True)))
        self._remembered.add(refinement.content_sha256)
        return answer

    def adjust(self, mask: ImageSource, adjustment: Adjustment) -> bytes:
        """The PNG of a finished mask after an adjustment; raises as `mask` does."""
        return (self._ask(adjust_call(mask, adjustment))).content

    def submit_folder(
        self,
        folder: str,
        *,
        pattern: str | None = None,
        options: MaskOptions | None = None,
        idempotency_key: str | None = None,
    ) -> WireJob:
        """Begin a job for a folder that the server can see; it goes on whoever watches.

        Args:
            folder: Absolute, or relative to one of the server's roots.
            pattern: Only images like this, such as `portraits/*.png`.
            options: Of their masks.
            idempotency_key: The same again gives the same job, from another process, too; None = a new one, by which
                only this call's own repetitions are known.

        Raises:
            InputError: There is no such folder.
            ServerError: The server may not read it, cannot be reached, is too busy, or wants a key.
        """
        call = jobs.folder_call(folder, pattern=pattern, options=options, key=idempotency_key)
        return jobs.read_job(self._ask(call))

    def submit_images(
        self, images: NamedImages, *, options: MaskOptions | None = None, idempotency_key: str | None = None
    ) -> WireJob:
        """Send images and begin a job for them; they are read into memory. Arguments and errors as `submit_folder`.

        Args:
            images: Files, or a mapping of relative names to files or bytes.
            options: Of their masks.
            idempotency_key: See `submit_folder`.
        """
        return jobs.read_job(self._ask(jobs.upload_call(images, options=options, key=idempotency_key)))

    def job(self, job_id: str) -> WireJob:
        """Where a job stands; raises `ServerError` with the code `job-unknown` where there is none."""
        return jobs.read_job(self._ask(jobs.job_call(job_id)))

    def jobs(self) -> Iterator[WireJob]:
        """All jobs, newest first."""
        cursor: str | None = None
        while True:
            page, cursor = jobs.read_page(self._ask(jobs.list_call(cursor)))
            yield from page
            if cursor is None:
                return

    def wait_for_job(self, job_id: str, *, timeout_s: float | None = None, poll_s: float = 1.0) -> WireJob:
        """The job when it is done, failed or cancelled.

        Raises:
            ServerError: `timeout_s` is over; the job goes on.
        """
        waiting = jobs.Waiting(job_id, timeout_s=timeout_s, poll_s=poll_s)
        while True:
            job = self.job(job_id)
            if job.state.is_final:
                return job
            time.sleep(waiting.pause_s())

    def cancel_job(self, job_id: str) -> WireJob:
        """End a job after the image in hand; what it made is kept."""
        return jobs.read_job(self._ask(jobs.cancel_call(job_id)))

    def delete_job(self, job_id: str) -> None:
        """Forget a finished job, its masks and the images that were sent for it."""
        self._ask(jobs.delete_call(job_id))

    def job_manifest(self, job_id: str) -> list[dict[str, Any]]:
        """What became of every image of a finished job."""
        return jobs.read_manifest(self._ask(jobs.manifest_call(job_id)))

    def job_masks(self, job_id: str, target: str | PathLike[str]) -> None:
        """Fetch all masks of a finished job as a zip: written whole or not at all."""
        self._fetch(jobs.masks_call(job_id), target)

    def job_export(self, job_id: str, target: str | PathLike[str], *, trainer: str) -> None:
        """Fetch the files of a trainer (`kohya`, `onetrainer`, ...) as a zip, as `job_masks` does."""
        self._fetch(jobs.export_call(job_id, trainer), target)

    def _fetch(self, call: calls.Call, target: str | PathLike[str]) -> None:
        with jobs.Download(target, self._retries) as download:
            while not download.is_done:
                response = self._ask(call, streams=True)
                try:
                    with download.reading() as write:
                        for chunk in response.iter_bytes():
                            write(chunk)
                finally:
                    response.close()
                time.sleep(download.pause_s())

    def _opened(self, connection: calls.Connection, transport: httpx.BaseTransport | None) -> httpx.Client:
        import httpx

        return httpx.Client(**connection.options(), transport=transport)

    def _ask(self, call: calls.Call, *, streams: bool = False) -> httpx.Response:
        asking = self._asking(call)
        while asking.answer is None:
            if asking.pause_s:
                time.sleep(asking.pause_s)
            with asking.attempt():
                response = self._http.send(asking.request, stream=streams)
                if streams and not response.is_success:
                    response.read()
                asking.take(response)
        return asking.answer
