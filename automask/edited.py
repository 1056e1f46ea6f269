"""Mask files that a person changed with another program become corrections instead of being drawn over."""

from __future__ import annotations

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from automask.fuse import CorrectionLayers
from automask.store import Store, StoredImage
from automask.store.masks import hash_file
from automask.store.png import is_as_written
from automask.types import Issue

EDITED_FOLDER = "edited-masks"
"""Beside `masks/`: edited files that cannot be used as corrections are moved here, never deleted."""


def adopt_edited_mask(store: Store, stored: StoredImage) -> Issue | None:
    """Keep the mask file of an image if it is not the one that was written.

    Masks of ours carry a checksum of their pixels. A file whose checksum holds, but which is not the one that the row
    describes, was left by a run that was killed before it could write its row, and may be drawn again.

    Args:
        store: Where the image is from.
        stored: Its row.

    Returns:
        What to tell the user, or None for a mask that is as it was written, gone, or ours.

    Raises:
        StoreError: The store cannot be read or written.
    """
    if stored.mask_name is None or stored.content_sha256 is None:
        return None
    path = store.mask_path(stored.mask_name)
    try:
        facts = path.stat()
        if (facts.st_size, facts.st_mtime_ns) == (stored.mask_size_bytes, stored.mask_mtime_ns):
            return None
        if hash_file(path) == stored.mask_sha256:
            return None
        with PillowImage.open(path) as picture:
            if is_as_written(picture):
                return None
            levels = np.asarray(picture.convert("L"))
    except FileNotFoundError:
        return None
    except (OSError, UnidentifiedImageError, ValueError, PillowImage.DecompressionBombError) as error:
        return _set_aside(store, stored.mask_name, f"it cannot be read as an image ({error})")
    if levels.shape != (stored.height_px, stored.width_px):
        size = f"{levels.shape[1]} x {levels.shape[0]}"
        return _set_aside(store, stored.mask_name, f"it is {size} px, its image {stored.width_px} x {stored.height_px}")
    newest = store.correction(stored.content_sha256)
    layers = CorrectionLayers(
        replaces=True,
        weight_levels=levels,
        weight_set=np.full_like(levels, fill_value=True, dtype=np.bool_),
        already_grown=True,
        kinds=newest.layers.kinds if newest is not None and newest.layers is not None else {},
    )
    based_on = newest.revision if newest is not None else None
    store.put_correction(stored.content_sha256, layers, author="unknown", tool="mask-file", based_on=based_on)
    message = f"masks/{stored.mask_name} was changed by another program; it is kept as a correction of that image."
    return Issue(stage="run", code="mask-edited", message=message)


def _set_aside(store: Store, mask_name: str, reason: str) -> Issue:
    source, target = store.mask_path(mask_name), store.root / EDITED_FOLDER / mask_name
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    message = (
        f"masks/{mask_name} was changed by another program, but {reason}. It was moved to {EDITED_FOLDER}/{mask_name} "
        "and the mask is drawn again."
    )
    return Issue(stage="run", code="mask-edited-unusable", message=message)
