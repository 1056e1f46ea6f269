"""Which folders a job may read, and which files in them."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path

from automask.dataset.codes import SkipReason
from automask.dataset.image_file import ImageFile
from automask.dataset.walk import real_path
from automask.errors import InputError
from automask_api.errors import OriginRefused
from automask_api.jobs.records import JobRequest, UploadRequest


def allowed_folder(name: str, roots: Sequence[Path]) -> Path:
    """The folder of a job, without links.

    Args:
        name: Absolute, or relative to one of the roots.
        roots: Resolved folders.

    Raises:
        OriginRefused: It does not lie in a root, or there are no roots. Whether it exists is not told.
        InputError: It lies in a root, but is not a folder.
    """
    try:
        candidates = [Path(name)] if Path(name).is_absolute() else [root / name for root in roots]
        resolved = [real_path(path) for path in candidates]
    except ValueError as error:  # a null byte
        raise InputError(f"{name!r} is not a path.", code="input-not-a-folder") from error
    inside = [path for path in resolved if any(path.is_relative_to(root) for root in roots)]
    if not inside:
        raise OriginRefused(
            f"The server may not read {name!r}.",
            advice="Start it with `--root FOLDER` for the folder of your images (or AUTOMASK_SERVE_ROOTS).",
            code="root-refused",
        )
    for path in inside:
        if os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises for names that are too long or may not be looked at
            return path
    raise InputError(
        f"{name!r} is not a folder.", advice="Check the path, as the server sees it.", code="input-not-a-folder"
    )


def pattern_of(request: JobRequest | UploadRequest) -> str | None:
    """Which images a job takes; all of an upload."""
    return request.pattern if isinstance(request, JobRequest) else None


class Choice:
    """Which images of a folder a job takes: those that match a pattern and lie in a root, links followed.

    Args:
        roots: Resolved folders.
        pattern: Shell pattern for ids (`*` crosses folders), or None for all.
    """

    def __init__(self, roots: Sequence[Path], pattern: str | None) -> None:
        self._roots = tuple(roots)
        self._pattern = pattern

    def __call__(self, file: ImageFile) -> SkipReason | None:
        """Why an image is passed over, or None."""
        if self._pattern is not None and not fnmatch.fnmatchcase(file.id, self._pattern):
            return SkipReason.NOT_ASKED_FOR
        path = real_path(file.path)
        return None if any(path.is_relative_to(root) for root in self._roots) else SkipReason.OUTSIDE_ROOT
