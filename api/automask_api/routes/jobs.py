"""Masks for folders that the server can see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response, StreamingResponse

from automask_api.description import BINARY
from automask_api.errors import NotFound
from automask_api.jobs.records import Job, JobRequest
from automask_api.jobs.results import export_zip, manifest_lines, mask_zip
from automask_api.service import TEMPORARY_FOLDER, ServiceDep

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobIdPath = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="From the answer that took the job.")]
ZIP, NDJSON = "application/zip", "application/x-ndjson"

_POLL_S = 0.2


@router.post("", status_code=202)
async def submit(request: JobRequest, service: ServiceDep, response: Response) -> Job:
    """Take a folder: its masks are made one after the other, whoever watches, and whether the server stops or not."""
    job = await service.masks.in_thread(service.jobs.submit, request)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("")
async def list_jobs(service: ServiceDep) -> list[Job]:
    """All jobs that are kept, newest first."""
    return service.jobs.jobs()


@router.get("/{job_id}")
async def show(job_id: JobIdPath, service: ServiceDep) -> Job:
    """A job and where it stands."""
    return service.jobs.job(job_id)


@router.post("/{job_id}/cancel")
async def cancel(job_id: JobIdPath, service: ServiceDep) -> Job:
    """End a job after the image in hand. What it made is kept: the same request goes on from there."""
    return await service.masks.in_thread(service.jobs.cancel, job_id)


@router.delete("/{job_id}", status_code=204)
async def remove(job_id: JobIdPath, service: ServiceDep) -> None:
    """Forget a finished job and its masks."""
    await service.masks.in_thread(service.jobs.remove, job_id)


def known_job(job_id: JobIdPath, service: ServiceDep) -> Job:
    """The job of a path, looked up before anything is sent."""
    return service.jobs.job(job_id)


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def events(job: Annotated[Job, Depends(known_job)], service: ServiceDep) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `progress` with the job whenever it changes, and `end` when it is finished."""
    last = None
    while True:
        try:
            job = service.jobs.job(job.id)
        except NotFound:
            return
        if job != last:
            last = job
            yield ServerSentEvent(event="end" if job.state.is_final else "progress", data=job)
        if job.state.is_final or service.stopping.begun:
            return
        await asyncio.sleep(_POLL_S)


@router.get(
    "/{job_id}/manifest",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {"schema": {"type": "string"}}}, "description": "A line per image."}},
)
async def manifest(job_id: JobIdPath, service: ServiceDep) -> StreamingResponse:
    """What became of every image of a finished job, one JSON object per line."""
    job = service.jobs.finished(job_id)
    return StreamingResponse(manifest_lines(service.jobs.store_of(job)), media_type=NDJSON)


@router.get(
    "/{job_id}/masks",
    response_class=StreamingResponse,
    responses={200: {"content": {ZIP: {"schema": BINARY}}, "description": "The masks."}},
)
async def masks(job_id: JobIdPath, service: ServiceDep) -> StreamingResponse:
    """All masks of a finished job with the manifest, as a zip."""
    job = service.jobs.finished(job_id)
    return StreamingResponse(mask_zip(service.jobs.store_of(job)), media_type=ZIP)


@router.get(
    "/{job_id}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {ZIP: {"schema": BINARY}}, "description": "The trainer's files."}},
)
async def export(
    job_id: JobIdPath,
    service: ServiceDep,
    to: Annotated[str, Query(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="kohya, onetrainer, coco, ...")],
) -> StreamingResponse:
    """The masks of a finished job in the layout of a trainer, as a zip; with the images where it needs them."""
    job = service.jobs.finished(job_id)
    temporary = service.settings.data_dir / TEMPORARY_FOLDER
    body = await service.masks.in_thread(export_zip, service.jobs.store_of(job), to, temporary=temporary)
    return StreamingResponse(body, media_type=ZIP)
