"""The store: one SQLite database beside the masks, the only owner of both."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from automask.errors import InputError, StoreError
from automask.files.atomic import WrittenFile, sweep_temporaries
from automask.mask.rendering import CorrectionLayers
from automask.store import corrections, decisions, images, masks, placing, planning, queries, runs, stale
from automask.store.corrections import AnyLayers, PackedLayers
from automask.store.database import Database
from automask.store.locking import exclusive_lock
from automask.store.reader import StoreReader
from automask.store.records import Decision, DecisionRecord, FileFacts, Plan, RunStatus, Work
from automask.values.types import Fingerprints, Issue, MaskResult, Verdict


class Store(StoreReader):
    """What is known about the images of one dataset, and their masks.

    Any thread may use a store, and any process beside the one run that holds `lock`: transactions are short and wait
    for each other. Not across `fork`: open it again there.

    Every method that reads raises `StoreError` where the database is damaged or stays busy; every method that writes
    raises `OutputError` where the disk is full or read-only. Either way the last good state stays.

    Attributes:
        root: The output folder.
    """

    def __init__(self, root: Path, database: Database) -> None:
        super().__init__(root, database)
        self._run_id: int | None = None

    @classmethod
    def open(cls, root: Path, *, create: bool = False, read_only: bool = False) -> Self:
        """Open the store in a folder.

        A store of an older version is brought up to date, after a backup beside it.

        Args:
            root: The output folder.
            create: Make the folder and the store where there is none.
            read_only: Refuse to write; works on read-only disks too.

        Raises:
            StoreError: There is no store, it is damaged, or the database is another program's.
            StoreTooNew: A newer automask wrote it.
            StoreLocked: It needs an update while a run owns it.
            OutputError: It cannot be created here, or `masks/` holds files of somebody else.
        """
        return cls(root, placing.open_database(root, create=create, read_only=read_only))

    def close(self) -> None:
        """Close the database. The store cannot be used afterwards."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Runs

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one run of this store; sweeps what killed runs left half-written.

        Raises:
            StoreLocked: Another run is at it; the message says who.
        """
        with exclusive_lock(self.root / placing.LOCK_NAME):
            sweep_temporaries(self.root)
            yield

    def begin_run(self, *, config_json: str, input_root: str, version: str, accept_other_input: bool = False) -> int:
        """Note the start of a run. Rows that this object writes from now on belong to it.

        Args:
            config_json: The pipeline's configuration.
            input_root: Resolved folder that image ids are relative to.
            version: Of automask.
            accept_other_input: Take the store over from another input folder that still exists.

        Returns:
            The run's id.

        Raises:
            StoreError: The store belongs to another input folder that still exists (one that is gone was moved).
        """
        if not accept_other_input:
            runs.check_same_input(self.last_run(), input_root, store_root=self.root)
        with self._database.writing() as connection:
            run_id = runs.begin(connection, config_json=config_json, input_root=input_root, version=version)
        self._run_id = run_id
        return run_id

    def finish_run(self, run_id: int, *, status: RunStatus, notices: Sequence[Issue] | None = None) -> None:
        """Note the end of a run, and what it had to say about the dataset; None leaves what the one before said."""
        with self._database.writing(durable=True) as connection:
            runs.finish(connection, run_id, status=status, notices=notices)

    # What has to be done

    def plan(self, file: FileFacts, fingerprints: Fingerprints) -> Plan:
        """Find the first stage that has to run for a file.

        The image counts as unchanged by size, mtime_ns and ctime_ns; where those differ, or the file was so young when
        it was read that it may have changed without another time, the content hash decides. The mask counts as intact
        by size and mtime_ns of its file; where the mtime differs its hash decides. A new name for
        known pixels (a renamed or copied file) takes over what was found for them. Facts that turn out to differ
        harmlessly are noted, so that the next run need not read the file again.
        """
        return planning.plan(self._database, self.masks_root, file, fingerprints, run_id=self._run_id)

    def settled(self, files: Sequence[FileFacts], fingerprints: Fingerprints) -> dict[str, Verdict]:
        """The verdicts of those files that `plan` would find nothing to do for, by id: asked in one go, none is opened.

        Some for which nothing has to be done may not be among them: `plan` knows when it has read them.
        """
        return planning.settled(self._database, self.masks_root, files, fingerprints)

    def is_current(self, file: FileFacts, fingerprints: Fingerprints) -> bool:
        """Whether nothing has to be done for a file; see `plan`."""
        return self.plan(file, fingerprints).work is Work.NONE

    # Results

    def put_result(
        self,
        file: FileFacts,
        result: MaskResult,
        levels: NDArray[np.uint8] | None,
        *,
        content_sha256: str,
        orientation: int = 1,
        correction_revision: int | None = None,
    ) -> None:
        """Keep the result of an image: the mask file first, then the row; a crash leaves the old state or the new one.

        When its pixels changed and the former ones have a correction, the row's verdict becomes `review` and the issue
        `correction-stale` is added; `result` gives back what was put.

        Args:
            file: The image file as it was when it was read.
            result: What was found.
            levels: (H, W) uint8 mask, 255 = train, or None to have no mask file.
            content_sha256: Hash of the image file.
            orientation: EXIF orientation that was applied.
            correction_revision: `correction(content_sha256).revision` at the time of drawing, None without one.

        Raises:
            ImageError: The file system cannot hold a mask of that name (`name-impossible`): a row for `put_failure`.
            ValueError: `levels` is not the size of the image.
        """
        masks.check_levels(levels, (result.height_px, result.width_px))

        def write_row(connection: sqlite3.Connection) -> int:
            return images.write_result(
                connection, file, result, content_sha256=content_sha256, orientation=orientation, run_id=self._run_id
            )

        masks.commit(
            self._database,
            self.masks_root,
            write_row,
            image_id=file.id,
            mask_name=file.mask_name,
            levels=levels,
            correction_revision=correction_revision,
        )

    def put_mask(
        self,
        image_id: str,
        levels: NDArray[np.uint8],
        *,
        fuse_fingerprint: str,
        confidence: float,
        verdict: Verdict,
        correction_revision: int | None,
        issues: Sequence[Issue] | None = None,
        mask_name: str | None = None,
    ) -> None:
        """Replace the mask of an image whose regions and patches stand: a new policy, growth or correction.

        Args:
            image_id: The image.
            levels: (H, W) uint8 mask, 255 = train.
            fuse_fingerprint: Of the fusion that drew it.
            confidence: 0..1.
            verdict: The pipeline's.
            correction_revision: As for `put_result`.
            issues: Replaces the image's issues; None keeps them.
            mask_name: Its new name; None keeps the old one.

        Raises:
            StoreError: There is no usable result of that image.
            ImageError: As for `put_result`.
            ValueError: `levels` is not the size of the image, or the image has no mask name yet.
        """
        stored = self.lookup(image_id)
        if stored is None or stored.fingerprints is None or stored.height_px is None or stored.width_px is None:
            raise StoreError(f"The store has no result of {image_id}.", advice="Run automask on it first.")
        masks.check_levels(levels, (stored.height_px, stored.width_px))
        name = mask_name or stored.mask_name
        if name is None:
            raise ValueError(f"{image_id} has no mask: mask_name is needed")

        def write_row(connection: sqlite3.Connection) -> int:
            return images.write_verdict(
                connection,
                image_id,
                fuse_fingerprint=fuse_fingerprint,
                confidence=confidence,
                verdict=verdict,
                issues=issues,
            )

        masks.commit(
            self._database,
            self.masks_root,
            write_row,
            image_id=image_id,
            mask_name=name,
            levels=levels,
            correction_revision=correction_revision,
        )

    def note_mask_file(self, image_id: str, file: WrittenFile) -> None:
        """Note that a file which somebody else put in the place of a mask is known: its pixels became a correction."""
        size = {"mask_size_bytes": file.size_bytes, "mask_mtime_ns": file.mtime_ns}
        planning.note(self._database, image_id, {"mask_sha256": file.sha256, **size})

    def put_failure(self, file: FileFacts, issues: Sequence[Issue], *, content_sha256: str | None = None) -> None:
        """Keep that an image has no result, and why.

        A mask of the same content stays, as does what was found (the pixels are the same, so the mask is still right,
        if perhaps of older settings). A mask of other or unknown content is removed: training with it would mask the
        wrong pixels. Corrections always stay.

        Args:
            file: The image file.
            issues: Why.
            content_sha256: Hash of the image file, or None when it could not be read: it is then taken to be as before
                if its size and mtime_ns are.
        """
        with self._database.writing() as connection:
            before = queries.find(connection, file.id)
            images.write_failure(connection, file, issues, content_sha256=content_sha256, run_id=self._run_id)
            if before is not None:
                masks.remove_unowned(connection, self.masks_root, before["mask_name"])

    def mark_missing(self, is_gone: Callable[[str], bool]) -> int:
        """Mark the images whose files are gone, and remove their masks. What was found and corrected is kept.

        Args:
            is_gone: Whether the file of an image id does not exist any more.

        Returns:
            Number of images that went missing.
        """
        with self._database.reading() as connection:
            present = queries.present_ids(connection)
        gone = [image_id for image_id in present if is_gone(image_id)]
        for image_id in gone:
            with self._database.writing() as connection:
                mask_name = images.mark_missing(connection, image_id)
                masks.remove_unowned(connection, self.masks_root, mask_name)
        return len(gone)

    # Corrections

    def put_correction(
        self, content_sha256: str, layers: CorrectionLayers, *, author: str, tool: str, based_on: int | None
    ) -> int:
        """Keep what a person changed, as a new revision. The mask is drawn by who calls, or by the next run.

        Args:
            content_sha256: Hash of the image file that the person saw.
            layers: What changed; `replaces=True` with nothing else means that there is nothing to mask.
            author: Who.
            tool: With what.
            based_on: The newest revision that the person knew (a withdrawn one counts), None where there was none.

        Returns:
            The new revision.

        Raises:
            CorrectionConflict: Somebody else was faster.
            ValueError: The layers differ in shape from each other or from the image.
        """
        shape = corrections.layers_shape(layers)
        with self._database.writing(durable=True) as connection:
            images.check_shape(connection, content_sha256, shape)
            revision = corrections.append(
                connection, content_sha256, layers, author=author, tool=tool, based_on=based_on
            )
            stale.settle_corrected(connection, content_sha256)
        return revision

    def put_corrections(
        self, changes: Mapping[str, tuple[AnyLayers | None, int | None]], *, author: str, tool: str
    ) -> None:
        """Keep new revisions of several contents, all or none.

        Args:
            changes: By content: its layers (None gives the automatic mask back) and the newest revision that is known.
            author: Who.
            tool: With what.

        Raises:
            CorrectionConflict: Somebody else was faster with one of them.
            ValueError: Layers differ in shape from each other or from their image.
        """
        packed = {content: (PackedLayers.of(one) if one else None, known) for content, (one, known) in changes.items()}
        with self._database.writing(durable=True) as connection:
            for content, (layers, based_on) in packed.items():
                if layers is not None:
                    images.check_shape(connection, content, layers.shape)
                corrections.append(connection, content, layers, author=author, tool=tool, based_on=based_on)
            stale.settle_corrected(connection, *changes)

    def withdraw_correction(self, content_sha256: str, *, author: str, tool: str, based_on: int) -> int:
        """Give the automatic mask back, as a new revision without layers.

        Raises:
            CorrectionConflict: Somebody else was faster.
        """
        with self._database.writing(durable=True) as connection:
            revision = corrections.append(connection, content_sha256, None, author=author, tool=tool, based_on=based_on)
            stale.settle_corrected(connection, content_sha256)
        return revision

    def decide(self, content_sha256: str, decision: Decision | None, *, author: str) -> DecisionRecord:
        """Keep what a person says about an image as a whole; see `decide_all`."""
        return self.decide_all([content_sha256], decision, author=author)[0]

    def decide_all(self, contents: Sequence[str], decision: Decision | None, *, author: str) -> list[DecisionRecord]:
        """Keep what a person says about several images, all or none, and settle their verdicts.

        Accepting binds to the mask that the person saw: a later correction, or a run that finds other pixels, makes
        it lapse. Excluding and skipping bind to the image's pixels. History is kept.

        Args:
            contents: Hashes of the image files that the person saw.
            decision: What, or None to take the last decision back.
            author: Who.

        Raises:
            InputError: The store knows no image with such content (`image-unknown`).
        """
        with self._database.writing(durable=True) as connection:
            try:
                records = [decisions.append(connection, one, decision, author=author) for one in contents]
            except KeyError as error:
                raise InputError(
                    f"The store has no image with the content {error.args[0]}.",
                    advice="Run `automask run` on its folder first.",
                    code="image-unknown",
                ) from error
            stale.settle(connection, *contents)
        return records

    def apply_review_budget(self, share: float | None) -> None:
        """Give verdict review to the least probable share of all images that are done; None ends an earlier budget.

        Images that a person settled count towards the share, so that a second run asks for no others.
        """
        with self._database.writing() as connection:
            threshold = queries.confidence_at(connection, share) if share is not None else None
            stale.apply_threshold(connection, threshold)

    def revert_correction(self, content_sha256: str, *, to_revision: int, author: str, tool: str, based_on: int) -> int:
        """Make an older revision the newest again, as a new revision.

        Raises:
            CorrectionConflict: Somebody else was faster.
            StoreError: There is no such revision.
        """
        for old in self.correction_history(content_sha256):
            if old.revision == to_revision:
                if old.layers is None:
                    return self.withdraw_correction(content_sha256, author=author, tool=tool, based_on=based_on)
                return self.put_correction(content_sha256, old.layers, author=author, tool=tool, based_on=based_on)
        raise StoreError(
            f"The correction has no revision {to_revision}.",
            advice="Its history lists the revisions.",
            code="correction-unknown",
        )
