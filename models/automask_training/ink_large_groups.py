"""Fits the model of large groups in `ink.confidence`: `python -m automask_training.ink_large_groups MANIFEST --out F`.

Synthesized pictures hold next to no drawing that passes for a block of lettering, real ones do. Two numbers and an
intercept are fitted on the large groups of real pictures with truth and of free ones without lettering; printed is
what they keep and draw, each source by a fit without it, and on sources that no fit sees (`--report-only`).
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pydantic import TypeAdapter

from automask.bench.manifest import read_manifest
from automask.config import RuntimeConfig
from automask.errors import AutomaskError
from automask.protocols import WeightFile
from automask.values.types import Image
from automask_models.ink.confidence import DRAWN, LARGE_SHARE, large_group_features
from automask_models.ink.detector import InkDetector
from automask_models.ink.groups import groups_of
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.text.evidence import LogisticModel
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_training.confidence_data import entries_by_source, truth_levels
from automask_training.ink_confidence import Finding, Picture, fit, free_pictures, label_group
from automask_training.ink_fit_command import arguments_of, cached, replace_model
from automask_training.starting import start
from automask_training.weights import named_weights

LOGGER = logging.getLogger("automask.training")
_ROWS = TypeAdapter(list[tuple[dict[str, float], bool]])
_WHAT = f"large groups {InkDetector.algorithm_version}"
"""A change to how they are read raises the version."""


def pictures(
    manifests: Sequence[Path],
    materials: Path | None,
    *,
    per_source: int,
    free: int,
    without: Collection[str] = (),
) -> Iterator[Picture]:
    """Pictures of the manifests with known truth, so many a source and none of some, then free ones."""
    for path in manifests:
        for key, pairs in entries_by_source(read_manifest(path), most=per_source).items():
            kind, _, source = key.partition("-")
            for image, truth in pairs if source not in without else ():
                with PillowImage.open(image) as opened:
                    pixels = np.asarray(opened.convert("RGB"), dtype=np.uint8)
                yield Picture(Image(id=image.name, pixels=pixels), truth_levels(truth), source, kind)
    if materials is not None:
        yield from free_pictures(materials, count=free)


def collect(
    found: Iterable[Picture], *, weights: str = DEFAULT_WEIGHTS, cache: Path | None = None, threads: int
) -> list[Finding]:
    """Large groups of known truth.

    Args:
        found: Where to look for them.
        weights: Name or file of the ink network.
        cache: Folder that keeps what was found by the content of pictures, their truth and the networks, or None.
        threads: Of the networks, 0 for the usable cores.

    Raises:
        InputError: There are no such weights.
    """
    runtime = RuntimeConfig(threads=threads)
    file = named_weights(weights)
    recognition = bundled_model(RECOGNITION_FILE)
    network = InkNetwork.open(file, runtime=runtime)
    reader = GroupReader.open(recognition, runtime=runtime)
    findings: list[Finding] = []
    for number, picture in enumerate(found, start=1):
        key = content_of(picture, _WHAT, file, recognition)
        rows = cached(cache, key, _ROWS, partial(_large_groups, picture, network, reader))
        findings += [Finding(features, truth, picture.source) for features, truth in rows]
        if number % 20 == 0:
            LOGGER.info("%d pictures: %d large groups", number, len(findings))
    return findings


def _large_groups(picture: Picture, network: InkNetwork, reader: GroupReader) -> list[tuple[dict[str, float], bool]]:
    """Features of the large groups of a picture, and whether each is unwanted."""
    ink = network.look(picture.image.pixels)
    found = []
    for group in groups_of(ink):
        truth = label_group(group, ink, picture.truth)
        if group.is_ring or truth is None or group.share_in(ink) < LARGE_SHARE:
            continue
        readings = (
            reader.read(picture.image.pixels, ink, group),
            reader.read_lines(picture.image.pixels, ink, group),
        )
        best = max(readings, key=lambda each: each.evidence)
        found.append((large_group_features(group, best), truth))
    return found


def content_of(picture: Picture, what: str, *networks: WeightFile) -> str:
    """Hash of all that a find in a picture depends on: pixels, truth, the networks, and what is looked for."""
    digest = hashlib.sha256(f"{what} {picture.image.pixels.shape}".encode())
    for network in networks:
        digest.update(network.sha256.encode())
    digest.update(np.ascontiguousarray(picture.image.pixels).data)
    digest.update(b"" if picture.truth is None else np.ascontiguousarray(picture.truth).data)
    return digest.hexdigest()


def counted(model: LogisticModel, findings: Sequence[Finding]) -> NDArray[np.int64]:
    """(4,): unwanted ones that are drawn, unwanted ones, others that are drawn, others."""
    counts = np.zeros(4, dtype=np.int64)
    for each in findings:
        first = 0 if each.is_unwanted else 2
        counts[first : first + 2] += model.probability(each.features) >= DRAWN, 1
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Fit, print what is drawn and write the model; returns the exit code."""
    parser = arguments_of(
        "automask_training.ink_large_groups", __doc__, what="large groups", per_source=60, free=150, odds=1.0
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        shown = pictures(given.manifests, given.materials, per_source=given.per_source, free=given.free)
        findings = collect(shown, weights=given.weights, cache=given.cache, threads=given.threads)
        used = [each for each in findings if each.source not in given.report_only]
        model, auc = fit(used, prior_odds=given.odds)
        left_out = np.zeros(4, dtype=np.int64)
        for source in sorted({each.source for each in used}):
            without, _ = fit([each for each in used if each.source != source], prior_odds=given.odds)
            left_out += counted(without, [each for each in used if each.source == source])
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    other = counted(model, [each for each in findings if each.source in given.report_only])
    for name, (kept, true, drawn, false) in (
        ("fitted on", counted(model, used)),
        ("each source left out", left_out),
        ("in no fit", other),
    ):
        sys.stdout.write(f"{name}: {kept} of {true} unwanted and {drawn} of {false} other large groups drawn\n")
    sys.stdout.write(f"area under the curve {auc:.3f}; {model.model_dump_json()}\n")
    if given.out is not None:
        replace_model(given.out, "large_groups", model)
    return 0


if __name__ == "__main__":
    start(main)
