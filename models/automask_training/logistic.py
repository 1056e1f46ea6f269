"""Ridge logistic regression over a few features, with classes and sources balanced, judged leave one source out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.text.evidence import LogisticModel

_MOST_STEPS = 100
_MOST_HALVINGS = 40
_CONVERGED_STEP = 1e-7
_DECIMALS = 3
"""What is shipped is rounded: further digits say nothing of other pictures."""


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """A fitted model in the units of its features.

    Attributes:
        intercept: Log odds where all features are 0.
        coefficients: Log odds per unit of each feature, in the order of the columns.
    """

    intercept: float
    coefficients: tuple[float, ...]

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, (N,) float64 within 0..1, for values (N, F)."""
        return _sigmoid(self.intercept + values @ np.array(self.coefficients))


def model_of(fit: LogisticFit, names: Sequence[str], *, prior_odds: float = 1.0) -> LogisticModel:
    """What is shipped of a fit, rounded.

    Args:
        fit: Of classes that weigh the same.
        names: Of its columns.
        prior_odds: Of the positive class, before any feature.
    """
    return LogisticModel(
        intercept=round(fit.intercept + math.log(prior_odds), _DECIMALS),
        coefficients={name: round(each, _DECIMALS) for name, each in zip(names, fit.coefficients, strict=True)},
    )


def balanced_weights(positive: NDArray[np.bool_], source: NDArray[np.str_]) -> NDArray[np.float64]:
    """Weights (N,) float64 that add up to N: half for each class, and within a class sqrt(n) for a source of n rows.

    The root lets a large source count for more than a small one without drowning it.

    Args:
        positive: (N,) bool.
        source: (N,) str, where each row comes from.

    Raises:
        ValueError: A class has no row.
    """
    if positive.all() or not positive.any():
        raise ValueError("both classes need at least one row")
    weights = np.ones(len(positive))
    for one_class in (positive, ~positive):
        for name in np.unique(source[one_class]):
            rows = one_class & (source == name)
            weights[rows] /= np.sqrt(rows.sum())
        weights[one_class] *= len(positive) / 2 / weights[one_class].sum()
    return weights


def fit_logistic(
    values: NDArray[np.float64],
    positive: NDArray[np.bool_],
    *,
    weights: NDArray[np.float64],
    penalty: float = 1.0,
) -> LogisticFit:
    """Fit by Newton's method (iteratively reweighted least squares).

    Args:
        values: (N, F) float64, one column per feature. Columns are standardised for the fit, so that the penalty is
            the same for features of any unit.
        positive: (N,) bool.
        weights: (N,) float64, how much each row counts.
        penalty: Ridge penalty on half the squared standardised coefficients; the intercept is free.

    Raises:
        ValueError: A class has no row, or the values do not determine a fit.
    """
    if positive.all() or not positive.any():
        raise ValueError("both classes need at least one row")
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    design = np.column_stack([(values - mean) / deviation, np.ones(len(values))])
    ridge = np.diag([penalty] * values.shape[1] + [0.0])
    signs = np.where(positive, 1.0, -1.0)

    def loss(beta: NDArray[np.float64]) -> float:
        misfit = np.logaddexp(0.0, -signs * (design @ beta))
        return float(weights @ misfit + beta @ ridge @ beta / 2)

    beta = np.zeros(design.shape[1])
    for _ in range(_MOST_STEPS):
        probability = _sigmoid(design @ beta)
        gradient = design.T @ (weights * (probability - positive)) + ridge @ beta
        curvature = (design * (weights * probability * (1 - probability))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        before = loss(beta)
        for _ in range(_MOST_HALVINGS):  # a full step can overshoot where classes are nearly separable
            if loss(beta - step) <= before:
                break
            step = step / 2
        beta = beta - step
        if np.abs(step).max() < _CONVERGED_STEP:
            coefficients = beta[:-1] / deviation
            return LogisticFit(float(beta[-1] - coefficients @ mean), tuple(float(each) for each in coefficients))
    raise ValueError(f"no fit after {_MOST_STEPS} steps: the features or weights are degenerate")


def area_under_curve(positive: NDArray[np.bool_], score: NDArray[np.float64], *, weights: NDArray[np.float64]) -> float:
    """Weighted chance, 0..1, that a positive row scores above a negative one; ties count half.

    Raises:
        ValueError: A class has no row.
    """
    if positive.all() or not positive.any():
        raise ValueError("both classes need at least one row")
    _, rank = np.unique(score, return_inverse=True)
    with_positive = np.bincount(rank, weights=weights * positive)
    with_negative = np.bincount(rank, weights=weights * ~positive)
    below = np.cumsum(with_negative) - with_negative / 2
    return float(with_positive @ below / (with_positive.sum() * with_negative.sum()))


def leave_one_out(source: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every source once, with the (N,) bool rows of all the others."""
    for name in np.unique(source):
        yield str(name), source != name


def _sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    # tanh does not overflow for large arguments, exp does.
    return np.asarray(0.5 + 0.5 * np.tanh(log_odds / 2), dtype=np.float64)
