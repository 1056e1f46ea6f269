"""Frames of one image once both have spoken: what geometry proposes, judged, and what the layout network's map adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask.values.types import Kind, Region
from automask_models.frames.judging import Evidence, FrameJudge
from automask_models.frames.nesting import ACCEPT, WEAK
from automask_models.frames.tracing import evidence_of_trace, trace
from automask_models.layout.network import LayoutMap
from automask_models.proposing import JUST_PROPOSED

NEW_SHARE = 0.004
"""Share of the image that a traced frame must add to what is drawn: less is the play of a cell at its edge."""


def settled(geometry: float, probability: float) -> float:
    """Confidence of a proposal, 0..1, by geometry's own and the judge's probability.

    It is drawn where both would draw it. Where one would and the other would not, a person is asked: what geometry is
    sure of is never dropped unseen, and what it left to a person is not settled by a map that knows edges to a cell.
    """
    if geometry >= ACCEPT:
        return max(probability, WEAK)
    return min(probability, JUST_PROPOSED)


def judged(
    regions: Sequence[Region], pixels: NDArray[np.uint8], layout: LayoutMap, judge: FrameJudge, *, source: str
) -> list[Region]:
    """The regions that geometry proposed for an (H, W, 3) uint8 image with the judge's confidence, and a traced one.

    See `settled`; what stays below `WEAK` is left out.
    """
    shape = pixels.shape[:2]
    kept = []
    drawn = np.zeros(shape, dtype=np.bool_)
    for region in regions:
        mask = np.zeros(shape, dtype=np.bool_)
        mask[region.box.slices] = True if region.artefact is None else region.artefact
        if not mask.any():
            continue
        evidence = Evidence.of(layout, mask, geometry=region.confidence)
        confidence = settled(region.confidence, judge.proposed.probability(evidence.features))
        if confidence < WEAK:
            continue
        if confidence >= ACCEPT:
            drawn |= mask
        attributes = {
            **region.attributes,
            "geometry": region.confidence,
            "layout_inside": round(evidence.inside, 3),
            "layout_beyond": round(evidence.beyond, 3),
        }
        kept.append(replace(region, confidence=round(confidence, 4), attributes=attributes))
    found = trace(pixels, layout)
    if found is None or (found.outside & ~drawn).mean() < NEW_SHARE:
        return kept
    known = evidence_of_trace(found, layout)
    confidence = judge.traced.probability(known.features)
    if confidence < WEAK:
        return kept
    box = Box.of_artefact(found.outside) or Box(0, 0, shape[1], shape[0])
    traced = Region(
        kind=Kind.FRAME,
        box=box,
        confidence=round(confidence, 4),
        source=source,
        artefact=np.ascontiguousarray(found.outside[box.slices]),
        attributes={
            "pattern": "traced",
            "support": round(found.support, 3),
            "layout_inside": round(known.evidence.inside, 3),
            "layout_beyond": round(known.evidence.beyond, 3),
        },
    )
    return [*kept, traced]
