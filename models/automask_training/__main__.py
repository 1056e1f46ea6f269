"""Commands of the training recipes: `python -m automask_training train|evaluate|average|export ...`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from automask_training.starting import start

if TYPE_CHECKING:
    from automask_training.loop import LoopConfig

LOGGER = logging.getLogger("automask.training")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit code 0 when it ended as asked, 3 when it was stopped and can be resumed."""
    # Spinning threads starve the trainer itself when it shares a machine; read by OpenMP when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parser = argparse.ArgumentParser(prog="automask_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train or go on training; state and log stand in OUT")
    training.add_argument("recipe", type=Path, help="models/training/sam.toml or watermark.toml")
    training.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--threads", type=int)
    training.add_argument("--workers", type=int, help="processes that draw; default: the recipe's")
    training.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps; only the CPU was tried by us")
    training.add_argument(
        "--precision", choices=("float32", "bfloat16"), help="bfloat16 is fast only on processors that compute with it"
    )
    training.add_argument("--decay-from", type=int, metavar="SAMPLES", help="start the decay here")
    training.add_argument("--total", type=int, metavar="SAMPLES", help="end here")
    training.add_argument("--pid-file", type=Path)
    checking = commands.add_parser("evaluate", help="figures of OUT's moving average on the held-out split, as JSON")
    checking.add_argument("recipe", type=Path)
    checking.add_argument("--materials", type=Path, required=True)
    checking.add_argument("--out", type=Path, required=True)
    checking.add_argument("--images", type=int, default=100)
    averaging = commands.add_parser("average", help="write the mean of some states of one run to OUT")
    averaging.add_argument("states", type=Path, nargs="+", metavar="STATE", help="the last one counts on")
    averaging.add_argument("--task", required=True, help="ink or sam: what they are states of")
    averaging.add_argument("--out", type=Path, required=True)
    exporting = commands.add_parser("export", help="write OUT's moving average as files to ship, and a small state")
    exporting.add_argument("recipe", type=Path)
    exporting.add_argument("--out", type=Path, required=True)
    exporting.add_argument("--weights", type=Path, help="folder for the files to ship")
    exporting.add_argument("--state", type=Path, help="file for the small state")
    measuring = commands.add_parser("measure", help="mask IoU of OUT's moving average on real images, with baselines")
    measuring.add_argument("recipe", type=Path)
    measuring.add_argument("--out", type=Path, required=True)
    measuring.add_argument("--images", type=Path, required=True)
    measuring.add_argument("--masks", type=Path, required=True, help="PNG per image: 255 unwanted, 128 ignored")
    quantising = commands.add_parser("quantise", help="write an int8 version of an ONNX file and compare both, as JSON")
    quantising.add_argument("source", type=Path, metavar="IN.onnx")
    quantising.add_argument("target", type=Path, metavar="OUT.onnx")
    quantising.add_argument("--images", type=Path, required=True, help="pictures to set ranges and to compare by")
    quantising.add_argument("--side-px", type=int, default=640)
    quantising.add_argument("--count", type=int, default=32, help="how many pictures; half of them set the ranges")
    quantising.add_argument("--mode", choices=("static", "dynamic"), default="static")
    quantising.add_argument("--keep", action="append", default=[], metavar="PART", help="leave nodes so named in float")
    given = parser.parse_args(arguments)
    if given.command == "export" and given.weights is None and given.state is None:
        exporting.error("there is nothing to write: give --weights, --state or both")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if given.command == "train":
        return _train(given)
    if given.command == "average":
        return _average(given)
    if given.command == "export":
        return _export(given)
    if given.command == "measure":
        return _measure(given)
    if given.command == "quantise":
        return _quantise(given)
    return _evaluate(given)


def _train(given: argparse.Namespace) -> int:
    from automask_models.device import torch_placement
    from automask_training.loop import train
    from automask_training.recipe import load_recipe

    task, config = load_recipe(tomllib.loads(given.recipe.read_text()), materials=given.materials)
    config = _changed(config, given)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.pid_file:
        given.pid_file.write_text(f"{os.getpid()}\n")
    try:
        result = train(task, config, given.out, device=torch_placement(given.device).device)
    finally:
        if given.pid_file:
            given.pid_file.unlink(missing_ok=True)
    LOGGER.info("ended at %d samples, finished: %s", result.progress.samples, result.finished)
    return 0 if result.finished else 3


def _changed(config: LoopConfig, given: argparse.Namespace) -> LoopConfig:
    schedule = config.schedule
    if given.total is not None:
        schedule = replace(
            schedule, total_samples=given.total, decay_start_samples=min(schedule.decay_start_samples, given.total)
        )
    if given.decay_from is not None:
        schedule = replace(schedule, decay_start_samples=given.decay_from)
    return replace(
        config,
        schedule=schedule,
        threads=given.threads or config.threads,
        workers=config.workers if given.workers is None else given.workers,
        precision=given.precision or config.precision,
    )


def _evaluate(given: argparse.Namespace) -> int:
    from automask_training.recipe import evaluate_recipe

    figures = evaluate_recipe(
        tomllib.loads(given.recipe.read_text()), materials=given.materials, out=given.out, images=given.images
    )
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def _average(given: argparse.Namespace) -> int:
    from automask_training.checkpoint import load_state, mean_state, save_state
    from automask_training.loop import STATE_FILE

    save_state(mean_state([load_state(path, task=given.task) for path in given.states]), given.out / STATE_FILE)
    return 0


def _export(given: argparse.Namespace) -> int:
    from automask_training.checkpoint import compact, load_state, save_state
    from automask_training.loop import STATE_FILE
    from automask_training.recipe import export_recipe

    table = tomllib.loads(given.recipe.read_text())
    if given.weights is not None:
        differences = export_recipe(table, out=given.out, weights=given.weights)
        sys.stdout.write(json.dumps(differences, indent=1) + "\n")
    if given.state is not None:
        save_state(compact(load_state(given.out / STATE_FILE, task=table["task"])), given.state)
    return 0


def _measure(given: argparse.Namespace) -> int:
    from automask_training.evaluate_real import (
        BoxMasker,
        ClusterMasker,
        Masker,
        SamMasker,
        mean_iou,
        pairs_in,
    )
    from automask_training.recipe import load_average

    _, module = load_average(tomllib.loads(given.recipe.read_text()), out=given.out)
    maskers: dict[str, Masker] = {
        "box": BoxMasker(),
        "2-means": ClusterMasker(clusters=2),
        "3-means": ClusterMasker(clusters=3),
        "sam, box": SamMasker(module, with_region=False),
        "sam, box and region": SamMasker(module),
    }
    pairs = list(pairs_in(given.images, given.masks))
    figures = {name: mean_iou(masker, pairs) for name, masker in maskers.items()}
    rows = {name: {"iou": round(iou, 4), "regions": regions} for name, (iou, regions) in figures.items()}
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    return 0


def _quantise(given: argparse.Namespace) -> int:
    from automask_training.quantise import pictures_in, quantise

    pictures = pictures_in(given.images, side_px=given.side_px, count=given.count)
    outcome = quantise(given.source, given.target, pictures, mode=given.mode, keep=given.keep)
    sys.stdout.write(json.dumps(asdict(outcome), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    start(main)
