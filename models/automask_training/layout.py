"""Training task of the layout network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from automask_training.layout_model import LayoutConfig

_UNKNOWN = 255
_SMOOTH = 0.005
"""Share of the picture that keeps the overlap of nothing with nothing at 1."""


class SampleSource(Protocol):
    """Rendered samples by number."""

    def get(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels (256, 256, 3) and shares (4, 64, 64) of a sample."""
        ...


@dataclass(frozen=True, kw_only=True)
class LayoutRecipe:
    """What is trained on what, apart from how long.

    Attributes:
        model: Shape of the network.
        rendered: Samples that there are; further passes see them in another order, and changed in other ways.
        halved_until: Samples that are looked at in half the size, at a quarter of the cost: what is where is learned
            from afar first.
        overlap_weight: Of the Dice loss of the frame channel beside its cross-entropy.
        other_weight: Of the cross-entropy of each further channel.
        seed: Of order and changes.
    """

    model: LayoutConfig
    rendered: int = 14000
    halved_until: int = 0
    overlap_weight: float = 0.5
    other_weight: float = 0.25
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LayoutBatch:
    """pixels (B, 3, 256, 256) uint8; shares (B, 4, 64, 64) uint8 as in `LayoutSample`."""

    pixels: Tensor
    shares: Tensor


@dataclass(frozen=True)
class LayoutTask:
    """The layout network as a `loop.Task`; one sample is one picture."""

    source: SampleSource
    recipe: LayoutRecipe
    name: str = "layout"

    def build(self) -> nn.Module:
        """A new network, in channels-last order, which is faster on CPUs."""
        import torch

        from automask_training.layout_model import LayoutNet

        return LayoutNet(self.recipe.model).to(memory_format=torch.channels_last)

    def sample(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Rendered sample for step `index`, changed."""
        turn, place = divmod(index, self.recipe.rendered)
        if turn:
            place = int(np.random.default_rng((self.recipe.seed, turn)).permutation(self.recipe.rendered)[place])
        pixels, shares = self.source.get(place)
        return changed(np.random.default_rng((self.recipe.seed, index, 0x4C41)), pixels, shares)

    def collate(self, samples: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> LayoutBatch:
        """A batch as tensors."""
        import torch

        return LayoutBatch(
            pixels=torch.from_numpy(np.stack([pixels.transpose(2, 0, 1) for pixels, _ in samples])),
            shares=torch.from_numpy(np.stack([shares for _, shares in samples])),
        )

    def loss(self, module: nn.Module, batch: LayoutBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Cross-entropy of every channel, and Dice loss of the frame."""
        import torch
        from torch.nn import functional

        pixels = batch.pixels.float().contiguous(memory_format=torch.channels_last)
        known = (batch.shares != _UNKNOWN).float()
        wanted = (batch.shares.float() / 100).clamp(0, 1) * known
        if samples < self.recipe.halved_until:
            pixels = functional.avg_pool2d(pixels, 2)
            wanted = functional.avg_pool2d(wanted, 2)
            known = -functional.max_pool2d(-known, 2)
            wanted = wanted * known
        logits = module(pixels).float()
        each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known
        frame, others = each[:, 0].mean(), each[:, 1:].mean(dim=(0, 2, 3))
        found = logits[:, 0].sigmoid() * known[:, 0]
        both, whole = (found * wanted[:, 0]).mean((1, 2)), (found + wanted[:, 0]).mean((1, 2))
        overlap = (1 - (2 * both + _SMOOTH) / (whole + _SMOOTH)).mean()
        loss = frame + self.recipe.overlap_weight * overlap + self.recipe.other_weight * others.sum()
        parts = {"frame": frame, "overlap": overlap, "plate": others[0], "margin": others[1], "ground": others[2]}
        return loss, {name: float(value.detach()) for name, value in parts.items()}


def changed(
    rng: np.random.Generator, pixels: NDArray[np.uint8], shares: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A sample mirrored, with its colours exchanged, inverted or taken away: each in some."""
    if rng.random() < 0.5:
        pixels, shares = pixels[:, ::-1], shares[..., ::-1]
    if rng.random() < 0.2:
        pixels, shares = pixels[::-1], shares[:, ::-1]
    if rng.random() < 0.1:
        pixels, shares = pixels.transpose(1, 0, 2), shares.transpose(0, 2, 1)
    if rng.random() < 0.4:
        pixels = pixels[..., rng.permutation(3)]
    if rng.random() < 0.12:
        pixels = 255 - pixels
    if rng.random() < 0.15:
        pixels = np.repeat(pixels.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    return np.ascontiguousarray(pixels), np.ascontiguousarray(shares)
