"""Label Studio's protocol of machine learning backends: it connects to this server as to one of its own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from automask_api.bodies import until_disconnect
from automask_api.labelstudio.backend import Project
from automask_api.service import ServiceDep

router = APIRouter(tags=["label-studio"])

_MOST_TASKS = 1000

Text = Annotated[str, Field(max_length=4096)]
LabellingConfig = Annotated[str, Field(max_length=1_000_000)]


class BackendHealth(BaseModel):
    """A sign of life."""

    status: str
    model_class: str


class Setup(BaseModel):
    """A project that wants predictions. Keys that are not listed are not looked at."""

    model_config = ConfigDict(extra="ignore")

    project: str | int | None = None
    labelling_config: LabellingConfig = Field(alias="schema", description="The project's XML.")
    hostname: Text | None = Field(None, description="Label Studio's address; used only where the operator allows it.")
    access_token: Text | None = Field(None, description="For Label Studio's own images; sent there and nowhere else.")


class SetupAnswer(BaseModel):
    """What will predict."""

    model_version: str


class Task(BaseModel):
    """An image to predict for."""

    model_config = ConfigDict(extra="ignore")

    id: str | int | None = None
    data: dict[str, Any] = Field(description="Has the address of the image under the name of the configuration.")


class PredictRequest(BaseModel):
    """Tasks of one project. Keys that are not listed are not looked at."""

    model_config = ConfigDict(extra="ignore")

    tasks: list[Task] = Field(min_length=1, max_length=_MOST_TASKS)
    project: str | int | None = None
    label_config: LabellingConfig | None = Field(None, description="The project's XML; else that of its setup.")


class TaskError(BaseModel):
    """Why a task has no prediction."""

    code: str
    detail: str
    advice: str


class Prediction(BaseModel):
    """`result`, `score` and `model_version`, or `error`."""

    result: list[dict[str, Any]] | None = Field(None, description="Label Studio's results, one per region.")
    score: float | None = Field(None, description="How sure automask is of the whole image, 0..1.")
    model_version: str | None = None
    error: TaskError | None = None


class PredictAnswer(BaseModel):
    """One prediction for each task, in order."""

    results: list[Prediction]
    model_version: str


@router.get("/health", operation_id="labelStudioHealth")
async def health() -> BackendHealth:
    """Whether the backend answers."""
    return BackendHealth(status="UP", model_class="automask")


@router.post("/setup", operation_id="labelStudioSetup")
async def setup(body: Setup, service: ServiceDep) -> SetupAnswer:
    """Take note of a project's labelling configuration; refused where automask could predict nothing for it."""
    project = Project(body.labelling_config, hostname=body.hostname or "", token=body.access_token or "")
    service.label_studio.set_up(str(body.project or ""), project)
    return SetupAnswer(model_version=service.label_studio.model_version)


@router.post("/predict", operation_id="labelStudioPredict", response_model_exclude_none=True)
async def predict(body: PredictRequest, request: Request, service: ServiceDep) -> PredictAnswer:
    """Predictions for tasks: what automask masks, ungrown, under the labels of the project."""
    backend, settings = service.label_studio, service.settings
    project_id = str(body.project or "")
    control = backend.control(project_id, body.label_config or "")
    with service.admission(request.scope):
        work = backend.predictions(
            [task.model_dump() for task in body.tasks], project_id, control, timeout_s=settings.deadline_s
        )
        found = await until_disconnect(request, work, timeout_s=settings.deadline_s * len(body.tasks))
    return PredictAnswer(results=[Prediction.model_validate(one) for one in found], model_version=backend.model_version)
