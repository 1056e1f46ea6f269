"""The reading half of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from automask.protocols import ImageFacts
from automask.store import corrections, decisions, masks, placing, queries, runs, verification
from automask.store.database import Database, damaged
from automask.store.locking import LockOwner, living_owner
from automask.store.records import (
    Correction,
    Counts,
    Decision,
    DecisionRecord,
    MadeWith,
    Problem,
    RunRecord,
    Status,
    StoredImage,
)
from automask.store.rows import issue, region_outline, stored_image
from automask.store.template_table import TemplateTable
from automask.values.digests import digest
from automask.values.types import Issue, Kind, MaskResult, Region, Verdict


class StoreReader:
    """What can be asked of a store; `Store` has the rest and opens both.

    Every method raises `StoreError` where the database is damaged or stays busy.

    Attributes:
        root: The output folder.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self._database = database

    @property
    def masks_root(self) -> Path:
        """The folder of the masks."""
        return self.root / placing.MASKS_FOLDER

    @property
    def templates(self) -> TemplateTable:
        """What repeats in the dataset."""
        return TemplateTable(self._database)

    def mask_path(self, mask_name: str) -> Path:
        """Where the mask of a name is or will be.

        Raises:
            ValueError: The name leads out of the masks folder.
        """
        return masks.mask_path(self.masks_root, mask_name)

    def has_intact_mask(self, stored: StoredImage) -> bool:
        """Whether the mask file of a row is the one that was written; see `masks.is_intact`."""
        return masks.is_intact(self.masks_root, stored)[0]

    def mask_bytes(self, stored: StoredImage) -> bytes | None:
        """The bytes of a mask file, or None where it is not the one that was written: its hash is compared."""
        return masks.read_written(self.masks_root, stored)

    def lookup(self, image_id: str) -> StoredImage | None:
        """The row of an image, or None."""
        with self._database.reading() as connection:
            row = queries.find(connection, image_id)
            return stored_image(row) if row is not None else None

    def images(
        self,
        *,
        verdict: Verdict | None = None,
        status: Status | None = None,
        decision: Decision | None = None,
        unsearched: str | None = None,
        order: queries.Order = "id",
        offset: int = 0,
        limit: int | None = None,
    ) -> Iterator[StoredImage]:
        """Rows by id (byte order) or by confidence (failed ones first, then the most doubtful).

        Rows of missing files are among them unless `status` says otherwise. Memory stays flat and no transaction is
        open between rows; rows that change meanwhile may be seen or not. With `unsearched` only those whose last search
        for templates was not the one with that fingerprint.
        """
        return queries.iterate(
            self._database,
            verdict=verdict,
            status=status,
            decision=decision,
            unsearched=unsearched,
            order=order,
            offset=offset,
            limit=limit,
        )

    def facts(self) -> Iterator[ImageFacts]:
        """What is known of all done images without their pixels, by id; as cheap as `images` otherwise."""
        return queries.facts(self._database)

    def counts(self) -> Counts:
        """Totals over all images."""
        with self._database.reading() as connection:
            return queries.count(connection)

    def issues(self, image_id: str) -> list[Issue]:
        """The issues of an image, with `correction-stale` where it applies; empty for an unknown image."""
        with self._database.reading() as connection:
            return [issue(row) for row in queries.issue_rows(connection, image_id)]

    def regions(self, image_id: str) -> list[Region]:
        """The regions of an image without their pixels (`artefact` is None): cheap; empty for an unknown image."""
        with self._database.reading() as connection, self._no_damage(f"the regions of {image_id}"):
            return [region_outline(row) for row in queries.region_rows(connection, image_id)]

    def regions_of(self, image_ids: Sequence[str]) -> dict[str, list[Region]]:
        """The same as `regions` of a few hundred images, those that have any."""
        with self._database.reading() as connection, self._no_damage("regions"):
            return queries.outlines_of(connection, image_ids)

    def issues_of(self, image_ids: Sequence[str]) -> dict[str, list[Issue]]:
        """The same as `issues` of a few hundred images, those that have any."""
        with self._database.reading() as connection:
            return queries.issues_of(connection, image_ids)

    def state(self) -> str:
        """A digest of all that people may see of the store: another one after every change, runs without any aside."""
        with self._database.reading() as connection:
            return digest([repr(queries.state(connection))])

    def regions_and_issues(self, verdict: Verdict) -> tuple[dict[str, list[Region]], dict[str, list[Issue]]]:
        """The same as `regions`, without polygons, and as `issues`, of all images of a verdict that have any: by id."""
        with self._database.reading() as connection, self._no_damage(f"what was found on images of verdict {verdict}"):
            return queries.outlines_by_image(connection, verdict), queries.issues_by_image(connection, verdict)

    def result(self, image_id: str) -> MaskResult | None:
        """What was found on an image, regions and patches included, or None where nothing usable is stored.

        Regions are of the kinds that they were found as; `automask.values.kinds` has them as people call them.

        Regions of templates stand behind those of detectors and follow a person's decisions: confidence 1 for what is
        applied, left out for what is forgotten.

        Verdict and issues are the pipeline's own; `lookup` and `issues` have those with stale corrections.
        """
        with self._database.reading() as connection, self._no_damage(f"the result of {image_id}"):
            return queries.read_result(connection, image_id)

    def correction(self, content_sha256: str) -> Correction | None:
        """The newest revision, or None. Its `layers` are None after a withdrawal."""
        with self._database.reading() as connection, self._no_damage("a correction"):
            return corrections.newest(connection, content_sha256)

    def called_kinds(self, content_sha256: str | None) -> dict[str, Kind]:
        """What people call regions of some content, by key of `automask.values.kinds`: the newest correction's."""
        with self._database.reading() as connection, self._no_damage("a correction"):
            return corrections.newest_kinds(connection, content_sha256)

    def correction_history(self, content_sha256: str) -> list[Correction]:
        """All revisions, oldest first."""
        with self._database.reading() as connection, self._no_damage("a correction"):
            return corrections.history(connection, content_sha256)

    def corrected(self) -> dict[str, int]:
        """Newest revision by content, for every content with a correction that counts."""
        with self._database.reading() as connection:
            return corrections.revisions(connection)

    def templates_by_image(self) -> dict[str, tuple[str, ...]]:
        """Ids of the templates found on each image that shows one, without forgotten ones."""
        with self._database.reading() as connection:
            return queries.templates_by_image(connection)

    def corrections_made_with(self, pattern: str) -> list[MadeWith]:
        """All corrections by tools whose name matches a pattern (SQLite's `GLOB`), by content and revision."""
        with self._database.reading() as connection:
            return corrections.made_with(connection, pattern)

    def stale_correction(self, image_id: str) -> Correction | None:
        """The correction of an image's former pixels that waits for a person, or None."""
        stored = self.lookup(image_id)
        if stored is None or stored.stale_sha256 is None:
            return None
        return self.correction(stored.stale_sha256)

    def decision(self, content_sha256: str) -> DecisionRecord | None:
        """The newest decision about some content, or None; its `decision` is None where it was taken back.

        What holds for an image as it is now is `lookup(image_id).decision`.
        """
        with self._database.reading() as connection:
            return decisions.newest(connection, content_sha256)

    def decision_history(self, content_sha256: str) -> list[DecisionRecord]:
        """All decisions about some content, oldest first."""
        with self._database.reading() as connection:
            return decisions.history(connection, content_sha256)

    def outdated_masks(self) -> list[str]:
        """Ids of images that were corrected after their mask was drawn."""
        with self._database.reading() as connection:
            return queries.outdated_masks(connection)

    # Checks

    def verify(self) -> Iterator[Problem]:
        """Check everything: the database, every stored result, every mask file byte by byte, files of nobody."""
        return verification.verify(self._database, self.masks_root)

    def dataset_notices(self) -> list[Issue]:
        """What the last whole run had to say about the dataset: images that are not read, masks among the images."""
        with self._database.reading() as connection:
            return runs.notices(connection)

    def last_run(self) -> RunRecord | None:
        """The run that began last, or None."""
        with self._database.reading() as connection:
            return runs.last(connection)

    def lock_owner(self) -> LockOwner | None:
        """Who owns the lock at the moment, as its file tells; None when it is free, or its owner was killed."""
        return living_owner(self.root / placing.LOCK_NAME)

    @contextlib.contextmanager
    def _no_damage(self, what: str) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise damaged(self.root / placing.DATABASE_NAME, f"{what}: {error}") from error
