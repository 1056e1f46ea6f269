"""What a click on the review page means, for the page and for what measures it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.mask.drawing import shown_things
from automask.mask.rendering import CorrectionLayers, grow, is_drawn
from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask.values.types import Found


def thing_to_add(
    session: PromptSession, point: tuple[int, int], masked: NDArray[np.bool_] | None = None
) -> PromptAnswer:
    """The thing at a pixel that is to be masked.

    Args:
        session: Knows the image.
        point: x and y.
        masked: (H, W) bool, what is masked already, before growth.
    """
    return session.answer(Prompt([(point[0] + 0.5, point[1] + 0.5)], [True], masked=masked))


def part_to_remove(
    session: PromptSession,
    point: tuple[int, int],
    thing: NDArray[np.bool_],
    *,
    wanted: Sequence[tuple[int, int]] = (),
) -> NDArray[np.bool_]:
    """The part of a masked thing (see `masked_thing`) that a click at a pixel takes away.

    Args:
        session: Knows the image.
        point: x and y.
        thing: (H, W) bool, before growth.
        wanted: Pixels of earlier clicks that added things.
    """
    if not thing.any():
        return thing
    asked = [(x + 0.5, y + 0.5) for x, y in wanted]
    part = session.wrong_part(thing, (point[0] + 0.5, point[1] + 0.5), wanted=asked)
    return part if part.any() else thing  # a click that does nothing says nothing


def masked_before_growth(
    found: Found, config: PipelineConfig, correction: CorrectionLayers | None
) -> NDArray[np.bool_]:
    """(H, W) bool, what is masked of an image: what was found and drawn, under what a person changed."""
    masked = np.zeros((found.height_px, found.width_px), dtype=np.bool_)
    if correction is None or not correction.replaces:
        for thing in shown_things(found, config):
            if is_drawn(thing.region, config.policy):
                masked[thing.patch.box.slices] |= thing.patch.artefact
    if correction is not None:
        if correction.remove is not None:
            masked &= ~correction.remove
        if correction.add is not None:
            masked |= correction.add
    return masked


def masked_thing(
    masked: NDArray[np.bool_], point: tuple[int, int], *, growth_px: int, hole_px: int
) -> NDArray[np.bool_]:
    """The masked pixels that a person who points at a mask sees as one thing: their grown masks touch.

    Args:
        masked: (H, W) bool, before growth.
        point: x and y.
        growth_px: How far the mask is grown.
        hole_px: Side of the largest hole that is filled: one is pointed at, too.
    """
    import cv2

    x, y = point
    near_px = growth_px + -(-hole_px // 2)
    top, left = max(0, y - near_px), max(0, x - near_px)
    rows, columns = np.nonzero(masked[top : y + near_px + 1, left : x + near_px + 1])
    if not len(rows):
        return np.zeros_like(masked)
    nearest = int(np.argmin((rows + top - y) ** 2 + (columns + left - x) ** 2))
    _, labels = cv2.connectedComponents(grow(masked, growth_px).view(np.uint8), connectivity=4)
    return np.asarray(masked & (labels == labels[rows[nearest] + top, columns[nearest] + left]), dtype=np.bool_)
