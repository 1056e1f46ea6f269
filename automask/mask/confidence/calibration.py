"""How good probabilities are: the queue they give, calibration, Brier score, area under the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 5
QUEUE_SHARE = 0.2
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Calibration:
    """Figures of a set of probabilities.

    Attributes:
        images: How many.
        bad_share: Weighted share of masks that are not fine.
        queue_capture: Bad masks in the `QUEUE_SHARE` least probable images, as a share of those that a perfect
            ordering would put there.
        queue_interval: Its 95 % bootstrap interval.
        calibration_error: Mean distance of probability and share of fine masks over `BINS` bins of equal mass (ECE).
        calibration_interval: Its 95 % bootstrap interval.
        brier: Mean squared error of the probabilities.
        area_under_curve: Chance that a fine mask has a higher probability than a bad one; NaN with one class.
    """

    images: int
    bad_share: float
    queue_capture: float
    queue_interval: tuple[float, float]
    calibration_error: float
    calibration_interval: tuple[float, float]
    brier: float
    area_under_curve: float


def equal_weights(source: NDArray[np.str_]) -> NDArray[np.float64]:
    """(N,) float64 weights under which every source counts the same; they add up to N."""
    _, index, counts = np.unique(source, return_inverse=True, return_counts=True)
    return np.asarray(len(source) / len(counts) / counts[index], dtype=np.float64)


def calibrate(probability: NDArray[np.float64], fine: NDArray[np.bool_], source: NDArray[np.str_]) -> Calibration:
    """Judge probabilities, sources weighted equally; intervals from resampling images within their source.

    Args:
        probability: (N,) float64, of a fine mask.
        fine: (N,) bool, whether it is.
        source: (N,) str, collection that each image comes from.

    Raises:
        ValueError: There is no row.
    """
    if len(probability) == 0:
        raise ValueError("no rows")
    weights = equal_weights(source)
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(source == name) for name in np.unique(source)]
    captures, errors = [], []
    for _ in range(_RESAMPLES):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        captures.append(queue_capture(probability[rows], fine[rows], weights[rows]))
        errors.append(calibration_error(probability[rows], fine[rows], weights[rows]))
    return Calibration(
        images=len(probability),
        bad_share=float(weights @ ~fine / weights.sum()),
        queue_capture=queue_capture(probability, fine, weights),
        queue_interval=_interval(captures),
        calibration_error=calibration_error(probability, fine, weights),
        calibration_interval=_interval(errors),
        brier=float(weights @ (probability - fine) ** 2 / weights.sum()),
        area_under_curve=_area_under_curve(probability, fine, weights),
    )


def queue_capture(
    probability: NDArray[np.float64],
    fine: NDArray[np.bool_],
    weights: NDArray[np.float64],
    *,
    share: float = QUEUE_SHARE,
) -> float:
    """Bad masks in a queue of the least probable images against those of a perfect queue of the same length.

    The image at the end of the queue counts by the part that still fits. 1 where there is no bad mask.
    """
    length = share * weights.sum()
    bad = weights * ~fine
    best = min(length, bad.sum())
    if best <= 0:
        return 1.0
    order = np.argsort(probability, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    part = np.clip((length - before) / weights[order], 0.0, 1.0)
    return float(part @ bad[order] / best)


def reliability(
    probability: NDArray[np.float64], fine: NDArray[np.bool_], weights: NDArray[np.float64], *, bins: int = BINS
) -> list[tuple[float, float, float]]:
    """(mean probability, share of fine masks, share of the mass) of each bin of equal mass, least probable first."""
    order = np.argsort(probability, kind="stable")
    middle = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    index = np.minimum((middle * bins).astype(int), bins - 1)
    found = []
    for number in range(bins):
        rows = order[index == number]
        mass = weights[rows].sum()
        if mass > 0:
            mean = weights[rows] @ probability[rows] / mass
            found.append((float(mean), float(weights[rows] @ fine[rows] / mass), float(mass / weights.sum())))
    return found


def calibration_error(
    probability: NDArray[np.float64], fine: NDArray[np.bool_], weights: NDArray[np.float64], *, bins: int = BINS
) -> float:
    """Expected calibration error over bins of equal mass, 0..1."""
    return sum(mass * abs(mean - share) for mean, share, mass in reliability(probability, fine, weights, bins=bins))


def _area_under_curve(probability: NDArray[np.float64], fine: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    if fine.all() or not fine.any():
        return float("nan")
    above = probability[fine][:, None] - probability[~fine][None, :]
    wins = (above > 0) + 0.5 * (above == 0)
    return float(weights[fine] @ wins @ weights[~fine] / (weights[fine].sum() * weights[~fine].sum()))


def _interval(values: list[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
