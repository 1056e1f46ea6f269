"""What this server runs."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from automask.http.wire import WireFingerprints, WireIssue, WireServer
from automask.protocols import Stage
from automask.version import __version__
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
    more_detectors: list[StageInfo] = Field(description="Others that a request may choose.")
    more_refiners: list[StageInfo] = Field(description="Others that a request may choose.")
    notices: list[WireIssue] = Field(description="What is missing, and what that means.")


@router.get("/models", operation_id="getModels")
async def models(service: ServiceDep) -> ModelsInfo:
    """Detectors and refiner with their versions."""
    pipeline, loaded_stages = service.pipelines[0], service.loaded_stages
    return ModelsInfo(
        version=__version__,
        detectors=[_stage(stage) for stage in pipeline.detectors],
        refiner=_stage(pipeline.refiner),
        more_detectors=[_stage(each) for each in loaded_stages.more_detectors.values()],
        more_refiners=[_stage(each) for each in loaded_stages.more_refiners.values()],
        config=pipeline.config.model_dump(mode="json"),
        fingerprints=WireFingerprints.of(pipeline.fingerprints),
        notices=[WireIssue.of(notice) for notice in pipeline.notices],
    )


def _stage(stage: Stage) -> StageInfo:
    return StageInfo(name=stage.name, fingerprint=stage.fingerprint)
