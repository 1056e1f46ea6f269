"""The commands beside `run`."""

import io
import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from cli_process import CHEAP, automask, draw_images, environment, install_detector, masks_of
from PIL import Image

from automask.version import __version__


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store over four images, to look at or to copy."""
    folder = draw_images(tmp_path_factory.mktemp("commands") / "set", 4)
    assert automask("run", folder, *CHEAP).returncode == 0
    return folder.with_name("set-masks")


@pytest.fixture
def store(finished, tmp_path):
    """The same store, to change."""
    return shutil.copytree(finished, tmp_path / "store")


def level_share(data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as mask:
        return float((np.asarray(mask) == 0).mean())


def test_version():
    assert automask("--version").stdout.strip() == __version__


def test_render_changes_masks_without_models_and_keeps_the_rest(store):
    before = masks_of(store)
    done = automask("render", store, "--growth-cells", "3", "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["written"]) == (0, {"rendered": 4})
    wider = masks_of(store)
    assert level_share(wider["001.png"]) > level_share(before["001.png"])
    kept = json.loads(automask("render", store, "--policy", "frame=keep", "--json").stdout)
    assert kept["written"] == {"rendered": 4}
    assert level_share(masks_of(store)["001.png"]) == 0
    automask("render", store, "--policy", "frame=mask")
    assert masks_of(store) == wider  # the growth of the first command still counts
    automask("render", store, "--growth-cells", "1")
    assert masks_of(store) == before


def test_render_of_the_same_settings_draws_nothing(store):
    assert json.loads(automask("render", store, "--json").stdout)["reused"] == 4


def test_render_with_a_partial_weight_is_grey(store):
    automask("render", store, "--weight", "frame=0.5")
    mask = np.asarray(Image.open(store / "masks" / "001.png"))
    assert set(np.unique(mask)) == {128, 255}


def test_render_from_a_file(store, tmp_path):
    (tmp_path / "r.toml").write_text("[render]\ngrowth_cells = 4\n")
    before = masks_of(store)
    assert automask("render", store, "--config", tmp_path / "r.toml").returncode == 0
    assert level_share(masks_of(store)["001.png"]) > level_share(before["001.png"])


def test_render_keeps_a_mask_that_a_person_painted(store):
    painted = np.full((96, 192), 255, dtype=np.uint8)
    painted[30:60, 30:60] = 0
    Image.fromarray(painted).save(store / "masks" / "002.png")
    done = automask("render", store, "--growth-cells", "3")
    assert done.returncode == 0, done.stderr
    assert "mask-edited" in done.stderr
    assert (np.asarray(Image.open(store / "masks" / "002.png")) == painted).all()


def test_show_draws_the_image_with_its_mask(finished, tmp_path):
    done = automask("show", finished, "001.jpg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "001-mask.png"
    with Image.open(tmp_path / "001-mask.png") as picture, Image.open(finished.with_name("set") / "001.jpg") as image:
        assert picture.size == image.size
        red, _, blue = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[:, 5, 100]
        assert red > blue + 60  # a bar, tinted


def test_show_of_an_unknown_image(finished):
    done = automask("show", finished, "nosuch.jpg")
    assert (done.returncode, done.stdout) == (3, "")
    assert "[image-unknown]" in done.stderr


def test_status(finished):
    done = automask("status", finished)
    assert done.returncode == 0
    assert "4 masks, 0 failed" in done.stdout
    content = json.loads(automask("status", finished, "--json", "--verify").stdout)
    assert content["counts"]["done"] == 4
    assert content["problems"] == []
    assert content["last_run"]["status"] == "done"


def test_status_updates_a_store_of_an_older_version(tmp_path):
    old = tmp_path / "old"
    shutil.copytree(Path(__file__).parent / "data" / "store_v1", old)
    refused = automask("export", old, "--output", tmp_path / "out", "--to", "kohya")
    assert refused.returncode == 5
    assert "`automask status`" in refused.stderr
    assert automask("status", old).returncode == 0
    assert (old / "automask.v1.backup.sqlite").is_file()
    assert json.loads(automask("status", old, "--json").stdout)["counts"]["done"] == 1


def test_status_finds_a_damaged_mask_and_run_repairs_it(store):
    (store / "masks" / "001.png").write_bytes(b"x")
    done = automask("status", store, "--verify")
    assert done.returncode == 5
    assert "mask-changed" in done.stdout
    assert "Traceback" not in done.stderr


def test_report_again(store):
    (store / "report" / "index.html").unlink()
    done = automask("report", store)
    assert done.stdout.strip() == str(store / "report" / "index.html")
    assert (store / "report" / "index.html").is_file()


def test_a_detector_and_a_refiner_of_one_name_share_a_table(tmp_path):
    shown = automask("run", "--print-config", "--option", "ink.reading=false", "--option", "ink.threshold=0.2").stdout
    assert shown.count("[options.ink]") == 1
    assert tomllib.loads(shown)["options"]["ink"].items() >= {"reading": False, "threshold": 0.2}.items()
    (tmp_path / "a.toml").write_text(shown)
    assert automask("run", "--config", tmp_path / "a.toml", "--print-config").stdout == shown
    refused = automask("run", "--print-config", "--option", "ink.colour=red", "--option", "ink.reading=false")
    assert refused.returncode == 2
    assert "unknown option 'options.ink.colour'" in refused.stderr


def test_options_of_a_stage_that_shares_its_name_with_one_that_runs_are_checked_and_kept():
    cheap = ("run", "--print-config", "--detectors", "none", "--refiner", "ink", "--option", "ink.reading=false")
    assert tomllib.loads(automask(*cheap).stdout)["options"]["ink"]["reading"] is False
    refused = automask(*cheap, "--option", "ink.min_confidence=7")
    assert refused.returncode == 2
    assert "options.ink.min_confidence" in refused.stderr


def test_print_config_is_read_back(tmp_path):
    (tmp_path / "a.toml").write_text('detectors = ["edges"]\nrefiner = "cluster"\n[options.cluster]\ncolours = 4\n')
    first = automask("run", "--config", tmp_path / "a.toml", "--weight", "text=0.25", "--print-config")
    assert first.returncode == 0, first.stderr
    assert "colours = 4" in first.stdout
    assert re.search(r"\[policy\.text\][^\[]*weight = 0\.25", first.stdout)
    (tmp_path / "b.toml").write_text(first.stdout)
    assert automask("run", "--config", tmp_path / "b.toml", "--print-config").stdout == first.stdout


def test_stage_options_are_typed_as_toml_is():
    shown = automask("run", "--print-config", "--refiner", "cluster", "--option", "cluster.colours=5").stdout
    assert "colours = 5" in shown
    refused = automask("run", "--print-config", "--refiner", "cluster", "--option", "cluster.colours=many")
    assert refused.returncode == 2
    assert "options.cluster.colours" in refused.stderr


def test_bench_prints_leak_and_waste(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (256, 256), (120, 130, 140)).save(tmp_path / name)
    truth = np.zeros((256, 256), dtype=np.uint8)
    truth[:64] = 255
    Image.fromarray(truth).save(tmp_path / "a.mask.png")
    entries = [
        {"kind": "frame", "source": "one", "image": "a.png", "mask": "a.mask.png", "truth": "pixels"},
        {"kind": "clean", "source": "two", "image": "b.png", "mask": None, "truth": "nothing"},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    body = "return [[Region(Kind.FRAME, Box(0, 0, image.width_px, 64), 0.9, 'top')] for image in images]"
    env = environment(install_detector(tmp_path / "plugins", "top", body))
    done = automask("bench", tmp_path / "manifest.json", "--detectors", "top", "--save", tmp_path / "f.json", env=env)
    assert done.returncode == 0, done.stderr
    leak = next(line for line in done.stdout.splitlines() if "frame/one" in line).split("|")[3]
    waste = next(line for line in done.stdout.splitlines() if "clean/two" in line).split("|")[4]
    assert float(leak) == 0.0
    assert float(waste) > 0.2
    assert len(json.loads((tmp_path / "f.json").read_text())["images"]) == 2


def test_bench_refuses_a_bad_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text('[{"kind": "text"}]')
    done = automask("bench", tmp_path / "manifest.json", *CHEAP)
    assert done.returncode == 3
    assert "docs/bench.md" in done.stderr


def test_bench_fails_loudly_when_the_metric_is_off(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "manifest.json").write_text(
        json.dumps([{"kind": "clean", "source": "s", "image": "a.png", "truth": "nothing"}])
    )
    cases = tmp_path / "metric_cases"
    cases.mkdir()
    Image.new("L", (64, 64), 255).save(cases / "one.truth.png")
    Image.new("L", (64, 64), 255).save(cases / "one.mask.png")
    (cases / "cases.json").write_text(json.dumps([{"name": "one", "leak": 0.5, "waste": None}]))
    done = automask("bench", tmp_path / "manifest.json", *CHEAP)
    assert done.returncode == 1
    assert "[metric-cases]" in done.stderr
