"""Fits the model that tells text from texture: `python -m automask_training.text_evidence MANIFEST --out FILE`.

Runs the text detector on images with truth and on synthetic ones, labels every line it finds, fits one logistic model
on all evidence and one without recognition, and says how good both are on sources that they were not fitted on.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.manifest import Manifest, ManifestEntry, SourceFigures, read_manifest, summarise
from automask.bench.tables import markdown_table
from automask.config import PolicyConfig, RenderConfig, RuntimeConfig
from automask.errors import AutomaskError, InputError, OutputError
from automask.mask.metrics import MaskScore, score_mask
from automask.mask.rendering import Mask
from automask.protocols import Detector
from automask.values.geometry import Box, rasterise_polygon
from automask.values.types import Kind, Patch, Region
from automask.weights import WeightLibrary
from automask_models.text.evidence import EvidenceModel, LogisticModel
from automask_models.text.ppocr import DETECTION_FILE, RECOGNITION_FILE
from automask_models.text.rapidocr import RapidOcrDetector, RapidOcrOptions
from automask_training.logistic import area_under_curve, balanced_weights, fit_logistic, leave_one_out
from automask_training.starting import start
from automask_training.text_lines import LOGGER, SearchedPicture, search_manifest, search_synthetic

FULL_FEATURES = ("score_det", "score_rec", "log_letters_share", "log_aspect")
BLIND_FEATURES = ("score_det", "log_letters_share", "log_aspect")

BLIND_SHARE = 0.7
"""How much the model without recognition counts alone; `EvidenceModel.blind_share` says why it does."""

PRIOR_ODDS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
"""For which odds of text against texture leak and waste are shown, besides the one asked for."""

_DECIMALS = 3


@dataclass(frozen=True, slots=True, eq=False)
class LabelledLines:
    """The lines of known truth as arrays, rows in the order of pictures and lines.

    Attributes:
        features: By name of the feature, (N,) float64.
        is_text: (N,) bool.
        source: (N,) str.
    """

    features: Mapping[str, NDArray[np.float64]]
    is_text: NDArray[np.bool_]
    source: NDArray[np.str_]

    @classmethod
    def of(cls, pictures: Sequence[SearchedPicture]) -> LabelledLines:
        """Collect them.

        Raises:
            InputError: All text or all texture comes from one source, so that this one cannot be left out.
        """
        known = [(picture.source, line) for picture in pictures for line in picture.lines if line.is_text is not None]
        evidence = [line.evidence.features for _, line in known]
        lines = cls(
            features={name: np.array([each[name] for each in evidence], dtype=np.float64) for name in FULL_FEATURES},
            is_text=np.array([bool(line.is_text) for _, line in known], dtype=np.bool_),
            source=np.array([source for source, _ in known], dtype=np.str_),
        )
        for wanted, what in ((True, "text"), (False, "texture taken for text")):
            found = np.unique(lines.source[lines.is_text == wanted])
            if len(found) < 2:
                raise InputError(
                    f"Lines of {what} were found in {len(found)} source(s); leaving one out needs two.",
                    advice="Add images of other sources to the manifest, or ask for synthetic pictures.",
                )
        return lines

    def columns(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(N, F) float64, the named features."""
        return np.column_stack([self.features[name] for name in names])


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFit:
    """The models at even prior odds, and how they do on sources that they were not fitted on.

    Attributes:
        model: Fitted on all lines.
        without: By source, fitted on the lines of all other sources. A source without labelled lines is not in it.
        full_auc: Balanced area under the curve of `full`, each source judged by the fit without it.
        blind_auc: The same of `blind`.
    """

    model: EvidenceModel
    without: Mapping[str, EvidenceModel]
    full_auc: float
    blind_auc: float

    def judge_of(self, source: str) -> EvidenceModel:
        """The model that has not seen a source."""
        return self.without.get(source, self.model)


def fit_evidence(lines: LabelledLines, *, fitted_on: str) -> CheckedFit:
    """Fit both models on all lines, and once more per source without it."""
    models: dict[str, EvidenceModel] = {}
    held_out = {names: np.zeros(len(lines.is_text)) for names in (FULL_FEATURES, BLIND_FEATURES)}
    for source, others in leave_one_out(lines.source):
        models[source] = _fit(lines, others, fitted_on=f"all but {source}")
        for names, model in ((FULL_FEATURES, models[source].full), (BLIND_FEATURES, models[source].blind)):
            for row in np.flatnonzero(~others):
                held_out[names][row] = model.probability({name: lines.features[name][row] for name in names})
    weights = balanced_weights(lines.is_text, lines.source)
    return CheckedFit(
        model=_fit(lines, np.ones(len(lines.is_text), dtype=np.bool_), fitted_on=fitted_on),
        without=models,
        full_auc=area_under_curve(lines.is_text, held_out[FULL_FEATURES], weights=weights),
        blind_auc=area_under_curve(lines.is_text, held_out[BLIND_FEATURES], weights=weights),
    )


def with_prior_odds(model: EvidenceModel, odds: float) -> EvidenceModel:
    """The model for pictures in which a line is text with other odds than the even ones it was fitted for."""
    shift = math.log(odds)
    full, blind = (
        logistic.model_copy(update={"intercept": logistic.intercept + shift}) for logistic in (model.full, model.blind)
    )
    return model.model_copy(update={"full": full, "blind": blind})


def masks_scored(
    pictures: Sequence[SearchedPicture], fit: CheckedFit, manifest: Manifest, *, odds: Sequence[float]
) -> dict[float, list[tuple[ManifestEntry, MaskScore]]]:
    """Score the masks of the manifest's pictures, each judged without its source, by prior odds."""
    accept = PolicyConfig().of(Kind.TEXT).accept
    scored: dict[float, list[tuple[ManifestEntry, MaskScore]]] = {each: [] for each in odds}
    for picture in pictures:
        if picture.entry is None:
            continue
        truth = manifest.truth_of(picture.entry)
        known: dict[tuple[bool, ...], MaskScore] = {}  # most odds draw the same lines, and scoring is what costs
        for each in odds:
            model = with_prior_odds(fit.judge_of(picture.source), each)
            drawn = tuple(model.confidence(line.evidence) >= accept for line in picture.lines)
            if drawn not in known:
                known[drawn] = score_mask(_mask_levels(picture, drawn), truth)
            scored[each].append((picture.entry, known[drawn]))
    return scored


@dataclass(frozen=True, slots=True)
class KeptShare:
    """How many lines of one source and class there are, and the share of them, 0..1, that is drawn."""

    source: str
    is_text: bool
    lines: int
    share: float


def shares_kept(pictures: Sequence[SearchedPicture], fit: CheckedFit, *, odds: float) -> list[KeptShare]:
    """The share of the labelled lines that is drawn, by source and class, each judged without its source."""
    accept = PolicyConfig().of(Kind.TEXT).accept
    kept: dict[tuple[str, bool], list[bool]] = {}
    for picture in pictures:
        model = with_prior_odds(fit.judge_of(picture.source), odds)
        for line in picture.lines:
            if line.is_text is not None:
                drawn = model.confidence(line.evidence) >= accept
                kept.setdefault((picture.source, line.is_text), []).append(drawn)
    return [KeptShare(*key, lines=len(each), share=sum(each) / len(each)) for key, each in sorted(kept.items())]


def report(pictures: Sequence[SearchedPicture], fit: CheckedFit, manifest: Manifest, *, prior_odds: float) -> str:
    """What is known about a fit, as Markdown: areas under the curve, shares kept, leak and waste per prior odds."""
    odds = sorted({*PRIOR_ODDS, prior_odds})
    even = shares_kept(pictures, fit, odds=1.0)
    chosen = shares_kept(pictures, fit, odds=prior_odds)
    kept = [
        [each.source, "text" if each.is_text else "texture", str(each.lines), f"{each.share:.3f}", f"{then.share:.3f}"]
        for each, then in zip(even, chosen, strict=True)
    ]
    scored = masks_scored(pictures, fit, manifest, odds=odds)
    rows = {each: {(row.kind, row.source): row for row in summarise(scored[each])} for each in odds}
    figures = [
        [f"{kind}/{source}", str(first.images), *(_figures(rows[each][kind, source]) for each in odds)]
        for (kind, source), first in rows[odds[0]].items()
    ]
    return "\n\n".join(
        [
            "Every figure is of a fit without the source it is taken on.",
            f"Area under the curve: {fit.full_auc:.4f}; without recognition {fit.blind_auc:.4f}.",
            "Share of the detected lines that is drawn:",
            markdown_table(["source", "lines of", "n", "at even odds", f"at {prior_odds:g}:1"], kept),
            "Leak and waste by prior odds of text:",
            markdown_table(["kind/source", "n", *(f"{each:g}:1" for each in odds)], figures),
        ]
    )


def described(pictures: Sequence[SearchedPicture], *, prior_odds: float) -> str:
    """What a model is fitted on and how, for the reader of its file."""
    real = [picture for picture in pictures if picture.entry is not None]
    made = [picture for picture in pictures if picture.entry is None]
    labelled = sum(line.is_text is not None for picture in pictures for line in picture.lines)
    kinds = sorted({picture.entry.kind for picture in real if picture.entry is not None})
    synthetic = f" and in {len(made)} synthetic ones in {len({each.source for each in made})} scripts" if made else ""
    return (
        f"{labelled} lines that {DETECTION_FILE} and {RECOGNITION_FILE} find, by the passes of `rapidocr`, in "
        f"{len(real)} images ({', '.join(kinds)}) of {len({each.source for each in real})} sources{synthetic}. Ridge "
        "logistic regression, classes and sources balanced, checked leave one source out; text is then given prior "
        f"odds of {prior_odds:g} to 1."
    )


def main(arguments: list[str] | None = None) -> int:
    """Fit, print the report and write the model; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.text_evidence", description=__doc__)
    parser.add_argument("manifest", type=Path, help="images with truth; docs/bench.md describes the format")
    parser.add_argument("--out", type=Path, required=True, help="file for the model")
    parser.add_argument("--synthetic", type=int, default=48, metavar="N", help="synthetic pictures, 0 for none [48]")
    parser.add_argument("--materials", type=Path, help="folder made by synth.materials, for the synthetic pictures")
    parser.add_argument("--prior-odds", type=float, default=3.0, help="odds of text against texture [3]")
    parser.add_argument("--threads", type=int, default=0, help="threads of the networks, 0 for the usable cores [0]")
    given = parser.parse_args(arguments)
    if given.synthetic < 0 or given.threads < 0 or not 0 < given.prior_odds < math.inf:
        parser.error("--synthetic and --threads start at 0, --prior-odds is above 0")
    if given.synthetic and given.materials is None:
        parser.error("synthetic pictures need --materials; without it give --synthetic 0")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        _run(given)
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    return 0


def _run(given: argparse.Namespace) -> None:
    if not given.out.parent.is_dir():
        raise OutputError(f"The folder {given.out.parent} does not exist.", advice="Make it, or change --out.")
    manifest = read_manifest(given.manifest)
    detector = _detector(RuntimeConfig(threads=given.threads))
    pictures: list[SearchedPicture] = []
    if given.synthetic:
        pictures += search_synthetic(given.materials, detector, count=given.synthetic)
    pictures += search_manifest(manifest, detector)
    fit = fit_evidence(LabelledLines.of(pictures), fitted_on=described(pictures, prior_odds=given.prior_odds))
    sys.stdout.write(report(pictures, fit, manifest, prior_odds=given.prior_odds) + "\n")
    model = rounded(with_prior_odds(fit.model, given.prior_odds))
    try:
        given.out.write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"Cannot write {given.out}: {error.strerror}.", advice="Change --out.") from error


def rounded(model: EvidenceModel) -> EvidenceModel:
    """The model with as many decimals as its file holds."""
    full, blind = (
        LogisticModel(
            intercept=round(logistic.intercept, _DECIMALS),
            coefficients={name: round(value, _DECIMALS) for name, value in logistic.coefficients.items()},
        )
        for logistic in (model.full, model.blind)
    )
    return model.model_copy(update={"full": full, "blind": blind})


def _detector(runtime: RuntimeConfig) -> Detector:
    detector = RapidOcrDetector.from_options(RapidOcrOptions(), weights=WeightLibrary.discover(), runtime=runtime)
    detector.load()
    return detector


def _fit(lines: LabelledLines, rows: NDArray[np.bool_], *, fitted_on: str) -> EvidenceModel:
    is_text = lines.is_text[rows]
    weights = balanced_weights(is_text, lines.source[rows])
    models = []
    for names in (FULL_FEATURES, BLIND_FEATURES):
        fit = fit_logistic(lines.columns(names)[rows], is_text, weights=weights)
        coefficients = dict(zip(names, fit.coefficients, strict=True))
        models.append(LogisticModel(intercept=fit.intercept, coefficients=coefficients))
    full, blind = models
    return EvidenceModel(fitted_on=fitted_on, full=full, blind=blind, blind_share=BLIND_SHARE)


def _mask_levels(picture: SearchedPicture, drawn: Sequence[bool]) -> NDArray[np.uint8]:
    """The mask of some lines as the default pipeline renders them."""
    regions, patches = [], []
    for line, is_drawn in zip(picture.lines, drawn, strict=True):
        box = Box.around(line.outline).clipped(width_px=picture.width_px, height_px=picture.height_px)
        if is_drawn and box is not None:
            regions.append(Region(Kind.TEXT, box, 1.0, RapidOcrDetector.name, polygon=line.outline))
            patches.append(Patch(box, rasterise_polygon(line.outline, box), 1.0, "polygon"))
    return Mask.from_patches(
        patches,
        regions,
        width_px=picture.width_px,
        height_px=picture.height_px,
        render=RenderConfig(),
        policy=PolicyConfig(),
    ).levels


def _figures(row: SourceFigures) -> str:
    leak, waste = ("-" if value is None else f"{value:.4f}" for value in (row.leak, row.waste))
    return f"{leak} {waste}"


if __name__ == "__main__":
    start(main)
