"""Jobs on disk: one small file each, written whole, so that they outlive the server."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from automask.store import write_atomic
from automask_api.jobs.records import Job

logger = logging.getLogger(__name__)

_JOBS, _STORES = "jobs", "stores"


class JobFiles:
    """The files of all jobs and their stores.

    Args:
        root: The service's data folder.
    """

    def __init__(self, root: Path) -> None:
        self._jobs = root / _JOBS
        self._stores = root / _STORES

    def read(self) -> list[Job]:
        """All jobs, oldest first. Damaged files are left where they are, with a warning."""
        jobs = []
        for path in self._jobs.glob("*.json"):
            try:
                jobs.append(Job.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                logger.warning("the job file %s cannot be read", path)
        return sorted(jobs, key=lambda job: (job.created_s, job.id))

    def write(self, job: Job) -> None:
        """Keep a job as it is now.

        Raises:
            OutputError: The disk is full or read-only.
        """
        self._jobs.mkdir(parents=True, exist_ok=True)
        write_atomic(self._jobs / f"{job.id}.json", (job.model_dump_json(indent=2) + "\n").encode())

    def remove(self, job: Job, *, others: Iterable[Job]) -> None:
        """Forget a job, and its masks where no other job has the same."""
        with contextlib.suppress(FileNotFoundError):
            (self._jobs / f"{job.id}.json").unlink()
        if all(other.store != job.store for other in others):
            shutil.rmtree(self.store_root(job), ignore_errors=True)

    def store_root(self, job: Job) -> Path:
        """Where its masks are."""
        return self._stores / job.store
