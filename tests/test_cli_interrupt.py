"""Ctrl-C and kill -9 at any instant: finished work is kept, nothing is half-written, the next run goes on."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_process import CHEAP, automask, command, draw_images, environment, install_detector, masks_of
from measuring.bombs import scan_bomb
from PIL import Image

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

COUNT = 24
BUSY = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # minutes without the interpreter's lock
SLACK_S = 1  # of a busy machine


def start(*arguments, env=None) -> subprocess.Popen:
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env or environment()
    )


def wait_for_masks(output: Path, count: int, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while len(list((output / "masks").rglob("*.png"))) < count:
        assert time.monotonic() < end, f"no {count} masks after {seconds} s"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_finishes_the_image_in_hand(tmp_path, number):
    folder = draw_images(tmp_path / "set", 8)
    plugins = install_detector(tmp_path / "plugins", "slow", "time.sleep(0.4)\nreturn [[] for image in images]")
    env = environment(plugins)
    process = start("run", folder, "--detectors", "slow", env=env)
    wait_for_masks(tmp_path / "set-masks", 1)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    again = "Ctrl-C again ends" if number is signal.SIGINT else "A second SIGTERM ends"
    assert f"Stopping after the image in hand. {again} at once" in " ".join(errors.split())
    assert f"To go on: automask run {folder} --detectors slow" in out
    done = len(masks_of(tmp_path / "set-masks"))
    assert 1 <= done < 8
    assert "interrupted" in automask("status", tmp_path / "set-masks").stdout
    summary = json.loads(automask("run", folder, "--detectors", "slow", "--json", env=env).stdout)
    assert summary["reused"] == done
    assert summary["written"] == {"analysed": 8 - done}


def test_a_second_interrupt_ends_at_once(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    wait = "time.sleep(0 if os.environ['MARK'] == os.devnull else 60)"
    body = f"open(os.environ['MARK'], 'w').close()\n{wait}\nreturn [[] for image in images]"
    plugins = install_detector(tmp_path / "plugins", "stuck", body)
    mark = tmp_path / "working"
    process = start("run", folder, "--detectors", "stuck", env=environment(plugins, MARK=str(mark)))
    while not mark.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    while "Stopping" not in process.stderr.readline():
        pass
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode in (-signal.SIGINT, 130)  # by the system, or by us before that was arranged
    env = environment(plugins, MARK=os.devnull)
    summary = json.loads(automask("run", folder, "--detectors", "stuck", "--json", env=env).stdout)
    assert summary["written"] == {"analysed": 3}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_ends_a_run_whose_model_does_not(tmp_path, number):
    folder = draw_images(tmp_path / "set", 3)
    mark = tmp_path / "working"
    body = (
        "import hashlib\n"
        "if os.environ['MARK'] != os.devnull and os.path.exists(os.environ['MARK'] + '1'):\n"
        "    open(os.environ['MARK'], 'w').close()\n"
        f"    {BUSY}\n"  # in C on the main thread: no handler of Python runs meanwhile
        "open(os.environ['MARK'] + '1', 'w').close() if os.environ['MARK'] != os.devnull else None\n"
        "return [[] for image in images]"
    )
    plugins = install_detector(tmp_path / "plugins", "stuck", body)
    process = start("run", folder, "--detectors", "stuck", env=environment(plugins, MARK=str(mark)))
    assert_ends_in_time(process, mark, number)
    env = environment(plugins, MARK=os.devnull)
    summary = json.loads(automask("run", folder, "--detectors", "stuck", "--json", env=env).stdout)
    assert (summary["reused"], summary["written"]) == (1, {"analysed": 2}), "the image before is kept"


def test_one_interrupt_ends_a_run_whose_decoder_does_not(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    mark = tmp_path / "working"
    code = (
        "import hashlib\n"
        "import automask.run.runner as runner\n"
        "from automask.cli import main\n"
        "decode = runner.decode\n"
        "def slow(file, config, **how):\n"
        f"    if file.id.startswith('{sorted(path.name for path in folder.iterdir())[-1]}'):\n"
        f"        open({str(mark)!r}, 'w').close()\n"
        f"        {BUSY}\n"
        "    return decode(file, config, **how)\n"
        "runner.decode = slow\n"
        "main()\n"
    )
    arguments = [sys.executable, "-c", code, "run", str(folder), *CHEAP]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    wait_for_masks(tmp_path / "set-masks", 2)
    assert_ends_in_time(process, mark, signal.SIGINT)
    summary = json.loads(automask("run", folder, *CHEAP, "--json").stdout)
    assert (summary["reused"], summary["written"]) == (2, {"analysed": 1})


def deep_png(side_px: int) -> bytes:
    """16 bits, and as many pixels as are read."""
    rows = np.arange(side_px, dtype=np.uint16)[:, None] * 6
    out = io.BytesIO()
    Image.fromarray(np.broadcast_to(rows, (side_px, side_px)).copy()).save(out, "PNG", compress_level=1)
    return out.getvalue()


SLOW_FILES = {"scans": (scan_bomb, 90, {"side_px": 8000}), "depth": (deep_png, 10_000, {})}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SLOW_FILES)
def test_one_interrupt_ends_a_run_that_decodes_a_slow_file(tmp_path, kind):
    make, count, options = SLOW_FILES[kind]
    folder = draw_images(tmp_path / "set", 2)
    (folder / "slow.png").write_bytes(make(count, **options))
    process = start("run", folder, *CHEAP)
    assert_ends_in_time(process, tmp_path / "set-masks" / "masks" / "001.png", signal.SIGINT)
    (folder / "slow.png").unlink()
    summary = json.loads(automask("run", folder, *CHEAP, "--json").stdout)
    assert (summary["reused"] >= 1, summary["failed"]) == (True, 0)


def assert_ends_in_time(process: subprocess.Popen, mark: Path, number: signal.Signals) -> None:
    while not mark.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    started = time.monotonic()
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    took_s = time.monotonic() - started
    assert process.returncode == 130, errors
    assert took_s < 5 + SLACK_S, f"{took_s:.1f} s"
    assert "finished work is kept" in errors
    # A fast machine ends the image in hand before its time is over, and says so in the summary instead.
    assert "To go on: automask run" in " ".join((out + errors).split())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A folder, its masks by an undisturbed run, and how long that took."""
    folder = draw_images(tmp_path_factory.mktemp("kill") / "set", COUNT)
    started = time.monotonic()
    assert automask("run", folder, *CHEAP, "--output", folder.parent / "reference").returncode == 0
    return folder, masks_of(folder.parent / "reference"), time.monotonic() - started


def count_masks(output: Path) -> int:
    return sum(1 for _ in (output / "masks").rglob("*.png"))


def kill_and_resume(dataset, output: Path, *, seeds: list[int]) -> None:
    folder, expected, seconds = dataset
    interrupted = 0
    for seed in seeds:
        instants = random.Random(seed)
        there = count_masks(output)
        process = start("run", folder, *CHEAP, "--output", output)
        if instants.random() < 0.3:
            time.sleep(instants.uniform(0, 0.9) * seconds)  # any instant, the start of the program included
        else:  # while masks are written, however fast the machine is at the moment
            wanted = there + instants.randrange(COUNT - there)
            while count_masks(output) < wanted and process.poll() is None:
                time.sleep(0.002)
            time.sleep(instants.uniform(0, 0.02))
        process.kill()
        process.communicate(timeout=60)
        interrupted += process.returncode == -signal.SIGKILL
        for path in (output / "masks").rglob("*.png"):
            with Image.open(path) as mask:
                mask.load()  # raises on half a file
        if len(masks_of(output)) == COUNT:
            for path in list((output / "masks").rglob("*.png"))[::2]:
                path.unlink()  # give the next run something to do
    assert interrupted > 0
    done = automask("run", folder, *CHEAP, "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    assert masks_of(output) == expected
    assert not list(output.rglob("*automask-tmp"))
    assert automask("status", output, "--verify").returncode == 0


def test_three_kills_and_a_resume(dataset, tmp_path):
    kill_and_resume(dataset, tmp_path / "out", seeds=[1, 2, 3])


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(4))
def test_twenty_kills_and_resumes(dataset, tmp_path, round_):
    kill_and_resume(dataset, tmp_path / "out", seeds=[100 * round_ + index for index in range(5)])
