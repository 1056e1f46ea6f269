"""What report and `show` read from a store: rows, regions under its policy, and where the files are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from automask.config import PipelineConfig
from automask.dataset.names import path_of
from automask.files.png import read_mask
from automask.mask.drawing import shown_things
from automask.report.overlay import Mark
from automask.run.edited import pending_edit
from automask.run.loaded import Loaded
from automask.store import Store
from automask.store.records import StoredImage
from automask.values.kinds import as_called
from automask.values.templates import TEMPLATE_ATTRIBUTE
from automask.values.types import Region


@dataclass(frozen=True, slots=True)
class ReportSource:
    """A store opened for looking at.

    Attributes:
        store: The store, read only.
        input_root: The folder that image ids are relative to, as of the last run, or None before the first.
        config: Of the last run: what decided which regions are drawn.
        corrected: Contents with corrections.
    """

    store: Store
    input_root: Path | None
    config: PipelineConfig
    corrected: Collection[str]

    @classmethod
    @contextlib.contextmanager
    def open(cls, root: Path) -> Iterator[Self]:
        """Open the store in a folder.

        Raises:
            StoreError: There is no usable store.
        """
        with Store.open(root, read_only=True) as store:
            run = store.last_run()
            config = PipelineConfig()
            if run is not None:
                # A configuration of another version: here it only decides which outlines are dashed.
                with contextlib.suppress(ValidationError):
                    config = PipelineConfig.model_validate_json(run.config_json)
            input_root = Path(run.input_root) if run is not None else None
            yield cls(store=store, input_root=input_root, config=config, corrected=store.corrected())

    def image_path(self, image: StoredImage) -> Path:
        """Where the image file was when the last run saw it."""
        return path_of(self.input_root or Path(), image.image_id)

    def mask_path(self, image: StoredImage) -> Path | None:
        """The mask file, or None for an image without a mask."""
        return self.store.mask_path(image.mask_name) if image.mask_name is not None else None

    def levels(self, image: StoredImage) -> NDArray[np.uint8] | None:
        """The mask, (H, W) uint8, 255 = train, or None without: its file, unless that is outdated or not as written.

        Raises:
            StoreError: The store cannot be read.
        """
        edit = pending_edit(self.store, image)
        if edit is not None:
            return edit.levels
        loaded = Loaded.of(self.store, image)
        revision = loaded.revision if loaded is not None else image.correction_revision
        data = self.store.mask_bytes(image) if revision == image.correction_revision else None
        if data is not None:
            return read_mask(data)
        return loaded.drawn(self.config).mask.levels if loaded is not None else None

    def all_marks(self, images: Sequence[StoredImage]) -> list[list[Mark]]:
        """The `marks` of some images, those of most of them in one read and without their pixels."""
        outlines = self.store.regions_of([image.image_id for image in images])
        return [
            [Mark.of(region, self.config.policy) for region in regions]
            if self._stands_alone(image, regions := outlines.get(image.image_id, []))
            else self.marks(image)
            for image in images
        ]

    def _stands_alone(self, image: StoredImage, regions: Sequence[Region]) -> bool:
        """Whether nothing was merged or called another kind: one source, nothing that repeats, and no person."""
        if image.fingerprints is None or image.correction_revision is not None:
            return False
        one_source = len({region.source for region in regions}) < 2
        repeats = any(TEMPLATE_ATTRIBUTE in region.attributes for region in regions)
        return one_source and not repeats and image.content_sha256 not in self.corrected and not self._is_edited(image)

    def _is_edited(self, image: StoredImage) -> bool:
        return pending_edit(self.store, image) is not None

    def marks(self, image: StoredImage) -> list[Mark]:
        """What its mask is made of and what is only proposed, under the kinds that a person gave."""
        loaded = Loaded.of(self.store, image)
        if loaded is None:
            return []
        things = shown_things(loaded.found, self.config, loaded.layers)
        return [Mark.of(one.region, self.config.policy, called=as_called(one.region)) for one in things]


def relative_link(path: Path | None, folder: Path) -> str | None:
    """Path from a folder to a file with forward slashes, or None where there is none (another drive)."""
    if path is None:
        return None
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return None
