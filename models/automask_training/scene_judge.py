"""Fits what the scene network's word counts: `python -m automask_training.scene_judge MANIFEST ... --out FILE`.

Two models of two numbers and an intercept: of the lines that `rapidocr` finds, and of the groups that `ink` finds, in
real pictures with truth, in free ones without lettering and in written ones of several scripts. Their rows, costs and
report are those of `line_judge`. The networks learned from none of these pictures.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from automask.config import RuntimeConfig
from automask.errors import AutomaskError
from automask.files.atomic import write_atomic
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED
from automask.protocols import Detector
from automask.values.geometry import rasterise_polygon
from automask.values.types import Kind, Region
from automask.weights import WeightLibrary
from automask_models.ink.confidence import log_odds
from automask_models.ink.detector import InkDetector, InkOptions
from automask_models.scene.network import DEFAULT_WEIGHTS, SceneNetwork
from automask_models.scene.opinion import FEATURES, SceneModel
from automask_models.text.evidence import LogisticModel
from automask_models.text.rapidocr import RapidOcrDetector, RapidOcrOptions
from automask_training.ink_confidence import Picture
from automask_training.ink_fit_command import arguments_of, cached
from automask_training.ink_large_groups import content_of
from automask_training.line_judge import KnownLine, KnownPicture, fit, levels_in, pictures, report
from automask_training.starting import start
from automask_training.text_lines import label
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
KINDS = ("lines", "groups")
ALONE = LogisticModel(intercept=0.0, coefficients={"log_odds": 1.0, "scene_log_odds": 0.0})
"""The model under which the scene network says nothing."""
_IS_UNWANTED, _IS_WANTED, _MOST_IGNORED = 0.3, 0.05, 0.3
"""Shares of the pixels of a group: grown strokes are a third strokes; what holds a few of them says nothing."""
_VERSION = 2
_LOGGED_EVERY = 20
_FOUND = TypeAdapter(dict[str, list[KnownLine]])


def collect(
    shown: Iterable[Picture], *, weights: str = DEFAULT_WEIGHTS, cache: Path | None = None, threads: int
) -> dict[str, list[KnownPicture]]:
    """Every picture with the lines and the groups found in it, by `KINDS`.

    Args:
        shown: Where to look for them.
        weights: Name or file of the scene network.
        cache: Folder that keeps what was found by the content of pictures, their truth and the stages, or None.
        threads: Of the networks, 0 for the usable cores.

    Raises:
        InputError: There are no such weights.
    """
    runtime, library = RuntimeConfig(threads=threads), WeightLibrary.discover()
    file = named_weights(weights)
    network = SceneNetwork.open(file, runtime=runtime)
    # Without the network's word: what is fitted must not depend on the fit before.
    lines = RapidOcrDetector.from_options(RapidOcrOptions(scene=""), weights=library, runtime=runtime)
    groups = InkDetector.from_options(InkOptions(scene=""), weights=library, runtime=runtime)
    stages: tuple[Detector, ...] = (lines, groups)
    for stage in stages:
        stage.load()
    found: dict[str, list[KnownPicture]] = {kind: [] for kind in KINDS}
    what = f"scene {_VERSION} {' '.join(stage.fingerprint for stage in stages)}"
    for number, picture in enumerate(shown, start=1):
        key = content_of(picture, f"{what} {picture.kind == 'frame'}", file)
        rows = cached(cache, key, _FOUND, partial(_found_in, picture, stages, network))
        for kind in KINDS:
            found[kind].append(KnownPicture(picture.source, rows[kind]))
        if number % _LOGGED_EVERY == 0:
            LOGGER.info("%d pictures", number)
    return found


def _found_in(picture: Picture, stages: Sequence[Detector], network: SceneNetwork) -> dict[str, list[KnownLine]]:
    regions = [stage.detect([picture.image])[0] for stage in stages]
    seen = network.map_of(picture.image) if any(regions) else None
    return {
        kind: [
            _known(picture, region, seen.upper_quartile(region))
            for region in found
            if seen is not None and region.kind is Kind.TEXT
        ]
        for kind, found in zip(KINDS, regions, strict=True)
    }


def _known(picture: Picture, region: Region, seen: float) -> KnownLine:
    """A region with what the truth says of it; see `line_judge.known_lines`."""
    levels = levels_in(picture, region.box, _pixels_of(region))
    if region.artefact is None and region.polygon is not None:
        is_text = label(region.polygon, picture.truth, whole_regions=picture.kind == "frame")
    else:
        unwanted = int((levels == TRUTH_UNWANTED).sum())
        is_text = _is_unwanted(unwanted / max(1, levels.size), float((levels == TRUTH_IGNORE).mean()))
    features = dict(zip(FEATURES, (log_odds(region.confidence), log_odds(seen)), strict=True))
    return KnownLine.of(features, is_text, box=region.box, levels=levels, picture=picture)


def _pixels_of(region: Region) -> NDArray[np.bool_]:
    """Which pixels of its box a region covers."""
    if region.artefact is not None:
        return region.artefact
    if region.polygon is not None:
        return rasterise_polygon(region.polygon, region.box)
    return np.ones(region.box.shape, dtype=np.bool_)


def _is_unwanted(unwanted: float, ignored: float) -> bool | None:
    if unwanted > _IS_UNWANTED:
        return True
    return False if unwanted < _IS_WANTED and ignored < _MOST_IGNORED else None


def fitted(found: Mapping[str, Sequence[KnownPicture]], *, odds: Mapping[str, float]) -> dict[str, LogisticModel]:
    """The models of `KINDS`, each at its odds of being unwanted."""
    return {kind: fit(found[kind], prior_odds=odds[kind], names=FEATURES) for kind in KINDS}


def main(arguments: list[str] | None = None) -> int:
    """Fit, print what is drawn and write the models; returns the exit code."""
    parser = arguments_of("automask_training.scene_judge", __doc__, what="lines", per_source=30, free=160, odds=1.0)
    parser.set_defaults(weights=DEFAULT_WEIGHTS)
    parser.add_argument("--group-odds", type=float, default=1.0, help="the same of groups")
    parser.add_argument("--written", type=int, default=36, help="pictures with lines of several scripts")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    odds = {"lines": given.odds, "groups": given.group_odds}
    try:
        shown = pictures(
            given.manifests, given.materials, per_source=given.per_source, free=given.free, written=given.written
        )
        found = collect(shown, weights=given.weights, cache=given.cache, threads=given.threads)
        used = {
            kind: [each for each in found[kind] if each.source not in given.report_only and each.lines]
            for kind in KINDS
        }
        models = fitted(used, odds=odds)
        for kind in KINDS:
            shown_of = [each for each in found[kind] if each.lines]
            table = report(shown_of, report_only=given.report_only, prior_odds=odds[kind], before=ALONE, names=FEATURES)
            sys.stdout.write(f"## {kind}\n\n{table}\n\n{models[kind].model_dump_json()}\n\n")
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    if given.out is not None:
        told = (
            f"{sum(len(each.lines) for each in used['lines'])} lines and "
            f"{sum(len(each.lines) for each in used['groups'])} groups of pictures with truth, free and written "
            f"ones; odds {given.odds:g} and {given.group_odds:g} to 1 (`automask_training.scene_judge`)."
        )
        model = SceneModel(fitted_on=told, lines=models["lines"], groups=models["groups"])
        write_atomic(given.out, (model.model_dump_json(indent=2) + "\n").encode())
    return 0


if __name__ == "__main__":
    start(main)
