"""A process that decodes strangers' files: `python -m automask_api.uploads.child`, by its server only.

A question is a line of JSON with the file behind it, an answer a line of JSON with the pixels behind it. Pixels go
through the pipe a strip at a time and straight into the array of the server: nobody holds them twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin

from automask.dataset.codes import Refusal
from automask.dataset.decode import DecodeSettings, decode_bytes, size_px
from automask.dataset.plugins import webp_size_px
from automask.dataset.sniff import HEAD_BYTES, Format, recognise
from automask.errors import ImageError
from automask_api.uploads import YIELDS

_LESS_URGENT = 10
_STRIP_BYTES = 1 << 22
_BYTES_PER_PX: dict[object, int] = {Format.WEBP: 16, Format.AVIF: 12, Format.JPEG: 7}
"""What the libraries hold at the same time, Pillow's picture included, at the most."""
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True, slots=True)
class _Settings:
    """Those of a question, which its server checked: a `DecodeSettings` that takes no time to import."""

    max_megapixels: float
    background: str


def main() -> None:
    """Answer until the server closes the pipe."""
    if sys.argv[1:] == [YIELDS] and sys.platform != "win32":
        os.nice(_LESS_URGENT)
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches it, too: the server ends it
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # one core decodes; Pillow would take all
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    _say(answers, {"ready": True})
    while line := questions.readline():
        question = json.loads(line)
        data = questions.read(question["bytes"])
        with _bounded(seconds=question["seconds"], memory_bytes=question["memory_bytes"]):
            answer, arrays = _answer(question, data)
        del data
        _say(answers, answer)
        while arrays:  # and no name keeps the last one while the next question is waited for
            _send(answers, arrays.pop(0))


def _answer(question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    config, name = _Settings(**question["config"]), question["name"]
    try:
        if question["only_size"]:
            return {"size_px": size_px(data, image_id=name, config=config)}, []
        decoded = decode_bytes(data, image_id=name, config=config, most_px=question["most_px"])
    except ImageError as error:
        code = error.code
        if code == Refusal.CORRUPT.value and _needs_bytes(data, config) > question["memory_bytes"]:
            code = Refusal.OUT_OF_MEMORY.value
        return {"error": {"message": error.message, "advice": error.advice, "code": code}}, []
    image = decoded.image
    answer = {
        "shape": image.pixels.shape,
        "has_alpha": image.alpha is not None,
        "content_sha256": decoded.content_sha256,
        "orientation": decoded.orientation,
        "format": decoded.format,
        "has_more_frames": decoded.has_more_frames,
        "issues": [dataclasses.asdict(issue) for issue in decoded.issues],
        "reduced_by": decoded.reduced_by,
        "size_px": decoded.size_px,
    }
    return answer, [image.pixels] if image.alpha is None else [image.pixels, image.alpha]


def _needs_bytes(data: bytes, config: DecodeSettings) -> int:
    """About the memory that decoding takes. Some libraries call a file broken when they cannot get that."""
    content = recognise(data[:HEAD_BYTES])
    try:
        width_px, height_px = (
            webp_size_px(data) if content is Format.WEBP else size_px(data, image_id="", config=config)
        )
    except ImageError:
        return 0
    return width_px * height_px * _BYTES_PER_PX.get(content, 4)


def _say(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def _send(answers: IO[bytes], array: NDArray[np.uint8]) -> None:
    flat = np.ascontiguousarray(array).data.cast("B")
    for at in range(0, len(flat), _STRIP_BYTES):
        answers.write(flat[at : at + _STRIP_BYTES])
    answers.flush()


@contextlib.contextmanager
def _bounded(*, seconds: float, memory_bytes: int) -> Any:  # noqa: ANN401
    """End the process after so much time on a core, also inside of C code, and refuse it memory beyond the bound.

    Without effect on Windows, where only the server's clock ends it.
    """
    if sys.platform == "win32":
        yield
        return
    import resource

    signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal kills: nobody handles it
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS knows no bound
        resource.setrlimit(resource.RLIMIT_AS, (_address_space_bytes() + memory_bytes, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as status:  # noqa: PTH123  # raises OSError where there is none
        return int(status.read().split()[0]) * 4096


def _end_with_parent() -> None:
    """On Linux, be killed with the server even while stopped; elsewhere the closed pipe has to do."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    main()
