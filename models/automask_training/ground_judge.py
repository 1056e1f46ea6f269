"""Fits the judge of plain ground: `python -m automask_training.ground_judge RECIPE --materials M --out FILE`.

What is grown in synthesized pictures of sources that the network never saw is labelled by their truth. Half of the
pictures are fitted on; of the other half it tells how much ground is covered and how much of the subject is lost.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig, RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.weights import WeightLibrary
from automask_models.ground.detector import LEAST_SHARE, LEAST_SUBJECT
from automask_models.ground.growing import grown
from automask_models.ground.judging import GroundEvidence, GroundJudge
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutNetwork
from automask_models.text.evidence import LogisticModel
from automask_training.frame_proposals import encoded
from automask_training.logistic import area_under_curve, balanced_weights, fit_logistic

LOGGER = logging.getLogger("automask.training")
_TRUE_SHARE = 0.9
"""Share of what was grown that must be ground: with less it takes a tenth of its area from the subject."""
_DECIMALS = 3


@dataclass(frozen=True, slots=True, eq=False)
class GroundCandidate:
    """What was grown in one picture, judged by its truth.

    Attributes:
        kind: What was drawn.
        features: What the model weighs; None where nothing was grown.
        is_ground: Whether it is right.
        truth_share: Share of the picture that is ground.
        covered: Of the ground, the share that was grown; 0 without ground.
        lost: Of the rest, the share that was grown.
    """

    kind: str
    features: dict[str, float] | None
    is_ground: bool
    truth_share: float
    covered: float
    lost: float


def candidates(recipe: Path, materials: Path, *, count: int, network: LayoutNetwork) -> Iterator[GroundCandidate]:
    """What is grown in synthesized pictures of all kinds, on sources that the network never saw."""
    from automask_training.layout_samples import synthesizer_of

    synthesizer = synthesizer_of(tomllib.loads(recipe.read_text(encoding="utf-8")), materials, split="val")
    for index in range(count):
        kind, framed = synthesizer.framed(index)
        truth = framed.others.get("ground")
        is_ground = np.zeros(framed.truth.shape, np.bool_) if truth is None else truth > 0
        yield candidate(kind, encoded(framed.pixels, index), is_ground, network)


def candidate(
    kind: str, pixels: NDArray[np.uint8], truth: NDArray[np.bool_], network: LayoutNetwork
) -> GroundCandidate:
    """What is grown in an (H, W, 3) picture whose ground is known, (H, W)."""
    layout = network.look(pixels)
    found = grown(pixels, layout)
    share = 0.0 if found is None else float(found.artefact.mean())
    if found is None or not LEAST_SHARE <= share <= 1 - LEAST_SUBJECT:
        return GroundCandidate(kind, None, False, float(truth.mean()), 0.0, 0.0)
    return GroundCandidate(
        kind,
        GroundEvidence.of(layout, found.artefact, noise_levels=found.noise_levels).features,
        is_ground=bool(truth[found.artefact].mean() >= _TRUE_SHARE),
        truth_share=float(truth.mean()),
        covered=float(found.artefact[truth].mean()) if truth.any() else 0.0,
        lost=float(found.artefact[~truth].mean()) if not truth.all() else 0.0,
    )


def fitted_judge(known: Sequence[GroundCandidate]) -> GroundJudge:
    """A judge fitted on candidates; classes balanced.

    Raises:
        InputError: All candidates are of one class.
    """
    rows = [(each.kind, each.features, each.is_ground) for each in known if each.features is not None]
    truth = np.array([is_ground for _, _, is_ground in rows], dtype=np.bool_)
    if not rows or truth.all() or not truth.any():
        raise InputError("All that was grown is of one class.", advice="Ask for more pictures.")
    names = list(rows[0][1])
    values = np.array([[features[name] for name in names] for _, features, _ in rows], dtype=np.float64)
    weights = balanced_weights(truth, np.array(["all"] * len(rows), dtype=np.str_))
    found = fit_logistic(values, truth, weights=weights)
    model = LogisticModel(
        intercept=round(found.intercept, _DECIMALS),
        coefficients={name: round(value, _DECIMALS) for name, value in zip(names, found.coefficients, strict=True)},
    )
    score = np.array([model.probability(features) for _, features, _ in rows])
    area = area_under_curve(truth, score, weights=weights)
    return GroundJudge(
        fitted_on=f"{len(rows)} grown in {len(known)} synthesized pictures, {int(truth.sum())} of them ground "
        f"(area under the curve {area:.3f}); ridge logistic regression, classes balanced.",
        model=model,
    )


def report(known: Sequence[GroundCandidate], judge: GroundJudge) -> str:
    """How much ground is covered and how much of the subject lost, and where something else is taken for ground."""
    accept = PolicyConfig().ground.accept

    def is_drawn(each: GroundCandidate) -> bool:
        return each.features is not None and judge.model.probability(each.features) >= accept

    with_ground = [each for each in known if each.truth_share >= LEAST_SHARE]
    without = [each for each in known if each.truth_share == 0]
    drawn = [each for each in with_ground if is_drawn(each)]
    false = [each for each in without if is_drawn(each)]
    lines = [
        f"with ground: {len(with_ground)}, drawn on {len(drawn)}; covered {_mean([e.covered for e in drawn]):.3f} "
        f"(median {float(np.median([e.covered for e in drawn])):.3f}), lost {_mean([e.lost for e in drawn]):.3f} "
        f"(median {float(np.median([e.lost for e in drawn])):.3f})",
        f"without: {len(without)}, drawn on {len(false)} ({', '.join(sorted(e.kind for e in false)) or 'none'})",
    ]
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def main(arguments: list[str] | None = None) -> int:
    """Fit on every other picture, print how the others fare, and write the model; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.ground_judge", description=__doc__)
    parser.add_argument("recipe", type=Path, help="models/training/layout.toml")
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--synthesized", type=int, default=1000)
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the layout network")
    parser.add_argument("--out", type=Path, required=True, help="file for the model")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    started_s = time.monotonic()
    try:
        weights = WeightLibrary.discover().find(given.weights)
        if weights is None:
            raise InputError(f"There are no weights {given.weights}.", advice="Give the .onnx file with --weights.")
        network = LayoutNetwork.open(weights, runtime=RuntimeConfig())
        known = list(candidates(given.recipe, given.materials, count=given.synthesized, network=network))
        LOGGER.info("%d pictures, %.0f s", len(known), time.monotonic() - started_s)
        judge = fitted_judge(known[::2])
    except AutomaskError as error:
        LOGGER.error("%s", error)
        return error.exit_code
    given.out.write_text(judge.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{judge.fitted_on}\n\nPictures that it was not fitted on:\n{report(known[1::2], judge)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
