"""Many images in, many masks out."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from automask_api.accept import preferred
from automask_api.batch.sources import ZIP_TYPES, Batch, read_batch
from automask_api.batch.working import as_lines, as_zip, outcomes
from automask_api.description import BATCH_BODY, BINARY
from automask_api.options import RequestOptions, model_of
from automask_api.service import Service, ServiceDep

router = APIRouter(prefix="/v1", tags=["masks"])

ZIP, NDJSON = ZIP_TYPES[0], "application/x-ndjson"


@router.post(
    "/masks/batch",
    operation_id="makeMasks",
    response_class=StreamingResponse,
    openapi_extra=BATCH_BODY,
    responses={
        200: {
            "description": "The masks with a manifest, or a line per image; streamed.",
            "content": {ZIP: {"schema": BINARY}, NDJSON: {"schema": {"type": "string"}}},
        }
    },
)
async def make_masks(
    request: Request, service: ServiceDep, options: Annotated[RequestOptions, Query()]
) -> StreamingResponse:
    """The masks of many images, in their order, each sent as soon as it is made.

    The body is a zip of images, or a form with files named `images` and any options. The answer is a zip with
    `masks/...` and `manifest.ndjson`, or with `Accept: application/x-ndjson` a line per image with everything that is
    known and the mask in base64. An image that cannot be used costs the others nothing: its line has an `error`.
    """
    media_type = preferred(request.headers.get("accept", ""), (ZIP, NDJSON))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(service.admission(request.scope))
        batch = await stack.enter_async_context(read_batch(request, service.settings))
        body = _answered(batch, service, model_of(options, batch.fields), media_type)
        return StreamingResponse(_with(stack.pop_all(), body), media_type=media_type)
    raise AssertionError  # the stack swallows nothing


def _answered(batch: Batch, service: Service, options: RequestOptions, media_type: str) -> AsyncIterator[bytes]:
    config = service.configured(options)
    found = outcomes(
        batch.items,
        service.masks,
        config,
        at_once=2 * service.settings.batch_size,
        timeout_s=options.deadline_s or service.settings.deadline_s,
    )
    return as_zip(found, [item.name for item in batch.items]) if media_type == ZIP else as_lines(found)


async def _with(stack: contextlib.AsyncExitStack, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body, and what has to be given back once it was sent or nobody takes it any more."""
    async with stack:
        async for chunk in body:
            yield chunk
