"""What is known about a job: on the wire and, as the same JSON, on disk."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from automask.request import MaskOptions
from automask.wire import WireIssue

JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class JobState(enum.StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobRequest(BaseModel):
    """Masks for a folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(min_length=1, max_length=4096, description="As the server sees it; in one of its roots.")
    pattern: str | None = Field(
        None, min_length=1, max_length=1024, description="Only images like this, such as `portraits/*.png`."
    )
    options: MaskOptions = MaskOptions()


class UploadRequest(BaseModel):
    """Masks for images that were sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upload_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the names and contents of all images.")
    images: int = Field(ge=1, description="How many were sent.")
    options: MaskOptions = MaskOptions()


class JobProgress(BaseModel):
    """How far a job is; begins anew when the server is started again, with what was done counted as reused."""

    model_config = ConfigDict(frozen=True)

    total: int | None = Field(None, description="Images to deal with, once that is known.")
    done: int = Field(0, description="Images dealt with, failed ones too.")
    written: int = Field(0, description="Masks made.")
    reused: int = Field(0, description="Masks that were up to date.")
    failed: int = Field(0, description="Images without a mask.")
    review: int = Field(0, description="Masks that a person should look at.")
    skipped: dict[str, int] = Field(default_factory=dict, description="Files passed over, by reason.")
    image_id: str | None = Field(None, description="The image dealt with last.")


class JobProblem(BaseModel):
    """Why a job failed."""

    model_config = ConfigDict(frozen=True)

    code: str
    detail: str
    advice: str = ""


class Job(BaseModel):
    """A job and where it stands."""

    model_config = ConfigDict(frozen=True)

    id: JobId
    request: JobRequest | UploadRequest
    state: JobState
    folder: str = Field(description="The folder without links.")
    store: str = Field(description="Name of the store that holds its masks; equal requests share one.")
    created_s: float = Field(description="Seconds since the epoch.")
    started_s: float | None = None
    finished_s: float | None = None
    starts: int = Field(0, description="How often it was begun: more than once after the server was stopped.")
    progress: JobProgress = JobProgress()
    notices: list[WireIssue] = Field(default_factory=list, description="About the run as a whole.")
    problem: JobProblem | None = None
    idempotency: str = Field("", description="Hash of the Idempotency-Key that it came with, or empty.")
