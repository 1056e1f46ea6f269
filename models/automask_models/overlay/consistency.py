"""Which edges stay at their place, and keep their sign, while the images change.

A mark that is added to every image adds the same gradient to every image; the gradients of the pictures themselves have
random signs at any one place and average out (Dekel et al., "On the Effectiveness of Visible Watermarks", CVPR 2017).
Here every gradient is divided by its local power first, so that calm images count more, and the sum over the images is
compared with the sum over the same images moved by a few pixels each. Moving keeps everything that pictures of a
dataset share without being printed on them (horizons, centred subjects, vignettes), and takes away only what sits at
exactly one place: the folder brings its own null hypothesis, so no threshold depends on what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.reduction import Gradients, raw_gradients, whitened

SURROGATES = 4
"""Moved copies of the stack from which the null hypothesis is read."""
MOVE_PX = (6, 24)
"""Least and greatest move along each axis: further than a stroke is wide, less than a horizon is level."""
POOL_SIGMA_PX = 2.0
"""Evidence is pooled over a stroke and its two edges."""
FLAT_POWER = 0.05
"""Power per image that keeps places without any gradient from looking consistent."""
GROUP_PX = 8
"""Edges closer than twice this belong to one mark: letters of a word, a symbol and its name."""


@dataclass(frozen=True, slots=True, eq=False)
class Consistency:
    """What a stack of images of one size agrees on.

    Attributes:
        energy: (h, w) float32, about 1 where the images agree by chance, the number of images where all agree.
        mean: (2, h, w) float32, mean whitened gradient.
        low: Energy that chance exceeds on half a percent of the pixels.
        high: Energy that chance does not exceed.
        null_mass: Mass (see `groups`) of the heaviest group that chance made.
    """

    energy: NDArray[np.float32]
    mean: Gradients
    low: float
    high: float
    null_mass: float


def measure(
    stack: Sequence[NDArray[np.uint8]], *, seeds: Sequence[int], within: NDArray[np.bool_] | None = None
) -> Consistency:
    """Compare images of one size.

    Args:
        stack: (h, w, 3) uint8 images.
        seeds: `seeds[i]` decides how image i moves in the null hypothesis.
        within: (h, w) bool, the part of the images that is compared; None for all of it.
    """
    shape = (2, *stack[0].shape[:2])
    sums = np.zeros((1 + SURROGATES, *shape), dtype=np.float32)
    powers = np.zeros_like(sums)
    for pixels, seed in zip(stack, seeds, strict=True):
        gradients = whitened(raw_gradients(pixels))
        if within is not None:
            gradients *= within
        _accumulate(gradients, sums[0], powers[0])
        rng = np.random.default_rng(seed)
        for k in range(1, 1 + SURROGATES):
            move = rng.integers(*MOVE_PX, size=2) * rng.choice((-1, 1), size=2)
            _accumulate(np.roll(gradients, tuple(move), (1, 2)), sums[k], powers[k])
    energies = [_energy(sums[k], powers[k], images=len(stack)) for k in range(1 + SURROGATES)]
    null = np.stack([energy if within is None else energy[within] for energy in energies[1:]])
    low = float(np.quantile(null, 0.995))
    high = max(float(np.quantile(null, 0.9999)), low)
    null_masses = [group.mass for energy in energies[1:] for group in groups(energy, low=low, high=high)]
    return Consistency(
        energy=energies[0], mean=sums[0] / len(stack), low=low, high=high, null_mass=max([low, *null_masses])
    )


def mean_gradients(stack: Sequence[NDArray[np.uint8]]) -> Gradients:
    """The `mean` that `measure` gives for whole images, without the comparison with chance."""
    import cv2

    total = np.zeros((2, *stack[0].shape[:2]), dtype=np.float32)
    for pixels in stack:
        for channel, sum_of_channel in zip(whitened(raw_gradients(pixels)), total, strict=True):
            cv2.accumulate(channel, sum_of_channel)
    return np.asarray(total / len(stack), dtype=np.float32)


def _accumulate(gradients: Gradients, total: Gradients, power: Gradients) -> None:
    import cv2

    for channel, sum_of_channel, power_of_channel in zip(gradients, total, power, strict=True):
        cv2.accumulate(channel, sum_of_channel)
        cv2.accumulateSquare(channel, power_of_channel)


def _energy(sums: Gradients, powers: Gradients, *, images: int) -> NDArray[np.float32]:
    import cv2

    # The sum over its own power instead of a variance: bounded by the number of images, whatever one of them holds.
    evidence = (sums**2 / (powers + FLAT_POWER * images)).mean(axis=0)
    pooled: NDArray[np.float32] = cv2.GaussianBlur(evidence, (0, 0), POOL_SIGMA_PX)
    return pooled


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Consistent edges that lie close together.

    Attributes:
        edges: (h, w) bool.
        mass: Sum of the energy above chance.
    """

    edges: NDArray[np.bool_]
    mass: float


def groups(energy: NDArray[np.float32], *, low: float, high: float) -> list[Group]:
    """Groups of connected pixels above `low` that somewhere exceed `high`, heaviest first."""
    import cv2

    count, labels = cv2.connectedComponents((energy > low).view(np.uint8), connectivity=8)
    seeded = np.zeros(count, dtype=np.bool_)
    seeded[np.unique(labels[energy > high])] = True
    seeded[0] = False
    edges = seeded[labels]
    if not edges.any():
        return []
    kernel = np.ones((2 * GROUP_PX + 1, 2 * GROUP_PX + 1), dtype=np.uint8)
    near = cv2.dilate(edges.view(np.uint8), kernel)
    count, labels = cv2.connectedComponents(near, connectivity=8)
    masses = np.bincount(labels[edges], weights=energy[edges] - low, minlength=count)
    order = [int(label) for label in np.argsort(-masses, kind="stable") if masses[label] > 0]
    return [Group(edges=edges & (labels == label), mass=float(masses[label])) for label in order]
