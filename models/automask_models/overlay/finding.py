"""The second pass: where an image shows a template."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from automask.geometry import Box
from automask.types import Image, Kind, Region
from automask_models.overlay.matching import Match, match_anywhere, match_near
from automask_models.overlay.reduction import Gradients, raw_gradients, resized, whitened
from automask_models.overlay.relations import SAME_COLOUR_LEVELS
from automask_models.overlay.template import Template

SOURCE = "overlay"
SURE_SCORE = 4.0
"""Matched-filter answer, in standard deviations, that shows a mark at its usual place."""
LIKELY_SCORE = 2.0
"""The same for a mark that almost every image of its group shows."""
ALMOST_ALL = 0.85
ELSEWHERE_SCORE = 8.0
ELSEWHERE_CORRELATION = 0.35
"""What a mark at another place or of another size must reach: a hundred thousand places are compared."""
SCALES = (0.5, 0.63, 0.79, 1.0, 1.26, 1.59, 2.0)
FRAME_MATCH = 0.6
"""Share of the steady places of a frame that must have its colours."""
FRAME_ASPECT = 0.06
"""Greatest difference in log aspect between an image and a frame."""


def find(template: Template, image: Image) -> list[Region]:
    """Regions of one template in an image of any size: none or one.

    Attributes of a region: `template` (its id), `score` (standard deviations for marks, share of matching places for
    frames), `placed` (usual, elsewhere or whole).
    """
    return _find_frame(template, image) if template.kind == "frame" else _find_mark(template, image)


def _find_frame(template: Template, image: Image) -> list[Region]:
    aspect = math.log(image.width_px / image.height_px) - math.log(template.width_px / template.height_px)
    if abs(aspect) > FRAME_ASPECT:
        return []
    pixels = resized(image.pixels, width_px=template.width_px, height_px=template.height_px)
    score = frame_agreement(template, pixels)
    if score < FRAME_MATCH:
        return []
    artefact = _resized_mask(template.artefact, width_px=image.width_px, height_px=image.height_px)
    box = Box.of_artefact(artefact)
    if box is None:
        return []
    return [
        Region(
            kind=Kind.FRAME,
            box=box,
            confidence=template.confidence,
            source=SOURCE,
            artefact=np.ascontiguousarray(artefact[box.slices]),
            attributes={"template": template.id, "score": round(score, 4), "placed": "whole"},
        )
    ]


def frame_agreement(template: Template, pixels: NDArray[np.uint8]) -> float:
    """Share of a frame's steady places at which an image of its reference size has its colours, 0..1."""
    import cv2

    if not template.steady.any():
        return 0.0
    difference = np.abs(
        cv2.blur(pixels, (3, 3)).astype(np.int16) - cv2.blur(template.colours, (3, 3)).astype(np.int16)
    ).max(axis=2)
    return float((difference[template.steady] <= SAME_COLOUR_LEVELS).mean())


def _resized_mask(artefact: NDArray[np.bool_], *, width_px: int, height_px: int) -> NDArray[np.bool_]:
    import cv2

    shares = cv2.resize(artefact.astype(np.float32), (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    mask: NDArray[np.bool_] = shares >= 0.5
    return mask


def _find_mark(template: Template, image: Image) -> list[Region]:
    aspect = math.log(image.width_px / image.height_px) - math.log(template.width_px / template.height_px)
    if abs(aspect) <= FRAME_ASPECT:
        gradients = _gradients(image, width_px=template.width_px, height_px=template.height_px)
        match = match_near(gradients, template.gradients, template.box)
        likely = template.support >= ALMOST_ALL and match.score >= LIKELY_SCORE
        if match.score >= SURE_SCORE or likely:
            trust = 1.0 if match.score >= SURE_SCORE else 0.85
            scale = (image.width_px / template.width_px, image.height_px / template.height_px)
            return _mark_region(template, image, match, scale=scale, trust=trust, placed="usual")
    return _find_elsewhere(template, image)


def _find_elsewhere(template: Template, image: Image) -> list[Region]:
    long_px = max(template.width_px, template.height_px)
    reduction = max(image.width_px, image.height_px) / long_px
    width_px, height_px = (max(1, round(side / reduction)) for side in (image.width_px, image.height_px))
    gradients = _gradients(image, width_px=width_px, height_px=height_px)
    best: Match | None = None
    for scale in sorted({*SCALES, round(template.source_scale / reduction, 3)}):
        kernel = _scaled_kernel(template.gradients, scale)
        match = match_anywhere(gradients, kernel) if kernel is not None else None
        if match is not None and (best is None or match.score > best.score):
            best = match
    if best is None or best.score < ELSEWHERE_SCORE or best.correlation < ELSEWHERE_CORRELATION:
        return []
    scale_xy = (image.width_px / width_px, image.height_px / height_px)
    return _mark_region(template, image, best, scale=scale_xy, trust=1.0, placed="elsewhere")


def _scaled_kernel(gradients: Gradients, scale: float) -> Gradients | None:
    import cv2

    height_px, width_px = (round(side * scale) for side in gradients.shape[1:])
    if min(height_px, width_px) < 8:
        return None
    return np.stack([cv2.resize(channel, (width_px, height_px), interpolation=cv2.INTER_AREA) for channel in gradients])


def _gradients(image: Image, *, width_px: int, height_px: int) -> Gradients:
    return whitened(raw_gradients(resized(image.pixels, width_px=width_px, height_px=height_px)))


def _mark_region(
    template: Template, image: Image, match: Match, *, scale: tuple[float, float], trust: float, placed: str
) -> list[Region]:
    x0, y0 = round(match.box.x0 * scale[0]), round(match.box.y0 * scale[1])
    x1 = max(x0 + 1, round(match.box.x1 * scale[0]))
    y1 = max(y0 + 1, round(match.box.y1 * scale[1]))
    artefact = _resized_mask(template.artefact, width_px=x1 - x0, height_px=y1 - y0)
    box = Box(x0, y0, x1, y1).clipped(width_px=image.width_px, height_px=image.height_px)
    if box is None:
        return []
    inside = artefact[box.y0 - y0 : box.y1 - y0, box.x0 - x0 : box.x1 - x0]
    if not inside.any():
        return []
    return [
        Region(
            kind=Kind.OVERLAY,
            box=box,
            confidence=round(template.confidence * trust, 4),
            source=SOURCE,
            artefact=np.ascontiguousarray(inside),
            attributes={"template": template.id, "score": round(match.score, 3), "placed": placed},
        )
    ]
