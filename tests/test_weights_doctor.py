"""`automask models doctor`: sane answers are told from those of weights that were never trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx_writer import node, port, write_model
from sam_fakes import FakeBackend, dark
from sam_pairs import write_segment_anything
from typer.testing import CliRunner

from automask.config import RuntimeConfig
from automask.errors import PluginError, WeightsError
from automask.weights import WeightLibrary
from automask_models import commands
from automask_models.doctor import MARK, disc, examine, picture
from automask_models.refiners import sam


def doctor(*words: str):
    return CliRunner().invoke(commands.app, ["doctor", *words, "--json"])


def test_shipped_weights_are_sane():
    done = doctor("automask-ink", "automask-layout", "automask-scene")
    assert done.exit_code == 0, done.output + str(done.exception)
    ink, layout, scene = json.loads(done.stdout)
    assert (ink["stage"], ink["is_sane"], layout["stage"]) == ("ink", True, "edges")
    assert (scene["stage"], scene["is_sane"]) == ("rapidocr", True)
    assert "0 of them" not in ink["answer"], "the mark is lettering, which is what this network finds"
    assert ink["load_s"] > 0
    assert ink["second_s"] > 0
    assert ink["peak_mb"] > 20


def test_a_network_that_outlines_the_disc_is_sane_and_says_so_in_words(tmp_path, monkeypatch):
    (tmp_path / "x.pth").write_bytes(b"x")
    monkeypatch.setattr(sam, "open_backend", lambda path, **options: FakeBackend(dark))
    done = CliRunner().invoke(commands.app, ["doctor", f"sam:{tmp_path / 'x.pth'}"])
    assert done.exit_code == 0, done.output + str(done.exception)
    assert ": sane, outlines the disc in its box with an IoU of 0.9" in done.stdout
    assert "MB" in done.stdout


def test_one_that_outlines_nothing_is_not(tmp_path):
    word = f"sam:{write_segment_anything(tmp_path)}"
    done = doctor(word)
    assert isinstance(done.exception, WeightsError)
    assert done.exception.code == "weights-doubtful"
    (found,) = json.loads(done.stdout)
    assert (found["word"], found["is_sane"]) == (word, False)
    assert "IoU of 0.00" in found["answer"]


def test_a_yolo_that_finds_things_everywhere_is_not_sane(tmp_path):
    """Rows x0 y0 x1 y1 score class of an end-to-end head, the same whatever it is shown."""
    rows = np.array([[8.0 * i, 8.0 * i, 8.0 * i + 40, 8.0 * i + 40, 0.9, 0] for i in range(60)], np.float32)[None]
    for count, is_sane in ((2, True), (60, False)):
        write_model(
            tmp_path / f"{count}.onnx",
            nodes=[
                node("ReduceMean", ["images"], ["mean"], keepdims=0),
                node("Mul", ["mean", "none"], ["zero"]),
                node("Add", ["rows", "zero"], ["output"]),
            ],
            inputs=[port("images", [1, 3, 640, 640])],
            outputs=[port("output", [1, count, 6])],
            constants={"rows": rows[:, :count], "none": np.zeros(1, np.float32)},
            metadata={"names": "{0: 'watermark'}"},
        )
        library = WeightLibrary({}, cache_folder=tmp_path / "cache")
        found = examine(
            "x", reference=str(tmp_path / f"{count}.onnx"), stage="yolo", library=library, runtime=RuntimeConfig()
        )
        assert found.is_sane == is_sane, found


def test_what_runs_it_must_be_known(tmp_path):
    with pytest.raises(PluginError, match="which detector or refiner"):
        examine("x.pth", reference="x.pth", stage="", library=WeightLibrary({}), runtime=RuntimeConfig())


def test_missing_weights_print_the_line_to_run():
    done = doctor("sam2:tiny")
    assert isinstance(done.exception, WeightsError)
    assert "`automask models pull sam2-tiny`" in done.exception.advice


def test_the_picture_shows_what_it_says():
    pixels, shape = picture(), disc()
    assert pixels[shape].max() < 100
    assert pixels[MARK.slices].max() == 255
    assert not shape[MARK.slices].any()


@pytest.mark.slow
def test_untrained_weights_of_a_family_are_told(tmp_path: Path):
    from sam_checkpoints import write_sam3_tracker

    write_sam3_tracker(tmp_path / "net")
    done = doctor(f"sam3:{tmp_path / 'net'}")
    assert isinstance(done.exception, WeightsError)
    assert done.exception.code == "weights-doubtful"
