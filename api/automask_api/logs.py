"""The log: one line per record whatever a stranger wrote into it, and never so many that they fill the disk."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal

_EXTRA = ("request_id", "method", "path", "status", "seconds", "client", "key", "left_out")
_MOST_CHARACTERS = 8000
"""Of one value or traceback; its end says what went wrong."""
_NEEDS_QUOTES = re.compile(r"[\s\"'=\\]|^$")
_OWN = ("automask", "automask_models", "automask_api")

_USUAL_PER_S, _USUAL_BURST = 200.0, 2000.0
_TROUBLE_PER_S, _TROUBLE_BURST = 2.0, 20.0
"""Warnings and errors are limited for each kind by itself: a flood of one hides no other."""
_MOST_KINDS = 1000


def printable(text: str) -> str:
    r"""Text without a character that moves the cursor, ends a line or reorders what is shown.

    Control characters, line and paragraph separators, marks of direction and halves of surrogate pairs become escapes
    that mean the same in JSON and in Python (`\u001b`).
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] if one != "\x7f" else "\\u007f" for one in text)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        line.update((name, _cut(value)) for name, value in _facts(record))
        if record.exc_info:
            line["traceback"] = _cut(self.formatException(record.exc_info))
        # json escapes the characters below 32 alone; a bare escape of all the others is still the same JSON.
        return printable(json.dumps(line, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """For people. Tracebacks are indented, so that nothing in them can pass for a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, and its traceback below."""
        facts = " ".join(f"{name}={_quoted(_cut(value))}" for name, value in _facts(record))
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname.lower()} "
        line += f"{printable(str(_cut(record.getMessage())))} {facts}".strip()
        if record.exc_info:
            below = str(_cut(self.formatException(record.exc_info))).split("\n")
            line += "".join(f"\n    {printable(one)}" for one in below)
        return line


class FloodFilter(logging.Filter):
    """Lets so many records through in a second, and says now and then how many it left out.

    Args:
        clock: Seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._mutex = threading.Lock()
        self._kinds: dict[tuple[str, int, str], _Bucket] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; `left_out` on it tells how many of its kind were not, since the last."""
        trouble = record.levelno >= logging.WARNING
        kind = (record.name, record.levelno, str(record.msg) if trouble else "")
        now_s = self._clock()
        with self._mutex:
            bucket = self._kinds.get(kind)
            if bucket is None:
                if len(self._kinds) >= _MOST_KINDS:  # messages that nobody meant as a kind
                    self._kinds.clear()
                per_s, burst = (_TROUBLE_PER_S, _TROUBLE_BURST) if trouble else (_USUAL_PER_S, _USUAL_BURST)
                bucket = self._kinds[kind] = _Bucket(per_s, burst, now_s)
            if not bucket.takes(now_s):
                bucket.left_out += 1
                return False
            if bucket.left_out:
                record.left_out = bucket.left_out
                bucket.left_out = 0
        return True


class _Bucket:
    """Holds `burst` records, and `per_s` more every second."""

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s, self._burst, self._held, self._then_s = per_s, burst, burst, now_s
        self.left_out = 0

    def takes(self, now_s: float) -> bool:
        self._held = min(self._burst, self._held + (now_s - self._then_s) * self._per_s)
        self._then_s = now_s
        if self._held < 1:
            return False
        self._held -= 1
        return True


def log_to_stderr(log_format: Literal["json", "text"], *, level: int = logging.INFO) -> None:
    """Send all records to stderr, those of libraries from warnings on; for the process that only serves.

    Python's own warnings and what ends a thread become records, too: nothing else writes lines there.

    Args:
        log_format: Of the lines.
        level: Of our own packages; requests are at INFO.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(FloodFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in (*_OWN, "uvicorn", "uvicorn.error", "asyncio", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level if name in _OWN else logging.WARNING)
    logging.captureWarnings(True)
    threading.excepthook = _thread_ended


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        info: tuple[type[BaseException], BaseException, TracebackType | None] = (
            args.exc_type,
            args.exc_value,
            args.exc_traceback,
        )
        logging.getLogger("automask_api").error("a thread ended by an unexpected error", exc_info=info)


def _facts(record: logging.LogRecord) -> list[tuple[str, object]]:
    return [(name, value) for name in _EXTRA if (value := getattr(record, name, None)) is not None]


def _cut(value: object) -> object:
    if not isinstance(value, str) or len(value) <= _MOST_CHARACTERS:
        return value
    half = _MOST_CHARACTERS // 2
    return f"{value[:half]} ... {value[-half:]}"


def _quoted(value: object) -> str:
    text = str(value)
    if text.isprintable() and not _NEEDS_QUOTES.search(text):
        return text
    return printable(json.dumps(text, ensure_ascii=False))
