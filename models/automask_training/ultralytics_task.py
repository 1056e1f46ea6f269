"""Training task of an ultralytics detector of marks: the other way, for those who can live with its licence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automask_training.watermark_truth import CLASSES, MarkedImage, Truth, check_size, fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from automask_training.sam import ImageSource


@dataclass(frozen=True, kw_only=True)
class UltralyticsRecipe:
    """What the detector is trained on, apart from how long.

    Attributes:
        size_px: Side of the square training pictures, a multiple of 32.
        crop_share: Share of images that are cut out of the picture at full resolution instead of being shrunk.
        min_side_px: Smaller boxes are not asked for.
        one_to_one_samples: Over so many samples the one-to-one head's share of the loss rises from .2 to .9.
        seed: Of the crops.
    """

    size_px: int = 416
    crop_share: float = 0.5
    min_side_px: float = 4.0
    one_to_one_samples: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that the network's strides do not divide."""
        check_size(self.size_px)


@dataclass(frozen=True, eq=False)
class MarkedBatch:
    """Tensors of B images and their M boxes, as `ultralytics_boundary.detector_loss` wants them."""

    pixels: Tensor
    image: Tensor
    classes: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class UltralyticsTask:
    """The detector as a `loop.Task`; one sample is one image."""

    source: ImageSource
    recipe: UltralyticsRecipe
    name: str = "watermark-ultralytics"

    def build(self) -> nn.Module:
        """New detector."""
        import torch

        from automask_training.ultralytics_boundary import build_detector

        return build_detector(len(CLASSES)).to(memory_format=torch.channels_last)

    def sample(self, index: int) -> MarkedImage:
        """Image number `index`, shrunk or cut to the training size."""
        image = self.source.sample(index)
        rng = np.random.default_rng([self.recipe.seed, index, 0x574D])
        return fitted(image, self.recipe, rng, is_cut=rng.random() < self.recipe.crop_share)

    def collate(self, samples: list[MarkedImage]) -> MarkedBatch:
        """Stack images; boxes become shares of the image."""
        import torch

        truths: list[Truth] = [each.truth for each in samples]
        boxes = np.concatenate([t.boxes for t in truths]) / np.float32(self.recipe.size_px)
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return MarkedBatch(
            pixels=torch.from_numpy(np.stack([s.pixels.transpose(2, 0, 1) for s in samples])),
            image=torch.from_numpy(np.repeat(np.arange(len(samples)), [len(t.boxes) for t in truths])).float(),
            classes=torch.from_numpy(np.concatenate([t.classes for t in truths])).float().view(-1, 1),
            boxes=torch.from_numpy(np.concatenate([centre, size], axis=1)).float(),
        )

    def loss(self, module: nn.Module, batch: MarkedBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Ultralytics' dual-head detection loss."""
        import torch

        from automask_training.ultralytics_boundary import detector_loss, set_one_to_one_share

        set_one_to_one_share(module, 0.2 + 0.7 * min(1.0, samples / max(1, self.recipe.one_to_one_samples)))
        pixels = (batch.pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        return detector_loss(module, pixels, image=batch.image, classes=batch.classes, boxes=batch.boxes)
