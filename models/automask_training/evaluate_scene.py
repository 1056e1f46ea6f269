"""How well the scene network tells cells with lettering from others on samples that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automask_training.evaluate_watermark import average_precision
from automask_training.scene import head_input, wanted

if TYPE_CHECKING:
    from torch import nn

    from automask_training.scene import SceneTask

_BATCH = 16
_LETTERING_FROM = 0.5


@dataclass(frozen=True)
class SceneFigures:
    """Figures over samples, cells that count neither way left out.

    Attributes:
        average_precision: Area under precision over recall of cells, a cell with lettering being one of which letters
            or marks cover a quarter.
        images: How many samples.
        cells: How many cells of them count.
        lettering_cells: How many of those have lettering.
    """

    average_precision: float
    images: int
    cells: int
    lettering_cells: int


def evaluate_scene(module: nn.Module, task: SceneTask, *, images: int) -> SceneFigures:
    """Figures on samples 0..images-1 of the task's source, which should be held out."""
    import torch

    module.eval()
    scores, hits = [], []
    for first in range(0, images, _BATCH):
        batch = task.collate([task.source.get(index) for index in range(first, min(images, first + _BATCH))])
        target, known = (each.numpy() for each in wanted(batch.cells))
        with torch.inference_mode():
            logits = module.head(head_input(batch.features)).numpy()
        scores.append(logits[known > 0])
        hits.append(target[known > 0] > _LETTERING_FROM)
    is_lettering = np.concatenate(hits)
    return SceneFigures(
        average_precision=average_precision(np.concatenate(scores), is_lettering, int(is_lettering.sum())),
        images=images,
        cells=len(is_lettering),
        lettering_cells=int(is_lettering.sum()),
    )
