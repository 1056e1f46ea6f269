"""Networks that answer as a test tells them to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from automask.values.placement import Placement
from automask_models.refiners.backends.frame import SquareFrame
from automask_models.refiners.backends.protocol import Embedding, FrameTraits, Prompts, Proposals

TRAITS = FrameTraits(side_px=256, min_short_px=16, target_short_px=64, centre_points=2, max_crops=8, batch=4)


PLACEMENT = Placement("cpu", "fake")


@dataclass
class FakeBackend:
    """Segments by a function of the encoded pixels: (H, W, 3) uint8 -> (M, H, W) float32 logits of the window."""

    segment: Callable[[np.ndarray], np.ndarray]
    ious: tuple[float, ...] = (0.9,)
    traits: FrameTraits = TRAITS
    mask_side_px: int = 64
    placement: Placement = PLACEMENT
    encoded: list[tuple[int, int]] = field(default_factory=list)
    asked: list[Prompts] = field(default_factory=list)

    def encode(self, pixels):
        self.encoded.append(pixels.shape[:2])
        frame = SquareFrame(self.traits.side_px, pixels.shape[1], pixels.shape[0], fit="repeat")
        return Embedding(frame=frame, tensors=(pixels,))

    def decode(self, embedding, prompts):
        import cv2

        self.asked.append(prompts)
        (pixels,) = embedding.tensors
        side, scale = self.traits.side_px, embedding.frame.scale[0]
        answers = []
        for logits in self.segment(pixels):
            matrix = np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5]])
            answers.append(
                cv2.warpAffine(logits.astype(np.float32), matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
            )
        low = np.stack(answers)
        return Proposals(
            logits=np.repeat(low[None], len(prompts), axis=0),
            ious=np.repeat(np.array(self.ious, dtype=np.float32)[None], len(prompts), axis=0),
        )


def dark(pixels):
    """Everything darker than mid grey, one alternative."""
    return (np.float32(128) - pixels.mean(axis=2, dtype=np.float32))[None] / 12
