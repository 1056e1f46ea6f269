"""Training task of the scene network: cells with lettering, on what a frozen ImageNet network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from automask_training.watermark_truth import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from automask_training.scene_model import SceneConfig

LETTERING, FRAME, UNKNOWN = range(3)
"""Channels of a sample's cells."""
_STROKE_GAIN = 2.0
_MOST_UNJUDGED = 0.1
_NEAR_CELLS = 2


@dataclass(frozen=True, kw_only=True)
class SceneRecipe:
    """What the network is trained on, apart from how long.

    Attributes:
        size_px: Side of the square training pictures, a multiple of 32.
        rendered: Samples that there are; each pass sees them in another order.
        cell_weight: Of the mean loss of all cells.
        hard_weight: Of the mean loss of the worst cells that are far from any answer: a plain mean hardly notices
            one false mark.
        hard_share: Which share of those cells are the worst.
        seed: Of cuts and order.
    """

    size_px: int = 384
    rendered: int = 9_750
    cell_weight: float = 4.0
    hard_weight: float = 0.15
    hard_share: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that the network's strides do not divide."""
        check_size(self.size_px)

    def place(self, index: int) -> int:
        """Which stored sample step `index` of a training sees."""
        turn, place = divmod(index, self.rendered)
        return int(np.random.default_rng((self.seed, turn, 0x5343)).permutation(self.rendered)[place])


@dataclass(frozen=True, eq=False)
class SceneSample:
    """What is kept of a sample.

    Attributes:
        features: What `scene_model.SceneNet.features` gives, float16 (C, S/s, S/s) for each stride.
        cells: (S/8, S/8, 3) uint8, the share of each cell, 255 for all of it, that is lettering or a mark, that is
            frame without such, and of which nothing is known.
    """

    features: tuple[NDArray[np.float16], ...]
    cells: NDArray[np.uint8]


class SceneSource(Protocol):
    """Samples by number: `scene_samples.RenderedScenes`."""

    def get(self, index: int) -> SceneSample:
        """Sample number `index`."""
        ...


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """features (B, C, h, w) float16 for each stride; cells (B, S/8, S/8, 3) uint8, see `SceneSample`."""

    features: tuple[Tensor, ...]
    cells: Tensor


@dataclass(frozen=True)
class SceneTask:
    """The scene network as a `loop.Task`; one sample is one picture, whole or cut."""

    source: SceneSource
    recipe: SceneRecipe
    config: SceneConfig
    name: str = "scene"

    def build(self) -> nn.Module:
        """New head on the ImageNet network, in channels-last order, which is faster on CPUs.

        Raises:
            RecipeError: The package with that network's weights is not installed.
        """
        import torch

        from automask_training.scene_features import imagenet_backbone
        from automask_training.scene_model import SceneNet

        module = SceneNet(self.config)
        module.backbone.load_state_dict(imagenet_backbone().state_dict())
        return module.to(memory_format=torch.channels_last)

    def sample(self, index: int) -> SceneSample:
        """Stored sample for step `index`."""
        return self.source.get(self.recipe.place(index))

    def collate(self, samples: list[SceneSample]) -> SceneBatch:
        """A batch as tensors."""
        import torch

        levels = zip(*(each.features for each in samples), strict=True)
        return SceneBatch(
            features=tuple(torch.from_numpy(np.stack(level)) for level in levels),
            cells=torch.from_numpy(np.stack([each.cells for each in samples])),
        )

    def loss(self, module: nn.Module, batch: SceneBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Cross-entropy of the cells of which all is known, and that of the worst cells far from any answer."""
        import torch
        from torch.nn import functional

        target, known = wanted(batch.cells)
        logits = module.head(head_input(batch.features)).float()
        each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * known
        cells = each.sum() / known.sum().clamp(min=1)
        far = (functional.max_pool2d(target, 2 * _NEAR_CELLS + 1, 1, _NEAR_CELLS) == 0) & (known > 0)
        # Sorted, not picked by index: shapes do not hang on values, so that a graphics card need not be waited for.
        worst = torch.where(far, each, 0).flatten().sort(descending=True).values
        most = (far.sum() * self.recipe.hard_share).int().clamp(min=1)
        counted = torch.arange(len(worst), device=worst.device) < most
        hard = (worst * counted).sum() / counted.sum()
        loss = self.recipe.cell_weight * cells + self.recipe.hard_weight * hard
        return loss, {"cells": float(cells.detach()), "hard": float(hard.detach())}


def wanted(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities to learn and which of them count (1, else 0), both (B, 1, h, w), of cells (B, h, w, 3) uint8.

    The answer is twice the coverage of a cell, cut at 1: thin strokes count double. Cells count neither way that a
    frame covers in part, or of which some is not known.
    """
    shares = cells.float() / 255
    target = (_STROKE_GAIN * shares[..., LETTERING]).clamp(max=1)
    known = (shares[..., FRAME] < _MOST_UNJUDGED) & (shares[..., UNKNOWN] < _MOST_UNJUDGED)
    return target[:, None], known[:, None].float()


def head_input(features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Stored features as the head takes them: float32 in channels-last order."""
    import torch

    return tuple(each.float().contiguous(memory_format=torch.channels_last) for each in features)
