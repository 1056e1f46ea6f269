"""The client for programs that wait for their answers; several threads may share one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from automask.client import calls
from automask.client.answers import Analysis, BatchAnswer, BatchRefusal, ImageSource, MaskAnswer, ServerFacts
from automask.client.batches import AT_ONCE, batches_of
from automask.client.retries import RetryPolicy, Wait, attempts
from automask.request import MaskOptions

if TYPE_CHECKING:
    import httpx


class Client:
    """Asks an automask server for masks. Use as a context manager, or call `close`.

    Args:
        url: The server's address, such as `http://127.0.0.1:8787`.
        api_key: For servers that need one; by default the environment's `AUTOMASK_API_KEY`.
        timeout_s: Longest silence while an answer is awaited.
        retries: How often to ask again.
        transport: Instead of httpx's own, such as `httpx.HTTPTransport(verify=...)`.

    Raises:
        ConfigError: The address is not one.
        PluginError: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 150.0,
        retries: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        connection = calls.connection(url, api_key=api_key, timeout_s=timeout_s)
        import httpx

        self._url = connection.base_url
        self._retries = retries or RetryPolicy()
        self._http = httpx.Client(
            base_url=connection.base_url, headers=connection.headers, timeout=connection.timeout, transport=transport
        )

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
        import httpx

        for batch in batches_of(images, at_once=at_once, options=options):
            yield from batch.refused
            while not batch.is_done:
                broken: httpx.TransportError | None = None
                response = self._ask(batch.call(), streams=True)
                try:
                    for line in response.iter_lines():
                        answer = batch.answer(line)
                        if answer is not None:
                            yield answer
                except httpx.TransportError as error:
                    broken = error
                finally:
                    response.close()
                time.sleep(batch.pause_s(self._retries, broken=broken))

    def facts(self) -> ServerFacts:
        """Version, configuration and fingerprints of the server; raises as `mask` does."""
        return calls.read_facts(self._ask(calls.facts_call()))

    def _ask(self, call: calls.Call, *, streams: bool = False) -> httpx.Response:
        import httpx

        request = call.request(self._http)
        flow = attempts(self._retries, url=self._url)
        step = next(flow)
        try:
            while True:
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                    step = next(flow)
                    continue
                outcome: httpx.Response | httpx.TransportError
                try:
                    outcome = self._http.send(request, stream=streams)
                    if streams and not outcome.is_success:
                        outcome.read()
                except httpx.TransportError as error:
                    outcome = error
                step = flow.send(outcome)
        except StopIteration as end:
            response: httpx.Response = end.value
            return response
