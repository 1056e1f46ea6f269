"""Fits the models of groups in `ink.confidence`: `python -m automask_training.ink_confidence --materials M --out FILE`.

Pictures are synthesized ones with their masks as truth, and the free backgrounds as they are, where everything found is
false. No image that anything is measured on takes part.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.config import RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.protocols import WeightFile
from automask.values.types import Image
from automask_models.ink.confidence import InkModel, group_features
from automask_models.ink.groups import InkGroup, groups_of
from automask_models.ink.network import DEFAULT_WEIGHTS, InkMap, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.text.evidence import LogisticModel
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_training.logistic import area_under_curve, balanced_weights, fit_logistic, model_of
from automask_training.starting import start
from automask_training.synth import Synthesizer
from automask_training.synth.index import MaterialIndex
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
_SEED = 2_000
_TRUE_SHARE, _FALSE_SHARE = 0.3, 0.05
_LOGGED_EVERY = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing of known truth: features by name, whether it is unwanted, and the kind of picture it is in."""

    features: dict[str, float]
    is_unwanted: bool
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture, its truth as a manifest has it (None: nothing is unwanted), its collection, and what that is for."""

    image: Image
    truth: NDArray[np.uint8] | None
    source: str
    kind: str = ""


def pictures(materials: Path, *, synthesized: int, backgrounds: int) -> Iterator[Picture]:
    """Synthesized pictures on held-out backgrounds, then backgrounds, spread evenly over the collection."""
    synthesizer = Synthesizer(materials, seed=_SEED, size_px=768, split="val")
    for number in range(synthesized):
        made = synthesizer.sample(number)
        truth = made.artefact(("text", "watermark")).astype(np.uint8) * np.uint8(255)
        truth[made.artefact(("frame",)) & (truth == 0)] = 128
        yield Picture(Image(id=f"synthesized/{number}", pixels=made.pixels), truth, "synthesized")
    yield from free_pictures(materials, count=backgrounds)


def free_pictures(materials: Path, *, count: int) -> Iterator[Picture]:
    """Backgrounds as they are, spread evenly over the collection; whatever is found in them is false."""
    found = MaterialIndex.read(materials).backgrounds
    for each in found[:: max(1, len(found) // max(1, count))][:count]:
        with PillowImage.open(materials / each.file) as opened:
            pixels = np.asarray(opened.convert("RGB"), dtype=np.uint8)
        yield Picture(Image(id=each.file, pixels=pixels), None, "background")


def label_group(group: InkGroup, ink: InkMap, truth: NDArray[np.uint8] | None) -> bool | None:
    """Whether a group is unwanted; None where the truth does not tell."""
    if truth is None:
        return False
    import cv2

    rows, columns = ink.unwanted.shape
    shares = [
        cv2.resize((truth == level).astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
        for level in (255, 128)
    ]
    unwanted, unknown = (float(share[group.rows, group.columns][group.cells].mean()) for share in shares)
    if unwanted >= _TRUE_SHARE:
        return True
    return False if unwanted <= _FALSE_SHARE and unknown <= _FALSE_SHARE else None


def collect(
    materials: Path, weights: WeightFile, *, synthesized: int, backgrounds: int, runtime: RuntimeConfig
) -> list[Finding]:
    """Groups of known truth."""
    network = InkNetwork.open(weights, runtime=runtime)
    recognition = bundled_model(RECOGNITION_FILE)
    reader = GroupReader.open(recognition, runtime=runtime)
    groups = []
    for number, picture in enumerate(pictures(materials, synthesized=synthesized, backgrounds=backgrounds), start=1):
        ink = network.look(picture.image.pixels)
        for group in groups_of(ink):
            truth = label_group(group, ink, picture.truth)
            if truth is not None:
                features = group_features(group, reader.read(picture.image.pixels, ink, group))
                groups.append(Finding(features, truth, picture.source))
        if number % _LOGGED_EVERY == 0:
            LOGGER.info("%d pictures: %d groups", number, len(groups))
    return groups


def fit(findings: list[Finding], *, prior_odds: float, without: Collection[str] = ()) -> tuple[LogisticModel, float]:
    """The model at given odds of unwanted against wanted, and its balanced area under the curve on its own rows.

    Args:
        findings: What to fit to.
        prior_odds: Odds that a finding is unwanted, before its features.
        without: Features to leave out.

    Raises:
        InputError: One of the classes is empty.
    """
    truth = np.array([each.is_unwanted for each in findings], dtype=np.bool_)
    if not findings or truth.all() or not truth.any():
        raise InputError("All findings are of one class.", advice="Ask for more pictures.")
    names = [name for name in findings[0].features if name not in without]
    values = np.array([[each.features[name] for name in names] for each in findings], dtype=np.float64)
    weights = balanced_weights(truth, np.array([each.source for each in findings], dtype=np.str_))
    found = fit_logistic(values, truth, weights=weights)
    model = model_of(found, names, prior_odds=prior_odds)
    score = np.array([model.probability(each.features) for each in findings])
    return model, area_under_curve(truth, score, weights=weights)


def main(arguments: list[str] | None = None) -> int:
    """Fit, print how well both do and write the models; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.ink_confidence", description=__doc__)
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--out", type=Path, required=True, help="file for the models")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the ink network")
    parser.add_argument("--synthesized", type=int, default=160)
    parser.add_argument("--backgrounds", type=int, default=200)
    parser.add_argument(
        "--group-odds", type=float, default=1.0, help="odds that a group is unwanted, before its features"
    )
    parser.add_argument("--read-odds", type=float, default=1.0, help="the same for a group that was read")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        weights = named_weights(given.weights)
        groups = collect(
            given.materials,
            weights,
            synthesized=given.synthesized,
            backgrounds=given.backgrounds,
            runtime=RuntimeConfig(threads=given.threads),
        )
        group_model, group_auc = fit(groups, prior_odds=given.group_odds, without=("read_evidence",))
        read_model, read_auc = fit(groups, prior_odds=given.read_odds)
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    described = (
        f"{len(groups)} groups in {given.synthesized} synthesized pictures and {given.backgrounds} free ones without "
        "lettering; ridge logistic regression, classes and sources balanced; "
        f"odds {given.group_odds:g} and {given.read_odds:g} (once read) to 1."
    )
    # The others are fitted on real pictures, too: by `ink_large_groups` and `line_judge`.
    kept = InkModel.bundled().model_copy(update={"fitted_on": described, "groups": group_model})
    model = kept.model_copy(update={"read_groups": read_model})
    given.out.write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{described}\nArea under the curve: groups {group_auc:.4f}, once read {read_auc:.4f}.\n")
    return 0


if __name__ == "__main__":
    start(main)
