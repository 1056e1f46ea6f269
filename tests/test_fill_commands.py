"""`automask fill` and `automask crop` through real processes."""

import json

import numpy as np
import pytest
from cli_process import CHEAP, automask, draw_images
from PIL import Image

from automask.store import Decision, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(images, store): every second picture has bars of 12 px."""
    folder = draw_images(tmp_path_factory.mktemp("fill") / "set", 4)
    (folder / "001.txt").write_text("a circle, letterboxed")
    assert automask("run", folder, *CHEAP).returncode == 0
    return folder, folder.with_name("set-masks")


def snapshot(folder):
    return {p.relative_to(folder): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("fill", ["none", "mean", "blur", "noise", "inpaint"])
def test_fill_writes_copies_and_touches_nothing(made, tmp_path, fill):
    folder, store = made
    before = snapshot(folder)
    done = automask("fill", store, "--fill", fill, "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert snapshot(folder) == before
    assert (summary["changed"], summary["unchanged"]) == ((0, 4) if fill == "none" else (2, 2))
    assert (tmp_path / "out" / "001.txt").read_text() == "a circle, letterboxed"
    assert (tmp_path / "out" / "002.jpg").read_bytes() == (folder / "002.jpg").read_bytes()
    filled = np.asarray(Image.open(tmp_path / "out" / "001.jpg").convert("RGB")).astype(int)
    assert filled.shape == (96, 192, 3)
    assert bool(filled[2:8].mean() < 8) is (fill == "none")  # the bar was black
    again = automask("fill", store, "--fill", fill, "--output", tmp_path / "out")
    assert again.returncode == 0, again.stderr


def test_fill_refuses_the_dataset_and_folders_of_others(made, tmp_path):
    folder, store = made
    for output in (folder, folder / "sub2", store / "x"):
        assert automask("fill", store, "--output", output).returncode == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    done = automask("fill", store, "--output", tmp_path / "mine")
    assert done.returncode == 4
    assert "output-not-ours" in done.stderr
    assert automask("fill", store, "--fill", "magic").returncode == 2


def test_crop_proposes_first(made, tmp_path):
    folder, store = made
    done = automask("crop", store, "--min-side-px", "32", "--json")
    summary = json.loads(done.stdout)
    assert (summary["changed"], summary["unchanged"], summary["output"]) == (2, 2, None)
    crops = {crop["image"]: crop for crop in summary["crops"]}
    x0, y0, x1, y1 = crops["001.jpg"]["box_xyxy"]
    assert (x0, x1) == (0, 192)
    assert abs(y0 - 12) <= 2
    assert abs(y1 - 84) <= 2
    assert crops["001.jpg"]["content_lost"] < 0.05
    assert 0.2 < crops["001.jpg"]["area_lost"] < 0.3
    assert not folder.with_name("set-cropped").exists()
    assert "loses" in automask("crop", store, "--min-side-px", "32").stdout


def test_crop_writes_when_told(made, tmp_path):
    folder, store = made
    before = snapshot(folder)
    done = automask("crop", store, "--write", "--min-side-px", "32", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert snapshot(folder) == before
    with Image.open(tmp_path / "out" / "001.jpg") as cropped:
        assert abs(cropped.height - 72) <= 4
    assert (tmp_path / "out" / "002.jpg").read_bytes() == (folder / "002.jpg").read_bytes()
    assert (tmp_path / "out" / "001.txt").exists()


@pytest.mark.parametrize(
    ("flags", "reason", "word"),
    [
        ([], "small-already", "the image itself has a side under 512 px"),  # 512 px is the least side by default
        (["--min-side-px", "90"], "too-small", "the crop would have a side under 90 px"),
    ],
)
def test_crops_that_are_too_small_are_not_made(made, flags, reason, word):
    _, store = made
    summary = json.loads(automask("crop", store, "--json", *flags).stdout)
    assert (summary["changed"], summary["kept"]) == (0, 2)
    reasons = {whole["image"]: whole["reason"] for whole in summary["whole"]}
    assert reasons == {"001.jpg": reason, "sub/003.png": reason, "002.jpg": "nothing-masked",
                       "sub/000.png": "nothing-masked"}  # fmt: skip
    told = automask("crop", store, *flags).stdout
    assert f"2 not cropped: {word}" in told
    assert f"kept whole: {word}" in told
    assert "2 not cropped: nothing is masked" in told
    assert "lose" not in told.replace("loses", "")


def test_crop_tells_of_images_that_a_person_left_out_and_of_lost_ones(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    assert automask("run", folder, *CHEAP).returncode == 0
    with Store.open(tmp_path / "set-masks") as opened:
        opened.decide(opened.lookup("001.jpg").content_sha256, Decision.EXCLUDED, author="a")
    (folder / "002.jpg").unlink()
    done = automask("crop", tmp_path / "set-masks", "--write", "--json")
    reasons = {whole["image"]: whole["reason"] for whole in json.loads(done.stdout)["whole"]}
    assert reasons == {"001.jpg": "excluded", "002.jpg": "unreadable", "sub/000.png": "nothing-masked"}


def test_a_changed_image_is_named_and_the_others_are_done(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    assert automask("run", folder, *CHEAP).returncode == 0
    Image.new("RGB", (192, 96), "red").save(folder / "001.jpg")
    done = automask("fill", tmp_path / "set-masks")
    assert done.returncode == 8
    assert "image-changed" in done.stderr
    assert (tmp_path / "set-filled" / "sub" / "000.png").exists()


@pytest.mark.parametrize("command", ["fill", "crop"])
def test_help_says_why_masks_are_better(command):
    assert "A mask is better" in " ".join(automask(command, "--help").stdout.split())


def test_excluded_images_are_left_out_and_their_old_copies_removed(made, tmp_path):
    _, store = made
    fill = ("fill", store, "--output", tmp_path / "out", "--json")
    assert automask(*fill).returncode == 0
    before = {path.name for path in (tmp_path / "out").iterdir()}
    with Store.open(store) as opened:
        content = opened.lookup("001.jpg").content_sha256
        opened.decide(content, Decision.EXCLUDED, author="test")
    done = automask(*fill)
    assert json.loads(done.stdout)["excluded"] == 1
    assert "1 images were left out" in done.stderr
    assert before - {path.name for path in (tmp_path / "out").iterdir()} == {"001.jpg"}
    with Store.open(store) as opened:
        opened.decide(content, None, author="test")
    assert json.loads(automask(*fill).stdout)["excluded"] == 0
    assert (tmp_path / "out" / "001.jpg").is_file()
