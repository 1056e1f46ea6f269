"""Is it alive, and can it answer."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from automask_api.errors import Busy
from automask_api.service import ServiceDep

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A sign of life."""

    status: str


@router.get("/healthz", operation_id="isAlive")
async def healthz() -> Health:
    """Whether the process answers."""
    return Health(status="ok")


@router.get("/readyz", operation_id="isReady")
async def readyz(service: ServiceDep) -> Health:
    """Whether all models are loaded; 503 until then, with the reason where that failed."""
    if service.worker.load_error is not None:
        raise service.worker.load_error
    if not service.worker.ready:
        raise Busy("The models are being loaded.", code="starting")
    return Health(status="ready")
