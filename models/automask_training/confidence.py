"""Fits the confidence model: `python -m automask_training.confidence MANIFEST --work DIR --out FILE`.

Runs the default pipeline over every source of a manifest as a dataset of its own and over synthesized pictures, keeps
the stores in DIR (so that a second fit takes seconds), labels each mask as fine or not by its leak and waste, fits one
logistic model, and says how good it is on sources that it was not fitted on.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.manifest import read_manifest
from automask.bench.tables import calibration_table, markdown_table
from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.files.atomic import write_atomic
from automask.mask.confidence.calibration import calibrate, calibration_error, equal_weights, queue_capture, reliability
from automask.mask.confidence.features import FEATURES
from automask.mask.confidence.model import ConfidenceModel, FeatureWeight
from automask_training.confidence_data import (
    LabelledImage,
    entries_by_source,
    fill_stores,
    read_stores,
    synthesized,
)
from automask_training.logistic import LogisticFit, fit_logistic, leave_one_out

LOGGER = logging.getLogger("automask.training")
SYNTHETIC = "synthetic-"

PENALTIES = (1.0, 3.0, 10.0)
"""Ridge penalties that are tried; the one with the best Brier score on sources left out is taken."""
_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled images as arrays.

    Attributes:
        values: (N, F) float64, a column per feature.
        fine: (N,) bool.
        source: (N,) str.
    """

    values: NDArray[np.float64]
    fine: NDArray[np.bool_]
    source: NDArray[np.str_]

    @classmethod
    def of(cls, images: Sequence[LabelledImage]) -> Rows:
        """Collect them.

        Raises:
            InputError: All masks are fine, or none is, or they come from one source.
        """
        rows = cls(
            values=np.array([[image.features[name] for name in FEATURES] for image in images], dtype=np.float64),
            fine=np.array([image.is_fine for image in images], dtype=np.bool_),
            source=np.array([image.source for image in images], dtype=np.str_),
        )
        if len(set(rows.source)) < 2 or rows.fine.all() or not rows.fine.any():
            raise InputError(
                "The model needs fine and bad masks of at least two sources.", advice="Add images to the manifest."
            )
        return rows

    @property
    def is_real(self) -> NDArray[np.bool_]:
        """(N,) bool: not synthesized."""
        return ~np.char.startswith(self.source, SYNTHETIC)

    @property
    def weights(self) -> NDArray[np.float64]:
        """(N,) float64 for a fit: collections count the same, all synthesized pictures together as one of them.

        How often their masks are bad is only what their scenes were made to be.
        """
        return equal_weights(np.where(self.is_real, self.source, SYNTHETIC))

    def chosen(self, rows: NDArray[np.bool_]) -> Rows:
        """Some of them."""
        return Rows(values=self.values[rows], fine=self.fine[rows], source=self.source[rows])


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFit:
    """The model and its probabilities on sources that it was not fitted on.

    Attributes:
        model: Fitted on everything.
        left_out: (N,) float64, each source judged by a fit without it.
        penalty: The ridge penalty that was taken.
    """

    model: ConfidenceModel
    left_out: NDArray[np.float64]
    penalty: float


def fit_confidence(rows: Rows, *, fitted_on: str) -> CheckedFit:
    """Fit on everything, and once without each source."""
    real = rows.is_real
    weights = equal_weights(rows.source)

    def brier(probability: NDArray[np.float64]) -> float:
        judged = real if real.any() else np.ones_like(real)
        return float(weights[judged] @ (probability[judged] - rows.fine[judged]) ** 2)

    tried = [(penalty, _left_out(rows, penalty=penalty)) for penalty in PENALTIES]
    penalty, left_out = min(tried, key=lambda each: brier(each[1]))
    fit, lowest, highest = _fit(rows, np.ones_like(rows.fine), penalty=penalty)
    features = {
        name: FeatureWeight(
            log_odds=round(fit.coefficients[column], _DECIMALS),
            lowest=round(float(lowest[column]), _DECIMALS),
            highest=round(float(highest[column]), _DECIMALS),
        )
        for column, name in enumerate(FEATURES)
    }
    model = ConfidenceModel(fitted_on=fitted_on, intercept=round(fit.intercept, _DECIMALS), features=features)
    return CheckedFit(model=model, left_out=left_out, penalty=penalty)


def report(rows: Rows, checked: CheckedFit) -> str:
    """Markdown: figures on the real sources left out, reliability, every source, and the weights."""
    real = rows.is_real
    probability, fine, source = checked.left_out[real], rows.fine[real], rows.source[real]
    bins = reliability(probability, fine, equal_weights(source))
    by_source = [
        [
            str(name),
            str(int((rows.source == name).sum())),
            f"{1 - rows.fine[rows.source == name].mean():.2f}",
            f"{1 - checked.left_out[rows.source == name].mean():.2f}",
        ]
        for name in np.unique(rows.source)
    ]
    weights = [
        [name, f"{weight.log_odds:+.2f}", f"{weight.lowest:.2f}", f"{weight.highest:.2f}"]
        for name, weight in checked.model.features.items()
    ]
    return "\n\n".join(
        [
            calibration_table({"left out": calibrate(probability, fine, source)}),
            markdown_table(
                ["bin", "probability", "fine", "mass"],
                [[str(n), *(f"{value:.3f}" for value in values)] for n, values in enumerate(bins, 1)],
            ),
            markdown_table(["source", "n", "bad", "expected bad"], by_source),
            markdown_table(["feature", "log odds", "lowest", "highest"], weights),
            f"ridge penalty {checked.penalty:g}",
        ]
    )


def plot_reliability(rows: Rows, checked: CheckedFit, path: Path) -> None:
    """Draw the reliability diagram and the queue curve of the real sources as a picture."""
    from automask_training.confidence_plot import draw_plot

    real = rows.is_real
    probability, fine = checked.left_out[real], rows.fine[real]
    weights = equal_weights(rows.source[real])
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code as for `automask`."""
    parser = argparse.ArgumentParser(prog="automask_training.confidence", description=__doc__)
    parser.add_argument("manifest", type=Path, help="JSON list of images with truth, see docs/bench.md")
    parser.add_argument("--work", type=Path, required=True, help="folder for links, synthesized pictures and stores")
    parser.add_argument("--out", type=Path, help="model file to write")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="reliability and queue, as a picture")
    parser.add_argument("--per-source", type=int, default=24, metavar="N", help="images a source at most [24]")
    parser.add_argument("--synthetic", type=int, default=16, metavar="N", help="pictures a scene, 0 for none [16]")
    parser.add_argument("--materials", type=Path, help="folder made by synth.materials, for the synthesized pictures")
    parser.add_argument("--reuse", action="store_true", help="fit on what the stores hold already, run nothing")
    parser.add_argument("--threads", type=int, default=0, help="threads of the networks, 0 for the usable cores [0]")
    given = parser.parse_args(arguments)
    if given.synthetic and given.materials is None:
        parser.error("synthesized pictures need --materials; without it give --synthetic 0")
    if given.per_source < 2 or given.synthetic < 0:
        parser.error("--per-source starts at 2, --synthetic at 0")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        _run(given)
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    return 0


def _run(given: argparse.Namespace) -> None:
    sources = entries_by_source(read_manifest(given.manifest), most=given.per_source)
    if given.synthetic:
        sources |= synthesized(given.materials, given.work / "synthetic", count=given.synthetic)
    config = PipelineConfig(runtime=RuntimeConfig(threads=given.threads))
    if not given.reuse:
        fill_stores(sources, given.work, config)
    rows = Rows.of(list(read_stores(sources, given.work, config)))
    real = rows.is_real
    fitted_on = (
        f"{int(real.sum())} images of {len(np.unique(rows.source[real]))} collections with truth, each run as a "
        f"dataset of its own, and {int((~real).sum())} synthesized ones of {len(np.unique(rows.source[~real]))} kinds, "
        f"with {', '.join((*config.detectors, *config.dataset_detectors))}; ridge logistic regression, collections "
        "weighted equally, the synthesized ones as one."
    )
    checked = fit_confidence(rows, fitted_on=fitted_on)
    sys.stdout.write(report(rows, checked) + "\n")
    if given.out is not None:
        write_atomic(given.out, (checked.model.model_dump_json(indent=2) + "\n").encode())
    if given.plot is not None:
        plot_reliability(rows, checked, given.plot)


def _fit(
    rows: Rows, chosen: NDArray[np.bool_], *, penalty: float
) -> tuple[LogisticFit, NDArray[np.float64], NDArray[np.float64]]:
    mine = rows.chosen(chosen)
    lowest, highest = np.percentile(mine.values, [1, 99], axis=0)
    values = np.clip(mine.values, lowest, highest)
    return fit_logistic(values, mine.fine, weights=mine.weights, penalty=penalty), lowest, highest


def _left_out(rows: Rows, *, penalty: float) -> NDArray[np.float64]:
    probability = np.empty(len(rows.fine))
    for name, others in leave_one_out(rows.source):
        fit, lowest, highest = _fit(rows, others, penalty=penalty)
        mine = rows.source == name
        probability[mine] = fit.probability(np.clip(rows.values[mine], lowest, highest))
    return probability


def _found(
    probability: NDArray[np.float64], fine: NDArray[np.bool_], weights: NDArray[np.float64], share: float
) -> float:
    """Share of all bad masks that a queue holds."""
    bad = float(weights @ ~fine)
    best = min(share * float(weights.sum()), bad)
    return queue_capture(probability, fine, weights, share=share) * best / bad if bad > 0 else 1.0


if __name__ == "__main__":
    sys.exit(main())
