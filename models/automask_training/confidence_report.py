"""What a fit of the confidence model is worth, in tables and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.tables import calibration_table, markdown_table
from automask.mask.confidence.calibration import calibrate, calibration_error, equal_weights, queue_capture, reliability
from automask_training.confidence_fit import MOST_PASSED, THRESHOLDS, CheckedFit, Outcome, Rows


def report(rows: Rows, checked: CheckedFit) -> str:
    """Markdown: figures of each set left out, what the threshold comes to, reliability, every source, the weights."""
    sets = _sets(rows, checked)
    used, probability = checked.used, checked.left_out
    calibrations = {
        name: calibrate(probability[mine], rows.fine[mine], rows.source[mine]) for name, mine in sets.items()
    }
    bins = reliability(probability[used], rows.fine[used], equal_weights(rows.source[used]))
    by_source = [
        [
            str(name),
            str(int(mine.sum())),
            f"{1 - rows.fine[mine].mean():.2f}",
            f"{1 - probability[mine].mean():.2f}",
            *_counts(Outcome.of(rows.chosen(mine), probability[mine], checked.below))[:2],
        ]
        for name in np.unique(rows.source)
        for mine in (rows.source == name,)
    ]
    weights = [
        [name, f"{weight.log_odds:+.2f}", f"{weight.lowest:.2f}", f"{weight.highest:.2f}"]
        for name, weight in checked.model.features.items()
    ]
    thresholds = [
        [f"{threshold:.2f}", *_counts(Outcome.of(rows.chosen(used), probability[used], threshold))]
        for threshold in THRESHOLDS
    ]
    outcomes = [
        [
            name,
            str(int(mine.sum())),
            str(int((~rows.fine[mine]).sum())),
            *_counts(Outcome.of(rows.chosen(mine), probability[mine], checked.below)),
            *_counts(Outcome.of(rows.chosen(mine), checked.in_sample[mine], checked.below)),
        ]
        for name, mine in sets.items()
    ]
    counted = ["bad and auto", "fine and review", "bad of auto"]
    return "\n\n".join(
        [
            "Each source judged by a fit without it:",
            calibration_table(calibrations),
            f"A person is asked below {checked.below:.2f}, the lowest of these at which, of the images that the fit "
            f"used, at most {MOST_PASSED:.1%} are bad and pass unasked:",
            markdown_table(["below", *counted], thresholds),
            f"At {checked.below:.2f}, left out and in sample:",
            markdown_table(["set", "n", "bad", *counted, *(f"{name}, in sample" for name in counted)], outcomes),
            markdown_table(
                ["bin", "probability", "fine", "mass"],
                [[str(n), *(f"{value:.3f}" for value in values)] for n, values in enumerate(bins, 1)],
            ),
            markdown_table(["source", "n", "bad", "expected bad", *counted[:2]], by_source),
            markdown_table(["feature", "log odds", "lowest", "highest"], weights),
            f"ridge penalty {checked.penalty:g}",
        ]
    )


def plot_reliability(rows: Rows, checked: CheckedFit, path: Path) -> None:
    """Draw the reliability diagram and the queue curve of all sources, left out, as a picture."""
    from automask_training.confidence_plot import draw_plot

    probability, fine = checked.left_out, rows.fine
    weights = equal_weights(rows.source)
    shares = np.linspace(0.02, 1.0, 50)
    curve = [(float(share), _found(probability, fine, weights, float(share))) for share in shares]
    perfect = [(float(share), _found(fine.astype(np.float64), fine, weights, float(share))) for share in shares]
    draw_plot(
        path,
        bins=reliability(probability, fine, weights),
        error=calibration_error(probability, fine, weights),
        queue=curve,
        perfect_queue=perfect,
    )


def _sets(rows: Rows, checked: CheckedFit) -> dict[str, NDArray[np.bool_]]:
    """Everything, each manifest, and of each what the fit used and what it did not."""
    sets = {"all": np.ones(len(rows.fine), dtype=np.bool_)}
    for name in np.unique(rows.manifest):
        mine = rows.manifest == name
        sets[str(name)] = mine
        if (mine & ~checked.used).any():
            sets |= {f"{name}, fitted": mine & checked.used, f"{name}, report only": mine & ~checked.used}
    return {name: mine for name, mine in sets.items() if mine.any()}


def _counts(found: Outcome) -> list[str]:
    return [
        f"{found.passed} ({found.passed / found.images:.3f})",
        f"{found.vain} ({found.vain / found.images:.3f})",
        f"{found.passed / max(1, found.unasked):.3f}",
    ]


def _found(
    probability: NDArray[np.float64], fine: NDArray[np.bool_], weights: NDArray[np.float64], share: float
) -> float:
    """Share of all bad masks that a queue holds."""
    bad = float(weights @ ~fine)
    best = min(share * float(weights.sum()), bad)
    return queue_capture(probability, fine, weights, share=share) * best / bad if bad > 0 else 1.0
