"""The client for programs with an event loop: the same as `Client`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from automask.client import calls
from automask.client.answers import Analysis, BatchAnswer, BatchRefusal, ImageSource, MaskAnswer, ServerFacts
from automask.client.base import BaseClient
from automask.client.batches import AT_ONCE, batches_of
from automask.request import MaskOptions

if TYPE_CHECKING:
    import httpx


class AsyncClient(BaseClient["httpx.AsyncClient", "httpx.AsyncBaseTransport"]):
    """Asks an automask server for masks. Use with `async with`, or await `close`. Its methods are those of `Client`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
