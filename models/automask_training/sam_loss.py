"""Losses of the small SAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from automask_training.sam_model import Decoded

_HARD_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class SamLossConfig:
    """Weights of the parts. `stroke_gain`: coverage is multiplied by it (and cut at 1) to make the answer wanted.

    A cell that a thin stroke covers by half must be masked whole (a latent cell counts as unwanted from 2 %), so the
    answer is not the coverage itself. `hard` weighs the worst of the cells far from any answer: a plain mean over an
    otherwise clean picture hardly notices one false mark.
    """

    stroke_gain: float = 2.0
    hard: float = 0.0
    bce: float = 1.0
    dice: float = 1.0
    dense: float = 1.0
    iou: float = 0.5
    presence: float = 0.1


def wanted(coverage: Tensor, config: SamLossConfig) -> Tensor:
    """Answer 0..1 from coverage 0..1; above one half it counts as artefact."""
    return (coverage * config.stroke_gain).clamp(max=1)


def known_cells(coverage: Tensor, unknown: Tensor, config: SamLossConfig) -> Tensor:
    """Cells that count, bool of the shape of `coverage` 0..1; `unknown` is not 0 where something is not known.

    What is known to be covered may be enough to want a cell, whatever the rest of it is.
    """
    return (unknown == 0) | (wanted(coverage, config) >= 1)


def mask_parts(
    logits: Tensor, target: Tensor, *, hard: float = 0.0, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and dice loss, both (N,), of logits and targets (N, C, C).

    Cells that are not `known` (bool of that shape) have no part in either; None = all are.

    Half of the cross-entropy's weight goes to the surroundings of the answer: small things in large crops would vanish
    in a plain mean. Dice is zero where there is nothing to find. `hard` weighs the mean of the worst `_HARD_SHARE` of
    the cells that are far from the answer.
    """
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    counts = torch.ones_like(target, dtype=torch.bool) if known is None else known
    target = target * counts
    around = functional.max_pool2d(target.unsqueeze(1), 9, stride=1, padding=4).squeeze(1) > 0.05
    near, far = around & counts, ~around & counts
    near_count = near.sum(dim=(1, 2))
    far_count = far.sum(dim=(1, 2))
    near_mean = (each * near).sum(dim=(1, 2)) / near_count.clamp(min=1)
    far_mean = (each * far).sum(dim=(1, 2)) / far_count.clamp(min=1)
    cross_entropy = near_mean + far_mean
    if hard:
        count = max(1, round(_HARD_SHARE * logits[0].numel()))
        cross_entropy = cross_entropy + hard * (each * far).flatten(1).topk(count, dim=1).values.mean(dim=1)
    chance = logits.sigmoid() * counts
    overlap = (chance * target).sum(dim=(1, 2))
    sizes = (chance * chance).sum(dim=(1, 2)) + (target * target).sum(dim=(1, 2))
    dice = (1 - (2 * overlap + 1) / (sizes + 1)) * (near_count > 0)
    return cross_entropy, dice


def foreground_iou(logits: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
    """IoU (N,) of logits > 0 with target >= 0.5, both (N, C, C), over `known` cells; 0 where the target is empty."""
    found, truth = logits > 0, target >= 0.5
    if known is not None:
        found, truth = found & known, truth & known
    union = (found | truth).sum(dim=(1, 2))
    iou = (found & truth).sum(dim=(1, 2)) / union.clamp(min=1)
    return torch.where(truth.any(dim=2).any(dim=1), iou, torch.zeros_like(iou))


def answer_loss(
    decoded: Decoded, coverage: Tensor, config: SamLossConfig, *, known: Tensor | None = None
) -> tuple[Tensor, dict[str, float]]:
    """Loss of decoded prompts against coverage (B, P, C, C) 0..1, and its parts; only `known` cells count.

    The predicted IoU of a prompt on nothing is taught to be 0, so that it can be used as a score.
    """
    logits = decoded.mask_logits.flatten(0, 1)
    target = wanted(coverage.flatten(0, 1), config)
    counts = None if known is None else known.flatten(0, 1)
    cross_entropy, dice = mask_parts(logits, target, hard=config.hard, known=counts)
    truth_iou = foreground_iou(logits.detach(), target, known=counts)
    iou = functional.mse_loss(decoded.iou.flatten(), truth_iou)
    present = (target >= 0.5).flatten(1).any(dim=1)
    presence = functional.binary_cross_entropy_with_logits(decoded.object_logits.flatten(), present.float())
    total = (
        config.bce * cross_entropy.mean() + config.dice * dice.mean() + config.iou * iou + config.presence * presence
    )
    asked = present.sum().clamp(min=1)
    return total, {
        "bce": float(cross_entropy.detach().mean()),
        "dice": float(dice.detach().sum() / asked),
        "iou": float(truth_iou.sum() / asked),
        "iou_error": float(iou.detach()) ** 0.5,
        "presence": float(presence.detach()),
    }


def dense_loss(
    logits: Tensor, coverage: Tensor, config: SamLossConfig, *, known: Tensor | None = None
) -> tuple[Tensor, dict[str, float]]:
    """Loss of dense logits (B, K, C, C) against class coverage (B, K, C, C) 0..1; dice over the batch, per class.

    Only `known` cells count, bool (B, K, C, C); None = all.
    """
    counts = torch.ones_like(coverage, dtype=torch.bool) if known is None else known
    target = wanted(coverage, config) * counts
    cross_entropy, _ = mask_parts(
        logits.flatten(0, 1), target.flatten(0, 1), hard=config.hard, known=counts.flatten(0, 1)
    )
    chance = (logits.sigmoid() * counts).transpose(0, 1).flatten(1)
    truth = target.transpose(0, 1).flatten(1)
    dice = 1 - (2 * (chance * truth).sum(1) + 1) / ((chance * chance).sum(1) + (truth * truth).sum(1) + 1)
    found, there = chance > 0.5, truth >= 0.5
    iou = (found & there).sum(1) / (found | there).sum(1).clamp(min=1)
    total = config.dense * (cross_entropy.mean() + dice.mean())
    return total, {"dense_bce": float(cross_entropy.detach().mean()), "dense_iou": float(iou.mean())}
