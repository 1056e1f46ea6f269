"""Training task of the ink network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from automask_training.crops import CropConfig, cut_scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from automask_training.ink_model import InkConfig, InkNet
    from automask_training.sam import ImageSource
    from automask_training.sam_loss import SamLossConfig


@dataclass(frozen=True, kw_only=True)
class InkRecipe:
    """What is trained on what, apart from how long. `crops` is in pixels of the network's input."""

    model: InkConfig
    loss: SamLossConfig
    crops: CropConfig = field(default_factory=lambda: CropConfig(size_px=320, cells=80, zoom=(0.45, 2.0)))
    crops_per_image: int = 2
    class_weight: float = 0.3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class InkCrop:
    """pixels (S, S, 3) uint8 RGB; classes (2, C, C) uint8 coverage of text and watermark, 255 = all of the cell.

    `unknown` (C, C) uint8, 1 = counts neither way.
    """

    pixels: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    unknown: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class InkBatch:
    """Tensors of B crops, as in `InkCrop`, pixels (B, 3, S, S)."""

    pixels: Tensor
    classes: Tensor
    unknown: Tensor


@dataclass(frozen=True)
class InkTask:
    """The ink network as a `loop.Task`; one sample is one image, cut into `crops_per_image` crops."""

    source: ImageSource
    recipe: InkRecipe
    name: str = "ink"

    def build(self) -> nn.Module:
        """The network with PP-OCR's weights, in channels-last order, which is three times as fast on CPUs."""
        import torch

        return pretrained_ink(self.recipe.model).to(memory_format=torch.channels_last)

    def sample(self, index: int) -> list[InkCrop]:
        """Crops of image number `index`."""
        image = self.source.sample(index)
        rng = np.random.default_rng([self.recipe.seed, index, 0x494E4B])
        return [self._crop(image, rng) for _ in range(self.recipe.crops_per_image)]

    def _crop(self, image: Any, rng: np.random.Generator) -> InkCrop:  # noqa: ANN401 - a SyntheticImage
        scene = cut_scene(image, self.recipe.crops, rng)
        return InkCrop(pixels=scene.pixels, classes=scene.classes, unknown=scene.unknown)

    def collate(self, samples: list[list[InkCrop]]) -> InkBatch:
        """All crops of all samples as one batch."""
        import torch

        crops = [crop for sample in samples for crop in sample]
        return InkBatch(
            pixels=torch.from_numpy(np.stack([crop.pixels.transpose(2, 0, 1) for crop in crops])),
            classes=torch.from_numpy(np.stack([crop.classes for crop in crops])),
            unknown=torch.from_numpy(np.stack([crop.unknown for crop in crops])),
        )

    def loss(self, module: nn.Module, batch: InkBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Dense loss of what is unwanted, and cross-entropy of its class where it is."""
        import torch
        from torch.nn import functional

        from automask_training.sam_loss import dense_loss, known_cells, wanted

        pixels = batch.pixels.float().contiguous(memory_format=torch.channels_last)
        logits = module(pixels).float()
        coverage = batch.classes.float() / 255
        unwanted = coverage.amax(1, keepdim=True)
        known = known_cells(unwanted, batch.unknown.unsqueeze(1), self.recipe.loss)
        dense, parts = dense_loss(logits[:, :1], unwanted, self.recipe.loss, known=known)
        text, mark = wanted(coverage, self.recipe.loss).unbind(1)
        there = (text - mark).abs()  # where both lie over each other nothing is to be learned
        each = functional.binary_cross_entropy_with_logits(logits[:, 1], (mark > text).float(), reduction="none")
        kind = (each * there).sum() / there.sum().clamp(min=1)
        return dense + self.recipe.class_weight * kind, {**parts, "kind_bce": float(kind.detach())}


def pretrained_ink(config: InkConfig) -> InkNet:
    """A new ink network on the weights of the text detector that the `rapidocr` package bundles.

    Raises:
        WeightsError: The package is not installed.
    """
    from automask_models.text.ppocr import DETECTION_FILE, bundled_model
    from automask_training.ink_model import InkNet

    return InkNet(config, start=bundled_model(DETECTION_FILE).path)
