"""Who decodes what strangers send, and in which order: at most one core does, and a bad file holds nobody up.

Two lanes, each a thread with a process of its own. Files that look cheap go through the quick lane and get a second of
a core. Large ones, and those that were not done in that second, go through the slow lane, whose process stands still
while the quick one works. A process whose time is up is killed and replaced.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any

from automask.dataset.codes import Refusal
from automask.dataset.decode import Decoded, DecodeSettings
from automask.dataset.sniff import HEAD_BYTES, Unknown, recognise
from automask.errors import AutomaskError, ImageError
from automask_api.errors import Busy, ImageTooLarge
from automask_api.stopping import stopping_error
from automask_api.uploads.process import DecodeProcess, ProcessEnded, Question

_QUICK_S = 1.0
_QUICK_PX = 16_000_000
_QUICK_BYTES = 16 << 20
_MOST_SLOW = 8
"""Slow files that may wait; more are refused, so that they do not take the places of other requests."""
_RETRY_AFTER_S = 10
_IDLE_S = 20.0
"""After so long without work, processes that are not needed for the next small file end."""


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    question: Question
    future: Future[Any]


class UploadDecoder:
    """Decodes images in other processes. Any thread may ask.

    Args:
        seconds: Most time on a core for one image.
        memory_bytes: Most memory for decoding one image.
    """

    def __init__(self, *, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._condition = threading.Condition()
        self._quick: collections.deque[_Task] = collections.deque()
        self._slow: collections.deque[_Task] = collections.deque()
        self._quick_lane = _Lane()
        self._slow_lane = _Lane(yields=True)
        self._is_quick_at_work = False
        self._is_closed = False
        works = (("quick", self._work_quickly), ("slow", self._work_slowly))
        self._threads = [threading.Thread(target=work, name=f"automask-{name}", daemon=True) for name, work in works]

    def start(self) -> None:
        """Start the threads and the process of the quick lane."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Refuse what waits and end the processes at once."""
        with self._condition:
            self._is_closed = True
            left = [*self._quick, *self._slow]
            self._quick.clear()
            self._slow.clear()
            self._condition.notify_all()
        for task in left:
            _fail(task, stopping_error())
        for lane in (self._quick_lane, self._slow_lane):
            lane.end()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def waiting(self) -> int:
        """Files that wait."""
        return len(self._quick) + len(self._slow)

    @property
    def pids(self) -> list[int]:
        """Of the processes that live."""
        return [pid for lane in (self._quick_lane, self._slow_lane) for pid in lane.pids]

    def size_px(self, data: bytes, *, name: str, config: DecodeSettings) -> Future[int]:
        """Pixels of an image as its file says. Fails as `decode` does."""
        return self._asked(Question(data, name, config, only_size=True), is_slow=False)

    def decode(
        self, data: bytes, *, name: str, config: DecodeSettings, size_px: int, most_px: int | None = None
    ) -> Future[Decoded]:
        """Decode an image. Who cancels the future ends the work.

        The future fails with `ImageError` where the image cannot be used, `ImageTooLarge` where it has too many pixels
        or needs too much memory, and `Busy` where too many slow ones wait.

        Args:
            data: The file.
            name: How messages and the result call it.
            config: Limit on pixels, and the background.
            size_px: What `size_px` gave.
            most_px: Reduce larger images to so many pixels; None = never.
        """
        is_slow = size_px > _QUICK_PX or len(data) > _QUICK_BYTES
        return self._asked(Question(data, name, config, most_px=most_px), is_slow=is_slow)

    def _asked(self, question: Question, *, is_slow: bool) -> Future[Any]:
        if isinstance(recognise(question.data[:HEAD_BYTES]), Unknown):  # its beginning is all that it takes to say so
            question = dataclasses.replace(question, data=question.data[:HEAD_BYTES])
        task = _Task(question, Future())
        with self._condition:
            if self._is_closed:
                raise stopping_error()
            if is_slow:
                self._put_slow(task)
            else:
                self._quick.append(task)
                self._condition.notify_all()
        return task.future

    def _put_slow(self, task: _Task) -> None:
        if self._is_closed:  # since the quick lane took it: nobody looks at what waits any more
            _fail(task, stopping_error())
            return
        given_up = [one for one in self._slow if one.future.cancelled()]
        for one in given_up:  # who gives up makes room, at once
            self._slow.remove(one)
        if len(self._slow) >= _MOST_SLOW:
            error = Busy("Too many images that take long to decode wait already.", retry_after_s=_RETRY_AFTER_S)
            _fail(task, error)
            return
        self._slow.append(task)
        self._condition.notify_all()

    def _work_quickly(self) -> None:
        self._quick_lane.prepare()
        while self._answer_quick():
            pass
        self._quick_lane.close()

    def _answer_quick(self) -> bool:
        """Wait for a file and answer it; False at the end. No name keeps it while the next one is waited for."""
        task = self._next_quick()
        if task is None:
            return False
        self._answer(task, self._quick_lane, seconds=min(_QUICK_S, self._seconds))
        return True

    def _next_quick(self) -> _Task | None:
        with self._condition:
            self._is_quick_at_work = bool(self._quick)
            if not self._is_quick_at_work:
                self._slow_lane.resume()
                self._condition.notify_all()
            while not self._is_closed:
                while self._quick:
                    task = self._quick.popleft()
                    if task.future.cancelled():
                        continue
                    self._is_quick_at_work = True
                    self._slow_lane.pause()
                    return task
                if not self._condition.wait(_IDLE_S):
                    self._quick_lane.tidy()
            return None

    def _work_slowly(self) -> None:
        while self._answer_slow():
            pass
        self._slow_lane.close()

    def _answer_slow(self) -> bool:
        """See `_answer_quick`."""
        task = self._next_slow()
        if task is None:
            return False
        task.future.add_done_callback(self._end_if_cancelled)
        self._answer(task, self._slow_lane, seconds=self._seconds)
        return True

    def _answer(self, task: _Task, lane: _Lane, *, seconds: float) -> None:
        """Have a lane answer; what the quick one has no time for, though it may take longer, goes to the slow one."""
        try:
            answer = lane.answer(task.question, seconds, self._memory_bytes)
        except ProcessEnded as ended:
            if ended.is_overtime and seconds < self._seconds and not task.question.only_size:
                with self._condition:
                    self._put_slow(task)
            else:
                _fail(task, self._error_of(ended, task.question))
        except ImageError as error:
            _fail(task, self._as_limit(error, task.question))
        else:
            _succeed(task, answer)

    def _next_slow(self) -> _Task | None:
        with self._condition:
            while not self._is_closed:
                if self._slow and not self._is_quick_at_work:
                    task = self._slow.popleft()
                    if not task.future.cancelled():
                        return task
                    continue
                if not self._condition.wait(_IDLE_S) and not self._slow:
                    self._slow_lane.close()
            return None

    def _end_if_cancelled(self, future: Future[Any]) -> None:
        if future.cancelled():
            self._slow_lane.end()

    def _error_of(self, ended: ProcessEnded, question: Question) -> AutomaskError:
        if self._is_closed:
            return stopping_error()
        if ended.is_overtime:
            return ImageError(
                f"{question.name} takes longer to decode than the {self._seconds:g} s that the server gives one image.",
                advice="Save it anew with an image editor, or scale it down.",
                code=Refusal.TOO_COSTLY.value,
            )
        return ImageError(
            f"{question.name} made the decoder crash, or needs far more memory than an image may.",
            advice="Save it anew with an image editor, or scale it down.",
            code=Refusal.CORRUPT.value,
        )

    def _as_limit(self, error: ImageError, question: Question) -> ImageError:
        match error.code:
            case Refusal.TOO_LARGE.value:
                advice = "Scale it down, or raise AUTOMASK_SERVE_MAX_MEGAPIXELS."
                return ImageTooLarge(error.message, advice=advice, code=error.code)
            case Refusal.OUT_OF_MEMORY.value:
                return ImageTooLarge(
                    f"{question.name} needs more than the {self._memory_bytes / (1 << 20):.0f} MiB of memory that the "
                    "server gives the decoding of one image.",
                    advice="Scale it down or convert it to JPEG or PNG, or raise AUTOMASK_SERVE_MAX_DECODE_BYTES.",
                    code=error.code,
                )
        return error


class _Lane:
    """A process that is made when it is needed, and made again when it ended. One thread asks it."""

    def __init__(self, *, yields: bool = False) -> None:
        self._yields = yields
        self._process: DecodeProcess | None = None
        self._spare: DecodeProcess | None = None
        self._mutex = threading.Lock()

    @property
    def pids(self) -> list[int]:
        """Of its processes."""
        with self._mutex:
            return [process.pid for process in (self._process, self._spare) if process is not None]

    def prepare(self) -> DecodeProcess:
        """Its process."""
        with self._mutex:
            if self._process is None:
                self._process, self._spare = self._spare or DecodeProcess(yields=self._yields), None
            return self._process

    def answer(self, question: Question, seconds: float, memory_bytes: int) -> object:
        """Ask the process.

        Raises:
            ImageError: The image cannot be used.
            ProcessEnded: The time was up, or the process crashed.
        """
        process = self.prepare()
        ask: Callable[..., object] = process.size_px if question.only_size else process.decode
        try:
            return ask(question, seconds=seconds, memory_bytes=memory_bytes)
        except ProcessEnded:
            with self._mutex:
                self._process = None
                self._spare = self._spare or DecodeProcess(yields=self._yields)  # starts while others are asked
            process.close()
            raise

    def pause(self) -> None:
        """Let the process stand still."""
        with self._mutex:
            if self._process is not None:
                self._process.pause()

    def resume(self) -> None:
        """Let it go on."""
        with self._mutex:
            if self._process is not None:
                self._process.resume()

    def tidy(self) -> None:
        """End the one in reserve: a flood of bad files is over when nobody has asked for a while."""
        with self._mutex:
            if self._process is None:
                self._process, self._spare = self._spare, None
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.close()

    def end(self) -> None:
        """End the process, whatever it is at."""
        with self._mutex:
            for process in (self._process, self._spare):
                if process is not None:
                    process.end()

    def close(self) -> None:
        """End everything and give back what it held."""
        with self._mutex:
            for process in (self._process, self._spare):
                if process is not None:
                    process.close()
            self._process = self._spare = None


def _succeed(task: _Task, answer: object) -> None:
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
        task.future.set_result(answer)


def _fail(task: _Task, error: AutomaskError) -> None:
    with contextlib.suppress(InvalidStateError):
        task.future.set_exception(error)
