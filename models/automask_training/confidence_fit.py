"""The fit of the confidence model, and what it is worth on sources that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from automask.errors import InputError
from automask.mask.confidence.calibration import equal_weights
from automask.mask.confidence.features import FEATURES
from automask.mask.confidence.model import ConfidenceModel, FeatureWeight
from automask_training.confidence_data import LabelledImage
from automask_training.logistic import LogisticFit, fit_logistic, leave_one_out

PENALTIES = (1.0, 3.0, 10.0)
"""Ridge penalties that are tried; the one with the best Brier score on sources left out is taken."""
THRESHOLDS: Final = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Probabilities that are tried as the one below which a person is asked."""
MOST_PASSED = 0.035
"""Share of all images, at most, that are bad and pass unasked at the threshold that is proposed: as many passed when
any doubt of a detector asked. Half of them look fine in all that is stored, so that no threshold finds them."""
_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled images as arrays.

    Attributes:
        values: (N, F) float64, a column per feature.
        fine: (N,) bool.
        asked: (N,) bool, whether a person is asked about it whatever its probability.
        source: (N,) str.
        manifest: (N,) str, name of the manifest that has its source.
    """

    values: NDArray[np.float64]
    fine: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    source: NDArray[np.str_]
    manifest: NDArray[np.str_]

    @classmethod
    def of(cls, images: Sequence[LabelledImage]) -> Rows:
        """Collect them.

        Raises:
            InputError: All masks are fine, or none is, or they come from one source.
        """
        rows = cls(
            values=np.array([[image.features[name] for name in FEATURES] for image in images], dtype=np.float64),
            fine=np.array([image.is_fine for image in images], dtype=np.bool_),
            asked=np.array([image.asked for image in images], dtype=np.bool_),
            source=np.array([image.source for image in images], dtype=np.str_),
            manifest=np.array([image.manifest for image in images], dtype=np.str_),
        )
        if len(set(rows.source)) < 2 or rows.fine.all() or not rows.fine.any():
            raise InputError(
                "The model needs fine and bad masks of at least two sources.", advice="Add images to the manifest."
            )
        return rows

    def chosen(self, rows: NDArray[np.bool_]) -> Rows:
        """Some of them."""
        return Rows(
            values=self.values[rows],
            fine=self.fine[rows],
            asked=self.asked[rows],
            source=self.source[rows],
            manifest=self.manifest[rows],
        )

    def named(self, sources: Sequence[str]) -> NDArray[np.bool_]:
        """(N,) bool: of one of these sources, named as in the manifest or with their kind before it.

        Raises:
            InputError: There is no such source.
        """
        names = np.unique(self.source)
        for source in sources:
            if not any(_is_named(str(name), source) for name in names):
                raise InputError(f"No images of {source}.", advice=f"There are {', '.join(map(str, names))}.")
        return np.array([any(_is_named(str(name), source) for source in sources) for name in self.source], np.bool_)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a threshold comes to.

    Attributes:
        images: How many.
        passed: Of these: bad, and nobody is asked.
        vain: Fine, and somebody is.
        unasked: About which nobody is asked.
    """

    images: int
    passed: int
    vain: int
    unasked: int

    @classmethod
    def of(cls, rows: Rows, probability: NDArray[np.float64], threshold: float) -> Outcome:
        """Count; the audit sample, which is random, is left out of account."""
        asked = rows.asked | (probability < threshold)
        return cls(
            images=len(asked),
            passed=int((~rows.fine & ~asked).sum()),
            vain=int((rows.fine & asked).sum()),
            unasked=int((~asked).sum()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFit:
    """The model and its probabilities on sources that it was not fitted on.

    Attributes:
        model: Fitted on all rows that are used.
        used: (N,) bool; the others are only reported.
        left_out: (N,) float64: each source that is used judged by a fit without it, the others by the model.
        in_sample: (N,) float64, all judged by the model.
        penalty: The ridge penalty that was taken.
        below: The lowest of `THRESHOLDS` at which at most `MOST_PASSED` of the used images, left out, are bad and pass.
    """

    model: ConfidenceModel
    used: NDArray[np.bool_]
    left_out: NDArray[np.float64]
    in_sample: NDArray[np.float64]
    penalty: float
    below: float


def fit_confidence(rows: Rows, *, fitted_on: str, report_only: Sequence[str] = ()) -> CheckedFit:
    """Fit on everything, and once without each source.

    Args:
        rows: The images.
        fitted_on: What the model's file says of its numbers.
        report_only: Sources that are in no fit and no choice.

    Raises:
        InputError: There is no such source.
    """
    used = ~rows.named(report_only)
    weights = equal_weights(rows.source[used])

    def brier(probability: NDArray[np.float64]) -> float:
        return float(weights @ (probability[used] - rows.fine[used]) ** 2)

    tried = [(penalty, _left_out(rows, used, penalty=penalty)) for penalty in PENALTIES]
    penalty, left_out = min(tried, key=lambda each: brier(each[1]))
    fit, lowest, highest = _fit(rows.chosen(used), penalty=penalty)
    features = {
        name: FeatureWeight(
            log_odds=round(fit.coefficients[column], _DECIMALS),
            lowest=round(float(lowest[column]), _DECIMALS),
            highest=round(float(highest[column]), _DECIMALS),
        )
        for column, name in enumerate(FEATURES)
    }
    model = ConfidenceModel(fitted_on=fitted_on, intercept=round(fit.intercept, _DECIMALS), features=features)
    known = [model.probability(dict(zip(FEATURES, map(float, values), strict=True))) for values in rows.values]
    return CheckedFit(
        model=model,
        used=used,
        left_out=left_out,
        in_sample=np.array(known),
        penalty=penalty,
        below=threshold_of(rows.chosen(used), left_out[used]),
    )


def threshold_of(rows: Rows, probability: NDArray[np.float64]) -> float:
    """See `CheckedFit.below`; the highest where none is enough."""
    for threshold in THRESHOLDS:
        found = Outcome.of(rows, probability, threshold)
        if found.passed <= MOST_PASSED * found.images:
            return threshold
    return THRESHOLDS[-1]


def _fit(rows: Rows, *, penalty: float) -> tuple[LogisticFit, NDArray[np.float64], NDArray[np.float64]]:
    lowest, highest = np.percentile(rows.values, [1, 99], axis=0)
    values = np.clip(rows.values, lowest, highest)
    fit = fit_logistic(values, rows.fine, weights=equal_weights(rows.source), penalty=penalty)
    return fit, lowest, highest


def _left_out(rows: Rows, used: NDArray[np.bool_], *, penalty: float) -> NDArray[np.float64]:
    probability = np.empty(len(rows.fine))
    judged = [(rows.source == name, others & used) for name, others in leave_one_out(rows.source)]
    for mine, others in judged:
        fit, lowest, highest = _fit(rows.chosen(others), penalty=penalty)
        probability[mine] = fit.probability(np.clip(rows.values[mine], lowest, highest))
    return probability


def _is_named(source: str, name: str) -> bool:
    return name in (source, source.partition("-")[2])
