"""A mask in, the same mask grown, shrunk, inverted or closed out. No model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from automask_api.adjusting import Adjustments
from automask_api.bodies import read_image, until_disconnect
from automask_api.description import BINARY, image_body
from automask_api.options import model_of
from automask_api.service import ServiceDep

router = APIRouter(prefix="/v1", tags=["masks"])


@router.post(
    "/adjust",
    operation_id="adjustMask",
    response_class=Response,
    openapi_extra=image_body("The mask, white = train."),
    responses={200: {"description": "The mask.", "content": {"image/png": {"schema": BINARY}}}},
)
async def adjust(request: Request, service: ServiceDep, adjustments: Annotated[Adjustments, Query()]) -> Response:
    """A mask after adjustments: inverted first, then grown or shrunk, then its holes filled.

    The body is the mask (any image file; colours count by their brightness), or a form with it as `image`.
    """
    settings = service.settings
    with service.admission(request.scope):
        form = await read_image(request, max_bytes=settings.max_image_bytes)
        adjustments = model_of(adjustments, form.fields)
        making = service.masks.adjusted(form.files["image"], adjustments)
        png = await until_disconnect(request, making, timeout_s=settings.deadline_s)
    return Response(png, media_type="image/png")
