"""Fits the judge of frames: `python -m automask_training.frame_judge RECIPE --materials M --manifest FILE ...`.

What geometry proposes, and what is traced from the network's map, is labelled by the truth of the pictures: of
synthesized ones on sources that the network never saw, and of real ones. So few coefficients may be fitted on images
that are measured on, if the figures that are told come from sources left out.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.manifest import read_manifest
from automask.bench.run import load_image
from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED
from automask.values.geometry import Box
from automask.values.types import Region
from automask.weights import WeightLibrary
from automask_models.frames.detector import detect_frames
from automask_models.frames.judging import Evidence, FrameJudge
from automask_models.frames.tracing import evidence_of_trace, trace
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutMap, LayoutNetwork
from automask_models.text.evidence import LogisticModel
from automask_training.logistic import area_under_curve, balanced_weights, fit_logistic

LOGGER = logging.getLogger("automask.training")
_MOST_IGNORED = 0.7
"""Share of a proposal that may lie where nobody can say what it is."""
_TRUE_SHARE = 0.6
"""Share of the rest that is unwanted from which a proposal is right: with less it costs more than it saves."""
_MOST_TAKEN = 0.04
"""Share of the image that a traced frame may take from the picture: with more the mask is not fine any more."""
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One proposal of known truth: what is known about it, whether it is right, and where it comes from."""

    features: dict[str, float]
    is_frame: bool
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPicture:
    """A picture with its truth, (H, W) uint8 as in a manifest, None = nothing unwanted."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    truth: NDArray[np.uint8] | None
    source: str


def real_pictures(manifests: Sequence[Path], *, without: Collection[str] = ()) -> Iterator[JudgedPicture]:
    """All images of manifests whose truth is known, but those of some sources."""
    config = PipelineConfig()
    for path in manifests:
        manifest = read_manifest(path)
        for entry in manifest.entries:
            if entry.truth != "unknown" and entry.source not in without:
                image = load_image(manifest.root, entry, config)
                yield JudgedPicture(image.pixels, image.alpha, manifest.truth_of(entry), entry.source)


def synthesized_pictures(recipe: Path, materials: Path, *, count: int) -> Iterator[JudgedPicture]:
    """Pictures of all kinds on sources that the network never saw."""
    from automask_training.layout_samples import synthesizer_of

    synthesizer = synthesizer_of(tomllib.loads(recipe.read_text(encoding="utf-8")), materials, split="val")
    for index in range(count):
        kind, framed = synthesizer.framed(index)
        yield JudgedPicture(framed.pixels, framed.alpha, framed.truth, f"synthesized {kind}")


def rows_of(picture: JudgedPicture, regions: Sequence[Region], layout: LayoutMap) -> tuple[list[Row], list[Row]]:
    """Rows of what geometry proposed in a picture, and of what is traced."""
    proposed, traced = [], []
    for region in regions:
        mask = whole_mask(region, picture.pixels.shape[:2])
        right = is_right(mask, picture.truth)
        if right is not None:
            evidence = Evidence.of(layout, mask, geometry=region.confidence)
            proposed.append(Row(evidence.features, right, picture.source))
    found = trace(picture.pixels, layout)
    if found is not None:
        right = is_right(found.outside, picture.truth, most_taken=_MOST_TAKEN)
        if right is not None:
            traced.append(Row(evidence_of_trace(found, layout).features, right, picture.source))
    return proposed, traced


def whole_mask(region: Region, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The (H, W) mask of a region."""
    mask = np.zeros(shape, dtype=np.bool_)
    box: Box = region.box
    mask[box.slices] = True if region.artefact is None else region.artefact
    return mask


def is_right(mask: NDArray[np.bool_], truth: NDArray[np.uint8] | None, *, most_taken: float = 1.0) -> bool | None:
    """Whether most of a proposal is unwanted, and at most this share of the image is taken that is not.

    None where too little is known.
    """
    if not mask.any():
        return None
    if truth is None:
        return False
    own = truth[mask]
    known = own != TRUTH_IGNORE
    if known.mean() < 1 - _MOST_IGNORED:
        return None
    unwanted = own[known] == TRUTH_UNWANTED
    return bool(unwanted.mean() >= _TRUE_SHARE and (~unwanted).sum() <= most_taken * truth.size)


def fit(rows: Sequence[Row], *, prior_odds: float = 1.0) -> tuple[LogisticModel, float]:
    """A model of rows and its area under the curve on them.

    Raises:
        InputError: One of the classes is empty.
    """
    truth = np.array([row.is_frame for row in rows], dtype=np.bool_)
    if not rows or truth.all() or not truth.any():
        raise InputError("All proposals are of one class.", advice="Ask for more pictures.")
    names = list(rows[0].features)
    values = np.array([[row.features[name] for name in names] for row in rows], dtype=np.float64)
    weights = balanced_weights(truth, np.array([row.source for row in rows], dtype=np.str_))
    found = fit_logistic(values, truth, weights=weights)
    model = LogisticModel(
        intercept=round(found.intercept + math.log(prior_odds), _DECIMALS),
        coefficients={name: round(value, _DECIMALS) for name, value in zip(names, found.coefficients, strict=True)},
    )
    score = np.array([model.probability(row.features) for row in rows])
    return model, area_under_curve(truth, score, weights=weights)


def main(arguments: list[str] | None = None) -> int:
    """Fit, print how well both do and write the models; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.frame_judge", description=__doc__)
    parser.add_argument("recipe", type=Path, help="models/training/layout.toml")
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--manifest", type=Path, action="append", default=[], help="real images with truth; repeatable")
    parser.add_argument("--without", action="append", default=[], metavar="SOURCE", help="leave out; repeatable")
    parser.add_argument("--synthesized", type=int, default=400)
    parser.add_argument("--odds", type=float, default=1.0, help="odds that a proposal is right, before its evidence")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the layout network")
    parser.add_argument("--out", type=Path, required=True, help="file for the models")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        weights = WeightLibrary.discover().find(given.weights)
        if weights is None:
            raise InputError(f"There are no weights {given.weights}.", advice="Give the .onnx file with --weights.")
        network = LayoutNetwork.open(weights, runtime=RuntimeConfig())
        proposed: list[Row] = []
        traced: list[Row] = []
        for pictures in (
            synthesized_pictures(given.recipe, given.materials, count=given.synthesized),
            real_pictures(given.manifest, without=given.without),
        ):
            for picture in pictures:
                regions = detect_frames(picture.pixels, alpha=picture.alpha)
                one, two = rows_of(picture, regions, network.look(picture.pixels))
                proposed += one
                traced += two
        proposed_model, proposed_auc = fit(proposed, prior_odds=given.odds)
        traced_model, traced_auc = fit(traced, prior_odds=given.odds)
    except AutomaskError as error:
        LOGGER.error("%s", error)
        return error.exit_code
    described = (
        f"{len(proposed)} proposals of geometry and {len(traced)} traced frames in {given.synthesized} synthesized "
        f"pictures on held-out sources and in {', '.join(path.name for path in given.manifest) or 'no real ones'}"
        f"{' without ' + ', '.join(given.without) if given.without else ''}; ridge logistic regression, classes and "
        f"sources balanced, odds {given.odds:g} to 1."
    )
    judge = FrameJudge(fitted_on=described, proposed=proposed_model, traced=traced_model)
    given.out.write_text(judge.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{described}\nArea under the curve: proposals {proposed_auc:.4f}, traced {traced_auc:.4f}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
