"""What the `sam` refiner, a refine service or a click in the review page ask of a segment-anything network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.placement import Placement
from automask_models.refiners.backends.frame import SquareFrame

WANTED, UNWANTED, NO_POINT = 1, 0, -10
"""Labels of points: part of the mask, not part of it, padding."""


@dataclass(frozen=True, slots=True)
class FrameTraits:
    """What a network likes to be given.

    Attributes:
        side_px: Side of its square input.
        min_short_px: A region whose short side is smaller than this in the frame is shown again from closer up.
        target_short_px: How large its short side is then.
        centre_points: How many points inside the region go with its box.
        max_crops: How many close-ups of one image are worth their time.
        batch: How many prompts are decoded at once.
        click_shares: How much of the image's longer side the windows show in which a click without a box is asked
            about: 1 is the whole image.
    """

    side_px: int
    min_short_px: float
    target_short_px: float
    centre_points: int
    max_crops: int
    batch: int
    click_shares: tuple[float, ...] = (1.0,)

    @classmethod
    def segment_anything(cls, side_px: int, *, fast: bool = False, batch: int = 8) -> FrameTraits:
        """What networks of Meta's recipe like; encoding costs them seconds on a CPU, so few close-ups."""
        return cls(
            side_px=side_px,
            min_short_px=side_px * 24 / 1024,
            target_short_px=side_px * 96 / 1024,
            centre_points=3,
            max_crops=16 if fast else 8,
            batch=batch,
        )

    @classmethod
    def automask(cls, side_px: int) -> FrameTraits:
        """What networks of our own recipe (models/training/README.md) like: many cheap close-ups, boxes without clicks.

        They are trained on regions whose short side is 1/16 to 4/5 of the frame, best 1/6 to 1/2. A click does not say
        how large its thing is: windows that halve from one to the next show things of 1/64 of the image in that range.
        """
        return cls(
            side_px=side_px,
            min_short_px=side_px / 8,
            target_short_px=side_px / 4,
            centre_points=0,
            max_crops=64,
            batch=16,
            click_shares=(1.0, 0.5, 0.25),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """An encoded window; keep it to ask again with other prompts.

    Attributes:
        frame: How the window lies in the network's square.
        tensors: What the backend that made it needs; nobody else looks inside.
    """

    frame: SquareFrame
    tensors: tuple[object, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """N questions about one window, in its pixels (origin top left, x to the right).

    Attributes:
        boxes: (N, 4) float32 xyxy, may hang over the window; or None.
        points: (N, P, 2) float32 x, y; or None.
        labels: (N, P) int64: 1 = part of the mask, 0 = not, -10 = padding; or None.
        masks: (N, m, m) float32 logits over the frame (`SquareFrame.prompt_mask`), m = `mask_side_px`; or None.
    """

    boxes: NDArray[np.float32] | None = None
    points: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    masks: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.boxes is None and self.points is None:
            raise ValueError("a prompt needs a box or points")
        if (self.points is None) != (self.labels is None):
            raise ValueError("points and labels go together")
        if len({len(part) for part in (self.boxes, self.points, self.labels, self.masks) if part is not None}) > 1:
            raise ValueError("boxes, points, labels and masks must be of one length")

    def __len__(self) -> int:
        first = self.boxes if self.boxes is not None else self.points
        return 0 if first is None else len(first)

    def part(self, start: int, stop: int) -> Prompts:
        """The prompts `start` to `stop` - 1."""
        return Prompts(
            boxes=None if self.boxes is None else self.boxes[start:stop],
            points=None if self.points is None else self.points[start:stop],
            labels=None if self.labels is None else self.labels[start:stop],
            masks=None if self.masks is None else self.masks[start:stop],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Answers to N prompts, M alternatives each.

    Attributes:
        logits: (N, M, h, w) float32 over the frame, > 0 = part of the mask; see `SquareFrame.window_logits`.
        ious: (N, M) float32, the network's own guess of each mask's IoU, 0..1.
    """

    logits: NDArray[np.float32]
    ious: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.logits.ndim != 4 or self.ious.shape != self.logits.shape[:2]:
            raise ValueError(f"logits {self.logits.shape} and ious {self.ious.shape} do not go together")


class SamBackend(ABC):
    """A loaded network. One thread at a time.

    Args:
        traits: What it likes to be given.
        mask_side_px: Side of its mask prompt.
    """

    def __init__(self, traits: FrameTraits, *, mask_side_px: int) -> None:
        self.traits = traits
        self.mask_side_px = mask_side_px

    @property
    @abstractmethod
    def placement(self) -> Placement:
        """Where it runs."""

    @abstractmethod
    def encode(self, pixels: NDArray[np.uint8]) -> Embedding:
        """Encode a window, (H, W, 3) uint8 RGB, of any size."""

    def decode(self, embedding: Embedding, prompts: Prompts) -> Proposals:
        """Answer prompts about an encoded window."""
        size = self.traits.batch
        parts = [self._decode_batch(embedding, prompts.part(at, at + size)) for at in range(0, len(prompts), size)]
        return Proposals(
            logits=np.concatenate([part.logits for part in parts]), ious=np.concatenate([part.ious for part in parts])
        )

    @abstractmethod
    def _decode_batch(self, embedding: Embedding, prompts: Prompts) -> Proposals:
        """Answer at most `traits.batch` prompts at once."""
