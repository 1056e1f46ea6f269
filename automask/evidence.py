"""Regions of several detectors that describe the same pixels, as one region that lists its sources.

The store keeps what each detector found; merging happens whenever a mask is drawn or judged, under the policy of that
moment, so that nothing is lost by it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig
from automask.geometry import Box
from automask.templates import TEMPLATE_ATTRIBUTE
from automask.types import Kind, MaskResult, Patch, Region

SAME_PIXELS = 0.5
"""Least intersection over union of two outlines of the same thing."""
SAME_BOX, INSIDE = 0.5, 0.7
"""The same where one outlines strokes and the other the area around them: of the boxes, and of the strokes."""
MOST_CONFIDENT = 0.99
"""Agreement of programs makes nothing certain."""

Pair = tuple[Region, Patch]


def fused(result: MaskResult, policy: PolicyConfig) -> MaskResult:
    """The result with its regions merged; see `merged`."""
    pairs = merged(list(zip(result.regions, result.patches, strict=True)), policy)
    if len(pairs) == len(result.regions):
        return result
    return dataclasses.replace(
        result, regions=tuple(region for region, _ in pairs), patches=tuple(patch for _, patch in pairs)
    )


def merged(pairs: Sequence[Pair], policy: PolicyConfig) -> list[Pair]:
    """Merge regions of different sources that describe the same pixels.

    What a merged region is, is said by those of its members that are drawn by themselves; among them the lowest weight
    wins. Its confidence is that of independent witnesses, one per source; its outline is the union. Kinds that the
    policy keeps, drawn by hand (`custom`) or templates that wait for a person's decision take no part.
    """
    joins = [i for i, (region, _) in enumerate(pairs) if _may_join(region, policy)]
    leader = list(range(len(pairs)))

    def find(index: int) -> int:
        while leader[index] != index:
            index = leader[index]
        return index

    for i, j in itertools.combinations(joins, 2):
        if pairs[i][0].source != pairs[j][0].source and find(i) != find(j) and _is_same(pairs[i], pairs[j]):
            leader[find(j)] = find(i)
    groups: dict[int, list[Pair]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(find(index), []).append(pair)
    return [members[0] if len(members) == 1 else _join(members, policy) for members in groups.values()]


def _may_join(region: Region, policy: PolicyConfig) -> bool:
    if region.kind is Kind.CUSTOM or policy.of(region.kind).action == "keep":
        return False
    return TEMPLATE_ATTRIBUTE not in region.attributes or policy.draws(region.kind, region.confidence)


def _is_same(one: Pair, other: Pair) -> bool:
    (first, a), (second, b) = one, other
    common = a.box.intersection(b.box)
    if common is None:
        return False
    overlap = int(np.count_nonzero(_window(a, common) & _window(b, common)))
    if overlap == 0:
        return False
    areas = int(np.count_nonzero(a.artefact)), int(np.count_nonzero(b.artefact))
    if overlap >= SAME_PIXELS * (sum(areas) - overlap):
        return True
    if Kind.FRAME in (first.kind, second.kind):
        return False  # every frame has the box of the image: only its pixels tell
    return a.box.iou(b.box) >= SAME_BOX and overlap >= INSIDE * min(areas)


def _window(patch: Patch, box: Box) -> NDArray[np.bool_]:
    return patch.artefact[box.y0 - patch.box.y0 : box.y1 - patch.box.y0, box.x0 - patch.box.x0 : box.x1 - patch.box.x0]


def _join(members: Sequence[Pair], policy: PolicyConfig) -> Pair:
    def rank(pair: Pair) -> tuple[bool, float, bool, float]:
        rule = policy.of(pair[0].kind)
        return (
            not policy.draws(pair[0].kind, pair[0].confidence),
            rule.weight,
            rule.action != "review",
            -pair[0].confidence,
        )

    best_region, best_patch = min(members, key=rank)
    by_source: dict[str, float] = {}
    for region, _ in members:
        by_source[region.source] = max(region.confidence, by_source.get(region.source, 0.0))
    doubt = float(np.prod([1.0 - confidence for confidence in by_source.values()]))
    most = max(by_source.values())
    box = functools.reduce(Box.union, (patch.box for _, patch in members))
    artefact = np.zeros(box.shape, dtype=np.bool_)
    for _, patch in members:
        x0, y0 = patch.box.x0 - box.x0, patch.box.y0 - box.y0
        artefact[y0 : y0 + patch.box.height_px, x0 : x0 + patch.box.width_px] |= patch.artefact
    attributes = {name: value for region, _ in members for name, value in region.attributes.items()}
    region = dataclasses.replace(
        best_region,
        box=box,
        confidence=max(most, min(MOST_CONFIDENT, 1.0 - doubt)),
        source="+".join(sorted({name for source in by_source for name in source.split("+")})),
        polygon=None,
        artefact=None,
        attributes={**attributes, **best_region.attributes},
    )
    patch = Patch(box, artefact, score=min(patch.score for _, patch in members), refiner=best_patch.refiner)
    return region, patch
