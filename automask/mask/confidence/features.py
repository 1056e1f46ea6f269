"""What the confidence model sees of an image: a few numbers from what was found and what was drawn of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig
from automask.mask.confidence.model import FINE_WASTE
from automask.mask.rendering import Mask, is_drawn
from automask.values.types import Kind, MaskResult, Patch, Region

FEATURES: Final = ("text_share", "doubtful_share", "rejected_share")
"""Names of what is measured, in the order of the fit; models/cards/confidence.md says what each is."""

_LEAST_SHARE = FINE_WASTE / 50
"""Shares count by their logarithm, from this on: smaller ones spoil no mask."""
LEAST_ROOM = 0.02
"""Share of an image below which a frame leaves no picture worth the name."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One region as far as the features go.

    Attributes:
        region: What was found.
        patch: Its outline.
        open_share: The part of the outline that no frame of the dataset covers, as a share of the image.
    """

    region: Region
    patch: Patch
    open_share: float


def image_features(
    result: MaskResult, mask: Mask, policy: PolicyConfig, *, confirmed: Mask | None = None
) -> dict[str, float]:
    """The features of an image under a policy, by name, all finite.

    Kinds that the policy keeps are not looked at. Regions that are proposed but not drawn tell of missed marks.

    Args:
        result: What was found, merged.
        mask: What was drawn.
        policy: Under which it was.
        confirmed: What frames that the dataset confirms mask by themselves, or None.
    """
    area_px = result.width_px * result.height_px
    seen = [
        _Seen(region, patch, float((patch.artefact & _is_open(confirmed, patch)).sum()) / area_px)
        for region, patch in zip(result.regions, result.patches, strict=True)
        if policy.of(region.kind).action != "keep"
    ]
    drawn = [each for each in seen if is_drawn(each.region, policy)]
    rejected = [each for each in seen if not is_drawn(each.region, policy)]
    return _shares_of_room(drawn, rejected, mask, confirmed)


def _is_open(confirmed: Mask | None, patch: Patch) -> NDArray[np.bool_]:
    """Which pixels of a patch's box no frame of the dataset covers, bool of shape `patch.box.shape`."""
    if confirmed is None:
        return np.ones(patch.box.shape, dtype=np.bool_)
    is_open: NDArray[np.bool_] = confirmed.weight[patch.box.slices] == 1.0
    return is_open


def _shares_of_room(
    drawn: Sequence[_Seen], rejected: Sequence[_Seen], mask: Mask, confirmed: Mask | None
) -> dict[str, float]:
    """What is doubtful and rejected, as logarithms of shares of what is left of the picture, and its text.

    They are 0 where it is as much as a fine mask may waste. A mask cannot waste more than it draws, and the room that
    frames leave is what the waste is a share of. Frames that the dataset confirms are beyond doubt, with all that
    lies in them and the growth around them. The share of text is a root: what is wasted between and around letters
    grows with it, however sure they are.
    """
    framed = np.zeros(mask.weight.shape, dtype=np.bool_)
    text = np.zeros_like(framed)
    for each in drawn:
        if each.region.kind in (Kind.FRAME, Kind.TEXT):
            canvas = framed if each.region.kind is Kind.FRAME else text
            canvas[each.patch.box.slices] |= each.patch.artefact & _is_open(confirmed, each.patch)
    frames = float(framed.mean()) + (confirmed.masked_share if confirmed is not None else 0.0)
    room = max(LEAST_ROOM, 1.0 - frames)
    doubtful = sum(
        each.open_share * (1.0 - each.region.confidence) for each in drawn if each.region.kind is not Kind.FRAME
    )
    missed = sum(each.open_share * each.region.weighed_confidence for each in rejected)
    return {
        "text_share": math.sqrt(min(1.0, float((text & ~framed).mean()) / room)),
        "doubtful_share": _logarithm(doubtful / room),
        "rejected_share": _logarithm(min(1.0, missed) / max(LEAST_ROOM, 1.0 - mask.masked_share)),
    }


def _logarithm(share: float) -> float:
    return math.log(max(_LEAST_SHARE, share) / FINE_WASTE)
