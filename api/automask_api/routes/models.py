"""What this server runs."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

import automask
from automask.types import Issue
from automask.wire import WireFingerprints, WireIssue, WireServer
from automask_api.service import ServiceDep

router = APIRouter(prefix="/v1", tags=["models"])


class StageInfo(BaseModel):
    """A detector or refiner."""

    name: str
    fingerprint: str = Field(description="Hash of its algorithm version, options and weights.")


class ModelsInfo(WireServer):
    """Everything that masks of this server depend on."""

    detectors: list[StageInfo]
    refiner: StageInfo
    notices: list[WireIssue] = Field(description="What is missing, and what that means.")


@router.get("/models")
async def models(service: ServiceDep) -> ModelsInfo:
    """Detectors and refiner with their versions."""
    pipeline = service.pipelines[0]
    return ModelsInfo(
        version=automask.__version__,
        detectors=[StageInfo(name=stage.name, fingerprint=stage.fingerprint) for stage in pipeline.detectors],
        refiner=StageInfo(name=pipeline.refiner.name, fingerprint=pipeline.refiner.fingerprint),
        config=pipeline.config.model_dump(mode="json"),
        fingerprints=WireFingerprints.of(pipeline.fingerprints),
        notices=[_wire(notice) for notice in pipeline.notices],
    )


def _wire(issue: Issue) -> WireIssue:
    return WireIssue(stage=issue.stage, code=issue.code, message=issue.message, severity=issue.severity)
