"""What people and Prometheus read: the API reference, with nothing from elsewhere, and the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from automask_api.service import ServiceDep

router = APIRouter(tags=["reference"])

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin:2.5rem 0 .3rem;font-size:1.05rem;border-top:1px solid #ccc;padding-top:1rem}
code,h2{font-family:ui-monospace,monospace}b{color:#0a58a8}table{border-collapse:collapse;font-size:.9rem}
td{padding:.15rem .8rem .15rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}b{color:#7db8f0}h2{border-color:#444}}
"""
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Every route with its fields, for people; `/openapi.json` is the same for programs."""
    return HTMLResponse("\n".join(_page(request.app.openapi())), headers=_HEADERS)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}},
)
async def metrics(service: ServiceDep) -> Response:
    """Requests, queues, caches and jobs for Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=1.0.0; charset=utf-8")


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['summary'])}</p>"
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a>. Errors are problem details (RFC 9457).</p>'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><b>{method.upper()}</b> {escape(path)}</h2>"
            yield f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
            yield from _fields(operation)


def _fields(operation: dict[str, Any]) -> Iterator[str]:
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield f"<p>Body: {', '.join(f'<code>{escape(name)}</code>' for name in body)}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table>"
        for parameter in parameters:
            words = parameter.get("description") or parameter["schema"].get("description", "")
            yield f"<tr><td><code>{escape(parameter['name'])}</code><td>{parameter['in']}<td>{escape(words)}"
        yield "</table>"
    answers = operation["responses"]
    good = [f"{status} {', '.join(answer.get('content', {}))}" for status, answer in answers.items() if status < "4"]
    yield f"<p>Answers: {escape('; '.join(good))}</p>"
