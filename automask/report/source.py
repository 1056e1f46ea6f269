"""What report and `show` read from a store: rows, regions under its policy, and where the files are."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile
from pydantic import ValidationError

from automask.config import PipelineConfig
from automask.dataset.names import path_of
from automask.mask.drawing import shown_things
from automask.report.overlay import Mark
from automask.run.edited import pending_edit
from automask.run.loaded import Loaded
from automask.store import Store
from automask.store.records import StoredImage
from automask.values.kinds import as_called


@dataclass(frozen=True, slots=True)
class ReportSource:
    """A store opened for looking at.

    Attributes:
        store: The store, read only.
        input_root: The folder that image ids are relative to, as of the last run, or None before the first.
        config: Of the last run: what decided which regions are drawn.
    """

    store: Store
    input_root: Path | None
    config: PipelineConfig

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
            yield cls(store=store, input_root=Path(run.input_root) if run is not None else None, config=config)

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
            with PngImageFile(io.BytesIO(data)) as mask:  # `PIL.Image.open` refuses masks of large images
                return np.asarray(mask.convert("L"))
        return loaded.drawn(self.config).mask.levels if loaded is not None else None

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
