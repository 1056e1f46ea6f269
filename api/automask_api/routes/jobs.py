"""Masks for folders that the server can see, or that are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from automask.http.request import MaskOptions
from automask_api.batch.sources import read_batch
from automask_api.description import BATCH_BODY, BINARY
from automask_api.errors import NotFound
from automask_api.jobs.paging import page_of
from automask_api.jobs.records import Job, JobRequest
from automask_api.jobs.repeats import Submitted, idempotency_of
from automask_api.jobs.results import export_zip, manifest_lines, mask_zip
from automask_api.options import model_of
from automask_api.service import ServiceDep
from automask_api.settings import TEMPORARY_FOLDER

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobIdPath = Annotated[
    str, Path(json_schema_extra={"pattern": "^[0-9a-f]{16}$"}, description="From the answer that took the job.")
]
ZIP, NDJSON = "application/zip", "application/x-ndjson"

MOST_JOBS = 100

IdempotencyKey = Annotated[
    str | None,
    Header(max_length=255, description="Of this request alone: sent again with the same key, it is the same job."),
]
LINK = {"schema": {"type": "string"}, "description": "RFC 8288: the next page."}
REPLAYED: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "The job."},
            "Idempotency-Replayed": {"schema": {"type": "string"}, "description": "true: the job was there already."},
        }
    }
}

_POLL_S = 0.2


@router.post("", status_code=202, operation_id="createJob", responses=REPLAYED)
async def submit(
    request: JobRequest, http: Request, service: ServiceDep, response: Response, idempotency_key: IdempotencyKey = None
) -> Job:
    """Take a folder: its masks are made one after the other, whoever watches, and whether the server stops or not."""
    key = idempotency_of(idempotency_key, caller=http.scope.get("automask.key"))
    return _taken(await service.masks.in_thread(service.jobs.submit, request, idempotency=key), response)


@router.post(
    "/upload", status_code=202, operation_id="createJobFromUpload", responses=REPLAYED, openapi_extra=BATCH_BODY
)
async def upload(
    request: Request,
    service: ServiceDep,
    response: Response,
    options: Annotated[MaskOptions, Query()],
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Take images that are sent: a zip, or a form with files named `images` and any options.

    The server keeps them, and their masks, until the job is deleted or makes room for newer ones.
    """
    key = idempotency_of(idempotency_key, caller=request.scope.get("automask.key"))
    with service.admission(request.scope):
        async with read_batch(request, service.settings) as batch:
            chosen = model_of(options, batch.fields)

            def taken() -> Submitted:
                with service.jobs.uploads.staged(batch.items) as staged:
                    return service.jobs.submit_upload(staged, chosen, idempotency=key)

            loop = asyncio.get_running_loop()
            return _taken(await loop.run_in_executor(service.waiting_threads, taken), response)


@router.get("", operation_id="listJobs", responses={200: {"headers": {"Link": LINK}}})
async def list_jobs(
    service: ServiceDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS, description="Most jobs of a page.")] = MOST_JOBS,
    cursor: Annotated[str | None, Query(max_length=256, description="Of the next page, from a Link header.")] = None,
) -> list[Job]:
    """The jobs that are kept, newest first, in pages: while there are more, `Link` has the next one (`rel="next"`)."""
    page, following = page_of(service.jobs.jobs(), cursor=cursor, limit=limit)
    if following is not None:
        response.headers["Link"] = f'</v1/jobs?limit={limit}&cursor={following}>; rel="next"'
    return page


@router.get("/{job_id}", operation_id="getJob")
async def show(job_id: JobIdPath, service: ServiceDep) -> Job:
    """A job and where it stands."""
    return service.jobs.job(job_id)


@router.post("/{job_id}/cancel", operation_id="cancelJob")
async def cancel(job_id: JobIdPath, service: ServiceDep) -> Job:
    """End a job after the image in hand. What it made is kept: the same request goes on from there."""
    return await service.masks.in_thread(service.jobs.cancel, job_id)


@router.delete("/{job_id}", status_code=204, operation_id="deleteJob")
async def remove(job_id: JobIdPath, service: ServiceDep) -> None:
    """Forget a finished job and its masks."""
    await service.masks.in_thread(service.jobs.remove, job_id)


def _taken(submitted: Submitted, response: Response) -> Job:
    response.headers["Location"] = f"/v1/jobs/{submitted.job.id}"
    if not submitted.is_new:
        response.headers["Idempotency-Replayed"] = "true"
    return submitted.job


def known_job(job_id: JobIdPath, service: ServiceDep) -> Job:
    """The job of a path, looked up before anything is sent."""
    return service.jobs.job(job_id)


async def watcher(service: ServiceDep) -> AsyncIterator[None]:
    """A place among those who watch, until nothing more is sent."""
    with service.watching():
        yield


@router.get(
    "/{job_id}/events", response_class=EventSourceResponse, operation_id="watchJob", dependencies=[Depends(watcher)]
)
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
    operation_id="getJobManifest",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {"schema": {"type": "string"}}}, "description": "A line per image."}},
)
async def manifest(job_id: JobIdPath, service: ServiceDep) -> StreamingResponse:
    """What became of every image of a finished job, one JSON object per line."""
    job = service.jobs.finished(job_id)
    return StreamingResponse(manifest_lines(service.jobs.store_of(job)), media_type=NDJSON)


@router.get(
    "/{job_id}/masks",
    operation_id="getJobMasks",
    response_class=StreamingResponse,
    responses={200: {"content": {ZIP: {"schema": BINARY}}, "description": "The masks."}},
)
async def masks(job_id: JobIdPath, service: ServiceDep) -> StreamingResponse:
    """All masks of a finished job with the manifest, as a zip."""
    job = service.jobs.finished(job_id)
    return StreamingResponse(mask_zip(service.jobs.store_of(job)), media_type=ZIP)


@router.get(
    "/{job_id}/export",
    operation_id="exportJob",
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
