"""The client for programs that wait for their answers; several threads may share one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from automask.client import calls
from automask.client.answers import Analysis, BatchAnswer, BatchRefusal, ImageSource, MaskAnswer, ServerFacts
from automask.client.base import BaseClient
from automask.client.batches import AT_ONCE, batches_of
from automask.request import MaskOptions

if TYPE_CHECKING:
    import httpx


class Client(BaseClient["httpx.Client", "httpx.BaseTransport"]):
    """Asks an automask server for masks. Use as a context manager, or call `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
