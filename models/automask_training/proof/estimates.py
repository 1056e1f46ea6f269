"""Shares and kernel distances with 95 % intervals by bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_REPEATS = 1000
_KERNEL_REPEATS = 200
_SEED = 3


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: NDArray[np.float64]) -> Estimate:
        """A value with the interval of values that were drawn anew."""
        low, high = np.quantile(drawn, (0.025, 0.975))
        return cls(float(value), float(low), float(high))


def share_above(found: NDArray[np.bool_], found_by_mistake: NDArray[np.bool_]) -> Estimate:
    """Share of True in (N,), less that in the (M,) pictures that are known to carry nothing; both are drawn anew."""
    rng = np.random.default_rng(_SEED)

    def shares(values: NDArray[np.bool_]) -> NDArray[np.float64]:
        if not len(values):
            return np.zeros(_REPEATS)
        return rng.binomial(len(values), float(values.mean()), _REPEATS) / len(values)

    mistaken = float(found_by_mistake.mean()) if len(found_by_mistake) else 0.0
    return Estimate.of(float(found.mean()) - mistaken, shares(found) - shares(found_by_mistake))


def kernel_distance(samples: NDArray[np.float32], reference: NDArray[np.float32]) -> Estimate:
    """KID (Binkowski et al. 2018): the unbiased squared MMD with the cubic kernel between features (N, D) and (M, D).

    Both sides are drawn anew for the interval; pairs of a row with itself never count.
    """
    # One factor for all features: one by one, a feature that is silent on the reference would count without bound.
    spread = max(float(np.sqrt((reference**2).mean())), 1e-6)
    x, y = samples / spread, reference / spread
    own, others, between = (_kernel(a, b) for a, b in ((x, x), (y, y), (x, y)))

    def distance(weight_x: NDArray[np.float64], weight_y: NDArray[np.float64]) -> float:
        cross = weight_x @ between @ weight_y / (weight_x.sum() * weight_y.sum())
        return float(_mean_pair(own, weight_x) + _mean_pair(others, weight_y) - 2 * cross)

    rng = np.random.default_rng(_SEED)
    drawn = [
        distance(
            rng.multinomial(len(x), np.full(len(x), 1 / len(x))).astype(np.float64),
            rng.multinomial(len(y), np.full(len(y), 1 / len(y))).astype(np.float64),
        )
        for _ in range(_KERNEL_REPEATS)
    ]
    return Estimate.of(distance(np.ones(len(x)), np.ones(len(y))), np.array(drawn))


def _kernel(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray((a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1.0) ** 3, dtype=np.float64)


def _mean_pair(kernel: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Weighted mean over pairs of different rows."""
    squares = weight**2
    total = weight @ kernel @ weight - float((squares * np.diagonal(kernel)).sum())
    return float(total / (weight.sum() ** 2 - squares.sum()))
