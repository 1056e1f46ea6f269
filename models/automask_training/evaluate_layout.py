"""How well the layout network tells frame from picture on pictures of sources that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from automask_training.synth.layout.synthesizer import LayoutSample

_UNKNOWN = 255
_FRAME_PERCENT = 50
_DRAWN_SHARE = 0.02
_BATCH = 16


class LayoutSource(Protocol):
    """Samples by number."""

    def sample(self, index: int) -> LayoutSample:
        """Sample number `index`."""
        ...


@dataclass(frozen=True)
class LayoutFigures:
    """Figures over samples, cells about which nothing is known left out.

    Attributes:
        framed: Samples with a frame.
        iou: Mean intersection over union of the frame's cells there.
        unframed: Samples without one.
        false_share: Mean share of their cells that is called frame.
        falsely_drawn: Share of them on which more than 2 % of the cells are.
    """

    framed: int
    iou: float
    unframed: int
    false_share: float
    falsely_drawn: float


def evaluate_layout(module: nn.Module, source: LayoutSource, *, images: int) -> LayoutFigures:
    """Figures on samples 0..images-1 of a source, which should be held out."""
    import torch

    module.eval()
    ious, false_shares = [], []
    for first in range(0, images, _BATCH):
        samples = [source.sample(index) for index in range(first, min(images, first + _BATCH))]
        pixels = torch.from_numpy(np.stack([each.pixels.transpose(2, 0, 1) for each in samples])).float()
        with torch.inference_mode():
            found = module(pixels)[:, 0].numpy() > 0
        for each, drawn in zip(samples, found, strict=True):
            known = each.shares[0] != _UNKNOWN
            frame, called = (each.shares[0] >= _FRAME_PERCENT) & known, drawn & known
            if frame.any():
                ious.append(float((frame & called).sum() / (frame | called).sum()))
            else:
                false_shares.append(float(called.mean()))
    return LayoutFigures(
        framed=len(ious),
        iou=float(np.mean(ious)) if ious else float("nan"),
        unframed=len(false_shares),
        false_share=float(np.mean(false_shares)) if false_shares else float("nan"),
        falsely_drawn=float(np.mean([share > _DRAWN_SHARE for share in false_shares]))
        if false_shares
        else float("nan"),
    )
