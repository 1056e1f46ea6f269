"""What report and `show` read from a store: rows, regions under its policy, and where the files are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from automask.config import PipelineConfig, PolicyConfig
from automask.dataset.names import path_of
from automask.fuse import is_drawn
from automask.kinds import called
from automask.report.overlay import Mark
from automask.store import Store
from automask.store.records import StoredImage


@dataclass(frozen=True, slots=True)
class ReportSource:
    """A store opened for looking at.

    Attributes:
        store: The store, read only.
        input_root: The folder that image ids are relative to, as of the last run, or None before the first.
        policy: What decided which regions are drawn.
    """

    store: Store
    input_root: Path | None
    policy: PolicyConfig

    @classmethod
    @contextlib.contextmanager
    def open(cls, root: Path) -> Iterator[Self]:
        """Open the store in a folder.

        Raises:
            StoreError: There is no usable store.
        """
        with Store.open(root, read_only=True) as store:
            run = store.last_run()
            policy = PolicyConfig()
            if run is not None:
                # A configuration of another version: the policy only decides which outlines are dashed.
                with contextlib.suppress(ValidationError):
                    policy = PipelineConfig.model_validate_json(run.config_json).policy
            yield cls(store=store, input_root=Path(run.input_root) if run is not None else None, policy=policy)

    def image_path(self, image: StoredImage) -> Path:
        """Where the image file was when the last run saw it."""
        return path_of(self.input_root or Path(), image.image_id)

    def mask_path(self, image: StoredImage) -> Path | None:
        """The mask file, or None for an image without a mask."""
        return self.store.mask_path(image.mask_name) if image.mask_name is not None else None

    def marks(self, image: StoredImage) -> list[Mark]:
        """Its regions, under the kinds that a person gave."""
        found = self.store.regions(image.image_id)
        shown = called(found, self.store.called_kinds(image.content_sha256))
        return [
            Mark(region=region, drawn=is_drawn(before, self.policy))
            for region, before in zip(shown, found, strict=True)
        ]


def relative_link(path: Path | None, folder: Path) -> str | None:
    """Path from a folder to a file with forward slashes, or None where there is none (another drive)."""
    if path is None:
        return None
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return None
