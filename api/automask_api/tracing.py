"""Request ids, one log line per request without a byte of its images, and the net under everything else."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from typing import Literal

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automask_api.metrics import Metrics
from automask_api.problems import REQUEST_ID, unexpected_problem

logger = logging.getLogger("automask_api.access")

_HEADER = b"x-request-id"
_GOOD_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_EXTRA = ("request_id", "method", "path", "status", "seconds", "client", "key")


class TracingMiddleware:
    """Outermost of all: names the request, logs how it ended, and answers defects."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope[REQUEST_ID] = request_id
        started = time.perf_counter()
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except ClientDisconnect:
            pass  # nobody is there to be told
        except Exception:
            logger.exception("unexpected error", extra={"request_id": request_id})
            if status:
                raise  # the answer has begun: all that is left is to cut the connection
            await unexpected_problem(scope)(scope, receive, send_named)
        finally:
            seconds = time.perf_counter() - started
            if self._metrics is not None:
                self._metrics.observe(scope, status=status, seconds=seconds)
            logger.info(
                "request",
                extra={
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "seconds": round(seconds, 4),
                    "client": (scope.get("client") or ("",))[0],
                    "key": scope.get("automask.key"),
                },
            )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and _GOOD_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return secrets.token_hex(8)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, getattr(record, name)) for name in _EXTRA if getattr(record, name, None) is not None)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        facts = " ".join(
            f"{name}={getattr(record, name)}" for name in _EXTRA if getattr(record, name, None) is not None
        )
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.levelname.lower()} "
        line += f"{record.getMessage()} {facts}".strip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def log_to_stderr(log_format: Literal["json", "text"]) -> None:
    """Send the records of this package and of uvicorn to stderr; for the process that only serves."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    for name in ("automask", "automask_models", "automask_api", "uvicorn.error"):
        logger_of_package = logging.getLogger(name)
        logger_of_package.handlers[:] = [handler]
        logger_of_package.propagate = False
        logger_of_package.setLevel(logging.INFO if name != "uvicorn.error" else logging.WARNING)
