"""Frames of one image once both have spoken: what geometry proposes, judged, and what the layout network's map adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask.values.types import LAYOUT_ATTRIBUTE, Kind, Region
from automask_models.frames.judging import Evidence, FrameJudge
from automask_models.frames.nesting import ACCEPT, WEAK
from automask_models.frames.tracing import evidence_of_trace, trace
from automask_models.layout.network import LayoutMap

NEW_SHARE = 0.004
"""Share of the image that a traced frame must add to what is drawn: less is the play of a cell at its edge."""


def judged(
    regions: Sequence[Region], pixels: NDArray[np.uint8], layout: LayoutMap, judge: FrameJudge, *, source: str
) -> list[Region]:
    """The regions that geometry proposed for an (H, W, 3) uint8 image with the judge's confidence, and a traced one.

    One is drawn where both would draw it. Where the judge alone would, a person is asked: what geometry left to one is
    not settled by a map that knows edges to a cell. What geometry alone is sure of is never dropped: it is listed, at
    `WEAK` at least, but not drawn, and by itself it asks nobody. The others are left out below `WEAK`.
    """
    shape = pixels.shape[:2]
    kept = []
    drawn = np.zeros(shape, dtype=np.bool_)
    for region in regions:
        mask = np.zeros(shape, dtype=np.bool_)
        mask[region.box.slices] = True if region.artefact is None else region.artefact
        if not mask.any():
            continue
        evidence = Evidence.of(layout, mask, geometry=region.weighed_confidence)
        confidence = judge.proposed.probability(evidence.features)
        proposed = evidence.geometry < ACCEPT
        if proposed and confidence < WEAK:
            continue
        if confidence >= ACCEPT and not proposed:
            drawn |= mask
        attributes = {
            **region.attributes,
            "geometry": region.confidence,
            LAYOUT_ATTRIBUTE: round(evidence.inside, 3),
            "layout_beyond": round(evidence.beyond, 3),
        }
        confidence = round(max(confidence, WEAK), 4)
        kept.append(replace(region, confidence=confidence, attributes=attributes, proposed=proposed))
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
            LAYOUT_ATTRIBUTE: round(known.evidence.inside, 3),
            "layout_beyond": round(known.evidence.beyond, 3),
        },
    )
    return [*kept, traced]
