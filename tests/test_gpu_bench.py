"""The bench of devices: real runs on the processor, and the figures of cards and masks made here."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automask.errors import InputError, StageError
from automask_training.gpu_bench import CardUse, Timed, card_use, compare, difference, timed, used

EXAMPLES = Path(__file__).parent.parent / "automask" / "examples" / "photos"


def write(folder, **masks):
    folder.mkdir()
    for name, levels in masks.items():
        Image.fromarray(levels).save(folder / f"{name}.png")
    return folder


def mask(*, columns):
    """All trained but some of 256 columns, from the left."""
    levels = np.full((256, 256), 255, np.uint8)
    levels[:, :columns] = 0
    return levels


def test_masks_of_a_device_are_scored_with_those_of_the_processor(tmp_path):
    processor = write(tmp_path / "processor", same=mask(columns=96), less=mask(columns=96), more=mask(columns=0))
    device = write(tmp_path / "device", same=mask(columns=96), less=mask(columns=48), more=mask(columns=64))
    found = difference(processor, device)
    assert found.leak == pytest.approx(0.25, abs=0.02), "half of what one of two images masks"
    assert found.waste == pytest.approx(0.25 / 3, abs=0.01)
    assert (found.equal, found.worst, found.is_same) == (1, ["less.png", "more.png"], False)
    assert difference(processor, processor).is_same


def test_nothing_masked_is_nothing_to_leak(tmp_path):
    folder = write(tmp_path / "processor", none=mask(columns=0))
    found = difference(folder, folder)
    assert np.isnan(found.leak)
    assert found.is_same


def test_the_start_is_no_part_of_the_speed():
    run = Timed("cuda", {}, images=101, seconds=12.0, start_seconds=2.0, peak_memory_mib=None, card=None)
    assert run.images_per_second == 10.0


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for nvidia-smi is a shell script")
def test_a_card_is_asked_while_a_run_goes_on(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '40, 1024'\necho '99, 1'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with card_use() as asked:
        while not asked:
            time.sleep(0.05)
    assert used(asked) == CardUse(busy_share=0.4, memory_mib=1024)
    program.write_text("#!/bin/sh\necho '[N/A], [N/A]'\n")
    with card_use() as asked:
        time.sleep(0.7)
    assert used(asked) is None


def test_one_image_is_too_few(tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(EXAMPLES / "cat.jpg", tmp_path / "in")
    with pytest.raises(InputError, match="holds 1 images"):
        compare(tmp_path / "in", tmp_path / "work", device="cpu")


def test_a_device_that_is_not_there_says_how_to_get_it(tmp_path):
    for name in ("cat.jpg", "coffee.jpg"):
        shutil.copy(EXAMPLES / name, tmp_path)
    with pytest.raises(StageError, match=r"(?s)--device directml.*directml"):
        timed(tmp_path, tmp_path, tmp_path / "device", device="directml")


@pytest.mark.slow
def test_the_processor_makes_its_own_masks(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("cat.jpg", "snapshot.jpg", "coffee.jpg"):
        shutil.copy(EXAMPLES / name, folder)
    command = [sys.executable, "-m", "automask_training.gpu_bench", str(folder), "--device", "cpu", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert figures["difference"]["equal"] == figures["device"]["images"] == 3
    assert figures["device"]["networks"]["ink"]["device"] == "cpu"
    assert figures["processor"]["seconds"] > figures["processor"]["start_seconds"] > 0
