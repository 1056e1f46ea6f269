"""The writing end of a run: draws masks and puts them into the store, behind the models' back."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from automask.dataset.decode import Decoded
from automask.dataset.image_file import ImageFile
from automask.errors import ImageError
from automask.mask.drawing import Drawn
from automask.run.events import ImageFailed, Tally, mask_drawn
from automask.run.loaded import Loaded
from automask.run.pipeline import MaskPipeline
from automask.run.redraw import redraw_image
from automask.store import Store
from automask.values.types import Found, Issue

_WAITING = 4
"""Results that may wait to be written; beyond it the models wait, so that memory stays flat on slow disks."""


class MaskWriter:
    """One thread that renders, encodes and stores. Use as a context manager; leaving it writes what waits.

    The first error (a full disk, a lost drive) ends the work: it is raised by `raise_if_broken`, by the next call, or
    on leaving.
    """

    def __init__(self, store: Store, pipeline: MaskPipeline, tally: Tally) -> None:
        self._store = store
        self._pipeline = pipeline
        self._tally = tally
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="automask-write")
        self._places = threading.BoundedSemaphore(_WAITING)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if error is None:
            self.raise_if_broken()

    def raise_if_broken(self) -> None:
        """Raise what stopped the writing, if anything did."""
        if self._error is not None:
            raise self._error

    def write(self, file: ImageFile, decoded: Decoded, result: Found, *, decode_s: float, work: str) -> None:
        """Put an analysed image and its mask into the store.

        Args:
            file: Where it came from.
            decoded: What its file says; the pixels are let go.
            result: What the pipeline found.
            decode_s: Seconds that decoding took.
            work: What was done, for the event.
        """
        facts = _Facts(decoded.content_sha256, decoded.orientation)
        result = dataclasses.replace(
            result,
            issues=(*decoded.issues, *result.issues),
            timings_s={"decode": decode_s, **result.timings_s},
        )
        self._submit(lambda: self._put(file, facts, result, work=work))

    def render(self, file: ImageFile) -> None:
        """Draw the mask of an image again from what the store knows."""
        self._submit(lambda: self._render(file))

    def _submit(self, job: Callable[[], None]) -> None:
        self.raise_if_broken()
        self._places.acquire()

        def done(future: Future[None]) -> None:
            self._error = self._error or future.exception()
            self._places.release()

        self._thread.submit(self._unless_broken, job).add_done_callback(done)

    def _unless_broken(self, job: Callable[[], None]) -> None:
        if self._error is None:
            job()

    def _put(self, file: ImageFile, facts: _Facts, result: Found, *, work: str) -> None:
        if any(issue.severity == "error" for issue in result.issues):
            self._fail(file, result.issues, content_sha256=facts.content_sha256)
            return
        started = time.perf_counter()
        correction = self._store.correction(facts.content_sha256)
        loaded = Loaded(result, facts.content_sha256, correction)
        drawn = loaded.drawn(self._pipeline.config)
        result = drawn.judged
        rendered = time.perf_counter()
        try:
            self._store.put_result(
                file,
                dataclasses.replace(result, timings_s={**result.timings_s, "render": rendered - started}),
                drawn.mask.levels,
                content_sha256=facts.content_sha256,
                orientation=facts.orientation,
                correction_revision=loaded.revision,
            )
        except ImageError as error:
            self._fail_to_write(file, result.issues, error, content_sha256=facts.content_sha256)
            return
        timings_s = {**result.timings_s, "render": rendered - started, "write": time.perf_counter() - rendered}
        self._tell(drawn, work, timings_s=timings_s)

    def _render(self, file: ImageFile) -> None:
        started = time.perf_counter()
        stored = self._store.lookup(file.id)
        if stored is None or stored.content_sha256 is None:
            raise RuntimeError(f"{file.id} was planned to be rendered, but its row is gone")
        try:
            drawn = redraw_image(self._store, stored, self._pipeline.config, mask_name=file.mask_name)
        except ImageError as error:
            self._fail_to_write(file, self._store.issues(file.id), error, content_sha256=stored.content_sha256)
            return
        if drawn is None:
            raise RuntimeError(f"{file.id} was planned to be rendered, but its result is gone")
        self._tell(drawn, "rendered", timings_s={"render": time.perf_counter() - started})

    def _fail_to_write(
        self, file: ImageFile, issues: Sequence[Issue], error: ImageError, *, content_sha256: str
    ) -> None:
        issue = Issue(stage="write", code=error.code, message=str(error), severity="error")
        self._fail(file, (*issues, issue), content_sha256=content_sha256)

    def _fail(self, file: ImageFile, issues: Sequence[Issue], *, content_sha256: str) -> None:
        self._store.put_failure(file, issues, content_sha256=content_sha256)
        self._tally(ImageFailed(file.id, tuple(issues)))

    def _tell(self, drawn: Drawn, work: str, *, timings_s: dict[str, float]) -> None:
        stored = self._store.lookup(drawn.found.image_id)
        self._tally(mask_drawn(drawn, work, stored, timings_s=timings_s))


@dataclasses.dataclass(frozen=True, slots=True)
class _Facts:
    """What the store wants of a decoded image once its pixels are gone."""

    content_sha256: str
    orientation: int
