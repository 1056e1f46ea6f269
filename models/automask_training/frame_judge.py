"""Fits the judge of frames: `python -m automask_training.frame_judge RECIPE --materials M --manifest FILE ...`.

What geometry proposes, and what is traced from the network's map, is labelled by the truth of the pictures: of
synthesized ones on sources that the network never saw, and of real ones. So few coefficients may be fitted on images
that are measured on, if the figures that are told come from sources left out: each source is told twice, by the fit
on all and by one without it. Sources that are only reported on take part in no fit.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.config import RenderConfig, RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.mask.confidence.model import is_fine
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED, score_mask
from automask.mask.rendering import grown_and_filled
from automask.values.types import Region
from automask_models.frames.judging import Evidence, FrameJudge
from automask_models.frames.nesting import ACCEPT
from automask_models.frames.tracing import evidence_of_trace, trace
from automask_models.frames.verdict import NEW_SHARE
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutMap, LayoutNetwork
from automask_models.text.evidence import LogisticModel
from automask_training.frame_proposals import KnownPicture, ProposalStore, real_pictures, synthesized_pictures
from automask_training.logistic import area_under_curve, balanced_weights, fit_logistic, model_of
from automask_training.starting import start
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
_MOST_IGNORED = 0.7
"""Share of a proposal that may lie where nobody can say what it is."""
_TRUE_SHARE = 0.6
"""Share of the rest that is unwanted from which a proposal is right: with less it costs more than it saves."""
_MOST_TAKEN = 0.04
"""Share of the image that a traced frame may take from the picture: with more the mask is not fine any more."""
_SCORED_PX = 512
"""Longest side of the copies on which what is drawn is compared with the truth: shares of areas need no more."""
_FRAMED = 0.1
"""Share of the image that is unwanted from which leak counts: with less it may be lettering alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What may be drawn.

    Attributes:
        geometry: How sure geometry is, 0..1.
        features: What the model weighs.
        is_frame: Whether it is right; None = nobody knows.
        mask: (h, w) bool, at most `_SCORED_PX`.
    """

    geometry: float
    features: dict[str, float]
    is_frame: bool | None
    mask: NDArray[np.bool_]

    def is_drawn(self, judge: FrameJudge | None) -> bool:
        """Whether a proposal of geometry is drawn; None = by geometry alone."""
        if judge is None:
            return self.geometry >= ACCEPT
        return min(self.geometry, judge.proposed.probability(self.features)) >= ACCEPT


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPicture:
    """All candidates of a picture, and at most `_SCORED_PX` of its truth."""

    source: str
    truth: NDArray[np.uint8]
    proposed: tuple[Candidate, ...]
    traced: Candidate | None
    known: dict[tuple[int, ...], bool] = field(default_factory=dict)

    def is_fine(self, judge: FrameJudge | None) -> bool:
        """Whether the mask, grown as masks are, is fine if just frames are drawn; None = as geometry alone draws."""
        drawn = [index for index, each in enumerate(self.proposed) if each.is_drawn(judge)]
        mask = np.zeros(self.truth.shape, dtype=np.bool_)
        for index in drawn:
            mask |= self.proposed[index].mask
        if (
            judge is not None
            and self.traced is not None
            and judge.traced.probability(self.traced.features) >= ACCEPT
            and (self.traced.mask & ~mask).mean() >= NEW_SHARE
        ):
            mask |= self.traced.mask
            drawn.append(-1)
        key = tuple(drawn)
        if key not in self.known:
            grown = grown_and_filled(mask, RenderConfig())
            score = score_mask(np.where(grown, 0, 255).astype(np.uint8), self.truth)
            leak = score.leak if (self.truth == TRUTH_UNWANTED).mean() > _FRAMED else None
            self.known[key] = is_fine(leak, score.waste)
        return self.known[key]


def judged_picture(picture: KnownPicture, regions: Sequence[Region], layout: LayoutMap) -> JudgedPicture:
    """What geometry proposed in a picture, and what is traced, each with its evidence and its truth."""
    shape = picture.pixels.shape[:2]
    truth = np.zeros(shape, dtype=np.uint8) if picture.truth is None else picture.truth
    proposed = []
    for region in regions:
        mask = whole_mask(region, shape)
        if mask.any():
            geometry = region.weighed_confidence
            features = Evidence.of(layout, mask, geometry=geometry).features
            proposed.append(Candidate(geometry, features, is_right(mask, truth), _shrunk_mask(mask)))
    found = trace(picture.pixels, layout)
    traced = None
    if found is not None:
        right = is_right(found.outside, truth, most_taken=_MOST_TAKEN)
        features = evidence_of_trace(found, layout).features
        traced = Candidate(found.support, features, right, _shrunk_mask(found.outside))
    return JudgedPicture(picture.source, _shrunk(truth), tuple(proposed), traced)


def collect(
    found: Iterable[KnownPicture], *, weights: str = DEFAULT_WEIGHTS, cache: Path | None, longest_px: int | None = None
) -> list[JudgedPicture]:
    """All candidates of pictures.

    Args:
        found: The pictures.
        weights: Name or file of the layout network.
        cache: Folder that keeps what geometry proposes, or None.
        longest_px: Larger ones are shrunk first; None = full size.

    Raises:
        InputError: There are no such weights.
    """
    network = LayoutNetwork.open(named_weights(weights), runtime=RuntimeConfig())
    store = ProposalStore(cache)
    pictures = []
    for each in found:
        picture = each.at_most(longest_px)
        pictures.append(judged_picture(picture, store.regions_of(picture), network.look(picture.pixels)))
    return pictures


def whole_mask(region: Region, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The (H, W) mask of a region."""
    mask = np.zeros(shape, dtype=np.bool_)
    mask[region.box.slices] = True if region.artefact is None else region.artefact
    return mask


def _shrunk(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    height_px, width_px = levels.shape
    scale = min(1.0, _SCORED_PX / max(height_px, width_px))
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _shrunk_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return _shrunk(mask.astype(np.uint8)) > 0


def is_right(mask: NDArray[np.bool_], truth: NDArray[np.uint8], *, most_taken: float = 1.0) -> bool | None:
    """Whether most of a proposal is unwanted, and at most this share of the image is taken that is not.

    None where too little is known.
    """
    if not mask.any():
        return None
    own = truth[mask]
    known = own != TRUTH_IGNORE
    if known.mean() < 1 - _MOST_IGNORED:
        return None
    unwanted = own[known] == TRUTH_UNWANTED
    return bool(unwanted.mean() >= _TRUE_SHARE and (~unwanted).sum() <= most_taken * truth.size)


def fit(rows: Sequence[tuple[str, Candidate]]) -> tuple[LogisticModel, float]:
    """A model of candidates of known truth, each with its source, and its area under the curve on them.

    Raises:
        InputError: One of the classes is empty.
    """
    truth = np.array([bool(each.is_frame) for _, each in rows], dtype=np.bool_)
    if not rows or truth.all() or not truth.any():
        raise InputError("All proposals are of one class.", advice="Ask for more pictures.")
    names = list(rows[0][1].features)
    values = np.array([[each.features[name] for name in names] for _, each in rows], dtype=np.float64)
    weights = balanced_weights(truth, np.array([source for source, _ in rows], dtype=np.str_))
    found = fit_logistic(values, truth, weights=weights)
    model = model_of(found, names)
    score = np.array([model.probability(each.features) for _, each in rows])
    return model, area_under_curve(truth, score, weights=weights)


def rows_of(pictures: Iterable[JudgedPicture]) -> tuple[list[tuple[str, Candidate]], list[tuple[str, Candidate]]]:
    """The candidates of known truth: what geometry proposed, and what was traced."""
    proposed, traced = [], []
    for picture in pictures:
        proposed += [(picture.source, each) for each in picture.proposed if each.is_frame is not None]
        if picture.traced is not None and picture.traced.is_frame is not None:
            traced.append((picture.source, picture.traced))
    return proposed, traced


def fitted_judge(pictures: Sequence[JudgedPicture]) -> FrameJudge:
    """A judge fitted on pictures.

    The classes are balanced and the odds are left so: chosen by how many images are fine, they helped the sources that
    they were chosen on, and cost those left out more.

    Raises:
        InputError: All candidates are of one class.
    """
    proposed, traced = rows_of(pictures)
    proposed_model, proposed_auc = fit(proposed)
    traced_model, traced_auc = fit(traced)
    return FrameJudge(
        fitted_on=f"{len(proposed)} proposals of geometry (area under the curve {proposed_auc:.3f}) and "
        f"{len(traced)} traced frames ({traced_auc:.3f}) in {len(pictures)} pictures; ridge logistic regression, "
        "classes and sources balanced",
        proposed=proposed_model,
        traced=traced_model,
    )


def report(
    pictures: Sequence[JudgedPicture],
    *,
    judge: FrameJudge,
    without: Callable[[str], FrameJudge],
    reported: Sequence[str],
) -> str:
    """Images fine per source: by geometry alone, by the judge, and by one fitted without the source."""
    lines = [f"{'source':24} {'':4} {'n':>4} {'geometry':>9} {'fitted':>9} {'left out':>9}"]
    totals: dict[str, list[int]] = {}
    for source in sorted({picture.source for picture in pictures}):
        own = [picture for picture in pictures if picture.source == source]
        group = "B" if source in reported else "A"
        left_out = judge if group == "B" else without(source)
        counts = [len(own)]
        for each in (None, judge, left_out):
            counts.append(sum(picture.is_fine(each) for picture in own))
        lines.append(_line(source, group, counts))
        for name in (f"all {group}", *((f"real_* {group}",) if source.startswith("real_") else ())):
            totals[name] = [a + b for a, b in zip(totals.get(name, [0] * len(counts)), counts, strict=True)]
    lines += [_line(name, name[-1], counts) for name, counts in sorted(totals.items())]
    return "\n".join(lines) + "\n"


def _line(name: str, group: str, counts: Sequence[int]) -> str:
    return f"{name:24} {group:4} {counts[0]:4} " + " ".join(f"{count:9}" for count in counts[1:])


def main(arguments: list[str] | None = None) -> int:
    """Fit, print how well each source fares with and without it, and write the models; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.frame_judge", description=__doc__)
    parser.add_argument("recipe", type=Path, help="models/training/layout.toml")
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--manifest", type=Path, action="append", default=[], help="real images with truth; repeatable")
    parser.add_argument("--report-only", action="append", default=[], metavar="SOURCE", help="fit without; repeatable")
    parser.add_argument("--per-source", type=int, help="use the first images of each source")
    parser.add_argument("--longest-px", type=int, help="shrink larger pictures first; default: full size")
    parser.add_argument("--synthesized", type=int, default=300)
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the layout network")
    parser.add_argument("--cache", type=Path, help="folder that keeps what geometry proposes")
    parser.add_argument("--out", type=Path, required=True, help="file for the models")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    started_s = time.monotonic()
    try:
        shown = itertools.chain(
            synthesized_pictures(given.recipe, given.materials, count=given.synthesized),
            real_pictures(given.manifest, per_source=given.per_source),
        )
        pictures = collect(shown, weights=given.weights, cache=given.cache, longest_px=given.longest_px)
        LOGGER.info("%d pictures, %.0f s", len(pictures), time.monotonic() - started_s)
        used = [picture for picture in pictures if picture.source not in given.report_only]
        judge = fitted_judge(used)
        told = report(
            pictures,
            judge=judge,
            without=lambda source: fitted_judge([picture for picture in used if picture.source != source]),
            reported=given.report_only,
        )
    except AutomaskError as error:
        LOGGER.error("%s", error)
        return error.exit_code
    size = "at full size" if given.longest_px is None else f"at {given.longest_px} px at most"
    sources = ", ".join(sorted({picture.source for picture in used}))
    judge = judge.model_copy(update={"fitted_on": f"{judge.fitted_on}; {size}; sources: {sources}."})
    given.out.write_text(judge.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{judge.fitted_on}\n\nImages fine, if nothing but frames is drawn:\n{told}")
    return 0


if __name__ == "__main__":
    start(main)
