"""An import: read and check all of it, keep all corrections at once, draw the masks again."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from automask.config import PipelineConfig
from automask.errors import ConfigError, CorrectionConflict, InputError
from automask.importing import mask_files
from automask.importing.coco import read_coco
from automask.importing.cvat import read_cvat
from automask.importing.foreign import printable
from automask.importing.found import Reader
from automask.importing.labelme import read_labelme
from automask.importing.labelstudio import read_labelstudio
from automask.importing.planning import ImportOptions, ImportSummary, Planned, Planner
from automask.importing.untouched import OwnExport
from automask.plugins import EXPORTERS, available
from automask.run.edited import adopt_edited_mask
from automask.run.redraw import redraw_image, stored_config
from automask.store import Status, Store, StoredImage
from automask.trainers.conventions import TRAINERS, Place

READERS: dict[str, Reader] = {
    "masks": mask_files.read_folder,
    "rgba": mask_files.read_alpha,
    "coco": read_coco,
    "labelme": read_labelme,
    "labelstudio": read_labelstudio,
    "cvat": read_cvat,
    **{
        name: mask_files.read_alpha
        if trainer.naming.place is Place.ALPHA
        else functools.partial(mask_files.read_trainer, trainer=name)
        for name, trainer in TRAINERS.items()
    },
}
"""By the name that `--format` takes."""

_TOOL = "import-"
_TRIES = 5
"""How often an import makes way for corrections that arrive while it is applied."""


def import_masks(
    root: Path,
    source: Path,
    options: ImportOptions,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> ImportSummary:
    """Make corrections of masks that were drawn elsewhere; every one is a new revision, nothing is lost.

    All entries are read and decided upon first. Then all corrections are kept in one transaction, and the masks are
    drawn again; those that an interruption leaves undrawn are drawn by the same import or by the next run.

    Raises:
        ConfigError: The format is unknown or has no reader, or the masks look inverted (`import-polarity`).
        InputError: The source cannot be read, or a file could belong to two images.
        StoreError: There is no usable store.
        OutputError: A correction or a mask cannot be written.
    """
    reader = _reader(options.format)
    config = stored_config(root)
    stop = stop or threading.Event()
    with Store.open(root) as store:
        rows = {row.image_id: row for row in store.images(status=Status.DONE)}
        found = reader(source, rows)
        if not found.masks:
            raise _nothing(source, root, found.unusable)
        own = OwnExport(store, config, format_=options.format, source=source)
        planner = Planner(store, config, found, options, own)
        for done, (image_id, mask) in enumerate(sorted(found.masks.items()), start=1):
            if stop.is_set():
                return ImportSummary()
            planner.look_at(rows[image_id], mask)
            progress(done, len(found.masks))
        if planner.foreign == len(found.masks):
            raise _nothing(source, root, planner.summary.left_alone)
        planner.check_polarity()
        summary = planner.summary
        summary.unusable = {**found.unusable, **summary.unusable}
        summary.prefixed, summary.unmatched = list(found.prefixed), found.unmatched
        summary.without = len(rows) - len(found.masks)
        if not options.is_dry:
            _apply(store, rows, planner.planned, options, summary)
            _draw_again(store, [rows[image_id] for image_id in found.masks], config, stop)
        summary.masking_nothing = sum(row.masked_share == 0 for row in store.images(status=Status.DONE))
    return _shown(summary)


def _reader(format_: str) -> Reader:
    if format_ in READERS:
        return READERS[format_]
    known = f"One of: {', '.join(sorted(READERS))}."
    if format_ in available(EXPORTERS):
        hint = "Its masks folder can be read with --format masks. " if format_ in ("grey", "huggingface") else ""
        raise ConfigError(f"--format {format_} can be exported and not imported.", advice=hint + known)
    raise ConfigError(f"--format {format_} is unknown.", advice=known)


def _nothing(source: Path, root: Path, reason_by_entry: Mapping[str, str]) -> InputError:
    reasons = [f"{where}: {reason}" for where, reason in reason_by_entry.items()]
    told = f" {printable(reasons[0])}." if reasons else ""
    return InputError(
        f"Nothing in {source} belongs to an image of {root}.{told}",
        advice="Masks are matched by their path below that folder; look at --format.",
        code="import-nothing",
    )


def _apply(
    store: Store,
    rows: Mapping[str, StoredImage],
    planned: dict[str, Planned],
    options: ImportOptions,
    summary: ImportSummary,
) -> None:
    """Keep all corrections, or none. What people correct meanwhile stays, as it would have before.

    Raises:
        CorrectionConflict: They never stop.
    """
    for one in planned.values():
        for image_id in one.image_ids:
            issue = adopt_edited_mask(store, rows[image_id])
            if issue is not None:
                summary.notes[image_id] = issue.message
    for _ in range(_TRIES):
        _make_way(store, planned, options, summary)
        if not planned:
            return
        try:
            changes = {content: (one.layers, one.based_on) for content, one in planned.items()}
            store.put_corrections(changes, author=options.author, tool=f"{_TOOL}{options.format}")
        except CorrectionConflict:
            continue
        return
    raise CorrectionConflict(
        "Corrections were changed by somebody else again and again while the import was at it.",
        advice="Nothing was imported: run the same command again.",
    )


def _make_way(store: Store, planned: dict[str, Planned], options: ImportOptions, summary: ImportSummary) -> None:
    """Leave out images with a correction that is newer than the plan, or go on from it where that was asked for."""
    for content, one in list(planned.items()):
        newest = store.correction(content)
        revision = newest.revision if newest is not None else None
        if revision == one.based_on:
            continue
        if options.replaces or newest is None or newest.layers is None:
            planned[content] = dataclasses.replace(one, based_on=revision)
            continue
        del planned[content]
        summary.kept.extend(one.image_ids)
        summary.imported = [image_id for image_id in summary.imported if image_id not in one.image_ids]
        summary.emptied = [image_id for image_id in summary.emptied if image_id not in one.image_ids]


def _draw_again(store: Store, matched: list[StoredImage], config: PipelineConfig, stop: threading.Event) -> None:
    """Draw the masks that are older than a correction by an import, be it an earlier one that was killed."""
    contents = {row.content_sha256 for row in matched}
    for image_id in store.outdated_masks():
        row = store.lookup(image_id)
        if row is None or row.content_sha256 is None or row.content_sha256 not in contents:
            continue
        newest = store.correction(row.content_sha256)
        if newest is None or not newest.tool.startswith(_TOOL):
            continue
        if stop.is_set():
            return
        redraw_image(store, row, config)


def _shown(summary: ImportSummary) -> ImportSummary:
    """The summary without control characters out of somebody's files."""

    def clean(texts: Mapping[str, str]) -> dict[str, str]:
        return {printable(where): printable(reason) for where, reason in texts.items()}

    return dataclasses.replace(
        summary,
        left_alone=clean(summary.left_alone),
        notes=clean(summary.notes),
        unusable=clean(summary.unusable),
        unmatched=tuple(map(printable, summary.unmatched)),
    )
