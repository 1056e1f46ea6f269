"""Corrections by hand: what a click, a box or a drawing means, drawn into a mask."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from automask.config import RenderConfig
from automask.errors import InputError
from automask.files.png import encode_mask
from automask.http.wire import WireRefined, WireRle
from automask.protocols import Prompt, PromptAnswer
from automask.values.geometry import Box
from automask.values.types import Image
from automask_api.accept import preferred
from automask_api.bodies import MULTIPART, Form, media_type_of, read_form, until_disconnect
from automask_api.description import BINARY, reference
from automask_api.errors import NotFound, UnsupportedType
from automask_api.options import model_of
from automask_api.refining.open_images import OpenImage
from automask_api.refining.prompts import RefineOptions, drawn_into
from automask_api.service import Service, ServiceDep

router = APIRouter(prefix="/v1", tags=["refine"])

PNG, JSON = "image/png", "application/json"
_FILES = ("image", "mask", "drawn")
_FORMS = (MULTIPART, "application/x-www-form-urlencoded", "")
"""Without a type the body is empty: everything stands in the query."""
_DARK = 128

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {**BINARY, "description": "The image, unless content_sha256 names one sent before."},
                        "mask": {**BINARY, "description": "The mask so far; all white without one."},
                        "drawn": {**BINARY, "description": "A drawing of the image's size, the thing dark."},
                    },
                    "additionalProperties": {"type": "string", "description": "Any option of the query."},
                }
            },
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}}
            },
        },
    }
}


class RefineAnswer(WireRefined):
    """What was meant."""


@router.post(
    "/refine",
    operation_id="refineMask",
    response_class=Response,
    openapi_extra=_BODY,
    responses={
        200: {
            "description": "The new mask, or what was meant.",
            "content": {PNG: {"schema": BINARY}, JSON: {"schema": reference(RefineAnswer)}},
        }
    },
)
async def refine(request: Request, service: ServiceDep, options: Annotated[RefineOptions, Query()]) -> Response:
    """A mask with one thing more masked, or trained again: what was clicked on, boxed or drawn.

    The first request sends the image; the next ones may send its `content_sha256` instead, as long as the server
    remembers it; 404 `image-forgotten` asks for the image again.
    """
    media_type = preferred(request.headers.get("accept", ""), (PNG, JSON))
    if media_type_of(request) not in _FORMS:
        raise UnsupportedType("Refinements are forms.", advice="Send -F image=@picture.png -F points=120,80.")
    with service.admission(request.scope):
        form = await read_form(request, max_files=len(_FILES), max_bytes=service.settings.max_image_bytes)
        options = model_of(options, form.fields)
        if unknown := sorted(set(form.files) - set(_FILES)):
            raise InputError(f"The form has files named {', '.join(unknown)}.", advice="Known: image, mask, drawn.")
        work = _refined(service, form, options)
        answer = await until_disconnect(request, work, timeout_s=service.settings.deadline_s)
    headers = {
        "X-Automask-Content-Sha256": answer.content_sha256,
        "X-Automask-Method": answer.method,
        "X-Automask-Score": f"{answer.score:.4f}",
        "Vary": "Accept",
    }
    if media_type == JSON:
        return Response(answer.model_dump_json(), media_type=JSON, headers=headers)
    return Response(base64.b64decode(answer.mask_png), media_type=PNG, headers=headers)


async def _refined(service: Service, form: Form, options: RefineOptions) -> RefineAnswer:
    started = time.perf_counter()
    content_sha256, opened = await _opened(service, form, options)
    image = opened.image
    options.check_points(image)
    box = options.box_in(image)
    drawn = await _levels(service, form, "drawn", image)
    levels = await _levels(service, form, "mask", image)
    artefact = drawn < _DARK if drawn is not None else None
    if not (options.points or box or (artefact is not None and artefact.any())):
        raise InputError("Nothing was pointed at.", advice="Send points, a box or a drawing.", code="prompt-invalid")

    def ask() -> PromptAnswer:
        with service.open_images.working:
            return opened.session.answer(Prompt(options.all_points, options.wanted, box, artefact))

    timeout_s = service.settings.deadline_s
    answer = await asyncio.wrap_future(service.worker.call(lambda _: ask(), timeout_s=timeout_s))
    base = levels if levels is not None else np.full(image.box.shape, 255, dtype=np.uint8)
    render = options.render(service.config.render)
    png = await service.masks.in_thread(_png, base, answer.artefact, options, render)
    found = Box.of_artefact(answer.artefact)
    return RefineAnswer(
        content_sha256=content_sha256,
        method=answer.method,
        note=service.open_images.missing,
        score=answer.score,
        box=found.xyxy if found is not None else None,
        rle=WireRle.of(answer.artefact[found.slices]) if found is not None else None,
        mask_png=base64.b64encode(png).decode("ascii"),
        seconds=round(time.perf_counter() - started, 4),
    )


async def _opened(service: Service, form: Form, options: RefineOptions) -> tuple[str, OpenImage]:
    data = form.files.get("image")
    if data is None:
        if options.content_sha256 is None:
            raise InputError("There is no image.", advice="Send -F image=@picture.png.", code="prompt-invalid")
        known = service.open_images.found(options.content_sha256)
        if known is None:
            raise NotFound("The server does not remember that image.", advice="Send it again.", code="image-forgotten")
        return options.content_sha256, known
    content_sha256 = hashlib.sha256(data).hexdigest()
    known = service.open_images.found(content_sha256)
    if known is None:
        async with service.masks.pixels_of(data, name="image") as decoded:
            image = decoded.image
            work = service.worker.call(
                lambda _: service.open_images.opened(content_sha256, image), timeout_s=service.settings.deadline_s
            )
            known = await asyncio.wrap_future(work)
    return content_sha256, known


async def _levels(service: Service, form: Form, name: str, image: Image) -> NDArray[np.uint8] | None:
    """A file of the form as grey levels of the image's size."""
    data = form.files.get(name)
    if data is None:
        return None
    async with service.masks.pixels_of(data, name=name) as decoded:
        levels = decoded.image.pixels[..., 0]
    if levels.shape != image.box.shape:
        raise InputError(
            f"The {name} is {levels.shape[1]} x {levels.shape[0]} px, its image {image.width_px} x {image.height_px}.",
            advice="Both must be of the size of the upright image.",
            code="prompt-invalid",
        )
    return np.ascontiguousarray(levels)


def _png(base: NDArray[np.uint8], artefact: NDArray[np.bool_], options: RefineOptions, render: RenderConfig) -> bytes:
    return encode_mask(drawn_into(base, artefact, do=options.do, render=render))
