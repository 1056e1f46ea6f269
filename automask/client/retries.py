"""When to ask a server again, and after how long. Does no input or output: the two clients carry it out."""

from __future__ import annotations

import datetime
import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automask.client.problems import UNKNOWN_ANSWER, error_of_answer
from automask.errors import AutomaskError, ServerError

if TYPE_CHECKING:
    import httpx

_PASSING = (429, 502, 503, 504)
"""Statuses by which what stands before a server says that it is busy or not there yet."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    Every request may be repeated: masking the same image twice does no harm, what begins a job has a key by which the
    server knows it again, and to forget or cancel a job twice is to do it once.

    Attributes:
        attempts: Most requests for one answer, 1 = never again.
        first_delay_s: Wait after the first failure; it doubles with each one.
        longest_delay_s: It grows no further. A server's `Retry-After` may ask for more.
        give_up_after_s: No further attempt starts later than this after the first.
    """

    attempts: int = 8
    first_delay_s: float = 0.25
    longest_delay_s: float = 15.0
    give_up_after_s: float = 180.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_delay_s < 0 or self.longest_delay_s < self.first_delay_s:
            raise ValueError(f"not a policy for retries: {self}")

    def delay_s(self, failures: int, *, chance: Callable[[], float] = random.random) -> float:
        """Wait after so many failures; half of it is left to chance, so that clients do not come back together."""
        full = min(self.longest_delay_s, self.first_delay_s * 2.0 ** (failures - 1))
        return full * (0.5 + 0.5 * chance())


class Patience:
    """Counts what went wrong on the way to one answer, and says how long to wait or that it is enough.

    Args:
        policy: How patient to be.
        url: The server, for messages.
        clock: Seconds.
    """

    def __init__(self, policy: RetryPolicy, *, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy, self._url, self._clock = policy, url, clock
        self._started_s = clock()
        self._failures = 0

    def after_error(self, error: httpx.TransportError) -> float:
        """Seconds to wait after a request that got no answer.

        Raises:
            ServerError: Nothing listens there, or it has been tried often enough.
        """
        return self._pause_s(_transport_error(error, self._url), again=_is_passing(error))

    def after_refusal(self, response: httpx.Response) -> float:
        """Seconds to wait after an answer that is no success; it has been read in full.

        Raises:
            ServerError: The server stays too busy, or answers what no automask server says.
            AutomaskError: What the server says is wrong with the request.
        """
        error = error_of_answer(response.status_code, response.content)
        asked_s = _retry_after_s(response.headers.get("Retry-After"))
        # What automask itself says without naming a time (a weight file is missing) will be the same next time.
        again = asked_s is not None or (response.status_code in _PASSING and error.code == UNKNOWN_ANSWER)
        return self._pause_s(error, again=again, asked_s=asked_s or 0.0)

    def _pause_s(self, error: AutomaskError, *, again: bool, asked_s: float = 0.0) -> float:
        self._failures += 1
        delay_s = max(self._policy.delay_s(self._failures), asked_s)
        late = self._clock() - self._started_s + delay_s > self._policy.give_up_after_s
        if not again or late or self._failures >= self._policy.attempts:
            raise error
        return delay_s


def _transport_error(error: httpx.TransportError, url: str) -> ServerError:
    import httpx

    if isinstance(error, httpx.ConnectError):
        return ServerError(
            f"No server answers at {url}: {error}.",
            advice="Start one with `automask serve`, or check the address.",
            code="server-unreachable",
        )
    if isinstance(error, httpx.TimeoutException):
        return ServerError(
            f"The server at {url} did not answer in time.",
            advice="Give the client more time with timeout_s, or ask a less busy server.",
            code="server-timeout",
        )
    return ServerError(
        f"The connection to {url} broke: {type(error).__name__}: {error}.",
        advice="Check the network and the server's log.",
        code="server-unreachable",
    )


def _is_passing(error: httpx.TransportError) -> bool:
    """Whether the same request may go well in a moment. One that was too slow once would only add to the load."""
    import httpx

    lasting = (httpx.UnsupportedProtocol, httpx.ReadTimeout, httpx.WriteTimeout, httpx.ProxyError)
    return not isinstance(error, lasting)


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, which holds seconds or a date; None where it says neither."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (then - datetime.datetime.now(datetime.UTC)).total_seconds())
