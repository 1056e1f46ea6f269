"""One image in, its mask out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from automask.http.wire import WireResult
from automask_api.accept import preferred
from automask_api.bodies import read_image, until_disconnect
from automask_api.description import BINARY, image_body, reference
from automask_api.masking import Answer, ImageFacts
from automask_api.options import RequestOptions, model_of
from automask_api.service import ServiceDep

router = APIRouter(prefix="/v1", tags=["masks"])

PNG, JSON = "image/png", "application/json"

_HEADERS: dict[str, Any] = {
    "ETag": {"schema": {"type": "string"}, "description": "Content hash and fingerprint; for If-None-Match."},
    "X-Automask-Verdict": {"schema": {"type": "string", "enum": ["auto", "review"]}},
    "X-Automask-Confidence": {"schema": {"type": "number"}},
    "X-Automask-Masked-Share": {"schema": {"type": "number"}},
    "X-Automask-Fingerprint": {"schema": {"type": "string"}},
    "X-Automask-Content-Sha256": {"schema": {"type": "string"}},
    "X-Automask-Issues": {"schema": {"type": "string"}, "description": "Codes of warnings, separated by commas."},
}


@router.post(
    "/masks",
    operation_id="makeMask",
    response_class=Response,
    openapi_extra=image_body("The image file."),
    responses={
        200: {
            "description": "The mask, or everything that is known about the image.",
            "content": {PNG: {"schema": BINARY}, JSON: {"schema": reference(WireResult)}},
            "headers": _HEADERS,
        },
        304: {"description": "The client's copy is up to date."},
    },
)
async def make_mask(request: Request, service: ServiceDep, options: Annotated[RequestOptions, Query()]) -> Response:
    """The mask of an image, white = train, the same to the byte as the command line's.

    The body is the image file, or a form with the file `image` and any options. `Accept: application/json` gives
    regions, verdict and timings instead of the PNG.
    """
    media_type = preferred(request.headers.get("accept", ""), (PNG, JSON))
    with service.admission(request.scope):
        form = await read_image(request, max_bytes=service.settings.max_image_bytes)
        options = model_of(options, form.fields)
        config = service.configured(options)
        timeout_s = min(options.deadline_s or service.settings.deadline_s, service.settings.deadline_s)
        data = form.files["image"]
        facts = service.masks.facts(data, config)
        tag = entity_tag(facts, media_type)
        if tag in _tags(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers={"ETag": tag, "Vary": "Accept"})
        name = form.names.get("image") if options.name == "image" else options.name
        making = service.masks.make(data, facts, config, name=name or "image", timeout_s=timeout_s)
        answer = await until_disconnect(request, making, timeout_s=timeout_s)
    headers = {**answer_headers(answer), "ETag": tag, "Vary": "Accept"}
    if media_type == JSON:
        return Response(answer.wire().model_dump_json(), media_type=JSON, headers=headers)
    return Response(answer.png, media_type=PNG, headers=headers)


def entity_tag(facts: ImageFacts, media_type: str) -> str:
    """Strong for the PNG, which is always the same; weak for JSON, which also has timings."""
    return f'"{facts.tag}"' if media_type == PNG else f'W/"{facts.tag}-json"'


def answer_headers(answer: Answer) -> dict[str, str]:
    """What a client that only wants the mask should know about it."""
    result = answer.result
    return {
        "X-Automask-Verdict": result.verdict.value,
        "X-Automask-Confidence": f"{result.confidence:.4f}",
        "X-Automask-Masked-Share": f"{answer.mask.masked_share:.4f}",
        "X-Automask-Fingerprint": result.fingerprints.fuse,
        "X-Automask-Content-Sha256": answer.facts.content_sha256,
        "X-Automask-Issues": ",".join(dict.fromkeys(issue.code for issue in result.issues)),
    }


def _tags(header: str) -> set[str]:
    return {part.strip() for part in header.split(",")}
