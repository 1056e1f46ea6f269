"""Fits the model of text lines in `ink.confidence`: `python -m automask_training.line_judge MANIFEST ... --out FILE`.

Six numbers and an intercept, on the lines that `rapidocr` finds in real pictures with truth, in free ones without
lettering and in written ones of several scripts. What a false line costs grows with its size, and so does its weight in
the fit. Printed is what is drawn: by the fit, each source by a fit without it, and in sources that no fit sees
(`--report-only`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from automask.bench.tables import markdown_table
from automask.config import RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.mask.metrics import TRUTH_UNWANTED
from automask.values.geometry import Box, rasterise_polygon
from automask.values.types import Region
from automask.weights import WeightLibrary
from automask_models.ink.confidence import DRAWN, LINE_FEATURES, InkModel, line_features
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.text.evidence import EvidenceModel, LogisticModel
from automask_models.text.ppocr import DETECTION_FILE, RECOGNITION_FILE, bundled_model
from automask_models.text.rapidocr import RapidOcrDetector, RapidOcrOptions
from automask_training.ink_confidence import Picture
from automask_training.ink_fit_command import arguments_of, cached, replace_model
from automask_training.ink_large_groups import content_of
from automask_training.ink_large_groups import pictures as real_pictures
from automask_training.logistic import balanced_weights, fit_logistic, model_of
from automask_training.starting import start
from automask_training.text_lines import label, written_pictures
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
_VERSION = 2
"""Of what is kept of a picture; a change to how lines are found or weighed raises it."""
_SMALL_SHARE = 0.1
"""Up to this share of a picture false lines weigh the same, above it by their size: else small ones would not count."""
_LARGE_FALSE = 0.05
"""More of a picture masked by false lines than this is no fine mask."""
_LOGGED_EVERY = 20


@dataclass(frozen=True, slots=True)
class KnownLine:
    """One line that was found.

    Attributes:
        features: `line_features` of it.
        is_text: What the truth says, or None where it does not tell.
        share: Of the picture that its box covers, 0..1.
        wanted: Share of the picture, 0..1, that is inside of it and wanted.
        unwanted: Share of what is unwanted in the picture that is inside of it, 0..1.
    """

    features: Mapping[str, float]
    is_text: bool | None
    share: float
    wanted: float
    unwanted: float

    @classmethod
    def of(
        cls,
        features: Mapping[str, float],
        is_text: bool | None,
        *,
        box: Box,
        levels: NDArray[np.uint8],
        picture: Picture,
    ) -> Self:
        """What is found in a box of a picture, with `levels_in` it."""
        picture_px = picture.image.box.area_px
        unwanted_px = 0 if picture.truth is None else int((picture.truth == TRUTH_UNWANTED).sum())
        return cls(
            features=features,
            is_text=is_text,
            share=box.area_px / picture_px,
            wanted=float((levels == 0).sum()) / picture_px,
            unwanted=float((levels == TRUTH_UNWANTED).sum()) / max(1, unwanted_px),
        )


def levels_in(picture: Picture, box: Box, inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The levels (N,) of a picture's truth where `inside`, of the shape of a box, is True; 0 without a truth."""
    if picture.truth is None:
        return np.zeros(int(inside.sum()), dtype=np.uint8)
    return picture.truth[box.slices][inside]


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """The lines of one picture, and the collection that it comes from."""

    source: str
    lines: Sequence[KnownLine]


_LINES = TypeAdapter(list[KnownLine])


@dataclass(slots=True)
class Drawn:
    """What of the lines of some pictures is drawn.

    Attributes:
        pictures: How many there are.
        wanted: Sum of the wanted shares of pictures that false lines cover.
        large: Pictures of which they cover more than `_LARGE_FALSE`.
        false: [drawn, all] lines that are not text.
        lost: [not drawn, all] lines that are.
        unwanted: Sum of the shares of what is unwanted that lie in lost lines.
    """

    pictures: int = 0
    wanted: float = 0.0
    large: int = 0
    false: list[int] = field(default_factory=lambda: [0, 0])
    lost: list[int] = field(default_factory=lambda: [0, 0])
    unwanted: float = 0.0

    def add(self, picture: KnownPicture, model: LogisticModel) -> None:
        """Count one picture under a model."""
        drawn = [model.probability(line.features) >= DRAWN for line in picture.lines]
        false = [(line, is_drawn) for line, is_drawn in zip(picture.lines, drawn, strict=True) if line.is_text is False]
        true = [(line, is_drawn) for line, is_drawn in zip(picture.lines, drawn, strict=True) if line.is_text]
        wanted = min(1.0, sum(line.wanted for line, is_drawn in false if is_drawn))
        self.pictures += 1
        self.wanted += wanted
        self.large += wanted > _LARGE_FALSE
        self.false[0] += sum(is_drawn for _, is_drawn in false)
        self.false[1] += len(false)
        self.lost[0] += sum(not is_drawn for _, is_drawn in true)
        self.lost[1] += len(true)
        self.unwanted += min(1.0, sum(line.unwanted for line, is_drawn in true if not is_drawn))

    def row(self) -> list[str]:
        """Its figures, as a table shows them."""
        pictures = max(1, self.pictures)
        return [
            str(self.pictures),
            f"{self.wanted / pictures:.4f}",
            str(self.large),
            f"{self.false[0]} of {self.false[1]}",
            f"{self.lost[0]} of {self.lost[1]}",
            f"{self.unwanted / pictures:.4f}",
        ]


HEADER = ("pictures", "falsely drawn", "over 5 %", "false lines drawn", "true lines lost", "of the unwanted lost")


def pictures(
    manifests: Sequence[Path],
    materials: Path | None,
    *,
    per_source: int,
    free: int,
    written: int,
    without: Collection[str] = (),
) -> Iterator[Picture]:
    """Pictures of the manifests with known truth and free ones, as for the large groups, then written ones.

    Raises:
        InputError: The materials are none.
    """
    yield from real_pictures(manifests, materials, per_source=per_source, free=free, without=without)
    if materials is not None and written:
        for image, truth, _ in written_pictures(materials, count=written):
            yield Picture(image, truth, "written", "text")


def collect(
    shown: Iterable[Picture], *, weights: str = DEFAULT_WEIGHTS, cache: Path | None = None, threads: int
) -> list[KnownPicture]:
    """Every picture with the lines found in it.

    Args:
        shown: Where to look for them.
        weights: Name or file of the ink network.
        cache: Folder that keeps what was found by the content of pictures, their truth and the networks, or None.
        threads: Of the networks, 0 for the usable cores.

    Raises:
        InputError: There are no such weights.
    """
    runtime = RuntimeConfig(threads=threads)
    file = named_weights(weights)
    networks = (file, bundled_model(DETECTION_FILE), bundled_model(RECOGNITION_FILE))
    what = f"lines {_VERSION} {EvidenceModel.bundled().sha256} {' '.join(LINE_FEATURES)}"
    network = InkNetwork.open(file, runtime=runtime)
    detector = RapidOcrDetector.from_options(
        RapidOcrOptions(ink="", scene=""), weights=WeightLibrary.discover(), runtime=runtime
    )
    detector.load()
    found = []
    for number, picture in enumerate(shown, start=1):
        key = content_of(picture, f"{what} {picture.kind == 'frame'}", *networks)
        lines = cached(cache, key, _LINES, partial(_lines_in, picture, detector, network))
        found.append(KnownPicture(picture.source, lines))
        if number % _LOGGED_EVERY == 0:
            LOGGER.info("%d pictures: %d lines", number, sum(len(each.lines) for each in found))
    return found


def _lines_in(picture: Picture, detector: RapidOcrDetector, network: InkNetwork) -> list[KnownLine]:
    regions = [each for each in detector.detect([picture.image])[0] if each.polygon is not None]
    ink = network.look(picture.image.pixels) if regions else None
    seen = [ink.upper_quartile(each.polygon) for each in regions if ink is not None and each.polygon is not None]
    return known_lines(picture, regions, seen)


def known_lines(picture: Picture, regions: Sequence[Region], ink: Sequence[float]) -> list[KnownLine]:
    """The lines of a picture with what the truth says of each.

    A truth of frames holds areas, one of text or marks their strokes.

    Args:
        picture: With its truth.
        regions: Found by a text detector, each with an outline.
        ink: What the ink map says of each, 0..1.
    """
    lines = []
    all_features = line_features(regions, ink, picture_px=picture.image.box.area_px)
    for region, features in zip(regions, all_features, strict=True):
        if region.polygon is None:
            raise ValueError("a line without an outline")
        inside = rasterise_polygon(region.polygon, region.box)
        is_text = label(region.polygon, picture.truth, whole_regions=picture.kind == "frame")
        levels = levels_in(picture, region.box, inside)
        lines.append(KnownLine.of(features, is_text, box=region.box, levels=levels, picture=picture))
    return lines


def fit(shown: Sequence[KnownPicture], *, prior_odds: float, names: Sequence[str] = LINE_FEATURES) -> LogisticModel:
    """The model of the named features at given odds of text against none.

    Classes and sources are balanced; in its class, a false line weighs by its size (see `_SMALL_SHARE`).

    Raises:
        InputError: One of the classes is empty.
    """
    rows = [(picture.source, line) for picture in shown for line in picture.lines if line.is_text is not None]
    truth = np.array([line.is_text for _, line in rows], dtype=np.bool_)
    if not rows or truth.all() or not truth.any():
        raise InputError("All lines are of one class.", advice="Give more pictures.")
    values = np.array([[line.features[name] for name in names] for _, line in rows], dtype=np.float64)
    weights = balanced_weights(truth, np.array([source for source, _ in rows], dtype=np.str_))
    weights *= _costs([line for _, line in rows])
    for each in (truth, ~truth):
        weights[each] *= len(truth) / 2 / weights[each].sum()
    return model_of(fit_logistic(values, truth, weights=weights), names, prior_odds=prior_odds)


def _costs(lines: Sequence[KnownLine]) -> NDArray[np.float64]:
    return np.array([1.0 if line.is_text else max(line.share, _SMALL_SHARE) for line in lines], dtype=np.float64)


def report(
    shown: Sequence[KnownPicture],
    *,
    report_only: Collection[str],
    prior_odds: float,
    before: LogisticModel,
    names: Sequence[str] = LINE_FEATURES,
) -> str:
    """What a fit draws of each source that it leaves out, beside another model, as Markdown.

    Raises:
        InputError: Without one of the sources all lines are of one class.
    """
    used = [each for each in shown if each.source not in report_only]
    everything = fit(used, prior_odds=prior_odds, names=names)
    rows = []
    totals = {name: (Drawn(), Drawn()) for name in ("each source left out", "in no fit")}
    for source in sorted({each.source for each in shown}):
        of_source = [each for each in shown if each.source == source]
        is_used = source not in report_only
        left = everything
        if is_used:
            left = fit([each for each in used if each.source != source], prior_odds=prior_odds, names=names)
        mine = (Drawn(), Drawn())
        for models, counted in ((left, 0), (before, 1)):
            for picture in of_source:
                mine[counted].add(picture, models)
                totals["each source left out" if is_used else "in no fit"][counted].add(picture, models)
        rows += _rows(source if is_used else f"{source} (no fit)", mine)
    for name, counts in totals.items():
        rows += _rows(f"all, {name}", counts)
    return markdown_table(["source", "by", *HEADER], rows)


def _rows(name: str, counts: tuple[Drawn, Drawn]) -> list[list[str]]:
    return [[name, "this fit", *counts[0].row()], [name, "before", *counts[1].row()]]


def main(arguments: list[str] | None = None) -> int:
    """Fit, print what is drawn and write the model; returns the exit code."""
    parser = arguments_of("automask_training.line_judge", __doc__, what="lines", per_source=30, free=160, odds=3.0)
    parser.add_argument("--written", type=int, default=36, help="pictures with lines of several scripts")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        shown = collect(
            pictures(
                given.manifests, given.materials, per_source=given.per_source, free=given.free, written=given.written
            ),
            weights=given.weights,
            cache=given.cache,
            threads=given.threads,
        )
        used = [each for each in shown if each.source not in given.report_only]
        model = fit(used, prior_odds=given.odds)
        before = InkModel.bundled().lines
        table = report(shown, report_only=given.report_only, prior_odds=given.odds, before=before)
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    sys.stdout.write(f"{table}\n\n{model.model_dump_json()}\n")
    if given.out is not None:
        replace_model(given.out, "lines", model)
    return 0


if __name__ == "__main__":
    start(main)
