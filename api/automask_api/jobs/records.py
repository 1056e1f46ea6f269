"""What is known about a job: on the wire and, as the same JSON, on disk."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from automask.http.request import MaskOptions
from automask.http.wire_jobs import JobId, JobProblem, JobProgress, JobState, WireJob

__all__ = ["Job", "JobId", "JobProblem", "JobProgress", "JobRequest", "JobState", "UploadRequest"]


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


class Job(WireJob):
    """A job and where it stands."""

    request: JobRequest | UploadRequest
    idempotency: str = Field("", description="Hash of the Idempotency-Key that it came with, or empty.")
