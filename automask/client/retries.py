"""When to ask a server again, and after how long. Does no input or output: the two clients carry it out."""

from __future__ import annotations

import datetime
import email.utils
import random
import time
from collections.abc import Callable, Generator
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
    """How patient a client is. Analysing the same image twice does no harm, so every request may be repeated.

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


@dataclass(frozen=True, slots=True)
class Wait:
    """The client is to sleep."""

    seconds: float


def attempts(
    policy: RetryPolicy, *, url: str, clock: Callable[[], float] = time.monotonic
) -> Generator[Wait | None, httpx.Response | httpx.TransportError | None, httpx.Response]:
    """One answer by as many requests as it takes.

    Yields None where a request is to be sent, and is sent the response (read in full where it is not a success) or the
    transport's error; yields a `Wait` where the client is to sleep. Returns the response that is a success or a 304.

    Raises:
        ServerError: Nothing listens there, the server stays too busy, or it answers what no automask server says.
        AutomaskError: What the server says is wrong with the request.
    """
    started = clock()
    failures = 0
    while True:
        outcome = yield None
        error: AutomaskError
        asked_s: float | None = None
        if outcome is None:
            raise RuntimeError("an outcome is owed for every request")
        if isinstance(outcome, Exception):
            error, again = _transport_error(outcome, url), _is_passing(outcome)
        elif outcome.status_code < 300 or outcome.status_code == 304:
            return outcome
        else:
            error = error_of_answer(outcome.status_code, outcome.content)
            asked_s = _retry_after_s(outcome.headers.get("Retry-After"))
            # What automask itself says without naming a time (a weight file is missing) will be the same next time.
            again = asked_s is not None or (outcome.status_code in _PASSING and error.code == UNKNOWN_ANSWER)
        failures += 1
        delay_s = max(policy.delay_s(failures), asked_s or 0.0)
        late = clock() - started + delay_s > policy.give_up_after_s
        if not again or late or failures >= policy.attempts:
            raise error
        yield Wait(delay_s)


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
