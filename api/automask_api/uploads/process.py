"""One decoding process, as its server sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from automask.dataset.decode import Decoded, DecodeSettings
from automask.errors import ImageError
from automask.values.types import Image, Issue
from automask_api.uploads import YIELDS

_COMMAND = (sys.executable, "-P", "-m", "automask_api.uploads.child")
_MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "1048576"}
"""Have glibc give the memory of a large picture back when it is done."""
_CLOCK_SLACK = 2 if sys.platform == "win32" else 10
"""Seconds of the clock for one on a core; where the process bounds itself, only for one that hangs."""
_START_S = 120.0
"""Longest time in which a process must have started: half a second of a core, but there may be others who want it."""
_LINE_BYTES = 1 << 20


class ProcessEnded(Exception):
    """The process ended before it had answered.

    Args:
        is_overtime: Its time was up; else it crashed or was killed.
    """

    def __init__(self, *, is_overtime: bool) -> None:
        super().__init__("overtime" if is_overtime else "crash")
        self.is_overtime = is_overtime


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is to be done with a file.

    Attributes:
        data: The file.
        name: How messages call it.
        config: Limit on pixels, and the background.
        only_size: Only say how large it is.
        most_px: Reduce larger images to so many pixels; None = never.
    """

    data: bytes
    name: str
    config: DecodeSettings
    only_size: bool = False
    most_px: int | None = None


class DecodeProcess:
    """Answers one question at a time. Belongs to one thread, but any thread may end, pause and resume it.

    Args:
        yields: Everything else on the machine goes first.
    """

    def __init__(self, *, yields: bool = False) -> None:
        self._process = subprocess.Popen(
            (*_COMMAND, *([YIELDS] if yields else [])),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_MALLOC},
        )
        self._questions = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._is_ready = False
        self._is_overtime = False

    @property
    def pid(self) -> int:
        """Of the operating system."""
        return self._process.pid

    def size_px(self, question: Question, *, seconds: float, memory_bytes: int) -> int:
        """How many pixels an image has as its header says.

        Raises:
            ImageError: It cannot be used.
            ProcessEnded: The time was up, or the process crashed.
        """
        with self._answered(question, seconds=seconds, memory_bytes=memory_bytes) as answer:
            width_px, height_px = answer["size_px"]
            return int(width_px) * int(height_px)

    def decode(self, question: Question, *, seconds: float, memory_bytes: int) -> Decoded:
        """Decode an image.

        Args:
            question: What.
            seconds: Most time on a core.
            memory_bytes: Most memory beyond what the process has anyway.

        Raises:
            ImageError: It cannot be used.
            ProcessEnded: The time was up, or the process crashed.
        """
        with self._answered(question, seconds=seconds, memory_bytes=memory_bytes) as answer:
            height_px, width_px, _ = answer["shape"]
            most_px = question.most_px or question.config.max_megapixels * 1e6
            if height_px * width_px > most_px:
                raise ProcessEnded(is_overtime=False)  # no decoder of ours says that
            pixels = self._array((height_px, width_px, 3))
            alpha = self._array((height_px, width_px)) if answer["has_alpha"] else None
        return Decoded(
            image=Image(id=question.name, pixels=pixels, alpha=alpha),
            content_sha256=answer["content_sha256"],
            orientation=answer["orientation"],
            format=answer["format"],
            has_more_frames=answer["has_more_frames"],
            issues=tuple(Issue(**issue) for issue in answer["issues"]),
            reduced_by=answer["reduced_by"],
            size_px=(answer["size_px"][0], answer["size_px"][1]),
        )

    def pause(self) -> None:
        """Let it stand still, where the system can."""
        if sys.platform != "win32":
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if sys.platform != "win32":
            self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it at once, whatever it is at."""
        self._process.kill()

    def close(self) -> None:
        """End it and give back what it held; by the thread that it belongs to."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()

    @contextlib.contextmanager
    def _answered(self, question: Question, *, seconds: float, memory_bytes: int) -> Iterator[dict[str, Any]]:
        self._await_ready()
        clock = threading.Timer(seconds * _CLOCK_SLACK, self._time_is_up)
        clock.daemon = True
        clock.start()
        try:
            asked = {
                "bytes": len(question.data),
                "name": question.name,
                "config": {
                    "max_megapixels": question.config.max_megapixels,
                    "background": question.config.background,
                },
                "only_size": question.only_size,
                "most_px": question.most_px,
                "seconds": seconds,
                "memory_bytes": memory_bytes,
            }
            self._questions.write(json.dumps(asked).encode() + b"\n")
            self._questions.write(question.data)
            self._questions.flush()
            answer = self._read_line()
            if (error := answer.get("error")) is not None:
                raise ImageError(error["message"], advice=error["advice"], code=error["code"])
            yield answer
        except (OSError, ValueError) as error:  # a broken pipe, or what is no JSON
            raise self._ended() from error
        finally:
            clock.cancel()

    def _await_ready(self) -> None:
        """Wait until it has started, which is no time of a file: on a busy machine that takes many seconds.

        Raises:
            ProcessEnded: It does not start.
        """
        if self._is_ready:
            return
        clock = threading.Timer(_START_S, self._process.kill)
        clock.daemon = True
        clock.start()
        try:
            self._read_line()
        except (OSError, ValueError) as error:
            raise self._ended() from error
        finally:
            clock.cancel()
        self._is_ready = True

    def _read_line(self) -> dict[str, Any]:
        line = self._answers.readline(_LINE_BYTES)
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        array = np.empty(shape, dtype=np.uint8)
        rest = array.data.cast("B")
        while rest:
            count = self._answers.readinto(rest)  # type: ignore[attr-defined]  # a pipe has it
            if not count:
                raise self._ended()
            rest = rest[count:]
        return array

    def _time_is_up(self) -> None:
        self._is_overtime = True
        self._process.kill()

    def _ended(self) -> ProcessEnded:
        self._process.kill()  # where it still lives, it says what nobody understands
        code = self._process.wait()
        by_its_own_clock = sys.platform != "win32" and code == -signal.SIGPROF
        return ProcessEnded(is_overtime=self._is_overtime or by_its_own_clock)
