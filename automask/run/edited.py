"""Mask files that are not as they were written: what a person changed is kept, what broke is drawn again.

A program that saves a picture writes checksums that hold; a disk, a cut-off copy or a power cut breaks them. So the
row's hash tells whether a file is the one that was written, and the file's own checksums tell an edit from damage.
"""

from __future__ import annotations

import enum
import hashlib
import io
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from automask.files.atomic import WrittenFile, output_error
from automask.files.png import begins_as_ours, damage_of, encode_mask, is_as_written
from automask.mask.rendering import CorrectionLayers
from automask.store import Store, StoredImage
from automask.store.reader import StoreReader
from automask.values.types import Issue

EDITED_FOLDER = "edited-masks"
"""Beside `masks/`: edited files that cannot be used as corrections are moved here, never deleted."""


class FileState(enum.StrEnum):
    """What became of a mask file since it was written."""

    OURS = "ours"
    """Nothing, or it is gone, or it holds pixels that we drew: it may be drawn again."""
    DAMAGED = "damaged"
    """Some of its bytes changed or are missing, and no program did that."""
    EDITED = "edited"
    """Another program saved a mask there."""
    UNUSABLE = "unusable"
    """Another program wrote something that is no mask of this image."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskFile:
    """A mask file as it is found.

    Attributes:
        state: What became of it.
        reason: Why it is damaged or unusable.
        levels: (H, W) uint8, what another program saved, 255 = train; None unless it was edited.
        written: The edited file.
    """

    state: FileState
    reason: str = ""
    levels: NDArray[np.uint8] | None = None
    written: WrittenFile | None = None


_OURS = MaskFile(FileState.OURS)


def look_at(store: StoreReader, stored: StoredImage) -> MaskFile:
    """Look at the mask file of an image. It is read only where its size or time are not those of its row.

    Args:
        store: Where the image is from.
        stored: Its row.
    """
    if stored.mask_name is None or stored.content_sha256 is None:
        return _OURS
    path = store.mask_path(stored.mask_name)
    try:
        facts = path.stat()
        if (facts.st_size, facts.st_mtime_ns) == (stored.mask_size_bytes, stored.mask_mtime_ns):
            return _OURS
        data = path.read_bytes()
    except FileNotFoundError:
        return _OURS
    except OSError as error:
        return MaskFile(FileState.UNUSABLE, f"it cannot be read ({error.strerror})")
    written = WrittenFile(hashlib.sha256(data).hexdigest(), facts.st_size, facts.st_mtime_ns)
    return _OURS if written.sha256 == stored.mask_sha256 else _judged(data, stored, written)


def pending_edit(store: StoreReader, stored: StoredImage) -> MaskFile | None:
    """What a person saved over the mask of an image and no run has kept yet, or None."""
    file = look_at(store, stored)
    return file if file.state is FileState.EDITED else None


def edit_layers(file: MaskFile, *, before: CorrectionLayers | None) -> CorrectionLayers:
    """An edited file as a correction that replaces what was found.

    Args:
        file: Of `FileState.EDITED`.
        before: The newest correction: what it calls regions still holds.
    """
    if file.levels is None:
        raise ValueError("only an edited file has levels")
    return CorrectionLayers(
        replaces=True,
        weight_levels=file.levels,
        weight_set=np.full_like(file.levels, fill_value=True, dtype=np.bool_),
        already_grown=True,
        kinds=before.kinds if before is not None else {},
    )


def adopt_edited_mask(store: Store, stored: StoredImage) -> Issue | None:
    """Keep what a person saved over the mask file of an image, before the mask is drawn again.

    Masks of ours carry a checksum of their pixels. A file whose checksum holds, but which is not the one that the row
    describes, was left by a run that was killed before it could write its row, and may be drawn again. So may one that
    is damaged.

    Args:
        store: Where the image is from.
        stored: Its row.

    Returns:
        What to tell the user, or None for a mask that is as it was written, gone, or ours.

    Raises:
        StoreError: The store cannot be read or written.
        OutputError: A file cannot be moved aside.
    """
    file = look_at(store, stored)
    if file.state is FileState.OURS or stored.mask_name is None or stored.content_sha256 is None:
        return None
    if file.state is FileState.DAMAGED:
        message = f"masks/{stored.mask_name} was damaged: {file.reason}. It is drawn again."
        return Issue(stage="run", code="mask-damaged", message=message)
    if file.state is FileState.UNUSABLE:
        return _set_aside(store, stored.mask_name, file.reason)
    newest = store.correction(stored.content_sha256)
    before = newest.layers if newest is not None else None
    if not _says(before, file):  # a run that was killed may have got this far
        based_on = newest.revision if newest is not None else None
        layers = edit_layers(file, before=before)
        store.put_correction(stored.content_sha256, layers, author="unknown", tool="mask-file", based_on=based_on)
    if file.written is not None:
        store.note_mask_file(stored.image_id, file.written)
    message = f"masks/{stored.mask_name} was changed by another program; it is kept as a correction of that image."
    return Issue(stage="run", code="mask-edited", message=message)


def _says(layers: CorrectionLayers | None, file: MaskFile) -> bool:
    """Whether a correction is what an edited file became."""
    if layers is None or file.levels is None or layers.weight_levels is None or layers.weight_set is None:
        return False
    is_whole = layers.replaces and layers.add is None and layers.remove is None and bool(layers.weight_set.all())
    return is_whole and np.array_equal(layers.weight_levels, file.levels)


def _judged(data: bytes, stored: StoredImage, written: WrittenFile) -> MaskFile:
    """What data that is not as written came from."""
    damage = damage_of(data) if data else "it is empty"
    try:
        # `PIL.Image.open` refuses masks of large images.
        with PngImageFile(io.BytesIO(data)) if damage is None else PillowImage.open(io.BytesIO(data)) as picture:
            if damage is not None and picture.format == "PNG":
                return _broken(data, stored, damage)
            if damage is None and is_as_written(picture):
                return _OURS
            levels = _levels_of(picture)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        return _broken(data, stored, damage or f"it cannot be read as an image ({error})")
    if levels.shape != (stored.height_px, stored.width_px):
        size = f"{levels.shape[1]} x {levels.shape[0]}"
        reason = f"it is {size} px, its image {stored.width_px} x {stored.height_px}"
        return MaskFile(FileState.UNUSABLE, reason)
    if hashlib.sha256(encode_mask(levels)).hexdigest() == stored.mask_sha256:
        return _OURS  # saved again, as by a program that makes files smaller, and no pixel is another one
    return MaskFile(FileState.EDITED, levels=levels, written=written)


def _broken(data: bytes, stored: StoredImage, reason: str) -> MaskFile:
    """Our own file with some bytes changed or cut off, or a foreign one that a person may still want to have."""
    written_bytes = stored.mask_size_bytes or 0
    is_ours = len(data) in (0, written_bytes) or (len(data) < written_bytes and begins_as_ours(data))
    return MaskFile(FileState.DAMAGED if is_ours else FileState.UNUSABLE, reason)


def _levels_of(picture: PillowImage.Image) -> NDArray[np.uint8]:
    """(H, W) uint8 of a picture in any mode; 16 bits are shortened, and 0 and 1 mean black and white."""
    if picture.mode.startswith("I"):
        levels = (np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8)
    else:
        levels = np.asarray(picture.convert("L"))
    return levels * np.uint8(255) if levels.max(initial=0) == 1 else levels


def _set_aside(store: Store, mask_name: str, reason: str) -> Issue:
    source, target = store.mask_path(mask_name), store.root / EDITED_FOLDER / mask_name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(2):
            if not target.exists():
                break
            target = target.with_name(f"{Path(mask_name).stem}-{number}{target.suffix}")
        source.replace(target)
    except OSError as error:
        raise output_error(error, target) from error
    message = (
        f"masks/{mask_name} was changed by another program, but {reason}. It was moved to "
        f"{target.relative_to(store.root).as_posix()} and the mask is drawn again."
    )
    return Issue(stage="run", code="mask-edited-unusable", message=message)
