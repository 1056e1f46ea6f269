"""The store as the review page works on it: rows by token, files, the configuration that masks are drawn under."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.dataset.image_file import ImageFile
from automask.dataset.names import path_of
from automask.dataset.stored import file_of_row
from automask.errors import ConfigError, InputError, WeightsError
from automask.protocols import PromptAnswer, PromptSession
from automask.run.edited import adopt_edited_mask, pending_edit
from automask.run.loaded import Loaded
from automask.run.pipeline import MaskPipeline
from automask.run.reasons import reasons_of
from automask.run.redraw import redraw_image, stored_config
from automask.store import Status, Store, StoredImage
from automask.values.types import Image
from automask_api.errors import NotFound
from automask_api.refining.clicks import masked_before_growth, part_to_remove, thing_to_add
from automask_api.refining.open_images import OpenImages
from automask_api.review.pictures import PictureCache

Answer = TypeVar("Answer")

_OPEN_IMAGES = 6
_OPEN_PX = 150_000_000


class ReviewSource:
    """An open store, and what the page needs beside it. Any thread may use it.

    Attributes:
        store: Open for writing.
        author: Who reviews, for the history of corrections.
        config: Of the store's last run: what masks are drawn under.
        input_root: The folder that image ids are relative to.
        pictures: Decoded images.
    """

    def __init__(self, store: Store, *, author: str, config: PipelineConfig, input_root: Path) -> None:
        self.store = store
        self.author = author
        self.config = config
        self.input_root = input_root
        self.pictures = PictureCache(config.decode)
        self._drawing = threading.Lock()
        self._opening = threading.Lock()
        self._open_images: OpenImages | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, root: Path, *, author: str) -> Iterator[Self]:
        """Open the store in a folder.

        Raises:
            StoreError: There is no usable store, or nothing was ever run on it.
        """
        with Store.open(root) as store:  # first, since it may have to be brought up to date
            config = stored_config(root)
            run = store.last_run()
            input_root = Path(run.input_root) if run is not None else Path()
            yield cls(store, author=author, config=config, input_root=input_root)

    @property
    def store_id(self) -> str:
        """Tells this store from others in the same browser."""
        return hashlib.sha256(str(self.store.root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def rows(self) -> Iterator[StoredImage]:
        """All images with a file, the most doubtful first."""
        return (row for row in self.store.images(order="confidence") if row.status is not Status.MISSING)

    def reasons(self, stored: StoredImage) -> list[str]:
        """Why an image waits for a person, in words."""
        regions, issues = self.store.regions(stored.image_id), self.store.issues(stored.image_id)
        return reasons_of(stored, regions, issues, self.config)

    def revision_of(self, stored: StoredImage) -> int:
        """Newest revision of an image's correction, a withdrawn one too; 0 where there was none."""
        newest = self.store.correction(stored.content_sha256) if stored.content_sha256 is not None else None
        return newest.revision if newest is not None else 0

    def row(self, token: str) -> StoredImage:
        """The row behind a token.

        Raises:
            NotFound: There is none (`image-unknown`).
        """
        image_id = image_id_of(token)
        stored = self.store.lookup(image_id)
        if stored is None:
            raise NotFound(
                f"The store has no image {image_id!r}.",
                advice="Load the page again: the store may have changed.",
                code="image-unknown",
            )
        return stored

    def row_to_change(self, token: str) -> StoredImage:
        """The row behind a token, once what a person saved over its mask file since the last run is a correction.

        Raises:
            NotFound: There is none (`image-unknown`).
        """
        stored = self.row(token)
        if pending_edit(self.store, stored) is None:
            return stored
        with self._drawing:
            adopt_edited_mask(self.store, stored)
            redraw_image(self.store, stored, self.config)
        return self.row(token)

    def content_of(self, stored: StoredImage) -> str:
        """Hash of the image file that people judge.

        Raises:
            InputError: The file was never read.
        """
        if stored.content_sha256 is None:
            raise InputError(
                f"{stored.image_id} was never read.", advice="Run `automask run` on its folder.", code="image-unread"
            )
        return stored.content_sha256

    def file_of(self, stored: StoredImage) -> ImageFile:
        """The image file as the decoder wants it."""
        return file_of_row(stored, path_of(self.input_root, stored.image_id))

    def pixels(self, stored: StoredImage) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of an image; errors as for `PictureCache.pixels`."""
        return self.pictures.pixels(self.file_of(stored), self.content_of(stored))

    def thing_at(self, stored: StoredImage, x: int, y: int) -> PromptAnswer:
        """What lies at a pixel of an image beside what is masked, by the network of `/v1/refine` or by colour.

        Raises:
            InputError: The pixel is outside (`prompt-invalid`), or the file cannot be used.
        """
        session, working = self._session_at(stored, x, y)
        masked = self._masked(stored)
        with working:
            return thing_to_add(session, (x, y), masked)

    def part_at(
        self, stored: StoredImage, x: int, y: int, *, thing: NDArray[np.bool_], wanted: Sequence[tuple[int, int]]
    ) -> PromptAnswer:
        """What a removing click takes of a masked thing; errors as for `thing_at`."""
        session, working = self._session_at(stored, x, y)
        with working:
            return PromptAnswer(part_to_remove(session, (x, y), thing, wanted=wanted), 1.0, "part")

    def _session_at(self, stored: StoredImage, x: int, y: int) -> tuple[PromptSession, threading.Lock]:
        pixels, content = self.pixels(stored), self.content_of(stored)
        if not (0 <= x < pixels.shape[1] and 0 <= y < pixels.shape[0]):
            raise InputError(f"The click {x},{y} lies outside of {stored.image_id}.", code="prompt-invalid")
        open_images = self._images_of_today()
        return open_images.opened(content, Image(id=stored.image_id, pixels=pixels)).session, open_images.working

    def _masked(self, stored: StoredImage) -> NDArray[np.bool_] | None:
        """(H, W) bool, what is masked in the store, before growth; None where nothing is known of the image."""
        loaded = Loaded.of(self.store, stored)
        return masked_before_growth(loaded.found, self.config, loaded.layers) if loaded is not None else None

    def _images_of_today(self) -> OpenImages:
        with self._opening:
            if self._open_images is None:  # made at the first click: most reviews need none
                self._open_images = OpenImages(_bare_pipeline(self.config), most=_OPEN_IMAGES, most_px=_OPEN_PX)
            return self._open_images

    def redraw(self, image_id: str) -> StoredImage | None:
        """Draw the mask of an image again, and those of others that a correction left behind; the image's new row."""
        with self._drawing:  # two at once could leave the older one's mask on disk
            for outdated in {image_id, *self.store.outdated_masks()}:
                stored = self.store.lookup(outdated)
                if stored is not None:
                    redraw_image(self.store, stored, self.config)
        return self.store.lookup(image_id)

    def drawing(self, work: Callable[[], Answer]) -> Answer:
        """Do something that draws masks by itself, while nothing else is drawn."""
        with self._drawing:
            return work()


def _bare_pipeline(config: PipelineConfig) -> MaskPipeline:
    """Nothing but the refiner that drew the masks, since it may answer clicks; without its weights another one may."""
    bare = config.model_copy(update={"detectors": (), "dataset_detectors": ()})
    try:
        return MaskPipeline.from_config(bare)
    except (ConfigError, WeightsError):
        return MaskPipeline.from_config(bare.model_copy(update={"refiner": "polygon"}))


def token_of(image_id: str) -> str:
    """An image id as one URL segment."""
    return base64.urlsafe_b64encode(image_id.encode("utf-8", "surrogateescape")).rstrip(b"=").decode()


def image_id_of(token: str) -> str:
    """The image id of a token.

    Raises:
        NotFound: It is none.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, UnicodeError) as error:
        raise NotFound(f"{token!r} names no image.", advice="Load the page again.", code="image-unknown") from error
