"""The script that trains for minutes on another machine, here on this one. Needs torch: slow."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "models" / "training" / "gpu.sh"
RECIPE = """
task = "ink"
size_px = 256

[crops]
size_px = 64
cells = 16

[loop]
batch_samples = 2
threads = 1
workers = 0
log_steps = 1

[schedule]
peak = 1e-3
warmup_samples = 2
decay_start_samples = 1000000
total_samples = 1000000
"""


def materials_in(folder: Path) -> Path:
    (folder / "backgrounds").mkdir(parents=True)
    listed = []
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 24, 3)).astype(np.uint8)
        file = f"backgrounds/{number}.png"
        Image.fromarray(pixels).resize((320, 320)).save(folder / file)
        listed.append({"file": file, "source": "s", "licence": "CC0"})
    (folder / "materials.json").write_text(json.dumps({"backgrounds": listed}))
    return folder


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": sys.executable},
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_it_trains_until_the_clock_ends_it_and_goes_on_from_what_came_back(tmp_path: Path) -> None:
    materials = materials_in(tmp_path / "materials")
    (tmp_path / "ink.toml").write_text(RECIPE)
    seen = []
    for _ in range(2):
        ended = call(tmp_path / "ink.toml", materials, tmp_path / "run", "--pack-mb", 50, "--minutes", 0.5)
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / "run" / "state.pt").is_file()
        with (tmp_path / "run" / "loss.csv").open() as file:
            seen.append([int(row["samples"]) for row in csv.DictReader(file)])
    assert 0 < seen[0][-1] < seen[1][-1]
    assert seen[1][: len(seen[0])] == seen[0]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_it_says_how_it_is_called(tmp_path: Path) -> None:
    for arguments in ((), ("a.toml", tmp_path), ("a.toml", tmp_path, tmp_path, "--minutes"), ("--what",)):
        ended = call(*arguments)
        assert ended.returncode == 2
        assert "gpu.sh RECIPE MATERIALS RUN" in ended.stderr
