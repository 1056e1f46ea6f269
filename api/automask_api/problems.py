"""Errors on the wire: RFC 9457 problem details with the same codes and advice as the command line."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from automask.errors import AutomaskError, ConfigError
from automask_api.errors import Busy

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "automask.request_id"
"""Key of the request's id in its ASGI scope."""
_HTTP_CODES = {400: "request-invalid", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


class FieldProblem(BaseModel):
    """One wrong field."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong and what to do (RFC 9457)."""

    type: str = Field(description="urn:automask:error: and the code.")
    title: str
    status: int
    detail: str = Field(description="One sentence.")
    code: str = Field(description="Stable name, as on the command line; docs/errors.md lists them.")
    advice: str = Field("", description="What to do about it.")
    exit_code: int = Field(description="Exit code of the same fault on the command line.")
    request_id: str
    errors: list[FieldProblem] = Field(default_factory=list, description="Wrong fields, one by one.")


def problem_of(error: AutomaskError, scope: Scope) -> Response:
    """The response of an error."""
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Busy) else {}
    if error.http_status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="automask"'
    return _response(
        scope,
        error.http_status,
        code=error.code,
        exit_code=error.exit_code,
        detail=error.message,
        advice=error.advice,
        headers=headers,
    )


def unexpected_problem(scope: Scope) -> Response:
    """The response of a defect; the log has the traceback."""
    return _response(
        scope,
        500,
        code=AutomaskError.default_code,
        detail="The server met an unexpected error.",
        advice="This is a defect: please report it with the server's log of this request id.",
    )


def install(app: FastAPI) -> None:
    """Let an app answer all errors that way."""

    async def on_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AutomaskError)
        if error.http_status >= 500 and not isinstance(error, Busy):
            logger.warning("%s: %s", error.code, error.message, extra={"request_id": request.scope.get(REQUEST_ID)})
        return problem_of(error, request.scope)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _HTTP_CODES.get(error.status_code, "request-invalid")
        return _response(
            request.scope, error.status_code, code=code, detail=str(error.detail), headers=error.headers or {}
        )

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = [
            FieldProblem(field=".".join(str(part) for part in detail["loc"][1:]), message=str(detail["msg"]))
            for detail in error.errors()
        ]
        if any(detail["loc"][0] == "path" for detail in error.errors()):  # there is nothing of such a name
            detail = "; ".join(f"{f.field}: {f.message}" for f in fields)
            return _response(request.scope, 404, code="not-found", detail=f"There is no such thing: {detail}.")
        return _response(
            request.scope,
            422,
            code=ConfigError.default_code,
            exit_code=ConfigError.exit_code,
            detail="The request is wrong: " + "; ".join(f"{f.field}: {f.message}" for f in fields) + ".",
            advice="/docs lists every field.",
            errors=fields,
        )

    app.add_exception_handler(AutomaskError, on_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)


def _response(
    scope: Scope,
    status: int,
    *,
    code: str,
    detail: str,
    exit_code: int = AutomaskError.exit_code,
    advice: str = "",
    headers: Mapping[str, str] | None = None,
    errors: list[FieldProblem] | None = None,
) -> Response:
    problem = Problem(
        type=f"urn:automask:error:{code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        advice=advice,
        exit_code=exit_code,
        request_id=str(scope.get(REQUEST_ID, "")),
        errors=errors or [],
    )
    content = problem.model_dump_json(exclude_defaults=True)
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))
