"""What the confidence model sees of an image: a few numbers from what was found and what was drawn of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig
from automask.mask.confidence.model import FINE_WASTE
from automask.mask.rendering import Mask, frame_belief, is_drawn
from automask.values.types import Kind, MaskResult, Patch, Region

FEATURES: Final = ("loose_share", "largest_text", "doubtful_share", "missed_share")
"""Names of what is measured, in the order of the fit; models/cards/confidence.md says what each is."""

_LEAST_SHARE = FINE_WASTE / 50
"""Shares count by their logarithm, from this on: smaller ones spoil no mask."""
LEAST_ROOM = 0.02
"""Share of an image below which a frame leaves no picture worth the name."""
_READ_ATTRIBUTE = "letters_share"
"""Evidence of a line that a reader found: its letters' height."""

Pair = tuple[Region, Patch]


def image_features(
    result: MaskResult, mask: Mask, policy: PolicyConfig, *, confirmed: Mask | None = None
) -> dict[str, float]:
    """The features of an image under a policy, by name, all finite.

    Kinds that the policy keeps are not looked at. What is beyond doubt (`confirmed`) counts as it is drawn, with the
    growth around it, and what lies in it is neither doubtful nor missed: it changes nothing.

    Args:
        result: What was found, merged.
        mask: What was drawn.
        policy: Under which it was.
        confirmed: What is masked beyond doubt by itself (see `rendering.confirmed_mask`), or None.
    """
    pairs = [
        (region, patch)
        for region, patch in zip(result.regions, result.patches, strict=True)
        if policy.of(region.kind).action != "keep"
    ]
    drawn = [pair for pair in pairs if is_drawn(pair[0], policy)]
    frames = [pair for pair in drawn if pair[0].kind is Kind.FRAME]
    marks = [pair for pair in drawn if pair[0].kind is not Kind.FRAME]
    rejected = [pair for pair in pairs if not is_drawn(pair[0], policy)]
    shape = mask.weight.shape
    taken = 1.0 - mask.weight
    is_open = np.ones(shape, dtype=np.bool_) if confirmed is None else confirmed.weight == 1.0

    framed = _most(((patch, region.confidence) for region, patch in frames), shape)
    believed = _most(((patch, frame_belief(region)) for region, patch in frames), shape)
    room = max(LEAST_ROOM, 1.0 - _mean(framed))
    left = max(LEAST_ROOM, 1.0 - (confirmed.masked_share if confirmed is not None else 0.0))
    sureness = _most(((patch, region.confidence) for region, patch in marks), shape)
    doubt = np.where((sureness > 0) & (framed == 0) & is_open, 1.0 - sureness, 0.0)
    lines = [_share(patch, is_open) for region, patch in marks if _READ_ATTRIBUTE in region.attributes]
    missed = _most(((patch, region.weighed_confidence) for region, patch in rejected), shape)
    return {
        "loose_share": math.sqrt(min(1.0, _mean(taken * is_open * (1.0 - believed)) / left)),
        "largest_text": math.sqrt(min(1.0, max(lines, default=0.0) / room)),
        "doubtful_share": _logarithm(_mean(doubt) / room),
        "missed_share": _logarithm(_mean(missed * (taken == 0)) / max(LEAST_ROOM, 1.0 - mask.masked_share)),
    }


def _most(levels: Iterable[tuple[Patch, float]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The largest level of the patches that cover each pixel, float32 of that shape, 0 where none does."""
    out = np.zeros(shape, dtype=np.float32)
    for patch, level in levels:
        window = out[patch.box.slices]
        np.maximum(window, np.float32(level), out=window, where=patch.artefact)
    return out


def _share(patch: Patch, is_open: NDArray[np.bool_]) -> float:
    return float((patch.artefact & is_open[patch.box.slices]).sum()) / is_open.size


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean(dtype=np.float64))


def _logarithm(share: float) -> float:
    return math.log(max(_LEAST_SHARE, share) / FINE_WASTE)
