"""Training task of the watermark detector: boxes of marks, on the features of the ink network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from automask_training.sam import ImageSource
    from automask_training.synth import SyntheticImage
    from automask_training.watermark_samples import StoredSample

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


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Shape of neck and head: channels of its maps, and of the two branches."""

    width: int = 64
    branch_width: int = 48


@dataclass(frozen=True, kw_only=True)
class WatermarkRecipe:
    """What the detector is trained on, apart from how long.

    Attributes:
        size_px: Side of the square training pictures, a multiple of 32.
        min_side_px: Smaller boxes are not asked for.
        rendered: Samples that there are.
        reuse: Of the first samples, those are used that a drawing at a `reuse`th of the training's pace has made.
        ink_state: State of the ink network whose features are used; none: PP-OCR's features, which do for a test.
        box_weight: Of the GIoU loss beside that of the scores.
        seed: Of cuts and order.
    """

    size_px: int = 384
    min_side_px: float = 4.0
    rendered: int = 18_000
    reuse: float = 2.0
    ink_state: str = ""
    box_weight: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that the network's strides do not divide."""
        check_size(self.size_px)

    def place(self, index: int) -> int:
        """Which drawn sample step `index` of a training sees: any of those that are surely drawn by then."""
        made = min(self.rendered, max(_FIRST_SAMPLES, int(index / self.reuse)))
        return int(np.random.default_rng((self.seed, index, 0x504C)).integers(made))


_FIRST_SAMPLES = 250


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


class SampleSource(Protocol):
    """Samples by number: `watermark_samples.RenderedMarks` or `DrawnMarks`."""

    def get(self, index: int) -> StoredSample:
        """Sample number `index`."""
        ...


@dataclass(frozen=True)
class DrawnMarks:
    """Samples fitted from pictures as they are asked for, every other one a cut."""

    source: ImageSource
    recipe: WatermarkRecipe

    def get(self, index: int) -> StoredSample:
        """Sample number `index`."""
        from automask_training.watermark_samples import StoredSample

        rng = np.random.default_rng((self.recipe.seed, index, 0x574D))
        made = fitted(self.source.sample(index), self.recipe, rng, is_cut=index % 2 == 1)
        return StoredSample(made.pixels, made.truth)


@dataclass(frozen=True, eq=False)
class MarkBatch:
    """content (B, 3, S, S) uint8 pixels or (B, V) float16 features; truths of the B samples."""

    content: Tensor
    truths: tuple[Truth, ...]


@dataclass(frozen=True)
class WatermarkTask:
    """The watermark detector as a `loop.Task`; one sample is one image.

    With `is_rendered` the source has `recipe.rendered` samples, and each is shown many times.
    """

    source: SampleSource
    recipe: WatermarkRecipe
    head: HeadConfig = field(default_factory=HeadConfig)
    is_rendered: bool = False
    name: str = "watermark"

    def build(self) -> nn.Module:
        """New head on the trained ink network, in channels-last order, which is faster on CPUs."""
        import torch

        from automask_training.watermark_features import ink_of
        from automask_training.watermark_model import MarkNet

        module = MarkNet(self.head)
        module.ink.load_state_dict(ink_of(Path(self.recipe.ink_state) if self.recipe.ink_state else None))
        return module.to(memory_format=torch.channels_last)

    def sample(self, index: int) -> StoredSample:
        """Sample for step `index`."""
        return self.source.get(self.recipe.place(index) if self.is_rendered else index)

    def collate(self, samples: list[StoredSample]) -> MarkBatch:
        """A batch as tensors."""
        import torch

        stacked: NDArray[Any] = np.stack([each.content for each in samples])
        if stacked.ndim == 4:
            stacked = np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))
        return MarkBatch(torch.from_numpy(stacked), tuple(each.truth for each in samples))

    def loss(self, module: nn.Module, batch: MarkBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Varifocal loss of the scores and GIoU loss of the boxes."""
        from automask_training.watermark_loss import detector_loss

        content = batch.content
        features = module.features(content) if content.ndim == 4 else module.unpacked(content, self.recipe.size_px)
        return detector_loss(module.answer(features), batch.truths, box_weight=self.recipe.box_weight)


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
