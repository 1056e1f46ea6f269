"""`automask train` from data to weights: losses fall, resumed equals uninterrupted, exports agree with torch. Slow."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_process import command, environment
from own_data_cases import correct, draw_pictures, draw_stills, make_coco, make_yolo
from PIL import Image

from automask.config import PipelineConfig
from automask.errors import ConfigError, OutputError, PluginError, WeightsError
from automask.mask.rendering import CorrectionLayers, grow
from automask.run.runner import run_dataset
from automask.store import Store

pytestmark = pytest.mark.slow
COUNT = 20

SMALL: dict[str, dict[str, Any]] = {
    "watermark": {
        "task": "watermark",
        "size_px": 160,
        "model": {"width": 32, "branch_width": 16},
        "recipe": {"size_px": 160},
        "loop": {"batch_samples": 4, "clip_norm": 10.0, "weight_decay": 0.02},
        "schedule": {"peak": 2e-3},
    },
    "watermark-ultralytics": {
        "task": "watermark-ultralytics",
        "size_px": 160,
        "recipe": {"size_px": 160},
        "loop": {"batch_samples": 4, "clip_norm": 10.0, "weight_decay": 0.02},
        "schedule": {"peak": 1e-3},
    },
    "ink": {
        "task": "ink",
        "size_px": 160,
        "crops": {"size_px": 128, "cells": 32, "zoom": [0.6, 1.5]},
        "recipe": {"crops_per_image": 1},
        "loop": {"batch_samples": 4, "pretrained": "backbone", "pretrained_rate": 0.25},
        "schedule": {"peak": 2e-3},
    },
    "sam": {
        "task": "sam",
        "size_px": 160,
        "model": {"size_px": 128, "width": 64, "mlp_width": 128},
        "crops": {"size_px": 128, "cells": 32, "zoom": [0.6, 1.5]},
        "recipe": {"crops_per_image": 1},
        "loop": {"batch_samples": 4},
        "schedule": {"peak": 1.5e-3},
    },
}
"""Recipes as shipped, but small."""

FALLS_TO = {"watermark": 0.97, "watermark-ultralytics": 0.995, "ink": 0.97, "sam": 0.97}
"""Share of the first held-out loss that the best one stays below."""

SMOKE: dict[str, dict[str, Any]] = {
    "watermark": {"samples": 48},
    "watermark-ultralytics": {"samples": 48, "rate": 5.0},  # the only one that learns everything from nothing
    "ink": {"samples": 40},
    "sam": {"samples": 40},
}


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coco(tmp_path_factory.mktemp("coco"), COUNT)


def training(task: str, data: Path, out: Path, **changes: Any) -> Any:
    from automask_training.own.reading import DataOptions, read_data
    from automask_training.own.run import Training
    from automask_training.own.uses import USES

    options = DataOptions(classes={})
    base = Training(
        table=SMALL[task],
        use=USES[task],
        data=read_data([data], options, USES[task], progress=lambda done, total: None),
        out=out,
        start=None,
        materials=None,
        own_share=0.5,
        samples=40,
        rate=1.0,
        seed=0,
        threads=1,
        workers=0,
        name="mine",
    )
    return replace(base, **changes)


def quiet(samples: int, total: int, word: str) -> None:
    """Show nothing."""


def losses(path: Path) -> list[float]:
    with path.open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def averages(path: Path, task: str) -> dict[str, Any]:
    from automask_training.checkpoint import load_state

    return load_state(path, task=task).average


@pytest.mark.parametrize("task", SMALL)
def test_smoke_training(task: str, coco: Path, tmp_path: Path) -> None:
    """The loss falls; stopped and resumed equals uninterrupted; the exported file runs and agrees with torch.

    Agreement is checked by the export itself, which fails where ONNX Runtime and torch differ.
    """
    import onnxruntime

    from automask_training.own.run import run_training

    total = SMOKE[task]["samples"]
    done = run_training(training(task, coco, tmp_path / "whole", **SMOKE[task]), progress=quiet)
    held_out = losses(tmp_path / "whole" / "held-out.csv")
    assert done.finished
    assert done.best is not None
    assert done.after is not None
    assert min(held_out[1:]) == done.best.loss < FALLS_TO[task] * held_out[0]

    def stop_half_way(samples: int, total: int, word: str) -> None:
        if samples == total // 2:
            os.kill(os.getpid(), signal.SIGTERM)

    halves = training(task, coco, tmp_path / "halves", **SMOKE[task])
    stopped = run_training(halves, progress=stop_half_way)
    assert (stopped.finished, stopped.samples, stopped.after) == (False, total // 2, None)
    assert run_training(halves, progress=quiet).finished
    assert losses(tmp_path / "halves" / "held-out.csv") == held_out
    whole, resumed = (averages(tmp_path / name / "state.pt", task) for name in ("whole", "halves"))
    assert all(bool((whole[name] == resumed[name]).all()) for name in whole)

    session = onnxruntime.InferenceSession(done.after)
    name = session.get_inputs()[0].name
    answers = session.run(None, {name: np.zeros((1, 3, 128, 128), np.float32)})
    assert all(np.isfinite(answer).all() for answer in answers)
    config = PipelineConfig.model_validate(tomllib.loads((tmp_path / "whole" / "automask.toml").read_text()))
    assert config.options[halves.use.stage]["weights"] == str(done.after.resolve())


def test_continuing_starts_where_the_weights_stand_and_ends_early(coco: Path, tmp_path: Path) -> None:
    from automask_training.own.run import run_training

    first = run_training(training("ink", coco, tmp_path / "first"), progress=quiet)
    start = tmp_path / "first" / "best" / "state.pt"
    # At so small a rate nothing moves, so nothing falls, and six judgements later it ends.
    again = training("ink", coco, tmp_path / "again", start=start, rate=1e-9, samples=400)
    second = run_training(again, progress=quiet)
    assert first.best is not None
    assert second.start.loss == pytest.approx(first.best.loss, rel=1e-3)
    assert second.finished
    assert second.samples < 400
    assert second.before is not None
    assert (tmp_path / "again" / "weights" / "mine.onnx").is_file()
    with pytest.raises(ConfigError, match=r"other settings \(seed\)"):
        run_training(replace(again, seed=5), progress=quiet)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        run_training(replace(again, out=tmp_path / "full"), progress=quiet)
    with pytest.raises(WeightsError, match="not 'watermark'"):
        run_training(training("watermark", coco, tmp_path / "x", start=start), progress=quiet)
    (tmp_path / "broken.pt").write_bytes(b"no state")
    with pytest.raises(WeightsError, match="does not hold weights"):
        run_training(replace(again, start=tmp_path / "broken.pt", out=tmp_path / "y"), progress=quiet)


def write_recipe(path: Path, table: dict[str, Any]) -> Path:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for name, section in table.items():
        if isinstance(section, dict):
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def automask(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment(**variables)
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=env, timeout=900, check=False)


def test_the_command_goes_from_corrections_to_a_run_with_the_new_weights(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "set", COUNT)
    run_dataset(tmp_path / "set", tmp_path / "store", PipelineConfig(detectors=("edges",), dataset_detectors=()))
    correct(tmp_path / "store", sorted((tmp_path / "set").iterdir()))
    recipe, out = write_recipe(tmp_path / "ink.toml", SMALL["ink"]), tmp_path / "out"
    given = ("train", recipe, "--data", tmp_path / "store", "--out", out, "--from-nothing", "--samples", "24")
    done = automask(*given, "--rate", "1", "--workers", "0", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((out / "report.json").read_text())
    assert {figure["pipeline"] for figure in report["bench"]["images"]} == {"after"}
    assert len(report["bench"]["images"]) == sum(1 for _ in json.loads((out / "bench" / "manifest.json").read_text()))
    assert any(figure["leak"] is not None for figure in report["bench"]["images"])
    use = ("--config", out / "automask.toml", "--detectors", "ink", "--option", "ink.weights=my-ink.onnx")
    used = automask("run", tmp_path / "set", "-o", tmp_path / "masks", *use, AUTOMASK_WEIGHTS=str(out / "weights"))
    assert used.returncode == 0, used.stderr
    with Store.open(tmp_path / "masks", read_only=True) as store:
        assert store.counts().done == COUNT


@pytest.mark.parametrize("way", ["imported", "imported grown", "painted on the page", "accepted"])
def test_masks_train_whatever_way_they_came(tmp_path: Path, way: str) -> None:
    """From the shipped weights, to figures of both: what people have is finished masks, brush strokes, or neither."""
    truths = draw_stills(tmp_path / "set", 12)
    config = PipelineConfig(detectors=("ink",), refiner="ink", dataset_detectors=())
    run_dataset(tmp_path / "set", tmp_path / "store", config)
    if way.startswith("imported"):
        for seed, drawn in enumerate(truths):
            mask = grow(drawn, 4) if way == "imported grown" else drawn
            (tmp_path / "masks").mkdir(exist_ok=True)
            Image.fromarray(np.where(mask, 0, 255).astype(np.uint8)).save(tmp_path / "masks" / f"{seed:03d}.png")
        done = automask("import", tmp_path / "store", "--from", tmp_path / "masks", "--format", "masks")
        assert done.returncode == 0, done.stderr
    elif way == "painted on the page":
        with Store.open(tmp_path / "store") as store:
            for row, drawn in zip(store.images(), truths, strict=True):
                layers = CorrectionLayers(replaces=True, add=grow(drawn, 8))
                store.put_correction(str(row.content_sha256), layers, author="me", tool="review", based_on=None)
    accepted = ("--accepted",) if way == "accepted" else ()
    recipe, out = write_recipe(tmp_path / "ink.toml", SMALL["ink"]), tmp_path / "out"
    options = ("--samples", "8", "--workers", "0", "--threads", "1", "--json", *accepted)
    done = automask("train", recipe, "--data", tmp_path / "store", "--out", out, *options)
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stderr
    assert "nothing is learned" not in done.stderr
    figures = json.loads(done.stdout)["bench"]["images"]
    assert {figure["pipeline"] for figure in figures} == {"before", "after"}
    before, after = ([one["leak"] for one in figures if one["pipeline"] == name] for name in ("before", "after"))
    assert sum(after) < sum(before) + 0.1 * len(after), "eight samples harm little that the weights knew"


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    data = make_yolo(tmp_path / "set", COUNT)
    recipe, out = write_recipe(tmp_path / "mark.toml", SMALL["watermark"]), tmp_path / "out"
    command = [sys.executable, "-m", "automask", "train", str(recipe), "--data", str(data), "--out", str(out)]
    options = ["--from-nothing", "--samples", "20000", "--workers", "0", "--threads", "1"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while not (out / "loss.csv").is_file() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "the same command goes on" in told
    assert averages(out / "state.pt", "watermark")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("nothing",), 2, "There is no recipe"),
        (("ink", "--start", "a", "--from-nothing"), 2, "exclude each other"),
        (("ink", "--from-nothing", "--class", "x"), 2, "expected NAME=WORD"),
        (("ink", "--from-nothing"), 3, "There is no"),
    ],
)
def test_mistakes_end_with_advice(tmp_path: Path, options: tuple[str, ...], code: int, message: str) -> None:
    done = automask("train", *options, "--data", tmp_path / "none", "--out", tmp_path / "out")
    assert done.returncode == code
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from automask_training import commands

    monkeypatch.setattr(commands, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(PluginError, match=r"Training needs onnx.*extra `train`"):
        commands._use_of({"task": "watermark"}, "watermark")
