"""Training task of the watermark detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from automask_training.sam import ImageSource
    from automask_training.synth import SyntheticImage

CLASSES = ("watermark", "logo", "signature", "timestamp")
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
}


@dataclass(frozen=True, kw_only=True)
class WatermarkRecipe:
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
        if self.size_px % 32:
            raise ValueError(f"size_px must be a multiple of 32, got {self.size_px}")


@dataclass(frozen=True, eq=False)
class MarkedImage:
    """pixels (S, S, 3) uint8 RGB; boxes (M, 4) float32 xyxy px; classes (M,) int64, indices into CLASSES."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MarkedBatch:
    """Tensors of B images and their M boxes, as `ultralytics_boundary.detector_loss` wants them."""

    pixels: Tensor
    image: Tensor
    classes: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class WatermarkTask:
    """The watermark detector as a `loop.Task`; one sample is one image."""

    source: ImageSource
    recipe: WatermarkRecipe
    name: str = "watermark"

    def build(self) -> nn.Module:
        """New detector."""
        import torch

        from automask_training.ultralytics_boundary import build_detector

        return build_detector(len(CLASSES)).to(memory_format=torch.channels_last)

    def sample(self, index: int) -> MarkedImage:
        """Image number `index`, shrunk or cut to the training size."""
        image = self.source.sample(index)
        rng = np.random.default_rng([self.recipe.seed, index, 0x574D])
        return fitted(image, self.recipe, rng)

    def collate(self, samples: list[MarkedImage]) -> MarkedBatch:
        """Stack images; boxes become shares of the image."""
        import torch

        boxes = np.concatenate([s.boxes for s in samples]) / np.float32(self.recipe.size_px)
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return MarkedBatch(
            pixels=torch.from_numpy(np.stack([s.pixels.transpose(2, 0, 1) for s in samples])),
            image=torch.from_numpy(np.repeat(np.arange(len(samples)), [len(s.boxes) for s in samples])).float(),
            classes=torch.from_numpy(np.concatenate([s.classes for s in samples])).float().view(-1, 1),
            boxes=torch.from_numpy(np.concatenate([centre, size], axis=1)).float(),
        )

    def loss(self, module: nn.Module, batch: MarkedBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Ultralytics' dual-head detection loss."""
        import torch

        from automask_training.ultralytics_boundary import detector_loss, set_one_to_one_share

        set_one_to_one_share(module, 0.2 + 0.7 * min(1.0, samples / max(1, self.recipe.one_to_one_samples)))
        pixels = (batch.pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        return detector_loss(module, pixels, image=batch.image, classes=batch.classes, boxes=batch.boxes)


def fitted(image: SyntheticImage, recipe: WatermarkRecipe, rng: np.random.Generator) -> MarkedImage:
    """`image` at the training size: shrunk whole, or a cut at full resolution near a mark where there is one."""
    import cv2

    marks = [i for i in image.instances if i.label in CLASS_OF_LABEL]
    side = image.pixels.shape[0]
    size = recipe.size_px
    boxes: NDArray[Any] = np.array([m.box for m in marks], np.float32).reshape(-1, 4)
    classes = np.array([CLASS_OF_LABEL[m.label] for m in marks], np.int64)
    if side > size and rng.random() < recipe.crop_share:
        x0, y0 = _corner(boxes, side - size, size, rng)
        pixels = image.pixels[y0 : y0 + size, x0 : x0 + size]
        shown = np.clip(boxes - np.array([x0, y0, x0, y0], np.float32), 0, size)
        full = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        kept = (shown[:, 2:] - shown[:, :2]).prod(axis=1) > 0.25 * full
        wide = np.array([m.label in ("tiled", "grid", "diagonal") for m in marks], bool)
        # A slice of a pattern is still the pattern; a quarter of a logo is not a logo.
        kept |= wide & ((shown[:, 2:] - shown[:, :2]).min(axis=1, initial=size) > 48)
        boxes, classes = shown[kept], classes[kept]
    else:
        pixels = cv2.resize(image.pixels, (size, size), interpolation=cv2.INTER_AREA)
        boxes = boxes * np.float32(size / side)
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=size) >= recipe.min_side_px
    return MarkedImage(np.ascontiguousarray(pixels), boxes[large], classes[large])


def _corner(boxes: NDArray[Any], slack: int, size: int, rng: np.random.Generator) -> tuple[int, int]:
    if not len(boxes) or rng.random() < 0.3:
        x0, y0 = rng.integers(0, slack + 1, 2)
        return int(x0), int(y0)
    box = boxes[int(rng.integers(len(boxes)))]
    centre = (box[:2] + box[2:]) / 2
    start = np.clip(centre - size * rng.uniform(0.15, 0.85, 2), 0, slack)
    return int(start[0]), int(start[1])
