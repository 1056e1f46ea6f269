"""An import: match, check, keep as corrections, draw again."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.errors import ConfigError, CorrectionConflict, InputError
from automask.fuse import CorrectionLayers
from automask.importing import mask_files
from automask.importing.annotations import read_coco, read_labelme, read_labelstudio
from automask.importing.cvat import read_cvat
from automask.importing.found import FoundMask, FoundMasks, Reader
from automask.redraw import redraw_image, stored_config
from automask.store import Status, Store, StoredImage
from automask.trainers import TRAINERS, Place

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

_MOST_RATIO_ERROR = 0.01
_HALF = 0.5
_MIDDLE = 128
_INVERTED_ADVICE = "Add --invert if white marks what is unwanted in them, --keep-polarity if they are right."


@dataclass(slots=True)
class ImportSummary:
    """What an import did, or would do.

    Attributes:
        imported: Ids of images with a new correction.
        unchanged: Ids whose newest correction says the same already.
        resized: Ids whose mask had another size of the same shape.
        kept: Ids that a person corrected before; they stay as they are without `replaces`.
        unusable: Reason by file.
        unmatched: Files or entries that belong to no image.
        without: Number of images that no mask was found for.
    """

    imported: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    without: int = 0


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How masks are taken.

    Attributes:
        format: A key of `READERS`.
        author: Who drew them.
        inverts: White marks what is unwanted.
        keeps_polarity: Take masks that look inverted as they are.
        replaces: Also where somebody corrected an image before.
        is_dry: Tell what would happen and change nothing.
    """

    format: str
    author: str = "import"
    inverts: bool = False
    keeps_polarity: bool = False
    replaces: bool = False
    is_dry: bool = False


def import_masks(
    root: Path,
    source: Path,
    options: ImportOptions,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> ImportSummary:
    """Make corrections of masks that were drawn elsewhere; every one is a new revision, nothing is lost.

    Raises:
        ConfigError: The format is unknown, or the masks look inverted (`import-polarity`).
        InputError: The source cannot be read, or a file could belong to two images.
        StoreError: There is no usable store.
        OutputError: A mask cannot be written.
    """
    if options.format not in READERS:
        raise ConfigError(f"--format {options.format} is unknown.", advice=f"One of: {', '.join(sorted(READERS))}.")
    config = stored_config(root)
    stop = stop or threading.Event()
    with Store.open(root) as store:
        rows = {row.image_id: row for row in store.images(status=Status.DONE)}
        found = READERS[options.format](source, rows)
        if not found.masks:
            raise InputError(
                f"Nothing in {source} belongs to an image of {root}.",
                advice="Masks are matched by their path below that folder; look at --format.",
                code="import-nothing",
            )
        summary = ImportSummary(unmatched=found.unmatched, without=len(rows) - len(found.masks))
        if found.already_grown and not options.inverts and not options.keeps_polarity:
            _check_polarity(found, rows)
        for done, (image_id, mask) in enumerate(sorted(found.masks.items()), start=1):
            if stop.is_set():
                break
            if _import_one(store, rows[image_id], mask, options, found, summary) and not options.is_dry:
                redraw_image(store, rows[image_id], config)
            progress(done, len(found.masks))
    return summary


def _import_one(
    store: Store,
    row: StoredImage,
    mask: FoundMask,
    options: ImportOptions,
    found: FoundMasks,
    summary: ImportSummary,
) -> bool:
    if row.height_px is None or row.width_px is None or row.content_sha256 is None:
        return False
    shape = (row.height_px, row.width_px)
    try:
        given = mask.load(shape)
        fitted = _fitted(given, shape, orientation=row.orientation or 1)
    except (ValueError, OSError, KeyError, TypeError) as error:
        summary.unusable[mask.where] = str(error)
        return False
    if given.shape not in (shape, shape[::-1]):
        summary.resized.append(row.image_id)
    layers = _layers(fitted, already_grown=found.already_grown, inverts=options.inverts)
    newest = store.correction(row.content_sha256)
    if newest is not None and newest.layers is not None:
        if _same(newest.layers, layers):
            summary.unchanged.append(row.image_id)
            return False
        if not options.replaces:
            summary.kept.append(row.image_id)
            return False
        layers = dataclasses.replace(layers, kinds=newest.layers.kinds)  # masks do not say what anything is
    if not options.is_dry:
        based_on = newest.revision if newest is not None else None
        try:
            store.put_correction(
                row.content_sha256, layers, author=options.author, tool=f"import-{options.format}", based_on=based_on
            )
        except CorrectionConflict:
            summary.kept.append(row.image_id)  # somebody corrects it at this very moment
            return False
    summary.imported.append(row.image_id)
    return True


def _check_polarity(found: FoundMasks, rows: dict[str, StoredImage]) -> None:
    """Refuse masks most of which train less than they mask: either they are inverted or the dataset is very odd."""
    dark = total = 0
    for image_id, mask in found.masks.items():
        row = rows[image_id]
        try:
            levels = mask.load((row.height_px or 1, row.width_px or 1))
        except (ValueError, OSError):
            continue  # told when it is imported
        total += 1
        dark += float(levels.mean()) / 255.0 < _HALF
    if total and dark > total / 2:
        raise ConfigError(
            f"{dark} of {total} masks are black over more than half: white means train, so they look inverted.",
            advice=_INVERTED_ADVICE,
            code="import-polarity",
        )


def _fitted(
    given: NDArray[np.uint8] | NDArray[np.bool_], shape: tuple[int, int], *, orientation: int
) -> NDArray[np.uint8] | NDArray[np.bool_]:
    """A mask in the size of the upright image.

    Raises:
        ValueError: It has another shape.
    """
    is_outline = given.dtype == np.bool_
    levels = (given * np.uint8(255) if is_outline else given).astype(np.uint8)
    if levels.shape != shape and orientation >= 5 and levels.shape == shape[::-1]:
        levels = _upright(levels, orientation)
    height_px, width_px = levels.shape
    ratio = (width_px / height_px) / (shape[1] / shape[0])
    if abs(ratio - 1.0) > _MOST_RATIO_ERROR:
        raise ValueError(f"it is {width_px} x {height_px} px, its image {shape[1]} x {shape[0]}: not the same shape")
    if levels.shape != shape:
        resized = PillowImage.fromarray(levels).resize(shape[::-1], PillowImage.Resampling.BILINEAR)
        levels = np.asarray(resized)
    return levels >= _MIDDLE if is_outline else levels


def _upright(levels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation 1..8: what `automask.export.drawing.as_stored` undoes."""
    if orientation in (3, 4, 6, 7):
        levels = levels[::-1]
    if orientation in (2, 3, 7, 8):
        levels = levels[:, ::-1]
    return np.ascontiguousarray(levels.T if orientation >= 5 else levels)


def _layers(given: NDArray[np.uint8] | NDArray[np.bool_], *, already_grown: bool, inverts: bool) -> CorrectionLayers:
    if given.dtype == np.bool_:
        return CorrectionLayers(replaces=True, add=given.astype(np.bool_), already_grown=already_grown)
    levels = given.astype(np.uint8)
    if inverts:
        levels = 255 - levels
    everywhere = np.full(levels.shape, fill_value=True, dtype=np.bool_)
    return CorrectionLayers(replaces=True, weight_levels=levels, weight_set=everywhere, already_grown=True)


def _same(one: CorrectionLayers, other: CorrectionLayers) -> bool:
    """Whether two corrections change the same pixels."""
    pairs = [
        (one.add, other.add),
        (one.remove, other.remove),
        (one.weight_levels, other.weight_levels),
        (one.weight_set, other.weight_set),
    ]
    return one.replaces == other.replaces and all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs
    )
