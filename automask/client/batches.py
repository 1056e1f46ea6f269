"""Many images to a server: a few at a time, until each has an answer. Nothing is sent here."""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
from collections.abc import Iterable, Iterator

from automask.client import calls
from automask.client.answers import Analysis, BatchAnswer, BatchRefusal, ImageSource, MaskAnswer, bytes_of
from automask.client.problems import error_of
from automask.client.retries import RetryPolicy
from automask.errors import AutomaskError, InputError, ServerError
from automask.http.request import MaskOptions
from automask.http.wire import WireBatchLine, WireError

AT_ONCE = 16
"""Images in one request."""
_NDJSON = "application/x-ndjson"
_BUSY = 503


def batches_of(images: Iterable[ImageSource], *, at_once: int, options: MaskOptions | None) -> Iterator[Batch]:
    """Cut a stream of images into requests; the images of each are read when it is its turn.

    Raises:
        ValueError: `at_once` is not positive.
    """
    if at_once < 1:
        raise ValueError(f"at_once must be 1 or more, got {at_once}")
    stream = iter(images)
    while chunk := list(itertools.islice(stream, at_once)):
        yield Batch(chunk, options)


class Batch:
    """The images of one request, and which of them have no answer yet.

    Attributes:
        refused: Images that cannot be read, known before anything is sent.
    """

    def __init__(self, images: list[ImageSource], options: MaskOptions | None) -> None:
        self.refused: list[BatchRefusal] = []
        self._options = options
        self._images: dict[str, ImageSource] = {}
        self._waiting: dict[str, bytes] = {}
        self._fruitless = 0
        self._answered = False
        self._broken: Exception | None = None
        for position, image in enumerate(images):
            try:
                data = bytes_of(image)
            except InputError as error:
                self.refused.append(BatchRefusal(image, error))
                continue
            name = str(position)  # the server needs no file names, and numbers cannot collide
            self._images[name], self._waiting[name] = image, data

    @property
    def is_done(self) -> bool:
        """Whether every image has its answer."""
        return not self._waiting

    def call(self) -> calls.Call:
        """Ask for what has no answer yet."""
        self._answered = False
        self._broken = None
        return calls.Call(
            "POST",
            "/v1/masks/batch",
            query=self._options.fields() if self._options is not None else {},
            headers={"Accept": _NDJSON},
            parts=[("images", name, data) for name, data in self._waiting.items()],
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Around the reading of an answer: one that breaks off is gone on with by the next `call`."""
        import httpx

        try:
            yield
        except httpx.TransportError as error:
            self._broken = error

    def answers(self, line: str) -> Iterator[BatchAnswer | BatchRefusal]:
        """What a line of the answer says; nothing where that image has to be asked about again.

        Raises:
            ServerError: The line is not one, or is about no image of this batch.
        """
        wire = calls.parsed(WireBatchLine, line)
        if wire.error is not None and wire.error.status == _BUSY and not wire.error.code.startswith("weights"):
            return
        if self._waiting.pop(wire.name, None) is None:
            raise calls.unknown_answer(f"it is about {wire.name!r}, which was not asked")
        self._answered = True
        image = self._images[wire.name]
        if wire.error is not None:
            yield BatchRefusal(image, _error_of(wire.error))
        else:
            yield BatchAnswer(image, *_mask_and_analysis(wire))

    def pause_s(self, policy: RetryPolicy) -> float:
        """How long to wait after an answer ended, before asking for what it lacks; 0 when it lacks nothing.

        Raises:
            ServerError: Answers keep ending without telling anything.
        """
        if self.is_done:
            return 0.0
        self._fruitless = 1 if self._answered else self._fruitless + 1
        if self._fruitless >= policy.attempts:
            raise ServerError(
                f"{len(self._waiting)} images got no answer"
                + (f": {self._broken}." if self._broken is not None else "."),
                advice="Look at the server's log, and ask for fewer images at once.",
                code="server-unreachable" if self._broken is not None else "server-busy",
            )
        return policy.delay_s(self._fruitless)


def _mask_and_analysis(wire: WireBatchLine) -> tuple[MaskAnswer, Analysis]:
    if wire.result is None or wire.mask_png is None:
        raise calls.unknown_answer("a line has neither a result nor an error")
    try:
        png = base64.b64decode(wire.mask_png, validate=True)
    except binascii.Error as error:
        raise calls.unknown_answer(f"a mask is not base64 ({error})") from error
    mask = MaskAnswer(
        png=png,
        verdict=wire.result.verdict,
        confidence=wire.result.confidence,
        masked_share=wire.result.masked_share,
        fingerprint=wire.result.fingerprints.fuse,
        issues=tuple(dict.fromkeys(issue.code for issue in wire.result.issues)),
    )
    return mask, calls.analysis_of(wire.result)


def _error_of(wire: WireError) -> AutomaskError:
    return error_of(wire.code, wire.detail, advice=wire.advice, exit_code=wire.exit_code, status=wire.status)
