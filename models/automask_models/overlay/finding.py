"""Where an image shows a template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.protocols import ImageFacts, ReducedImage
from automask.values.geometry import Box
from automask.values.templates import SCORE_ATTRIBUTE, TEMPLATE_ATTRIBUTE
from automask.values.types import Kind, Region
from automask_models.overlay.alignment import Alignment, align
from automask_models.overlay.matching import Match, match_anywhere, match_near
from automask_models.overlay.reduction import Gradients, Shape, furthest, raw_gradients, resized, whitened
from automask_models.overlay.relations import SAME_COLOUR_LEVELS
from automask_models.overlay.rivals import has_plates
from automask_models.overlay.template import Template

SOURCE = "overlay"
SURE_SCORE = 4.0
"""Matched-filter answer, in standard deviations, that shows a mark at its usual place."""
LIKELY_SCORE = 2.0
"""The same for a mark that almost every image of its group shows."""
LIKELY_TRUST = 0.85
SURE_SHARE, LIKELY_SHARE = 0.3, 0.2
"""Shares of the typical answer of the images that a mark comes from, which an answer must reach as well: of 200
pictures without the mark one answers by 4 deviations, where those with it typically answer by 16."""
SURE_CORRELATION = 0.15
"""What an image has in common with a mark at its usual place; by chance, images reach .14."""
ALMOST_ALL = 0.85
ELSEWHERE_SCORE = 8.0
ELSEWHERE_CORRELATION = 0.35
"""What a mark at another place or of another size must reach: a hundred thousand places are compared."""
COARSE_SCORE = 6.0
BOTH_DIRECTIONS = 0.25
"""Least share of a mark's gradients along either axis for it to be looked for elsewhere: every picture has lines."""
LARGEST_ELSEWHERE = 0.15
"""Marks that cover more are looked for at their usual place only: there is nowhere else for them."""
SCALES = (0.5, 0.63, 0.79, 1.0, 1.26, 1.59, 2.0)
FRAME_MATCH = 0.6
"""Share of the steady places of a frame that must have its colours."""
ROUGH_MATCH = 0.4
"""The same before the sides are aligned, to spare other images the work."""
PLATE_MATCH = 0.3
"""A plate covered with other words still has its colour on more than this share."""
FRAME_ASPECT = 0.06
"""Greatest difference in log aspect between an image and a frame."""


def find(template: Template, image: ReducedImage) -> list[Region]:
    """Regions of one template in an image of any size: none or one.

    Attributes of a region: `template` (its id), `score` (standard deviations for marks, share of matching places for
    frames), `placed` (usual, elsewhere or whole).
    """
    return find_all([template], image)


def find_all(templates: Sequence[Template], image: ReducedImage) -> list[Region]:
    """Regions of all templates: every mark that is there, and of the frames the one that the image agrees with most.

    Frames of one deck look alike, so that an image may pass for several of them; their union would cover its window.
    """
    views = _Views(image)
    fits = [(template, _frame_fit(template, views)) for template in templates if template.kind == "frame"]
    rivals = [(template, fit) for template, fit in fits if fit is not None]
    regions: list[Region] = []
    if rivals:
        template, fit = _winner(rivals, views)
        regions += _frame_region(template, views, fit)
    for template in templates:
        if template.kind == "overlay":
            regions += _find_mark(template, views)
    return regions


class _Views:
    """One image at the sizes that templates ask for, each computed once."""

    def __init__(self, image: ReducedImage) -> None:
        self.image = image.facts
        self._reduced = image.pixels
        self._pixels: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._gradients: dict[tuple[int, int], Gradients] = {}

    def pixels(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        size = (width_px, height_px)
        if size not in self._pixels:
            self._pixels[size] = resized(self._reduced, width_px=width_px, height_px=height_px)
        return self._pixels[size]

    def gradients(self, width_px: int, height_px: int) -> Gradients:
        size = (width_px, height_px)
        if size not in self._gradients:
            self._gradients[size] = whitened(raw_gradients(self.pixels(*size)))
        return self._gradients[size]

    def has_shape_of(self, template: Template) -> bool:
        """Whether the image was, or would have been, compared with those that a template comes from."""
        reduced_px = max(template.width_px, template.height_px)
        shape = Shape.of(self.image.width_px, self.image.height_px, reduced_px=reduced_px)
        return (shape.width_px, shape.height_px) == (template.width_px, template.height_px)

    def aspect_distance(self, template: Template) -> float:
        """Difference in log aspect to a template's reference frame."""
        own = math.log(self.image.width_px / self.image.height_px)
        return abs(own - math.log(template.width_px / template.height_px))


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well an image agrees with a frame.

    Attributes:
        alignment: Where the frame's sides lie in the image.
        colours: Share of the steady places with the frame's colours, 0..1.
        explained: Share of the image that the frame explains, less what it claims and does not explain.
    """

    alignment: Alignment
    colours: float
    explained: float


def _frame_fit(template: Template, views: _Views) -> _Fit | None:
    if views.aspect_distance(template) > FRAME_ASPECT or not template.steady.any():
        return None
    size = (template.width_px, template.height_px)
    if _agreement(template, views.pixels(*size))[template.steady].mean() < ROUGH_MATCH:
        return None
    alignment = align(views.gradients(*size), template.gradients)
    agreement = _agreement(template, alignment.to_reference(views.pixels(*size)))
    colours = float(agreement[template.steady].mean())
    if colours < FRAME_MATCH:
        return None
    explained = float((agreement[template.artefact] - PLATE_MATCH).sum()) / template.artefact.size
    return _Fit(alignment, colours, explained)


def _winner(rivals: Sequence[tuple[Template, _Fit]], views: _Views) -> tuple[Template, _Fit]:
    """The frame that explains most of an image and has no plate that the image lacks.

    A ground of the plate's colour agrees with a frame that has one; where such a frame has a rival without it, the
    plate must end at an edge of the image.
    """
    ranked = sorted(rivals, key=lambda each: (not each[0].needs_review, each[1].explained, each[0].id), reverse=True)
    for place, (template, fit) in enumerate(ranked):
        poorer = [
            other
            for other, _ in ranked[place + 1 :]
            if other.artefact.shape == template.artefact.shape
            and not other.needs_review
            and other.area_share < template.area_share
        ]
        if not poorer:
            break  # as with the last one
        pixels = fit.alignment.to_reference(views.pixels(template.width_px, template.height_px))
        if all(has_plates(pixels, template.artefact, other.artefact) for other in poorer):
            break
    return template, fit


def _agreement(template: Template, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(h, w) bool, where an image of a frame's reference size has its colours."""
    import cv2

    return furthest(cv2.blur(pixels, (3, 3)), cv2.blur(template.colours, (3, 3))) <= SAME_COLOUR_LEVELS


def _frame_region(template: Template, views: _Views, fit: _Fit) -> list[Region]:
    image = views.image
    artefact = _resized_mask(
        fit.alignment.to_image(template.artefact), width_px=image.width_px, height_px=image.height_px
    )
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
            attributes={TEMPLATE_ATTRIBUTE: template.id, SCORE_ATTRIBUTE: round(fit.colours, 4), "placed": "whole"},
            proposed=template.needs_review,
        )
    ]


def _resized_mask(artefact: NDArray[np.bool_], *, width_px: int, height_px: int) -> NDArray[np.bool_]:
    import cv2

    shares = cv2.resize(artefact.astype(np.float32), (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    mask: NDArray[np.bool_] = shares >= 0.5
    return mask


def _find_mark(template: Template, views: _Views) -> list[Region]:
    usual: list[Region] = []
    if views.aspect_distance(template) <= FRAME_ASPECT:
        width_px, height_px = template.width_px, template.height_px
        match = match_near(views.gradients(width_px, height_px), template.gradients, template.box)
        trust = _trust_near(template, match, is_same_shape=views.has_shape_of(template))
        if trust > 0 or match.score >= SURE_SCORE:
            scale = (views.image.width_px / width_px, views.image.height_px / height_px)
            # Without trust it would show the mark, but is weak beside the answers of the others: a person has to look.
            usual = _mark_region(
                template, views.image, match, scale=scale, trust=trust or 1.0, placed="usual", proposed=not trust
            )
            if trust or template.needs_review:
                return usual
    if template.needs_review or template.area_share > LARGEST_ELSEWHERE or _is_line(template):
        return usual
    # What is weak at the usual place may be chance, and the mark be elsewhere.
    return _find_elsewhere(template, views) or usual


def _trust_near(template: Template, match: Match, *, is_same_shape: bool) -> float:
    """How far what is at the usual place of a mark shows it, 0..1; 0 where it does not, or is weak.

    Args:
        template: The mark.
        match: What is at its place.
        is_same_shape: Whether the image is one of those that the template's `support` is a share of.
    """
    typical = template.typical_score
    if match.score >= max(SURE_SCORE, SURE_SHARE * typical) and match.correlation >= SURE_CORRELATION:
        return 1.0
    is_likely = is_same_shape and template.support >= ALMOST_ALL
    return LIKELY_TRUST if is_likely and match.score >= max(LIKELY_SCORE, LIKELY_SHARE * typical) else 0.0


def _is_line(template: Template) -> bool:
    """Whether nearly all of a mark's edges run in one direction."""
    across, down = (float(np.square(each).sum()) for each in template.gradients)
    return min(across, down) < BOTH_DIRECTIONS * (across + down)


def _find_elsewhere(template: Template, views: _Views) -> list[Region]:
    image = views.image
    reduction = max(image.width_px, image.height_px) / max(template.width_px, template.height_px)
    width_px, height_px = (max(1, round(side / reduction)) for side in (image.width_px, image.height_px))
    half = views.gradients(max(1, width_px // 2), max(1, height_px // 2))
    ladder = sorted({*SCALES, template.source_scale / reduction})
    matches = [(_match_scaled(half, template, scale / 2), scale) for scale in ladder]
    coarse = [(match.score, scale) for match, scale in matches if match is not None]
    if not coarse or max(coarse)[0] < COARSE_SCORE:
        return []
    # Half the size is a quarter of the work and rules most images out; the place comes from the full size.
    best = _match_scaled(views.gradients(width_px, height_px), template, max(coarse)[1])
    if best is None or best.score < ELSEWHERE_SCORE or best.correlation < ELSEWHERE_CORRELATION:
        return []
    scale_xy = (image.width_px / width_px, image.height_px / height_px)
    return _mark_region(template, image, best, scale=scale_xy, placed="elsewhere")


def _match_scaled(gradients: Gradients, template: Template, scale: float) -> Match | None:
    kernel = _scaled_kernel(template.gradients, scale)
    return match_anywhere(gradients, kernel) if kernel is not None else None


def _scaled_kernel(gradients: Gradients, scale: float) -> Gradients | None:
    import cv2

    height_px, width_px = (round(side * scale) for side in gradients.shape[1:])
    if min(height_px, width_px) < 8:
        return None
    return np.stack([cv2.resize(channel, (width_px, height_px), interpolation=cv2.INTER_AREA) for channel in gradients])


def _mark_region(
    template: Template,
    image: ImageFacts,
    match: Match,
    *,
    scale: tuple[float, float],
    placed: str,
    trust: float = 1.0,
    proposed: bool = False,
) -> list[Region]:
    x0, y0 = round(match.box.x0 * scale[0]), round(match.box.y0 * scale[1])
    x1 = max(x0 + 1, round(match.box.x1 * scale[0]))
    y1 = max(y0 + 1, round(match.box.y1 * scale[1]))
    artefact = _resized_mask(template.artefact, width_px=x1 - x0, height_px=y1 - y0)
    box = Box(x0, y0, x1, y1).clipped(width_px=image.width_px, height_px=image.height_px)
    if box is None:
        return []
    inside = artefact[box.y0 - y0 : box.y1 - y0, box.x0 - x0 : box.x1 - x0]
    tight = Box.of_artefact(inside)
    if tight is None:
        return []
    inside = inside[tight.slices]
    box = Box(box.x0 + tight.x0, box.y0 + tight.y0, box.x0 + tight.x1, box.y0 + tight.y1)
    return [
        Region(
            kind=Kind.OVERLAY,
            box=box,
            confidence=round(template.confidence * trust, 4),
            source=SOURCE,
            artefact=np.ascontiguousarray(inside),
            attributes={TEMPLATE_ATTRIBUTE: template.id, SCORE_ATTRIBUTE: round(match.score, 3), "placed": placed},
            proposed=proposed or template.needs_review,
        )
    ]
