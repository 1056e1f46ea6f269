"""What both clients share: how they are made, and what one answer takes. Nothing is sent here."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from automask.client import calls
from automask.client.retries import Patience, RetryPolicy

if TYPE_CHECKING:
    import httpx

Http = TypeVar("Http", "httpx.Client", "httpx.AsyncClient")
Transport = TypeVar("Transport")


class BaseClient(abc.ABC, Generic[Http, Transport]):
    """Knows a server and how to ask it; the clients only send, wait and read."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 150.0,
        retries: RetryPolicy | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

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
        connection = calls.connection(url, api_key=api_key, timeout_s=timeout_s)
        self._url = connection.base_url
        self._remembered: set[str] = set()
        """Hashes of the images that the server may remember, for `refine`."""
        self._retries = retries or RetryPolicy()
        self._http: Http = self._opened(connection, transport)

    @abc.abstractmethod
    def _opened(self, connection: calls.Connection, transport: Transport | None) -> Http:
        """The client of httpx that sends."""

    def _asking(self, call: calls.Call) -> Asking:
        return Asking(call.request(self._http), Patience(self._retries, url=self._url), gone_is_done=call.gone_is_done)


class Asking:
    """One answer by as many requests as it takes.

    While there is no `answer`, the client sleeps `pause_s`, and sends `request` inside of `attempt`, which is told the
    response: read in full where it is not a success.

    Attributes:
        request: The same each time.
        pause_s: How long to wait before the next attempt.
        answer: The response that is a success or a 304, once there is one.
    """

    def __init__(self, request: httpx.Request, patience: Patience, *, gone_is_done: bool = False) -> None:
        self.request = request
        self.pause_s = 0.0
        self.answer: httpx.Response | None = None
        self._patience = patience
        self._gone_is_done = gone_is_done
        self._attempts = 0

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one sending; takes what breaks on the way.

        Raises:
            ServerError: It has broken too often, or for good.
        """
        import httpx

        self._attempts += 1
        try:
            yield
        except httpx.TransportError as error:
            self.pause_s = self._patience.after_error(error)

    def take(self, response: httpx.Response) -> None:
        """Look at what came back.

        Raises:
            ServerError: The server stays too busy, or answers what no automask server says.
            AutomaskError: What the server says is wrong with the request.
        """
        is_gone = self._gone_is_done and self._attempts > 1 and response.status_code == 404
        if response.is_success or response.status_code == 304 or is_gone:
            self.answer = response
        else:
            self.pause_s = self._patience.after_refusal(response)
