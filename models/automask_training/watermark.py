"""Training task of the watermark detector: boxes of marks, on the features of the ink network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from automask_training.tables import RecipeError
from automask_training.watermark_truth import Truth, check_size, fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from automask_training.sam import ImageSource
    from automask_training.watermark_model import HeadConfig


@dataclass(frozen=True, kw_only=True)
class WatermarkRecipe:
    """What the detector is trained on, apart from how long.

    Attributes:
        size_px: Side of the square training pictures, a multiple of 32.
        min_side_px: Smaller boxes are not asked for.
        rendered: Samples that there are.
        reuse: Of the first samples, those are used that a drawing at a `reuse`th of the training's pace has made.
        repainted: Share of the samples of pixels that are shown in other colours, brighter, darker or flatter.
        ink_state: State of the ink network whose features are used; none: PP-OCR's features, which do for a test.
        box_weight: Of the GIoU loss beside that of the scores.
        seed: Of cuts and order.
    """

    size_px: int = 384
    min_side_px: float = 4.0
    rendered: int = 18_000
    reuse: float = 2.0
    repainted: float = 0.0
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


def repainted(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) uint8 RGB with channels swapped, another contrast and brightness, and sometimes inverted.

    A mark is one in any colours; the ranges keep what was drawn faintly visible.
    """
    levels = np.linspace(0, 1, 256) ** np.exp2(rng.uniform(-0.7, 0.7))
    contrast = rng.uniform(0.7, 1.0)
    levels = levels * contrast + rng.uniform(0, 1 - contrast)
    if rng.random() < _INVERTED:
        levels = 1 - levels
    table = np.round(255 * levels).astype(np.uint8)
    return np.ascontiguousarray(table[pixels[..., rng.permutation(3)]])


_INVERTED = 0.1
"""Few: what is dark on bright is drawn bright on dark anyway, and inverted photographs look like nothing else."""


@dataclass(frozen=True, eq=False)
class StoredSample:
    """What is kept of a sample: `content` is pixels (S, S, 3) uint8 RGB or features (V,) float16."""

    content: NDArray[Any]
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
    head: HeadConfig
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
        found = self.source.get(self.recipe.place(index) if self.is_rendered else index)
        rng = np.random.default_rng((self.recipe.seed, index, 0x5250))
        if found.content.ndim != 3 or rng.random() >= self.recipe.repainted:
            return found
        return replace(found, content=repainted(found.content, rng))

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
        if self.head.learns_features and content.ndim != 4:
            raise RecipeError("model.learns_features needs samples of pixels: draw them without --features")
        features = module.features(content) if content.ndim == 4 else module.unpacked(content, self.recipe.size_px)
        return detector_loss(module.answer(features), batch.truths, box_weight=self.recipe.box_weight)
