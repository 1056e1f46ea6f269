"""Stores that lack masks, and images that would share one: whoever trains is told."""

import contextlib
import json
import os
import threading

import pytest
from cli_process import CHEAP, automask, draw_images
from export_cases import export, make_store
from fakes import RedDetector, pipeline, red_on_grey
from PIL import Image

from automask.config import PipelineConfig
from automask.errors import InputError
from automask.run.runner import run_dataset
from automask.store import Store


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, name in enumerate(["a.png", "b.png", "c.png", "d.png"]):
        Image.fromarray(red_on_grey(96, 64, seed=seed)).save(folder / name)
    return folder


def test_an_unfinished_store_tells_what_it_lacks(images, tmp_path):
    stop = threading.Event()

    class Stopping(RedDetector):
        def find(self, image):
            stop.set()
            return super().find(image)

    out = tmp_path / "out"
    config = PipelineConfig.model_validate({"runtime": {"prefetch": 1}})
    run_dataset(images, out, config, stop=stop, pipeline=pipeline(Stopping(), config=config))
    summary = export(out, "onetrainer")
    assert 1 <= summary.images < 4
    assert (summary.unfinished.status, summary.unfinished.owner) == ("interrupted", None)
    assert summary.unfinished.without_mask == 4 - summary.images
    with Store.open(out) as opened, opened.lock():  # the same at work, and killed
        opened.begin_run(config_json=config.model_dump_json(), input_root=str(images), version="1")
        assert export(out, "onetrainer").unfinished.status == "running"
        assert export(out, "onetrainer").unfinished.owner is not None
    assert export(out, "onetrainer").unfinished.status == "interrupted"
    run_dataset(images, out, config, pipeline=pipeline(RedDetector(), config=config))
    assert export(out, "onetrainer").unfinished is None


@pytest.mark.parametrize("owned", [False, True])
def test_an_unfinished_store_is_warned_about(owned, tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    out = tmp_path / "set-masks"
    assert automask("run", folder, *CHEAP, "--no-report", "--quiet").returncode == 0
    draw_images(folder / "new", 1)
    with Store.open(out) as opened, opened.lock() if owned else contextlib.nullcontext():
        last = opened.last_run()
        opened.begin_run(config_json=last.config_json, input_root=last.input_root, version=last.version)
        done = automask("export", out, "--to", "kohya", "--json")
        quiet = automask("export", out, "--to", "kohya", "--quiet")
    assert done.returncode == 0
    assert f"1 image of {folder} has no mask yet" in done.stderr
    assert (f"process {os.getpid()}" if owned else f"`automask run {folder} --output {out}`") in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["without_mask"], summary["last_run"]) == (1, "running" if owned else "interrupted")
    assert quiet.stderr == ""


@pytest.mark.parametrize("name", ["kohya", "coco"])
def test_names_that_differ_in_case_are_both_named(name, images):
    Image.fromarray(red_on_grey(96, 64, seed=5)).save(images / "A.png")
    if len(list(images.glob("*.png"))) < 2:
        pytest.skip("the file system knows no case")
    with pytest.raises(InputError, match=r"upper and lower case.*(A\.png, a\.png|a\.png, A\.png)") as refused:
        export(make_store(images), name)
    assert "differ only in their extension " not in refused.value.message
    assert refused.value.code == "export-collision"
