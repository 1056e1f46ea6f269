"""Which windows of an image a segment-anything network is shown, so that every region is large enough in one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from automask.values.geometry import Box
from automask_models.refiners.backends.protocol import FrameTraits

CONTEXT = 1.3
"""A close-up is at least this many times as long as the part that it is about."""

OVERLAP = 0.25
"""Share of a window that the next one along a long line shows again."""

MAX_ZOOM = 3.0
"""Beyond this enlargement a network sees only interpolation."""


@dataclass(frozen=True, slots=True)
class View:
    """One window and what is asked in it.

    Attributes:
        window: Part of the image.
        parts: Pairs of a region's index and the part of its box that lies in the window.
    """

    window: Box
    parts: tuple[tuple[int, Box], ...]


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """All views of an image.

    Attributes:
        views: What to encode, the whole image first if it is used.
        left_out: Indices of regions that would need more close-ups than allowed.
    """

    views: tuple[View, ...]
    left_out: tuple[int, ...]


def plan_views(boxes: Sequence[Box], *, image: Box, traits: FrameTraits, max_crops: int) -> ViewPlan:
    """Choose windows.

    A region that is large enough in the whole image is asked about there. The others get square close-ups, which
    neighbours of similar size share; a line too long for one is followed by overlapping windows.

    Args:
        boxes: Tight boxes of the regions.
        image: The whole image.
        traits: What the network likes.
        max_crops: How many close-ups to make at most.
    """
    whole_scale = traits.side_px / max(image.width_px, image.height_px)
    pending = {index: box for index, box in enumerate(boxes) if _short(box) * whole_scale < traits.min_short_px}
    whole = tuple((index, box) for index, box in enumerate(boxes) if index not in pending)
    views = [View(window=image, parts=whole)] if whole else []
    left_out: list[int] = []
    crops = 0
    while pending:
        index, box = max(pending.items(), key=lambda item: (_short(item[1]), -item[0]))
        windows = list(_windows(box, image=image, traits=traits))
        del pending[index]
        if crops + len(windows) > max_crops:
            left_out.append(index)
            continue
        crops += len(windows)
        for window in windows:
            part = box.intersection(window)
            parts = [(index, part)] if part is not None else []
            if len(windows) == 1:
                parts += _take_neighbours(pending, window, traits=traits)
            views.append(View(window=window, parts=tuple(parts)))
    return ViewPlan(views=tuple(views), left_out=tuple(sorted(left_out)))


def _short(box: Box) -> int:
    return min(box.width_px, box.height_px)


def _long(box: Box) -> int:
    return max(box.width_px, box.height_px)


def _windows(box: Box, *, image: Box, traits: FrameTraits) -> Iterable[Box]:
    """One square window around the region, or several along it."""
    closest_px = traits.side_px / MAX_ZOOM
    target_px = max(closest_px, _short(box) * traits.side_px / traits.target_short_px)
    farthest_px = max(closest_px, _short(box) * traits.side_px / traits.min_short_px)
    around_px = max(target_px, _long(box) * CONTEXT)
    if around_px <= farthest_px:
        return [_placed(box, math.ceil(around_px), image=image)]
    side_px = math.ceil(target_px)
    # The windows reach past both ends, so that the first and the last letter have context as well.
    reach_px = _long(box) + (CONTEXT - 1.0) * side_px
    count = max(2, math.ceil((reach_px - side_px) / (side_px * (1.0 - OVERLAP))) + 1)
    step_px = (reach_px - side_px) / (count - 1)
    first_px = (_long(box) - reach_px) / 2 + side_px / 2
    horizontal = box.width_px >= box.height_px
    windows = []
    for i in range(count):
        along = first_px + i * step_px
        centre_x = box.x0 + along if horizontal else (box.x0 + box.x1) / 2
        centre_y = (box.y0 + box.y1) / 2 if horizontal else box.y0 + along
        windows.append(square_around(centre_x, centre_y, side_px, image=image))
    return list(dict.fromkeys(windows))


def _placed(box: Box, side_px: int, *, image: Box) -> Box:
    return square_around((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, side_px, image=image)


def square_around(centre_x: float, centre_y: float, side_px: int, *, image: Box) -> Box:
    """A square around a point, moved (and where the image is smaller, cut) to lie inside the image."""
    width_px, height_px = min(side_px, image.width_px), min(side_px, image.height_px)
    x0 = min(max(0, round(centre_x - side_px / 2)), image.width_px - width_px)
    y0 = min(max(0, round(centre_y - side_px / 2)), image.height_px - height_px)
    return Box(x0, y0, x0 + width_px, y0 + height_px)


def _take_neighbours(pending: dict[int, Box], window: Box, *, traits: FrameTraits) -> list[tuple[int, Box]]:
    scale = traits.side_px / max(window.width_px, window.height_px)
    taken = [
        (index, box)
        for index, box in pending.items()
        if window.contains(box) and _short(box) * scale >= traits.min_short_px
    ]
    for index, _ in taken:
        del pending[index]
    return taken
