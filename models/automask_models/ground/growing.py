"""The exact outline of plain ground: grown from what the layout network is sure of to the edges of the subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.layout.network import LayoutMap

WORK_PX = 512
"""Longest side of the copy on which it grows: twice what the network sees, and an edge there is known to two pixels of
a megapixel, a quarter of a latent cell."""
MOST_ENLARGED = 2.0
"""How far a small picture is enlarged for that: further, its own pixels become areas."""
SMALLEST_PX = 16
"""Shorter side of the copy below which a picture is a line or an icon."""
SEED = 0.5
"""Probability from which a cell is a place to grow from: either answer costs the same."""
LEAST_SEEDS = 0.02
"""Share of the cells to grow from at least: a ring of one cell around the image has .06, a third of it .02."""
NEAR_CELLS, FAR_CELLS = 2.5, 12.0
"""How far the ground's colour is averaged, as deviations of a bell: near, so that it follows a gradient, and where
there is no ground as near as that, from further away."""
FAR_WEIGHT, WHOLE_WEIGHT = 1e-3, 1e-6
"""How much the means from afar and of all ground count beside the near one: where there is a near one, not at all."""
LEAST_LEVELS = 8.0
"""Difference between levels that an encoder leaves in a plain area beside an edge."""
NOISE_TIMES = 4.0
"""Deviations of the ground's own noise that still are ground: one pixel of 16,000 is beyond."""
MOST_LEVELS = 24.0
"""Slack from which a ground is no plain one, but a texture or a picture out of focus."""
DARKEST_SHADOW = 0.25
"""Of its brightness what a soft shadow leaves of the ground: what is darker is in contact with the subject."""
BRIGHTEST_LIGHT = 1.5
"""Of its brightness where it was learned what a light leaves of the ground elsewhere: a lamp behind the subject."""
SHADOW_CAST = 0.12
"""How far the colour of a shadow is from the ground's own, as a share of its brightness: light from the room is of
another colour than the lamp's."""
NECK_PX = 3
"""Width on the copy of a gap in the subject's edge through which the ground does not grow: an edge fades over two or
three pixels, not over more."""
RIM_CELLS = 3
"""How near the rim of the image ground comes at least: there the network, which sees no further, is less sure."""
PLAIN_SHARE = 0.2
"""Share of a piece that has the ground's own colour: less, and it is a grey thing rather than ground with a shadow."""
SEEDED_SHARE = 0.1
"""Share of a piece that the map takes for ground: less, and it is a part of the subject of the ground's colour."""
SPECK_SHARE = 2e-4
"""Share of the image below which a piece of ground, or a hole in it, is noise."""

_BLOCK = np.ones((3, 3), np.uint8)
_HALF = 127


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """Plain ground.

    Attributes:
        artefact: (H, W) bool, its pixels.
        on_copy: (h, w) bool, the same on the copy on which it grew.
        noise_levels: Deviation of its pixels from its own smooth colour, 0..255.
    """

    artefact: NDArray[np.bool_]
    on_copy: NDArray[np.bool_]
    noise_levels: float


def grown(pixels: NDArray[np.uint8], layout: LayoutMap) -> Grown | None:
    """The plain ground of an (H, W, 3) uint8 RGB image, or None where the map shows no place to grow from."""
    import cv2

    height_px, width_px = pixels.shape[:2]
    # A device that stands square on its ground is taken for a framed picture: where no ground is seen, for both.
    seeds = layout.ground >= SEED
    if seeds.mean() < LEAST_SEEDS:
        seeds = np.maximum(layout.ground, layout.frame) >= SEED
    scale = min(MOST_ENLARGED, WORK_PX / max(height_px, width_px))
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    if seeds.mean() < LEAST_SEEDS or min(size) < SMALLEST_PX:
        return None
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    cells = cv2.resize(small, seeds.shape[::-1], interpolation=cv2.INTER_AREA)
    sure = _around(seeds, cells)
    model = _colour_of_ground(cells, sure, size)
    difference = _largest(cv2.absdiff(small, model))
    noise = 1.4826 * float(np.median(difference[_enlarged(sure, size)]))  # of a normal distribution: its deviation
    slack = max(LEAST_LEVELS, NOISE_TIMES * noise)
    if slack > MOST_LEVELS:
        return None
    plain = difference <= slack
    smooth = _largest(cv2.subtract(cv2.dilate(small, _BLOCK), cv2.erode(small, _BLOCK))) <= slack
    shaded = smooth & ~plain
    smooth &= plain
    smooth[shaded] = _are_shadows(small[shaded], model[shaded], slack)
    least_px = SPECK_SHARE * smooth.size
    ground = _connected(smooth, plain, _enlarged(seeds, size), least_px=least_px)
    for _ in range(2):  # an edge takes a pixel of the ground on its side, and a corner of it two
        ground |= (cv2.dilate(ground.view(np.uint8), _BLOCK) > 0) & plain
    if not ground.any():
        return None
    ground |= _specks(~ground, least_px)
    levels = ground.astype(np.uint8) * 255
    whole = cv2.resize(levels, (width_px, height_px), interpolation=cv2.INTER_LINEAR) > _HALF
    return Grown(artefact=whole, on_copy=ground, noise_levels=noise) if whole.any() else None


def _largest(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest of the three channels of (h, w, 3)."""
    import cv2

    red, green, blue = cv2.split(levels)
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _enlarged(cells: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Cells of the map as pixels of the copy."""
    import cv2

    return np.asarray(cv2.resize(cells.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0


def _around(seeds: NDArray[np.bool_], cells: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The seeds whose colour goes over, cell by cell, into that of seeds at the rim; without any, the most that do.

    Pale parts of a subject are taken for ground now and then: their colour must not become the ground's.
    """
    import cv2

    step = _largest(cv2.subtract(cv2.dilate(cells, _BLOCK), cv2.erode(cells, _BLOCK)))
    smooth = seeds & (step <= MOST_LEVELS)
    count, labels = cv2.connectedComponents(smooth.view(np.uint8), connectivity=4)
    if count == 1:
        return seeds
    at_rim = np.zeros(count, dtype=np.bool_)
    for line in (labels[:RIM_CELLS], labels[-RIM_CELLS:], labels[:, :RIM_CELLS], labels[:, -RIM_CELLS:]):
        at_rim[line] = True
    at_rim[0] = False
    if not at_rim.any():
        at_rim[1 + int(np.argmax(np.bincount(labels.ravel())[1:]))] = True
    return np.asarray(at_rim[labels])


def _colour_of_ground(cells: NDArray[np.uint8], sure: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The ground's smooth colour at every pixel of the copy, (h, w, 3): a mean of the sure cells nearby."""
    import cv2

    weight = sure.astype(np.float32)
    weighted = cells.astype(np.float32) * weight[..., None]
    colour = np.full_like(weighted, WHOLE_WEIGHT * weighted.mean(axis=(0, 1)))
    total = np.full(sure.shape, WHOLE_WEIGHT * weight.mean(), np.float32)
    for reach, share in ((NEAR_CELLS, 1.0), (FAR_CELLS, FAR_WEIGHT)):
        colour += share * cv2.GaussianBlur(weighted, (0, 0), reach, borderType=cv2.BORDER_CONSTANT)
        total += share * cv2.GaussianBlur(weight, (0, 0), reach, borderType=cv2.BORDER_CONSTANT)
    levels = np.clip(np.rint(colour / total[..., None]), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR))


def _are_shadows(colour: NDArray[np.uint8], model: NDArray[np.uint8], slack: float) -> NDArray[np.bool_]:
    """Which colours, (n, 3), are the ground's at their place, (n, 3), with another light on it."""
    seen = [colour[:, channel].astype(np.float32) for channel in range(3)]
    own = [model[:, channel].astype(np.float32) for channel in range(3)]
    light = (seen[0] + seen[1] + seen[2]) / np.maximum(own[0] + own[1] + own[2], 1.0)
    cast = np.zeros_like(light)
    for one, other in zip(seen, own, strict=True):
        np.maximum(cast, np.abs(one - light * other), out=cast)
    brightness = np.maximum(np.maximum(own[0], own[1]), own[2])
    near = cast <= slack + SHADOW_CAST * np.abs(1 - light) * brightness
    return np.asarray((light >= DARKEST_SHADOW) & (light <= BRIGHTEST_LIGHT) & near, dtype=np.bool_)


def _connected(
    smooth: NDArray[np.bool_], plain: NDArray[np.bool_], seeded: NDArray[np.bool_], *, least_px: float
) -> NDArray[np.bool_]:
    """The pieces of smooth ground at the rim that the map takes for ground, without what hangs on by a neck alone.

    What a subject encloses stays: of a pale part of it and of a hole through it the map says the same.
    """
    import cv2

    neck = np.ones((NECK_PX, NECK_PX), np.uint8)
    # Beyond the rim of the image the ground goes on.
    broad = cv2.erode(smooth.view(np.uint8), neck, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    count, labels = cv2.connectedComponents(broad, connectivity=4)
    sizes = np.maximum(1, np.bincount(labels.ravel(), minlength=count))
    share = [np.bincount(labels[each], minlength=count) / sizes for each in (plain, seeded)]
    taken = (share[0] >= PLAIN_SHARE) & (share[1] >= SEEDED_SHARE) & (sizes >= least_px)
    taken[0] = False
    at_rim = np.zeros(count, dtype=np.bool_)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        at_rim[line] = True
    if (taken & at_rim).any():
        taken &= at_rim
    elif taken.any():  # framed
        taken = np.arange(count) == np.argmax(np.where(taken, sizes, 0))
    pieces = taken[labels]
    return np.asarray((cv2.dilate(pieces.view(np.uint8), neck) > 0) & smooth, dtype=np.bool_)


def _specks(mask: NDArray[np.bool_], least_px: float) -> NDArray[np.bool_]:
    """The pieces of an (h, w) mask that are smaller than some area."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < least_px
    small[0] = False
    specks: NDArray[np.bool_] = small[labels]
    return specks
