"""What the watermark detector is asked for: classes, boxes, and how they are cut out of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automask_training.synth import SyntheticImage

CLASSES = ("watermark", "logo", "signature", "timestamp", "code")
CLASS_OF_LABEL = {
    "tiled": 0,
    "grid": 0,
    "diagonal": 0,
    "wordmark": 0,
    "ai_mark": 0,
    "corner": 0,
    "logo": 1,
    "signature": 2,
    "username": 2,
    "copyright": 2,
    "timestamp": 3,
    "code": 4,
}
_SPREAD = ("tiled", "grid", "diagonal")
_KEPT_SHARE = 0.6
_SEEN_SHARE = 0.05


def check_size(size_px: int) -> None:
    """Raise ValueError for a size that the network's strides do not divide."""
    if size_px % 32:
        raise ValueError(f"size_px must be a multiple of 32, got {size_px}")


class Sized(Protocol):
    """What `fitted` needs of a recipe."""

    @property
    def size_px(self) -> int:
        """Side of the training pictures."""
        ...

    @property
    def min_side_px(self) -> float:
        """Smaller boxes are not asked for."""
        ...


@dataclass(frozen=True, eq=False)
class Truth:
    """boxes (M, 4) float32 xyxy px; classes (M,) int64, indices into CLASSES; ignored (K, 4): count neither way."""

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignored: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MarkedImage:
    """pixels (S, S, 3) uint8 RGB and what is marked on them."""

    pixels: NDArray[np.uint8]
    truth: Truth


def fitted(image: SyntheticImage, recipe: Sized, rng: np.random.Generator, *, is_cut: bool) -> MarkedImage:
    """`image` at the training size: shrunk whole, or a cut at full resolution near a mark where there is one.

    What a cut leaves of a mark is asked for where it is most of it, or a good piece of a pattern; other remains, and
    boxes too small to be asked for, count neither way.
    """
    import cv2

    marks = [i for i in image.instances if i.label in CLASS_OF_LABEL]
    side, size = image.pixels.shape[0], recipe.size_px
    boxes: NDArray[Any] = np.array([m.box for m in marks], np.float32).reshape(-1, 4)
    classes = np.array([CLASS_OF_LABEL[m.label] for m in marks], np.int64)
    kept = np.ones(len(marks), bool)
    if is_cut and side > size:
        x0, y0 = _corner(boxes, side - size, size, rng)
        pixels = image.pixels[y0 : y0 + size, x0 : x0 + size]
        shown = np.clip(boxes - np.array([x0, y0, x0, y0], np.float32), 0, size)
        full, seen = ((each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, shown))
        kept = seen >= _KEPT_SHARE * full
        spread = np.array([m.label in _SPREAD for m in marks], bool)
        # A slice of a pattern is still the pattern; half of a logo is not a logo.
        kept |= spread & ((shown[:, 2:] - shown[:, :2]).min(axis=1, initial=size) > 48)
        boxes = shown
        gone = seen < _SEEN_SHARE * full
    else:
        pixels = cv2.resize(image.pixels, (size, size), interpolation=cv2.INTER_AREA)
        boxes = boxes * np.float32(size / side)
        gone = np.zeros(len(marks), bool)
    kept &= (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=size) >= recipe.min_side_px
    truth = Truth(boxes=boxes[kept & ~gone], classes=classes[kept & ~gone], ignored=boxes[~kept & ~gone])
    return MarkedImage(np.ascontiguousarray(pixels), truth)


def _corner(boxes: NDArray[Any], slack: int, size: int, rng: np.random.Generator) -> tuple[int, int]:
    if not len(boxes) or rng.random() < 0.3:
        x0, y0 = rng.integers(0, slack + 1, 2)
        return int(x0), int(y0)
    box = boxes[int(rng.integers(len(boxes)))]
    centre = (box[:2] + box[2:]) / 2
    start = np.clip(centre - size * rng.uniform(0.15, 0.85, 2), 0, slack)
    return int(start[0]), int(start[1])
