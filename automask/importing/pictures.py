"""Masks that are pictures: strangers' files through Pillow, and what their values mean."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from automask.importing.found import Levels

_DAMAGE = (
    ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError,
    NotImplementedError, RuntimeError, struct.error, zlib.error, PillowImage.DecompressionBombError,
)  # fmt: skip
"""What Pillow and its plug-ins raise for damaged files, beside OSError."""
_MOST_CLASSES = 16
"""Levels up to here, above 1, are numbers of classes rather than weights."""


@contextlib.contextmanager
def opened(source: Path | BinaryIO) -> Iterator[PillowImage.Image]:
    """Open a picture that somebody made.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, too large, or no picture.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged tags, and of sizes that Pillow takes
        try:
            with PillowImage.open(source) as picture:
                picture.load()
                yield picture
        except UnidentifiedImageError as error:
            raise ValueError("it is no picture that can be read") from error
        except _DAMAGE as error:
            if isinstance(error, ValueError):
                raise
            raise ValueError(f"it is damaged ({error})") from error


def grey_levels(path: Path) -> Levels:
    """A grey mask.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no grey mask of 8 bits.
    """
    with opened(path) as picture:
        if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") and _is_transparent(picture):
            raise ValueError("it has an alpha channel, so that it is not clear which channel counts")
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"it has wide values ({picture.mode}); save it as 8-bit grey")
        colours = np.asarray(picture.convert("RGB"))
        if (colours != colours[..., :1]).any():
            raise ValueError("it is coloured, no grey mask")
        return _weights(np.ascontiguousarray(colours[..., 0]))


def alpha_levels(path: Path) -> Levels:
    """The alpha channel of a picture as a mask.

    Raises:
        OSError: It cannot be read.
        ValueError: It has none.
    """
    with opened(path) as picture:
        if "A" not in picture.getbands():
            raise ValueError("it has no alpha channel")
        return _weights(np.asarray(picture.getchannel("A")))


def _is_transparent(picture: PillowImage.Image) -> bool:
    """Whether an alpha channel says anything: many editors add one that is opaque everywhere."""
    return int(np.asarray(picture.convert("RGBA").getchannel("A")).min()) < 255


def _weights(levels: NDArray[np.uint8]) -> Levels:
    """Levels as weights: 0 and 1 stand for 0 and 255, as in a mask of true and false.

    Raises:
        ValueError: They are numbers of classes.
    """
    highest = int(levels.max())
    if highest == 1:
        return Levels(levels * np.uint8(255), was_binary=True)
    if 1 < highest < _MOST_CLASSES:
        raise ValueError(f"its values go from {int(levels.min())} to {highest}: classes, or a mask of another scale")
    return Levels(levels)
