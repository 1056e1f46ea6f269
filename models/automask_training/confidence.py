"""Fits the confidence model: `python -m automask_training.confidence MANIFEST [MANIFEST ...] --work DIR --out FILE`.

Runs the default pipeline over every source of the manifests as a dataset of its own, keeps the stores in DIR (so that a
second fit takes a minute), labels each mask as fine or not by its leak and waste, fits one logistic model, and says how
good it is on sources that it was not fitted on.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from automask.bench.manifest import read_manifest
from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import AutomaskError
from automask.files.atomic import write_atomic
from automask_training.confidence_data import LabelledImage, entries_by_source, fill_stores, read_stores
from automask_training.confidence_fit import Rows, fit_confidence
from automask_training.confidence_report import plot_reliability, report
from automask_training.starting import start

LOGGER = logging.getLogger("automask.training")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code as for `automask`."""
    parser = argparse.ArgumentParser(prog="automask_training.confidence", description=__doc__)
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST", help="JSON lists, see docs/bench.md")
    parser.add_argument("--work", type=Path, required=True, help="folder for links and stores, one in it per manifest")
    parser.add_argument("--out", type=Path, help="model file to write")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="reliability and queue, as a picture")
    parser.add_argument("--per-source", type=int, default=30, metavar="N", help="images a source at most [30]")
    parser.add_argument("--report-only", action="append", default=[], metavar="SOURCE", help="fit without; repeatable")
    parser.add_argument("--reuse", action="store_true", help="fit on what the stores hold already, run nothing")
    parser.add_argument("--threads", type=int, default=0, help="threads of the networks, 0 for the usable cores [0]")
    given = parser.parse_args(arguments)
    if given.per_source < 2:
        parser.error("--per-source starts at 2")
    if len({path.stem for path in given.manifests}) < len(given.manifests):
        parser.error("the manifests need names of their own: each has a folder of its name in --work")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        _run(given)
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    return 0


def _run(given: argparse.Namespace) -> None:
    config = PipelineConfig(runtime=RuntimeConfig(threads=given.threads))
    images: list[LabelledImage] = []
    for path in given.manifests:
        sources = entries_by_source(read_manifest(path), most=given.per_source)
        folder = given.work / path.stem
        if not given.reuse:
            fill_stores(sources, folder, config)
        images += read_stores(sources, folder, config, manifest=path.stem)
    rows = Rows.of(images)
    used = ~rows.named(given.report_only)
    fitted_on = (
        f"{int(used.sum())} images of {len(np.unique(rows.source[used]))} collections with truth, each run as a "
        f"dataset of its own, with {', '.join((*config.detectors, *config.dataset_detectors))}; ridge logistic "
        "regression, collections weighted equally."
    )
    checked = fit_confidence(rows, fitted_on=fitted_on, report_only=given.report_only)
    sys.stdout.write(report(rows, checked) + "\n")
    if given.out is not None:
        write_atomic(given.out, (checked.model.model_dump_json(indent=2) + "\n").encode())
    if given.plot is not None:
        plot_reliability(rows, checked, given.plot)


if __name__ == "__main__":
    start(main)
