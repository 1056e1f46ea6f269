"""`automask export` as users call it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_process import CHEAP, automask, command, draw_images, environment
from export_cases import export, tree

from automask.export.manifest import MANIFEST_NAME


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = draw_images(tmp_path_factory.mktemp("cli") / "set", 8)
    done = automask("run", folder, *CHEAP, "--no-report", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder.with_name("set-masks")


def test_an_export_prints_what_to_paste_and_what_to_clear(store, tmp_path):
    done = automask("export", store, "--to", "onetrainer", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert '"unmasked_weight": 0.0' in done.stdout
    assert "latent cache" in done.stdout
    assert done.stderr == ""
    page = (tmp_path / "out" / "HOWTO.txt").read_text()
    assert "White = train" in page
    assert "unmasked_probability = 0.0" in page


def test_json_holds_everything(store, tmp_path):
    done = automask("export", store, "--to", "kohya", "-o", tmp_path / "out", "--json", "--training-px", "768")
    summary = json.loads(done.stdout)
    assert summary["exit_code"] == done.returncode == 0
    assert (summary["images"], summary["format"], summary["polarity"]) == (8, "kohya", "white = train")
    assert Path(summary["snippet"]).read_text() == summary["snippet_text"]
    assert "resolution = 768" in summary["snippet_text"]
    assert any("--masked_loss" in line for line in summary["commands"])


def test_the_list_of_formats_needs_no_store():
    done = automask("export", "--list")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"kohya", "onetrainer", "coco", "huggingface"}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "word"),
    [
        (["--to", "fluxgym"], 2, "plugin-unknown"),
        (["--to", "kohya", "--images", "steal"], 2, "config-invalid"),
        (["--to", "kohya", "--in-place"], 2, "export-in-place"),
        (["--to", "kohya", "--accepted-only"], 2, "export-needs-images"),
        (["--to", "kohya", "--fully-masked", "exclude"], 2, "export-needs-images"),
        (["--to", "kohya", "--training-px", "3"], 2, "config-invalid"),
    ],
)
def test_wrong_options_end_with_a_sentence(arguments, exit_code, word, store):
    done = automask("export", store, *arguments)
    assert done.returncode == exit_code
    assert f"[{word}]" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_folder_without_a_store_is_refused(tmp_path):
    done = automask("export", tmp_path, "--to", "kohya")
    assert (done.returncode, "store-missing" in done.stderr) == (5, True)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("wait_s", [0.0, 0.05, 0.2])
def test_a_killed_export_goes_on(wait_s, store, tmp_path):
    output = tmp_path / "out"
    process = subprocess.Popen(
        command("export", store, "--to", "onetrainer", "--output", output, "--quiet"), env=environment()
    )
    end = time.monotonic() + 60
    while not (output / MANIFEST_NAME).exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(wait_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    export(store, "onetrainer", output=output)
    export(store, "onetrainer", output=tmp_path / "whole")
    left, right = tree(output), tree(tmp_path / "whole")
    for one in (left, right):
        del one[MANIFEST_NAME], one["HOWTO.txt"]  # they hold times and paths
    assert {name for name in left if not name.endswith(".automask-tmp")} == set(right)
    assert all(left[name] == data for name, data in right.items())
