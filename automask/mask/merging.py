"""Regions of several detectors that describe the same pixels, as one region that lists its sources.

The store keeps what each detector found; merging happens whenever a mask is drawn or judged, under the policy of that
moment, so that nothing is lost by it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig
from automask.mask.rendering import is_drawn
from automask.values.geometry import Box
from automask.values.templates import TEMPLATE_ATTRIBUTE, is_frame_template
from automask.values.types import ALPHA_SOURCE, Found, FoundT, Kind, Patch, Region

SAME_PIXELS = 0.5
"""Least intersection over union of two outlines of the same thing."""
SAME_BOX, INSIDE = 0.5, 0.7
"""The same where one outlines strokes and the other the area around them: of the boxes, and of the strokes."""
EXPLAINED = 0.5
"""Share of what was found on one image that lies in a dataset's frame, or in the box of its mark, from which the two
are the same thing."""
FRAME_PLAY, MARK_PLAY = 0.01, 0.04
"""How far a single image may be from what its dataset shows, as a share of the shorter side of the frame or mark:
prints are cut and scanned, and marks scaled, with a few pixels of play. Further out the dataset's outline counts,
since many pictures tell better where a thing ends."""
MOST_CONFIDENT = 0.99
"""Agreement of programs makes nothing certain."""

Pair = tuple[Region, Patch]


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """One thing on an image, as it is drawn or proposed.

    Attributes:
        region: What it is.
        patch: Its outline.
        members: Positions of the regions that it was merged from, the one that says what it is first.
    """

    region: Region
    patch: Patch
    members: tuple[int, ...]


def fused(result: FoundT, policy: PolicyConfig) -> FoundT:
    """The result with its regions merged; see `merged`."""
    return with_merged(result, merged_regions(result, policy))


def merged_regions(result: Found, policy: PolicyConfig) -> list[Merged]:
    """The regions of a result merged, each with the positions of those that it came from; see `merged`."""
    return _merged(list(zip(result.regions, result.patches, strict=True)), policy)


def with_merged(result: FoundT, things: Sequence[Merged]) -> FoundT:
    """A result with its regions replaced by what they were merged to."""
    return dataclasses.replace(
        result, regions=tuple(one.region for one in things), patches=tuple(one.patch for one in things)
    )


def merged(pairs: Sequence[Pair], policy: PolicyConfig) -> list[Pair]:
    """Merge regions of different sources that describe the same pixels.

    What a merged region is, is said by those of its members that are drawn by themselves; among them the lowest weight
    wins. Its confidence is that of independent witnesses, one per source; its outline is the union. It is proposed only
    where all of its members are: another one speaks for a proposal. Kinds that the policy keeps, what was drawn by hand
    (`custom`), plain ground and templates that wait for a person's decision take no part.

    Where a dataset's frame or mark is drawn, what was found on the image alone and lies mostly in it adds no more to it
    than some play.
    """
    return [(one.region, one.patch) for one in _merged(pairs, policy)]


def _merged(pairs: Sequence[Pair], policy: PolicyConfig) -> list[Merged]:
    pairs = _without_excess(pairs, policy)
    joins = [i for i, (region, _) in enumerate(pairs) if _may_join(region, policy)]
    leader = list(range(len(pairs)))

    def find(index: int) -> int:
        while leader[index] != index:
            index = leader[index]
        return index

    for i, j in itertools.combinations(joins, 2):
        if pairs[i][0].source != pairs[j][0].source and find(i) != find(j) and _is_same(pairs[i], pairs[j]):
            leader[find(j)] = find(i)
    groups: dict[int, list[int]] = {}
    for index in range(len(pairs)):
        groups.setdefault(find(index), []).append(index)
    return [
        Merged(*pairs[members[0]], (members[0],)) if len(members) == 1 else _join(pairs, members, policy)
        for members in groups.values()
    ]


def _may_join(region: Region, policy: PolicyConfig) -> bool:
    # Ground lies under everything, and is no part of what lies on it.
    if region.kind in (Kind.CUSTOM, Kind.GROUND) or policy.of(region.kind).action == "keep":
        return False
    return TEMPLATE_ATTRIBUTE not in region.attributes or is_drawn(region, policy)


def _without_excess(pairs: Sequence[Pair], policy: PolicyConfig) -> list[Pair]:
    """The pairs, those of single images cut to what some play adds to what the dataset shows at their place."""
    import cv2

    out = list(pairs)
    for region, shown in pairs:
        if TEMPLATE_ATTRIBUTE not in region.attributes or not is_drawn(region, policy):
            continue
        is_frame = region.kind is Kind.FRAME
        own = [
            i
            for i, (other, patch) in enumerate(out)
            if is_frame is (other.kind is Kind.FRAME)
            and TEMPLATE_ATTRIBUTE not in other.attributes
            and other.source != ALPHA_SOURCE
            and _may_join(other, policy)
            and _is_explained(patch, shown, is_frame=is_frame)
        ]
        if not own:
            continue
        side_px = 2 * round((FRAME_PLAY if is_frame else MARK_PLAY) * min(shown.box.shape)) + 1
        # The template's box alone would cut what the play adds outside of it.
        reach = functools.reduce(Box.union, (out[i][1].box for i in own), shown.box)
        near = cv2.dilate(_placed(shown, reach).view(np.uint8), np.ones((side_px, side_px), np.uint8)).astype(np.bool_)
        for i in own:
            out[i] = _cut(out[i], near, reach)
    return out


def _is_explained(patch: Patch, shown: Patch, *, is_frame: bool) -> bool:
    """Whether a patch lies mostly in a frame, or in the box of a mark, whose outlines are often of all its area."""
    if is_frame:
        overlap = _overlap(patch, shown)
    else:
        common = patch.box.intersection(shown.box)
        overlap = 0 if common is None else int(np.count_nonzero(_window(patch, common)))
    return overlap > 0 and overlap >= EXPLAINED * int(np.count_nonzero(patch.artefact))


def _placed(patch: Patch, box: Box) -> NDArray[np.bool_]:
    """A patch in a larger box."""
    artefact = np.zeros(box.shape, dtype=np.bool_)
    x0, y0 = patch.box.x0 - box.x0, patch.box.y0 - box.y0
    artefact[y0 : y0 + patch.box.height_px, x0 : x0 + patch.box.width_px] = patch.artefact
    return artefact


def _cut(pair: Pair, near: NDArray[np.bool_], reach: Box) -> Pair:
    region, patch = pair
    artefact = _placed(patch, reach) & near
    tight = Box.of_artefact(artefact)
    if tight is None:  # it lies in the box of a mark and between its strokes
        return pair
    box = Box(reach.x0 + tight.x0, reach.y0 + tight.y0, reach.x0 + tight.x1, reach.y0 + tight.y1)
    cut = dataclasses.replace(patch, box=box, artefact=np.ascontiguousarray(artefact[tight.slices]))
    return dataclasses.replace(region, box=box, polygon=None, artefact=None), cut


def _is_same(one: Pair, other: Pair) -> bool:
    (first, a), (second, b) = one, other
    overlap = _overlap(a, b)
    if overlap == 0:
        return False
    areas = int(np.count_nonzero(a.artefact)), int(np.count_nonzero(b.artefact))
    if overlap >= SAME_PIXELS * (sum(areas) - overlap):
        return True
    if first.kind is second.kind is Kind.FRAME:
        # Every frame has the box of the image, so that only its pixels tell; a dataset's frame explains parts of it.
        explained = [area for pair, area in zip((other, one), areas, strict=True) if is_frame_template(pair[0])]
        return any(overlap >= EXPLAINED * area for area in explained)
    if Kind.FRAME in (first.kind, second.kind):
        return False
    return a.box.iou(b.box) >= SAME_BOX and overlap >= INSIDE * min(areas)


def _overlap(one: Patch, other: Patch) -> int:
    """How many pixels two patches share."""
    common = one.box.intersection(other.box)
    return 0 if common is None else int(np.count_nonzero(_window(one, common) & _window(other, common)))


def _window(patch: Patch, box: Box) -> NDArray[np.bool_]:
    return patch.artefact[box.y0 - patch.box.y0 : box.y1 - patch.box.y0, box.x0 - patch.box.x0 : box.x1 - patch.box.x0]


def _join(pairs: Sequence[Pair], positions: Sequence[int], policy: PolicyConfig) -> Merged:
    def rank(position: int) -> tuple[bool, bool, float, bool, float]:
        region, _ = pairs[position]
        rule = policy.of(region.kind)
        return (
            not is_drawn(region, policy),
            region.proposed,
            rule.weight,
            rule.action != "review",
            -region.confidence,
        )

    best = min(positions, key=rank)
    best_region, best_patch = pairs[best]
    members = [pairs[position] for position in positions]
    proposed = all(region.proposed for region, _ in members)
    by_source: dict[str, float] = {}
    for region, _ in members:
        confidence = region.confidence if proposed else region.weighed_confidence
        by_source[region.source] = max(confidence, by_source.get(region.source, 0.0))
    doubt = float(np.prod([1.0 - confidence for confidence in by_source.values()]))
    most = max(by_source.values())
    box = functools.reduce(Box.union, (patch.box for _, patch in members))
    artefact = np.zeros(box.shape, dtype=np.bool_)
    for _, patch in members:
        artefact |= _placed(patch, box)
    attributes = {name: value for region, _ in members for name, value in region.attributes.items()}
    region = dataclasses.replace(
        best_region,
        box=box,
        confidence=max(most, min(MOST_CONFIDENT, 1.0 - doubt)),
        source="+".join(sorted({name for source in by_source for name in source.split("+")})),
        polygon=None,
        artefact=None,
        attributes={**attributes, **best_region.attributes},
        proposed=proposed,
    )
    patch = Patch(box, artefact, score=min(patch.score for _, patch in members), refiner=best_patch.refiner)
    return Merged(region, patch, (best, *(position for position in positions if position != best)))
