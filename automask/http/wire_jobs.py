"""What an automask server says about a job, as JSON: written by `automask_api`, read by `automask.client`."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import Field

from automask.http.wire import WireIssue, WireModel

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


class JobProgress(WireModel):
    """How far a job is; begins anew when the server is started again, with what was done counted as reused."""

    total: int | None = Field(None, description="Images to deal with, once that is known.")
    done: int = Field(0, description="Images dealt with, failed ones too.")
    written: int = Field(0, description="Masks made.")
    reused: int = Field(0, description="Masks that were up to date.")
    failed: int = Field(0, description="Images without a mask.")
    review: int = Field(0, description="Masks that a person should look at.")
    skipped: dict[str, int] = Field(default_factory=dict, description="Files passed over, by reason.")
    image_id: str | None = Field(None, description="The image dealt with last.")


class JobProblem(WireModel):
    """Why a job failed."""

    code: str
    detail: str
    advice: str = ""


class WireJob(WireModel):
    """A job and where it stands."""

    id: JobId
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
