"""Fits `refiners.two_answers`: `python -m automask_training.answer_choice --materials MATERIALS --out FILE`.

On synthesized pictures each thing is pointed at once, by a click anywhere on it and by a box around it, and the ink map
and the small SAM answer. Where one answer is better than the other, the model learns which, by how much it is better.
Printed is the share of fine answers of each and of the chosen ones, on pictures of the part that is held out
(`MarkSynthesizer`: backgrounds and logos that no training of the SAM saw), by kind.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.tables import markdown_table
from automask.config import RenderConfig, RuntimeConfig
from automask.mask.confidence.model import is_fine
from automask.mask.metrics import score_mask
from automask.mask.rendering import grown_and_filled
from automask.plugins import build_refiner
from automask.protocols import Prompt, PromptableRefiner, PromptAnswer
from automask.values.geometry import Box
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.refiners.two_answers import (
    FEATURES,
    AnswerChoice,
    choice_features,
    network_is_likelier,
    says_something,
)
from automask_models.text.evidence import LogisticModel
from automask_training.logistic import fit_logistic, model_of
from automask_training.starting import start
from automask_training.synth.mark_pictures import MarkSynthesizer, Materials
from automask_training.synth.types import SyntheticImage
from automask_training.tables import VAL_SEED_OFFSET

LOGGER = logging.getLogger("automask.training")
_SEED = 71
_SIDE_PX = 640
_LEAST_PX = 60
"""Smaller things are seen by nobody who could click on them."""
_KINDS = ("text", "watermark")
_WASTE_WEIGHT = 2.0
"""A fine mask leaks .1 or wastes .05 at most, so waste counts twice."""
_JITTER_SHARE = 0.06
"""Boxes by hand are off by about this share of their shorter side."""
_LOGGED_EVERY = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """Both answers to one question.

    Attributes:
        kind: Of the thing that was meant.
        by_click: Asked by a click, else by a box.
        features: `choice_features`.
        ink: Leak and waste of the mask from the ink map's answer; None where there is no such figure.
        network: The same of the network's.
        ink_speaks: Whether the ink map answered with something.
        network_speaks: The same of the network.
    """

    kind: str
    by_click: bool
    features: Mapping[str, float]
    ink: tuple[float | None, float | None]
    network: tuple[float | None, float | None]
    ink_speaks: bool
    network_speaks: bool

    @property
    def gain(self) -> float:
        """How much better the network's answer is; negative where the ink map's is."""
        return _badness(self.ink) - _badness(self.network)


def asked(
    source: MarkSynthesizer, count: int, refiners: tuple[PromptableRefiner, PromptableRefiner]
) -> Iterator[Asked]:
    """Point at every thing of the pictures 0..count-1.

    Args:
        source: Draws the pictures.
        count: How many.
        refiners: `ink`, and the `sam` that asks its network alone.
    """
    for index in range(count):
        picture = source.sample(index)
        image = Image(str(index), np.ascontiguousarray(picture.pixels))
        ink, network = (each.prompt_session(image) for each in refiners)
        rng = np.random.default_rng((_SEED, index))
        for number, thing in enumerate(picture.instances):
            if thing.kind not in _KINDS or int(thing.mask.sum()) < _LEAST_PX:
                continue
            truth = _truth(picture, number)
            for prompt in _prompts(thing.box, thing.mask, rng, image=image.box):
                answers = ink.answer(prompt), network.answer(prompt)
                by_ink, by_network = (_figures(each, truth) for each in answers)
                yield Asked(
                    kind=thing.kind,
                    by_click=prompt.box is None,
                    features=choice_features(*answers),
                    ink=by_ink,
                    network=by_network,
                    ink_speaks=says_something(prompt, answers[0]),
                    network_speaks=says_something(prompt, answers[1]),
                )
        if (index + 1) % _LOGGED_EVERY == 0:
            LOGGER.info("%d of %d pictures", index + 1, count)


def fitted(rows: Sequence[Asked]) -> LogisticModel:
    """The model of questions that both have an answer to and that one answers better.

    Raises:
        ValueError: One of the two is never the better one.
    """
    used = [each for each in rows if each.ink_speaks and each.network_speaks and each.gain != 0]
    values = np.array([[each.features[name] for name in FEATURES] for each in used], dtype=np.float64)
    gain = np.array([each.gain for each in used])
    weights = np.abs(gain) * len(gain) / np.abs(gain).sum()
    return model_of(fit_logistic(values, gain > 0, weights=weights), FEATURES)


def chosen(model: LogisticModel, each: Asked) -> tuple[float | None, float | None]:
    """Leak and waste of the answer that `AnswerChoice` takes."""
    takes = network_is_likelier(model, each.features, ink_speaks=each.ink_speaks, network_speaks=each.network_speaks)
    return each.network if takes else each.ink


def table(rows: Sequence[Asked], choice: AnswerChoice) -> str:
    """Fine answers, with mean leak and waste, by how it was asked and by kind of thing."""
    lines = []
    for by_click, model in ((True, choice.by_click), (False, choice.by_region)):
        for kind in _KINDS:
            some = [each for each in rows if each.kind == kind and each.by_click is by_click]
            if some:
                told = ("click" if by_click else "box", kind, str(len(some)))
                of_each = (
                    [each.ink for each in some],
                    [each.network for each in some],
                    [chosen(model, each) for each in some],
                )
                lines.append([*told, *(_told(figures) for figures in of_each)])
    return markdown_table(["asked by", "thing", "n", "ink", "network", "chosen"], lines)


def _told(figures: Sequence[tuple[float | None, float | None]]) -> str:
    fine = np.mean([is_fine(*each) for each in figures])
    leak, waste = (np.mean([each[part] or 0.0 for each in figures]) for part in (0, 1))
    return f"{fine:.0%} ({leak:.3f} / {waste:.4f})"


def _badness(figures: tuple[float | None, float | None]) -> float:
    leak, waste = figures
    return min(1.0, (leak or 0.0) + _WASTE_WEIGHT * (waste or 0.0))


def _figures(answer: PromptAnswer, truth: NDArray[np.uint8]) -> tuple[float | None, float | None]:
    levels = np.where(grown_and_filled(answer.artefact, RenderConfig()), 0, 255).astype(np.uint8)
    score = score_mask(levels, truth)
    return score.leak, score.waste


def _truth(picture: SyntheticImage, number: int) -> NDArray[np.uint8]:
    """What is meant is 255; other things, which an answer may hold or not, are 128."""
    truth = np.zeros(picture.pixels.shape[:2], dtype=np.uint8)
    order = [*(other for other in range(len(picture.instances)) if other != number), number]
    for each in order:
        x0, y0, x1, y1 = picture.instances[each].box
        truth[y0:y1, x0:x1][picture.instances[each].mask] = 255 if each == number else 128
    return truth


def _prompts(
    box: tuple[int, int, int, int], mask: NDArray[np.bool_], rng: np.random.Generator, *, image: Box
) -> Iterator[Prompt]:
    rows, columns = np.nonzero(mask)
    at = int(rng.integers(len(rows)))
    yield Prompt([(box[0] + int(columns[at]) + 0.5, box[1] + int(rows[at]) + 0.5)], [True])
    shorter_px = min(box[2] - box[0], box[3] - box[1])
    x0, y0, x1, y1 = (round(value) for value in np.array(box) + rng.normal(0, _JITTER_SHARE * shorter_px, 4))
    by_hand = Box(max(0, x0), max(0, y0), min(image.x1, max(x1, x0 + 1)), min(image.y1, max(y1, y0 + 1)))
    yield Prompt(box=by_hand if by_hand.area_px > 0 else Box(*box))


def _rows(
    materials: Path, part: Materials, count: int, refiners: tuple[PromptableRefiner, PromptableRefiner]
) -> list[Asked]:
    seed = _SEED + (VAL_SEED_OFFSET if part == "val" else 0)
    return list(asked(MarkSynthesizer(materials, seed=seed, size_px=_SIDE_PX, part=part), count, refiners))


def main() -> int:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(
        prog="automask_training.answer_choice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--weights", default="automask-sam-tiny", help="name or encoder file of the small SAM")
    parser.add_argument("--pictures", type=int, default=300, help="to fit on")
    parser.add_argument("--held-out", type=int, default=150, help="to report on")
    parser.add_argument("--out", type=Path, help="model file that is written")
    parser.add_argument("--report", type=Path, help="only report, on this model file")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    library, runtime = WeightLibrary.discover(), RuntimeConfig(threads=1)
    options = {"ink": {}, "sam": {"weights": given.weights, "ink": ""}}
    made = [build_refiner(name, options=options[name], weights=library, runtime=runtime) for name in options]
    if not all(isinstance(each, PromptableRefiner) for each in made):
        raise TypeError("both refiners can be asked by hand")
    refiners: tuple[PromptableRefiner, PromptableRefiner] = (made[0], made[1])  # type: ignore[assignment]
    if given.report:
        choice = AnswerChoice.model_validate_json(given.report.read_text(encoding="utf-8"))
    else:
        rows = _rows(given.materials, "train", given.pictures, refiners)
        clicks, regions = [each for each in rows if each.by_click], [each for each in rows if not each.by_click]
        told = f"{len(clicks)} clicks and {len(regions)} boxes on {given.pictures} synthesized pictures"
        choice = AnswerChoice(fitted_on=told, by_click=fitted(clicks), by_region=fitted(regions))
        sys.stdout.write(choice.model_dump_json(indent=2) + "\n")
        if given.out is not None:
            given.out.write_text(choice.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(_rows(given.materials, "val", given.held_out, refiners), choice) + "\n")
    return 0


if __name__ == "__main__":
    start(main)
