"""Fits the model of large groups in `ink.confidence`: `python -m automask_training.ink_large_groups MANIFEST --out F`.

Synthesized pictures hold next to no drawing that passes for a block of lettering, real ones do. Two numbers and an
intercept are fitted on the large groups of real pictures with truth and of free ones without lettering; printed is
what they keep and draw, each source by a fit without it, and on sources that no fit sees (`--report-only`).
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.bench.manifest import read_manifest
from automask.config import RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.ink.confidence import DRAWN, LARGE_SHARE, InkModel, large_group_features
from automask_models.ink.groups import groups_of
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.text.evidence import LogisticModel
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_training.confidence_data import entries_by_source, truth_levels
from automask_training.ink_confidence import Finding, Picture, fit, free_pictures, label_group

LOGGER = logging.getLogger("automask.training")


def pictures(manifests: Sequence[Path], materials: Path | None, *, per_source: int, free: int) -> Iterator[Picture]:
    """Pictures of the manifests with known truth, so many a source, then free ones."""
    for path in manifests:
        for source, pairs in entries_by_source(read_manifest(path), most=per_source).items():
            for image, truth in pairs:
                with PillowImage.open(image) as opened:
                    pixels = np.asarray(opened.convert("RGB"), dtype=np.uint8)
                yield Picture(Image(id=image.name, pixels=pixels), truth_levels(truth), source.partition("-")[2])
    if materials is not None:
        yield from free_pictures(materials, count=free)


def collect(found: Iterator[Picture], *, weights: str, threads: int) -> list[Finding]:
    """Large groups of known truth.

    Raises:
        InputError: There are no such weights.
    """
    runtime = RuntimeConfig(threads=threads)
    file = WeightLibrary.discover().find(weights)
    if file is None:
        raise InputError(f"There are no weights {weights}.", advice="Give the .onnx file with --weights.")
    network = InkNetwork.open(file, runtime=runtime)
    reader = GroupReader.open(bundled_model(RECOGNITION_FILE), runtime=runtime)
    findings = []
    for number, picture in enumerate(found, start=1):
        ink = network.look(picture.image.pixels)
        for group in groups_of(ink):
            truth = label_group(group, ink, picture.truth)
            if group.is_ring or truth is None or group.share_in(ink) < LARGE_SHARE:
                continue
            readings = (
                reader.read(picture.image.pixels, ink, group),
                reader.read_lines(picture.image.pixels, ink, group),
            )
            best = max(readings, key=lambda each: each.evidence)
            findings.append(Finding(large_group_features(group, best), truth, picture.source))
        if number % 20 == 0:
            LOGGER.info("%d pictures: %d large groups", number, len(findings))
    return findings


def counted(model: LogisticModel, findings: Sequence[Finding]) -> NDArray[np.int64]:
    """(4,): unwanted ones that are drawn, unwanted ones, others that are drawn, others."""
    counts = np.zeros(4, dtype=np.int64)
    for each in findings:
        first = 0 if each.is_unwanted else 2
        counts[first : first + 2] += model.probability(each.features) >= DRAWN, 1
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Fit, print what is drawn and write the model; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.ink_large_groups", description=__doc__)
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST")
    parser.add_argument("--materials", type=Path, help="folder made by synth.materials")
    parser.add_argument("--out", type=Path, help="model file of which the large groups are replaced")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the ink network")
    parser.add_argument("--per-source", type=int, default=60)
    parser.add_argument("--free", type=int, default=150, help="free pictures as they are")
    parser.add_argument("--report-only", action="append", default=[], metavar="SOURCE")
    parser.add_argument("--odds", type=float, default=1.0, help="that a large group is unwanted, before its features")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        shown = pictures(given.manifests, given.materials, per_source=given.per_source, free=given.free)
        findings = collect(shown, weights=given.weights, threads=given.threads)
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
        text = given.out.read_text(encoding="utf-8")
        bundled = InkModel.model_validate_json(text).model_copy(update={"large_groups": model})
        given.out.write_text(bundled.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
