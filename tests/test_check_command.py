"""`automask check` as a command, and on what `automask export` writes."""

import json
import shutil

import numpy as np
import pytest
from check_cases import ALL, NAMES, right
from cli_process import CHEAP, automask
from PIL import Image

from automask.trainers.conventions import trainer_named

IN_PLACE = ("onetrainer", "musubi", "animalora")


def test_a_right_dataset(tmp_path):
    case = right(tmp_path, "kohya")
    done = automask("check", case.images, "--for", "kohya", "--masks", case.masks, "--training-px", "1024")
    assert done.returncode == 0, done.stderr
    assert "3 images, 3 with a mask" in done.stdout
    assert "nothing found" in done.stdout
    assert "masked_loss = true" in done.stdout
    with Image.open(tmp_path / "images-check-kohya.png") as preview:
        pixels = np.asarray(preview)
    assert min(pixels.shape[:2]) > 200
    assert (pixels == 0).all(axis=2).mean() > 0.01  # the masked cells, black


def test_a_wrong_one_as_json(tmp_path):
    case = right(tmp_path, "onetrainer")
    line = case.edit('"unmasked_weight": 0.0', '"unmasked_weight": 0.1')
    case.mask_path("b.png").unlink()
    done = automask("check", case.images, "--for", "onetrainer", "--config", case.config[0], "--json", "--no-preview")
    assert done.returncode == 8, done.stderr
    report = json.loads(done.stdout)
    assert (report["errors"], report["warnings"]) == (1, 1)
    assert [finding["code"] for finding in report["findings"]] == ["config-key", "masks-missing"]
    assert report["findings"][0]["line"] == line
    assert report["counts"]["with_mask"] == 2
    assert report["images"][0]["regions"][0]["effective_weight"] == pytest.approx(0.1, abs=0.02)
    assert report["preview"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "images"]
    text = automask("check", case.images, "--for", "onetrainer", "--config", case.config[0], "--no-preview").stdout
    assert f"config.json:{line}: unmasked_weight is 0.1" in text


def test_warnings_count_when_strict(tmp_path):
    case = right(tmp_path, "diffusion-pipe")
    case.mask_path("b.png").unlink()
    arguments = ("check", case.images, "--for", "diffusion-pipe", "--masks", case.masks, "--training-px", "256")
    assert automask(*arguments, "--no-preview").returncode == 0
    assert automask(*arguments, "--no-preview", "--strict").returncode == 8


def test_mistakes_of_the_user(tmp_path):
    case = right(tmp_path, "kohya")
    assert automask("check", case.images, "--for", "nobody").returncode == 2
    assert automask("check", case.images, "--for", "kohya").returncode == 2
    assert automask("check", tmp_path / "nowhere", "--for", "kohya", "--masks", case.masks).returncode == 3
    nowhere = automask("check", tmp_path / "nowhere", "--for", "kohya")
    assert (nowhere.returncode, "[input-not-a-folder]" in nowhere.stderr) == (3, True)
    (tmp_path / "bad.toml").write_text("a = = 1")
    assert automask("check", case.images, "--for", "kohya", "--config", tmp_path / "bad.toml").returncode == 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(images, store) of three letterboxed pictures and a clean one, one of them turned by its EXIF data."""
    root = tmp_path_factory.mktemp("export")
    case = right(root, "onetrainer", names=(*NAMES, "d.jpg"))
    for path in case.images.glob("*-masklabel.png"):
        path.unlink()
    for path in [*sorted(case.images.glob("*.png"))[:2], case.images / "d.jpg"]:
        picture = Image.open(path).convert("RGB").resize((640, 480))
        picture.paste("black", (0, 0, 640, 60))
        picture.paste("black", (0, 420, 640, 480))
        exif = Image.Exif()
        if path.suffix == ".jpg":
            exif[0x0112] = 6
        picture.save(path, exif=exif, quality=95)
    assert automask("run", case.images, *CHEAP, "--training-px", "512").returncode == 0
    return case.images, root / "images-masks"


@pytest.mark.parametrize("trainer", ALL)
def test_nothing_is_found_in_our_exports(run, tmp_path, trainer):
    images, store = run
    mine = shutil.copytree(images, tmp_path / "images") if trainer in IN_PLACE else images
    if trainer in IN_PLACE:
        assert automask("run", mine, *CHEAP, "--training-px", "512").returncode == 0
        store = tmp_path / "images-masks"
    out = tmp_path / "out"
    flags = ("--in-place",) if trainer in IN_PLACE else ()
    done = automask("export", store, "--to", trainer, "--output", out, *flags)
    assert done.returncode == 0, done.stderr
    if trainer in ("kohya-alpha", "invoke") or (out / "images").is_dir():
        mine = out / "images"
    configs = [path for path in sorted(out.iterdir()) if path.suffix in (".toml", ".json", ".yaml")]
    masks = ("--masks", out / "masks") if (out / "masks").is_dir() and trainer != "invoke" else ()
    flags = [word for path in configs for word in ("--config", path)]
    if trainer == "invoke":
        mine = out
    checked = automask(
        "check", mine, "--for", trainer, *masks, *flags, "--training-px", "512", "--json", "--no-preview"
    )
    report = json.loads(checked.stdout)
    assert report["findings"] == [], (trainer, sorted(path.name for path in out.iterdir()))
    assert report["counts"]["with_mask"] == report["counts"]["images"] == 4
    assert report["counts"]["with_something_masked"] >= 3
    assert max(image["effective_weight"] for image in report["images"]) <= 0.03
    assert trainer_named(trainer).name == report["trainer"]


def test_large_images_are_looked_at_without_words_of_pillow(tmp_path):
    (tmp_path / "set").mkdir()
    Image.new("L", (9500, 9500), 255).save(tmp_path / "set" / "large.png", compress_level=1)
    masks = shutil.copytree(tmp_path / "set", tmp_path / "masks")
    done = automask("check", tmp_path / "set", "--for", "kohya", "--masks", masks, "--no-preview", "--json")
    assert done.stderr == ""
    assert "unreadable" not in done.stdout
