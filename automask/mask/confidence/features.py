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
from automask.mask.confidence.quality import BORDER_CONTRAST, RING_DETAIL
from automask.mask.rendering import Mask, is_drawn
from automask.values.templates import TEMPLATE_ATTRIBUTE
from automask.values.types import Kind, MaskResult, Patch, Region

FEATURES: Final = (
    "nothing",
    "drawn_doubt",
    "mean_doubt",
    "expected_waste",
    "missed_risk",
    "missed_area",
    "expected_leak",
    "masked_area",
    "text_area",
    "frame_area",
    "mark_area",
    "text_count",
    "mark_count",
    "text_doubt",
    "frame_doubt",
    "mark_doubt",
    "outline_doubt",
    "faintness",
    "goes_on",
    "looseness",
    "single_source",
    "template",
    "size",
    "drawn_share",
    "text_share",
    "doubtful_share",
    "rejected_share",
)
"""Names, in the order of the docs; models/cards/confidence.md says what each is."""

FITTED: Final = ("text_share", "doubtful_share", "rejected_share")
"""Those that the model is fitted to. The others are measured, too, and may be tried with more labelled images."""

_LEAST_SHARE = FINE_WASTE / 50
"""Shares count by their logarithm, from this on: smaller ones spoil no mask."""
LEAST_ROOM = 0.02
"""Share of an image below which a frame leaves no picture worth the name."""

_AGREES_SHARE = 0.3
_MARKS = (Kind.WATERMARK, Kind.OVERLAY, Kind.CUSTOM)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One region as far as the features go; areas are shares of the image.

    Attributes:
        region: What was found.
        patch: Its outline.
        area: How much that is.
        open_area: The part of it that no frame of the dataset covers.
    """

    region: Region
    patch: Patch
    area: float
    open_area: float

    @property
    def confidence(self) -> float:
        return self.region.confidence

    def attribute(self, name: str, default: float) -> float:
        value = self.region.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default


def image_features(
    result: MaskResult, mask: Mask, policy: PolicyConfig, *, confirmed: Mask | None = None
) -> dict[str, float]:
    """The features of an image under a policy, by name, all finite and most within 0..1.

    Kinds that the policy keeps are not looked at. Regions that are proposed but not drawn tell of missed marks.

    Args:
        result: What was found, merged.
        mask: What was drawn.
        policy: Under which it was.
        confirmed: What frames that the dataset confirms mask by themselves, or None; see `fuse.confirmed_mask`.
    """
    area_px = result.width_px * result.height_px
    seen = [
        _Seen(
            region,
            patch,
            float(patch.artefact.sum()) / area_px,
            float((patch.artefact & _is_open(confirmed, patch)).sum()) / area_px,
        )
        for region, patch in zip(result.regions, result.patches, strict=True)
        if policy.of(region.kind).action != "keep"
    ]
    drawn = [each for each in seen if is_drawn(each.region, policy)]
    rejected = [each for each in seen if not is_drawn(each.region, policy)]
    loose = [each for each in drawn if each.region.kind is not Kind.FRAME]
    right = sum(each.area * each.confidence for each in drawn)
    wrong = sum(each.area * (1.0 - each.confidence) for each in drawn)
    missed = sum(each.area * each.confidence for each in rejected)
    by_kind = {
        "text": [each for each in drawn if each.region.kind is Kind.TEXT],
        "frame": [each for each in drawn if each.region.kind is Kind.FRAME],
        "mark": [each for each in drawn if each.region.kind in _MARKS],
    }
    return {
        "nothing": float(not drawn),
        "drawn_doubt": _doubt(drawn),
        "mean_doubt": _mean([(1.0 - each.confidence, each.area) for each in drawn]),
        "expected_waste": math.sqrt(min(1.0, wrong)),
        "missed_risk": max((each.confidence for each in rejected), default=0.0),
        "missed_area": math.sqrt(min(1.0, missed)),
        "expected_leak": missed / (missed + right) if missed > 0 else 0.0,
        "masked_area": math.sqrt(max(0.0, mask.masked_share)),
        **{f"{kind}_area": math.sqrt(min(1.0, sum(each.area for each in group))) for kind, group in by_kind.items()},
        "text_count": math.log1p(len(by_kind["text"])),
        "mark_count": math.log1p(len(by_kind["mark"])),
        **{f"{kind}_doubt": _doubt(group) for kind, group in by_kind.items()},
        "outline_doubt": _mean([(1.0 - each.patch.score, each.area) for each in loose]),
        "faintness": _mean([(1.0 - min(1.0, 4 * each.attribute(BORDER_CONTRAST, 0.25)), each.area) for each in loose]),
        "goes_on": _mean([(each.attribute(RING_DETAIL, 0.25), each.area) for each in loose]),
        "looseness": _mean([(float(each.patch.artefact.mean()), each.area) for each in loose]),
        "single_source": _mean([(float(not _is_confirmed(each, seen)), each.area) for each in loose]),
        "template": _mean([(float(TEMPLATE_ATTRIBUTE in each.region.attributes), each.area) for each in drawn]),
        "size": math.log(area_px / 1e6) / 2,
        **_shares_of_room(drawn, rejected, mask, confirmed),
    }


def _is_open(confirmed: Mask | None, patch: Patch) -> NDArray[np.bool_]:
    """Which pixels of a patch's box no frame of the dataset covers, bool of shape `patch.box.shape`."""
    if confirmed is None:
        return np.ones(patch.box.shape, dtype=np.bool_)
    is_open: NDArray[np.bool_] = confirmed.weight[patch.box.slices] == 1.0
    return is_open


def _shares_of_room(
    drawn: Sequence[_Seen], rejected: Sequence[_Seen], mask: Mask, confirmed: Mask | None
) -> dict[str, float]:
    """What is drawn, doubtful and rejected, as logarithms of shares of what is left of the picture, and its text.

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
    doubtful = sum(each.open_area * (1.0 - each.confidence) for each in drawn if each.region.kind is not Kind.FRAME)
    missed = sum(each.open_area * each.confidence for each in rejected)
    return {
        "drawn_share": _logarithm((mask.masked_share - frames) / room),
        "text_share": math.sqrt(min(1.0, float((text & ~framed).mean()) / room)),
        "doubtful_share": _logarithm(doubtful / room),
        "rejected_share": _logarithm(min(1.0, missed) / max(LEAST_ROOM, 1.0 - mask.masked_share)),
    }


def _logarithm(share: float) -> float:
    return math.log(max(_LEAST_SHARE, share) / FINE_WASTE)


def _doubt(group: Sequence[_Seen]) -> float:
    return 1.0 - min((each.confidence for each in group), default=1.0)


def _mean(values: Sequence[tuple[float, float]]) -> float:
    """Mean of values weighted by the root of areas, so that one large region does not hide all small ones."""
    total = sum(math.sqrt(area) for _, area in values)
    return sum(value * math.sqrt(area) for value, area in values) / total if total > 0 else 0.0


def _is_confirmed(one: _Seen, all_seen: Sequence[_Seen]) -> bool:
    """Whether another detector found something at the same place, drawn or not."""
    if "+" in one.region.source:
        return True
    box = one.region.box
    for other in all_seen:
        if other.region.source == one.region.source:
            continue
        common = box.intersection(other.region.box)
        if common is not None and common.area_px >= _AGREES_SHARE * box.area_px:
            return True
    return False
