"""Ctrl-C while something is made of the masks: it ends in time, and what is there is whole and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_process import CHEAP, automask, draw_images, environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

SLACK_S = 1  # of a busy machine
LISTS = {"automask-export.jsonl"}
"""Of what was written; it is there from the beginning, gets lines meanwhile, and is written again at the end."""
STUCK = """
import hashlib, os, sys
from automask.cli import main
replace, left = os.replace, [{before}]
def stuck(*names, **options):
    left[0] -= 1
    if left[0] < 0:
        open({mark!r}, "w").close()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes in C, as where a disk does not answer
    return replace(*names, **options)
os.replace = stuck
main()
"""
COMMANDS = {
    "export": ("export", "{masks}", "--to", "onetrainer", "--images", "copy", "--output", "{out}"),
    "fill": ("fill", "{masks}", "--fill", "mean", "--output", "{out}"),
    "crop": ("crop", "{masks}", "--write", "--output", "{out}"),
    "report": ("report", "{masks}"),
}
SUFFIXES = {
    "export": {".png", ".jpg", ".txt", ".json", ".jsonl"},
    "fill": {".png", ".jpg", ".json"},
    "crop": {".png", ".jpg", ".json"},
    "report": {".html"},
}
"""What is compared, at least."""
PLACES = [("export", 4), ("export", 13), ("export", 25), ("export", 27), ("fill", 4), ("crop", 4), ("report", 4)]
"""Files that are in place when it gets stuck: for `export` amid images, captions, settings and before its list."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = draw_images(tmp_path_factory.mktemp("made") / "set", 8)
    for image in [*folder.rglob("*.png"), *folder.rglob("*.jpg")]:
        image.with_suffix(".txt").write_text(f"a caption of {image.stem}\n", encoding="utf-8")
    assert automask("run", folder, *CHEAP, "--no-report").returncode == 0
    return folder.parent


def contents(folder: Path) -> dict[str, object]:
    """Every file below; of lists the last line about each file, without its time."""
    return {
        path.relative_to(folder).as_posix(): listed(path) if path.name in LISTS else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def listed(path) -> dict[str, dict]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line.get("name", "header"): {**line, "mtime_ns": None} for line in lines}


@pytest.mark.parametrize(("name", "before"), PLACES)
def test_one_interrupt_ends_it_in_time_and_nothing_is_half_written(made, tmp_path, name, before):
    def arguments(out) -> list[str]:
        return [part.format(masks=made / "set-masks", out=out) for part in COMMANDS[name]]

    out = made / "set-masks" / "report" if name == "report" else tmp_path / "out"
    mark = tmp_path / "stuck"
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK.format(before=before, mark=str(mark)), *arguments(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    while not mark.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - started < 5 + SLACK_S
    assert process.returncode == 130
    early = contents(out)
    again = automask(*arguments(out))
    assert again.returncode == 0, again.stderr
    whole = contents(out)
    assert {Path(path).suffix for path in whole} >= {*SUFFIXES[name]}
    half = [path for path, data in early.items() if whole.get(path) != data and Path(path).name not in LISTS]
    assert not half, half
    if name != "report":
        out.rename(tmp_path / "went on")
        assert automask(*arguments(out)).returncode == 0
        assert whole == contents(out), "as if nothing had happened"
    assert not [path for path in tmp_path.rglob("*tmp*")], "nor does a temporary file stay"
