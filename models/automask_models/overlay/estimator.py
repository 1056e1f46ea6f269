"""What images of one shape share: frames by type, then marks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.protocols import ReducedImage
from automask.values.geometry import Box
from automask_models.overlay.alignment import align
from automask_models.overlay.consistency import Consistency, mean_gradients, measure
from automask_models.overlay.finding import SURE_SCORE
from automask_models.overlay.frames import CHANGING_SHARE, STEADY_SHARE, STEP_PX, FrameShape, frame_of
from automask_models.overlay.marks import CERTAIN_RATIO, MarkShape, marks_of
from automask_models.overlay.matching import match_near
from automask_models.overlay.options import OverlayOptions
from automask_models.overlay.reduction import (
    Gradients,
    Shape,
    median_of,
    raw_gradients,
    resized,
    whitened,
)
from automask_models.overlay.relations import SAME_COLOUR_LEVELS, SAME_PLATE, different_pictures, same_type_clusters
from automask_models.overlay.template import Template, anchor_of

LARGE_SHARE = 0.25
"""A mark over more of the image needs a person's decision."""
FRAME_STEPPED, FRAME_EDGED, FRAME_BORDER = 0.55, 0.4, 0.2
"""What a frame needs to be applied without asking; see `frames.FrameShape`."""
LEAST_SHOWN = 3
INNER_SHARE = 0.01
"""Share of the image that a further part of a frame must cover to be worth a template."""
UNSURE = 0.4
"""Confidence of what does not pass these tests. No figure says how often it was put there: less often than not, and
below what `accept` is by default, from which each image would ask for what one decision about all of them settles."""
FRINGE_PX = 8
"""Distance from a frame at which its own edges no longer reach into whitened gradients."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One reduced image as the estimator works on it.

    Attributes:
        seed: A number that depends on the file alone.
        pixels: (h, w, 3) uint8 at the size of its class.
        source_width_px: Width of the image at full size.
    """

    seed: int
    pixels: NDArray[np.uint8]
    source_width_px: int


def estimate(images: Sequence[ReducedImage], options: OverlayOptions) -> list[Template]:
    """What images share: frames before marks, then by confidence and area.

    The templates depend on the set of images only, not on their order, down to the last bit.
    """
    groups: dict[Shape, list[ReducedImage]] = {}
    for image in images:
        shape = Shape.of(image.facts.width_px, image.facts.height_px, reduced_px=options.reduced_px)
        groups.setdefault(shape, []).append(image)
    found: list[Template] = []
    for shape in sorted(groups):
        members = sorted(groups[shape], key=lambda image: image.facts.content_sha256)
        samples = [
            Sample(int(image.facts.content_sha256[:16], 16), image.pixels, image.facts.width_px) for image in members
        ]
        found += _templates_of(shape, samples, least=options.min_images)
    return sorted(found, key=lambda t: (t.kind != "frame", -t.confidence, -t.area_share, t.id))


def _templates_of(shape: Shape, samples: Sequence[Sample], *, least: int) -> list[Template]:
    if len(samples) < least:
        return []
    everywhere = np.ones((shape.height_px, shape.width_px), dtype=np.bool_)
    rest = list(range(len(samples)))
    templates: list[Template] = []
    for cluster in _types(samples, least=least):
        members = [samples[i] for i in cluster]
        frames = _frames(members, least=least)
        templates += [_frame_template(each, shown, of=len(samples), least=least) for each, shown in frames]
        if templates and not templates[-1].needs_review:
            rest = [i for i in rest if i not in cluster]
            window = ~np.logical_or.reduce([each.outside for each, _ in frames])
            templates += _mark_templates(members, _eroded(window), least=least)
    if len(rest) >= least:
        templates += _mark_templates([samples[i] for i in rest], everywhere, least=least)
    return templates


def _types(samples: Sequence[Sample], *, least: int) -> list[list[int]]:
    """Clusters of images with the same fixed places."""
    import cv2

    consistency = _measured(samples)
    edges = (consistency.energy > consistency.high).view(np.uint8)
    places = cv2.dilate(edges, np.ones((5, 5), np.uint8)).astype(np.bool_)
    return same_type_clusters([sample.pixels for sample in samples], places, least=least)


def _frames(members: Sequence[Sample], *, least: int) -> list[tuple[FrameShape, list[Sample]]]:
    """The frame of images of one type; two where a part of them has more that is fixed, such as a title band."""
    rough = _frame(members)
    if rough is None:
        return []
    members = _aligned(members, rough)
    whole = _frame(members) or rough
    with_more = _with_more(members, whole, least=least)
    rest = [sample for sample in members if sample not in with_more]
    if least <= len(with_more) < len(members):
        inner = _frame(with_more)
        if inner is not None and inner.outside.mean() > whole.outside.mean() + INNER_SHARE:
            outer = _frame(rest) if len(rest) >= least else None
            return [(inner, with_more), (outer or whole, rest or list(members))]
    return [(whole, list(members))]


def _aligned(members: Sequence[Sample], frame: FrameShape) -> list[Sample]:
    """The images with their frames moved over each other."""
    reference = mean_gradients([sample.pixels for sample in members]) * _reach(frame.outside)
    moved = []
    for sample in members:
        alignment = align(whitened(raw_gradients(sample.pixels)), reference)
        moved.append(dataclasses.replace(sample, pixels=alignment.to_reference(sample.pixels)))
    return moved


def _reach(outside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A frame with its own outline, whose edges lie partly inside of it."""
    import cv2

    kernel = np.ones((2 * STEP_PX + 1, 2 * STEP_PX + 1), np.uint8)
    reach: NDArray[np.uint8] = cv2.dilate(outside.view(np.uint8), kernel)
    return reach.astype(np.bool_)


def _frame(members: Sequence[Sample]) -> FrameShape | None:
    stack = [sample.pixels for sample in members]
    seeds = [sample.seed for sample in members]
    small = (max(1, stack[0].shape[1] // 2), max(1, stack[0].shape[0] // 2))
    halved = measure([resized(pixels, width_px=small[0], height_px=small[1]) for pixels in stack], seeds=seeds)
    frame = frame_of(stack, measure(stack, seeds=seeds), halved=halved)
    if frame is None or not (frame.surrounds or frame.border >= FRAME_BORDER):
        return None
    return frame


def _with_more(members: Sequence[Sample], frame: FrameShape, *, least: int) -> list[Sample]:
    """Images that agree on places which are neither fixed nor free: what a part of the type has in addition."""
    import cv2

    between = (frame.share >= CHANGING_SHARE) & (frame.share < STEADY_SHARE)
    places = cv2.morphologyEx(between.view(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(np.bool_)
    clusters = same_type_clusters([sample.pixels for sample in members], places, least=least, share=SAME_PLATE)
    if not clusters:
        return []
    core = np.stack([members[i].pixels[places] for i in max(clusters, key=len)])
    usual = np.median(core, axis=0).astype(np.int16)
    agreement = np.array(
        [
            float((np.abs(sample.pixels[places].astype(np.int16) - usual).max(axis=1) <= SAME_COLOUR_LEVELS).mean())
            for sample in members
        ]
    )
    # Words differ most on images that the clusters missed; the plate under them still sets these images apart.
    threshold = _between_classes(agreement)
    return [sample for sample, value in zip(members, agreement, strict=True) if value >= threshold]


def _between_classes(values: NDArray[np.float64]) -> float:
    """The threshold that splits values into the two classes furthest apart (Otsu)."""
    ordered = np.sort(values)
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)[:-1]
    apart = sums / below - (ordered.sum() - sums) / (ordered.size - below)
    return float(ordered[int(np.argmax(below * (ordered.size - below) * apart**2)) + 1])


def _measured(samples: Sequence[Sample], within: NDArray[np.bool_] | None = None) -> Consistency:
    return measure([sample.pixels for sample in samples], seeds=[sample.seed for sample in samples], within=within)


def _eroded(window: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import cv2

    kernel = np.ones((2 * FRINGE_PX + 1, 2 * FRINGE_PX + 1), dtype=np.uint8)
    inner: NDArray[np.uint8] = cv2.erode(window.view(np.uint8), kernel, borderValue=1)
    return inner.astype(np.bool_)


def _frame_template(frame: FrameShape, members: Sequence[Sample], *, of: int, least: int) -> Template:
    pictures = len(different_pictures([sample.pixels for sample in members], ~frame.outside))
    height_px, width_px = frame.outside.shape
    steady = frame.outside & (frame.share >= STEADY_SHARE)
    sure = frame.stepped >= FRAME_STEPPED and frame.edged >= FRAME_EDGED and pictures >= least and bool(steady.any())
    confidence = min(0.98, 0.5 + 0.5 * min(frame.stepped, frame.edged)) if sure else UNSURE
    return Template(
        kind="frame",
        width_px=width_px,
        height_px=height_px,
        source_scale=_scale(members, width_px=width_px),
        box=Box(0, 0, width_px, height_px),
        anchor="whole",
        artefact=frame.outside,
        gradients=_rounded(mean_gradients([sample.pixels for sample in members]) * _reach(frame.outside)),
        colours=frame.colours,
        steady=steady,
        support=len(members) / of,
        images=of,
        confidence=round(confidence, 4),
        border_connected=frame.border > 0,
        needs_review=not sure,
        usual=_rounded(frame.share * frame.outside),
    )


def _rounded(gradients: Gradients) -> Gradients:
    """Steps of 1/32: templates are kept in files, and the noise of a mean over few images does not compress."""
    return np.round(gradients * 32) / np.float32(32)


def _scale(samples: Sequence[Sample], *, width_px: int) -> float:
    return float(np.median([sample.source_width_px / width_px for sample in samples]))


def _mark_templates(samples: Sequence[Sample], within: NDArray[np.bool_], *, least: int) -> list[Template]:
    """Marks on the different pictures among the samples."""
    if not within.any():
        return []
    chosen = different_pictures([sample.pixels for sample in samples], within)
    if len(chosen) < least:
        return []
    members = [samples[i] for i in chosen]
    consistency = _measured(members, within)
    marks = marks_of([sample.pixels for sample in members], consistency)
    templates = [_mark_template(mark, members, consistency, least=least) for mark in marks]
    # What no image shows by itself is a coincidence of the sum.
    return [template for template in templates if template.support * template.images >= LEAST_SHOWN]


def _mark_template(mark: MarkShape, members: Sequence[Sample], consistency: Consistency, *, least: int) -> Template:
    height_px, width_px = consistency.energy.shape
    box = mark.box
    kernel = np.ascontiguousarray(consistency.mean[:, box.y0 : box.y1, box.x0 : box.x1])
    scores = []
    for sample in members:
        gradients = whitened(raw_gradients(sample.pixels))
        own = gradients[:, box.y0 : box.y1, box.x0 : box.x1] / np.float32(len(members))
        # Without its own share: an image must agree with the others, not with itself.
        scores.append(match_near(gradients, (kernel - own) * mark.artefact, box).score)
    sure_scores = [score for score in scores if score >= SURE_SCORE]
    shown = len(sure_scores)
    share = float(mark.artefact.sum()) / (width_px * height_px)
    sure = mark.ratio >= CERTAIN_RATIO and shown >= min(least, 4) and share <= LARGE_SHARE
    confidence = min(0.98, 0.6 + 0.1 * float(np.log2(mark.ratio / CERTAIN_RATIO))) if sure else UNSURE
    touches = box.x0 == 0 or box.y0 == 0 or box.x1 == width_px or box.y1 == height_px
    return Template(
        kind="overlay",
        width_px=width_px,
        height_px=height_px,
        source_scale=_scale(members, width_px=width_px),
        box=box,
        anchor=anchor_of(box, width_px=width_px, height_px=height_px),
        artefact=mark.artefact,
        gradients=_rounded(kernel * mark.artefact),
        colours=_colours(members, box),
        steady=np.zeros(box.shape, dtype=np.bool_),
        support=shown / len(members),
        images=len(members),
        confidence=round(confidence, 4),
        border_connected=touches,
        needs_review=not sure,
        typical_score=round(float(np.median(sure_scores)), 2) if sure_scores else 0.0,
    )


def _colours(members: Sequence[Sample], box: Box) -> NDArray[np.uint8]:
    return median_of([sample.pixels[box.slices] for sample in members])
