"""How good the small SAM is on crops that it never saw: the figures that the model card quotes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from automask_training.sam import SamBatch, SamTask, answer, collate_crops

if TYPE_CHECKING:
    from automask_training.sam_model import SmallSam


@dataclass(frozen=True)
class SamFigures:
    """Means over prompts that have an answer, except `false_share`.

    Attributes:
        box_iou: Foreground IoU of prompts by box alone.
        region_iou: The same with a region or coarse mask beside the box.
        click_iou: The same for clicks.
        false_share: Share of prompts on nothing that get more than 4 cells.
        iou_error: Mean absolute error of the predicted IoU, over all prompts.
        prompts: How many prompts were asked.
    """

    box_iou: float
    region_iou: float
    click_iou: float
    false_share: float
    iou_error: float
    prompts: int


def evaluate_sam(module: SmallSam, task: SamTask, *, images: int, batch_images: int = 4) -> SamFigures:
    """Figures on images 0..images-1 of the task's source, which should be a held-out split."""
    import torch

    from automask_training.sam_loss import foreground_iou, wanted

    module.eval()
    config = task.recipe.crops.prompts
    scores: dict[str, list[float]] = {"box": [], "region": [], "click": [], "false": [], "error": []}
    for start in range(0, images, batch_images):
        batch = collate_crops([c for i in range(start, min(images, start + batch_images)) for c in task.sample(i)])
        with torch.inference_mode():
            decoded = answer(module, batch, box_prompts=config.box_prompts)
            target = wanted(batch.targets.float() / 255, task.recipe.loss)
            count = target.shape[1]
            ious = foreground_iou(decoded.mask_logits.flatten(0, 1), target.flatten(0, 1)).view(-1, count)
        present = (target >= 0.5).flatten(2).any(dim=2)
        _sort(scores, batch, ious.numpy(), present.numpy(), box_prompts=config.box_prompts)
        scores["false"] += [float(n > 4) for n in (decoded.mask_logits > 0).sum(dim=(2, 3))[~present]]
        scores["error"] += (decoded.iou - ious).abs().flatten().tolist()
    mean = {name: float(np.mean(values)) if values else float("nan") for name, values in scores.items()}
    return SamFigures(
        box_iou=mean["box"],
        region_iou=mean["region"],
        click_iou=mean["click"],
        false_share=mean["false"],
        iou_error=mean["error"],
        prompts=len(scores["error"]),
    )


def _sort(
    scores: dict[str, list[float]],
    batch: SamBatch,
    ious: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    *,
    box_prompts: int,
) -> None:
    masked = batch.has_mask.numpy() > 0
    click = np.arange(ious.shape[1])[None] >= box_prompts
    scores["box"] += ious[present & ~masked & ~click].tolist()
    scores["region"] += ious[present & masked & ~click].tolist()
    scores["click"] += ious[present & click].tolist()


def quiet_recipe(task: SamTask, *, seed: int) -> SamTask:
    """The task with other draws of crops and prompts, for evaluation."""
    return replace(task, recipe=replace(task.recipe, seed=seed))
