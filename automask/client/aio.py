"""The client for programs with an event loop: the same as `Client`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
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


class AsyncClient(BaseClient["httpx.AsyncClient", "httpx.AsyncBaseTransport"]):
    """Asks an automask server for masks. Use with `async with`, or await `close`. Its methods are those of `Client`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def mask(self, image: ImageSource, *, options: MaskOptions | None = None) -> MaskAnswer:
        """See `Client.mask`."""
        return calls.read_mask(await self._ask(calls.mask_call(image, options)))

    async def analyse(self, image: ImageSource, *, options: MaskOptions | None = None) -> Analysis:
        """See `Client.analyse`."""
        return calls.read_analysis(await self._ask(calls.analysis_call(image, options)))

    async def masks(
        self, images: Iterable[ImageSource], *, options: MaskOptions | None = None, at_once: int = AT_ONCE
    ) -> AsyncIterator[BatchAnswer | BatchRefusal]:
        """See `Client.masks`."""
        for batch in batches_of(images, at_once=at_once, options=options):
            for refusal in batch.refused:
                yield refusal
            while not batch.is_done:
                response = await self._ask(batch.call(), streams=True)
                try:
                    with batch.reading():
                        async for line in response.aiter_lines():
                            for answer in batch.answers(line):
                                yield answer
                finally:
                    await response.aclose()
                await asyncio.sleep(batch.pause_s(self._retries))

    async def facts(self) -> ServerFacts:
        """See `Client.facts`."""
        return calls.read_facts(await self._ask(calls.facts_call()))

    async def refine(self, image: ImageSource, prompt: Prompt, *, mask: ImageSource | None = None) -> RefinedMask:
        """See `Client.refine`."""
        refinement = Refinement(image, prompt, mask)
        if refinement.content_sha256 in self._remembered:
            try:
                return read_refined(await self._ask(refinement.call(with_image=False)))
            except AutomaskError as error:
                if error.code != FORGOTTEN:
                    raise
        answer = read_refined(await self._ask(refinement.call(with_image=True)))
        self._remembered.add(refinement.content_sha256)
        return answer

    async def adjust(self, mask: ImageSource, adjustment: Adjustment) -> bytes:
        """See `Client.adjust`."""
        return (await self._ask(adjust_call(mask, adjustment))).content

    async def submit_folder(
        self,
        folder: str,
        *,
        pattern: str | None = None,
        options: MaskOptions | None = None,
        idempotency_key: str | None = None,
    ) -> WireJob:
        """See `Client.submit_folder`."""
        call = jobs.folder_call(folder, pattern=pattern, options=options, key=idempotency_key)
        return jobs.read_job(await self._ask(call))

    async def submit_images(
        self, images: NamedImages, *, options: MaskOptions | None = None, idempotency_key: str | None = None
    ) -> WireJob:
        """See `Client.submit_images`."""
        return jobs.read_job(await self._ask(jobs.upload_call(images, options=options, key=idempotency_key)))

    async def job(self, job_id: str) -> WireJob:
        """See `Client.job`."""
        return jobs.read_job(await self._ask(jobs.job_call(job_id)))

    async def jobs(self) -> AsyncIterator[WireJob]:
        """See `Client.jobs`."""
        cursor: str | None = None
        while True:
            page, cursor = jobs.read_page(await self._ask(jobs.list_call(cursor)))
            for job in page:
                yield job
            if cursor is None:
                return

    async def wait_for_job(self, job_id: str, *, timeout_s: float | None = None, poll_s: float = 1.0) -> WireJob:
        """See `Client.wait_for_job`."""
        waiting = jobs.Waiting(job_id, timeout_s=timeout_s, poll_s=poll_s)
        while True:
            job = await self.job(job_id)
            if job.state.is_final:
                return job
            await asyncio.sleep(waiting.pause_s())

    async def cancel_job(self, job_id: str) -> WireJob:
        """See `Client.cancel_job`."""
        return jobs.read_job(await self._ask(jobs.cancel_call(job_id)))

    async def delete_job(self, job_id: str) -> None:
        """See `Client.delete_job`."""
        await self._ask(jobs.delete_call(job_id))

    async def job_manifest(self, job_id: str) -> list[dict[str, Any]]:
        """See `Client.job_manifest`."""
        return jobs.read_manifest(await self._ask(jobs.manifest_call(job_id)))

    async def job_masks(self, job_id: str, target: str | PathLike[str]) -> None:
        """See `Client.job_masks`."""
        await self._fetch(jobs.masks_call(job_id), target)

    async def job_export(self, job_id: str, target: str | PathLike[str], *, trainer: str) -> None:
        """See `Client.job_export`."""
        await self._fetch(jobs.export_call(job_id, trainer), target)

    async def _fetch(self, call: calls.Call, target: str | PathLike[str]) -> None:
        with jobs.Download(target, self._retries) as download:
            while not download.is_done:
                response = await self._ask(call, streams=True)
                try:
                    with download.reading() as write:
                        async for chunk in response.aiter_bytes():
                            write(chunk)
                finally:
                    await response.aclose()
                await asyncio.sleep(download.pause_s())

    def _opened(self, connection: calls.Connection, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(**connection.options(), transport=transport)

    async def _ask(self, call: calls.Call, *, streams: bool = False) -> httpx.Response:
        asking = self._asking(call)
        while asking.answer is None:
            if asking.pause_s:
                await asyncio.sleep(asking.pause_s)
            with asking.attempt():
                response = await self._http.send(asking.request, stream=streams)
                if streams and not response.is_success:
                    await response.aread()
                asking.take(response)
        return asking.answer
