"""Fits the judge of `yolo`'s boxes: `python -m automask_training.mark_judge MANIFEST ... --materials M --out FILE`.

Nine numbers and an intercept, on the boxes of `automask-watermark` in real pictures with truth, in free ones, in
written ones of several scripts and in drawn ones with marks that its training left out. Marks are those of pictures
with a truth of marks. Rows, costs and report are those of `line_judge`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from automask.config import RuntimeConfig
from automask.errors import AutomaskError
from automask.files.atomic import write_atomic
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED
from automask.values.geometry import Box
from automask.values.types import Image, Region
from automask.weights import WeightLibrary
from automask_models.ink.network import DEFAULT_WEIGHTS as INK_WEIGHTS
from automask_models.ink.network import InkNetwork
from automask_models.scene.network import DEFAULT_WEIGHTS as SCENE_WEIGHTS
from automask_models.scene.network import SceneNetwork
from automask_models.text.evidence import LogisticModel
from automask_models.watermark.judging import FEATURES, MarkModel, is_pattern, mark_features
from automask_models.watermark.yolo import DEFAULT_WEIGHTS, JUDGED_SCORE, OUR_SIDE_PX, YoloDetector, YoloOptions
from automask_training.ink_confidence import Picture
from automask_training.ink_fit_command import arguments_of, cached
from automask_training.ink_large_groups import content_of
from automask_training.line_judge import KnownLine, KnownPicture, fit, levels_in, pictures, report
from automask_training.starting import start
from automask_training.synth.mark_pictures import MarkSynthesizer
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
ALONE = LogisticModel(intercept=0.0, coefficients={name: float(name == "log_odds") for name in FEATURES})
"""The model under which a box is as likely a mark as its score says."""
DRAWN_SOURCE = "drawn"
_MARKS = "watermark"
"""The kind of pictures, and of things, whose truth is of marks. In a truth of text or frames a box on something
unwanted says nothing: others find that, and what tells it from a mark is not to be learned."""
_IS_MARK, _IS_WANTED, _MOST_IGNORED = 0.06, 0.01, 0.3
"""Shares of the pixels of a box: thin and tiled marks fill little of theirs, and a corner of one says nothing."""
_FITS = 0.3
"""Least IoU of a box with that of a drawn mark from which it is one, however few pixels that has."""
_SEED = 3_000
_AS_OURS: dict[str, int] = {"side_px": OUR_SIDE_PX, "tile_above_px": 0}
"""How the detector looks with its own weights: a file of them may be fitted for, too."""
_VERSION = 3
"""Of what is kept of a picture; a change to how boxes are found or labelled raises it."""
_LOGGED_EVERY = 50
_BOXES = TypeAdapter(list[KnownLine])


def drawn_pictures(materials: Path, *, count: int) -> Iterator[tuple[Picture, tuple[Box, ...]]]:
    """Drawn pictures with the backgrounds and logos that no training saw, and the boxes of the marks on each.

    Raises:
        InputError: The materials are none.
    """
    synthesizer = MarkSynthesizer(materials, seed=_SEED, part="val")
    for number in range(count):
        made = synthesizer.sample(number)
        truth = made.truth(made.artefact({_MARKS}))
        picture = Picture(Image(id=str(number), pixels=made.pixels), truth, DRAWN_SOURCE, _MARKS)
        yield picture, tuple(Box(*each.box) for each in made.instances if each.kind == _MARKS)


def collect(
    shown: Iterable[tuple[Picture, tuple[Box, ...]]], *, weights: str, cache: Path | None = None, threads: int
) -> list[KnownPicture]:
    """Every picture with the boxes found in it.

    Args:
        shown: Where to look for them, with the boxes of marks that are known.
        weights: Name or file of the detector.
        cache: Folder that keeps what was found by the content of pictures, their truth and the networks, or None.
        threads: Of the networks, 0 for the usable cores.

    Raises:
        InputError: There are no such weights.
    """
    runtime, library = RuntimeConfig(threads=threads), WeightLibrary.discover()
    files = tuple(named_weights(name) for name in (weights, INK_WEIGHTS, SCENE_WEIGHTS))
    ink, scene = InkNetwork.open(files[1], runtime=runtime), SceneNetwork.open(files[2], runtime=runtime)
    # Unjudged: what is fitted must not depend on the fit before.
    options = YoloOptions(weights=weights, ink="", scene="", confidence=JUDGED_SCORE, **_AS_OURS)
    detector = YoloDetector.from_options(options, weights=library, runtime=runtime)
    detector.load()
    what = f"marks {_VERSION} {detector.fingerprint} {' '.join(FEATURES)}"
    found = []
    for number, (picture, marks) in enumerate(shown, start=1):
        find = partial(_found_in, picture, marks, detector, ink, scene)
        rows = cached(cache, content_of(picture, what, *files), _BOXES, find)
        found.append(KnownPicture(picture.source, rows))
        if number % _LOGGED_EVERY == 0:
            LOGGER.info("%d pictures: %d boxes", number, sum(len(each.lines) for each in found))
    return found


def _found_in(
    picture: Picture, marks: tuple[Box, ...], detector: YoloDetector, ink: InkNetwork, scene: SceneNetwork
) -> list[KnownLine]:
    (found,) = detector.detect([picture.image])
    regions = [region for region in found if not is_pattern(region, picture.image)]
    if not regions:
        return []
    features = mark_features(regions, picture.image, ink.map_of(picture.image), scene.map_of(picture.image))
    return [_known(picture, marks, each, numbers) for each, numbers in zip(regions, features, strict=True)]


def _known(picture: Picture, marks: tuple[Box, ...], region: Region, features: dict[str, float]) -> KnownLine:
    """A box with what the truth says of it; see `line_judge.KnownLine`."""
    box = region.box
    levels = levels_in(picture, box, np.ones(box.shape, dtype=np.bool_))
    fits = any(box.iou(mark) >= _FITS for mark in marks)
    unwanted, ignored = (float((levels == level).mean()) for level in (TRUTH_UNWANTED, TRUTH_IGNORE))
    is_mark = True if fits else _is_mark(unwanted, ignored)
    told = None if is_mark and picture.kind != _MARKS else is_mark
    return KnownLine.of(features, told, box=box, levels=levels, picture=picture)


def _is_mark(unwanted: float, ignored: float) -> bool | None:
    if unwanted > _IS_MARK:
        return True
    return False if unwanted < _IS_WANTED and ignored < _MOST_IGNORED else None


def main(arguments: list[str] | None = None) -> int:
    """Fit, print what is drawn and write the model; returns the exit code."""
    parser = arguments_of("automask_training.mark_judge", __doc__, what="boxes", per_source=24, free=250, odds=0.5)
    parser.set_defaults(weights=DEFAULT_WEIGHTS)
    parser.add_argument("--written", type=int, default=36, help="pictures with lines of several scripts")
    parser.add_argument("--drawn", type=int, default=350, help="pictures with marks")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        found = collect(_shown(given.manifests, given), weights=given.weights, cache=given.cache, threads=given.threads)
        found = [each for each in found if each.lines]
        used = [each for each in found if each.source not in given.report_only]
        model = fit(used, prior_odds=given.odds, names=FEATURES)
        table = report(found, report_only=given.report_only, prior_odds=given.odds, before=ALONE, names=FEATURES)
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    sys.stdout.write(f"{table}\n\n{model.model_dump_json()}\n")
    if given.out is not None:
        told = (
            f"{sum(len(each.lines) for each in used)} boxes in {len(used)} pictures: with truth, free, written and "
            f"drawn ones; odds {given.odds:g} to 1 (`automask_training.mark_judge`)."
        )
        judge = MarkModel(fitted_on=told, boxes=model)
        write_atomic(given.out, (judge.model_dump_json(indent=2) + "\n").encode())
    return 0


def _shown(manifests: list[Path], given: argparse.Namespace) -> Iterator[tuple[Picture, tuple[Box, ...]]]:
    real = pictures(manifests, given.materials, per_source=given.per_source, free=given.free, written=given.written)
    yield from ((picture, ()) for picture in real)
    if given.materials is not None and given.drawn:
        yield from drawn_pictures(given.materials, count=given.drawn)


if __name__ == "__main__":
    start(main)
