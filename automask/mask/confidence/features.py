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
from automask.values.types import LETTERS_ATTRIBUTE, Found, Kind, Patch, Region

FEATURES: Final = ("loose_share", "largest_text", "doubtful_share", "missed_share")
"""Names of what is measured, in the order of the fit; models/cards/confidence.md says what each is."""

_LEAST_SHARE = FINE_WASTE / 50
"""Shares count by their logarithm, from this on: smaller ones spoil no mask."""
LEAST_ROOM = 0.02
"""Share of an image below which a frame leaves no picture worth the name."""
_SAMPLED_PX = 1_000_000
"""Pixels that are looked at, at least, of a larger image: shares of a thousandth are known to 3 % from so many."""

Pair = tuple[Region, Patch]


def image_features(
    result: Found, mask: Mask, policy: PolicyConfig, *, confirmed: Mask | None = None
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
    every = max(1, math.isqrt(mask.weight.size // _SAMPLED_PX))
    taken = 1.0 - mask.weight[::every, ::every]
    is_open = np.ones(taken.shape, dtype=np.bool_)
    if confirmed is not None:
        is_open = confirmed.weight[::every, ::every] == 1.0

    def most(levels: Iterable[tuple[Patch, float]]) -> NDArray[np.float32]:
        """The largest level of the patches that cover each pixel that is looked at, 0 where none does."""
        out = np.zeros(taken.shape, dtype=np.float32)
        for patch, level in levels:
            slices, artefact = _sampled(patch, every)
            np.maximum(out[slices], artefact * np.float32(level), out=out[slices])
        return out

    def share(patch: Patch) -> float:
        slices, artefact = _sampled(patch, every)
        return float((artefact & is_open[slices]).sum()) / is_open.size

    framed = most((patch, region.confidence) for region, patch in frames)
    believed = most((patch, frame_belief(region)) for region, patch in frames)
    room = max(LEAST_ROOM, 1.0 - _mean(framed))
    left = max(LEAST_ROOM, 1.0 - (confirmed.masked_share if confirmed is not None else 0.0))
    sureness = most((patch, region.confidence) for region, patch in marks)
    doubt = np.where((sureness > 0) & (framed == 0) & is_open, 1.0 - sureness, 0.0)
    lines = [share(patch) for region, patch in marks if LETTERS_ATTRIBUTE in region.attributes]
    missed = most((patch, region.weighed_confidence) for region, patch in rejected)
    return {
        "loose_share": math.sqrt(min(1.0, _mean(taken * is_open * (1.0 - believed)) / left)),
        "largest_text": math.sqrt(min(1.0, max(lines, default=0.0) / room)),
        "doubtful_share": _logarithm(_mean(doubt) / room),
        "missed_share": _logarithm(_mean(missed * (taken == 0)) / max(LEAST_ROOM, 1.0 - mask.masked_share)),
    }


def _sampled(patch: Patch, every: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Where a patch is among the pixels that are looked at, one in `every` along an axis, and which it has."""
    above, before = -patch.box.y0 % every, -patch.box.x0 % every
    artefact = patch.artefact[above::every, before::every]
    top, left = (patch.box.y0 + above) // every, (patch.box.x0 + before) // every
    return (slice(top, top + artefact.shape[0]), slice(left, left + artefact.shape[1])), artefact


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean(dtype=np.float64))


def _logarithm(share: float) -> float:
    return math.log(max(_LEAST_SHARE, share) / FINE_WASTE)
