"""Images of a store with what is masked in them, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from automask.config import PipelineConfig
from automask.dataset.decode import Decoded, decode
from automask.dataset.names import path_of
from automask.dataset.stored import file_of_row
from automask.errors import ImageError, StoreError
from automask.mask.correcting import drawn_as_called
from automask.mask.rendering import Mask, is_drawn
from automask.run.loaded import Loaded
from automask.store import Status, Store, StoredImage
from automask.values.kinds import called
from automask.values.types import Kind, Patch, Region


@dataclass(frozen=True, slots=True)
class StoreSource:
    """A store opened for reading, with the folder of its images and its last configuration.

    Attributes:
        store: Opened read only.
        input_root: The folder that image ids are relative to.
        config: Of the last run: what is drawn.
    """

    store: Store
    input_root: Path
    config: PipelineConfig

    @classmethod
    @contextlib.contextmanager
    def open(cls, root: Path) -> Iterator[Self]:
        """Open the store in a folder.

        Raises:
            StoreError: There is no usable store, nothing was run on it, or by a version with other keys.
        """
        from automask.run.redraw import stored_config

        config = stored_config(root)
        with Store.open(root, read_only=True) as store:
            last = store.last_run()
            if last is None:
                raise StoreError(f"Nothing was run on {root}.", advice="Run `automask run` first.")
            yield cls(store=store, input_root=Path(last.input_root), config=config)

    def images(self) -> Iterator[StoredImage]:
        """Rows of all images that have a result, by id."""
        return self.store.images(status=Status.DONE)

    def image_path(self, row: StoredImage) -> Path:
        """Where the image was when the last run saw it."""
        return path_of(self.input_root, row.image_id)

    def decoded(self, row: StoredImage) -> Decoded:
        """The image, upright.

        Raises:
            ImageError: It is gone, unreadable, or no longer the one that the mask was made for (`image-changed`).
        """
        decoded = decode(file_of_row(row, self.image_path(row)), self.config.decode)
        if decoded.content_sha256 != row.content_sha256:
            raise ImageError(
                f"{row.image_id} has changed since its mask was made.",
                advice="Run `automask run` on its folder first.",
                code="image-changed",
            )
        return decoded

    def mask(self, row: StoredImage) -> Mask:
        """The mask as the last run's settings and the newest correction draw it.

        Raises:
            ImageError: Nothing usable is stored.
        """
        return self._loaded(row).drawn(self.config).mask

    def drawn(self, row: StoredImage) -> list[tuple[Region, Patch]]:
        """Regions that are part of the mask, under the kinds that a person gave, with their ungrown outlines.

        Where a person drew a mask instead, only those that the person called another kind.

        Raises:
            ImageError: Nothing usable is stored.
        """
        loaded = self._loaded(row)
        return list(drawn_as_called(loaded.found, self.config, loaded.layers))

    def is_corrected(self, row: StoredImage) -> bool:
        """Whether a person changed the mask.

        Raises:
            ImageError: Nothing usable is stored.
        """
        return self._loaded(row).layers is not None

    def masked_kinds(self, row: StoredImage) -> frozenset[Kind]:
        """Kinds of which something is masked in an image, and stays masked after a person's corrections.

        A mask that a person drew from nothing (or edited in another program) has no kinds of its own: it counts as
        those regions that it still covers by half or more.

        Raises:
            ImageError: Nothing usable is stored.
        """
        loaded = self._loaded(row)
        if loaded.layers is None:
            alone = [region for region in loaded.found.regions if is_drawn(region, self.config.policy)]
            return frozenset(region.kind for region in (*alone, *(region for region, _ in self.drawn(row))))
        masked = loaded.drawn(self.config).mask.weight < 0.5
        found = set()
        regions = called(loaded.found.regions, loaded.layers.kinds)
        for region, patch in zip(regions, loaded.found.patches, strict=True):
            ink = patch.artefact
            if region.kind not in found and ink.any() and masked[patch.box.slices][ink].mean() >= 0.5:
                found.add(region.kind)
        return frozenset(found)

    def _loaded(self, row: StoredImage) -> Loaded:
        loaded = Loaded.of(self.store, row)
        if loaded is None:
            raise ImageError(
                f"The store has nothing usable for {row.image_id}.",
                advice="Run `automask run` on its folder again.",
                code="image-unknown",
            )
        return loaded
