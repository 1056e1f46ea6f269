"""What was learned from running exports through the trainers' own loaders, for every trainer."""

import json
import tomllib

import numpy as np
import pytest
import yaml
from export_cases import artefact_of, export, make_store, photograph, write_on
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from trainer_loaders import LOADERS, blocks

from automask.trainers.buckets import kohya_bucket
from automask.trainers.conventions import TRAINERS, trainer_named

_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """One picture in the eight EXIF orientations."""
    folder = tmp_path_factory.mktemp("turned") / "images"
    folder.mkdir()
    painted = write_on(photograph("rocket.jpg", (900, 640)), lines=3, seed=4)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = painted.transpose(_UNDO[orientation]) if orientation > 1 else painted
        stored.save(folder / f"o{orientation}.jpg", quality=100, subsampling=0, exif=exif)
    return folder


@pytest.fixture(scope="module")
def turned_store(turned):
    return make_store(turned)


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_masks_lie_as_the_trainer_decodes_the_image(name, turned, turned_store, tmp_path):
    export(turned_store, name, output=tmp_path)
    for orientation in range(1, 9):
        image = turned / f"o{orientation}.jpg"
        seen = LOADERS[name](image, tmp_path, turned)
        covered = seen.follow(artefact_of(turned_store, image.name)) > 0.02
        assert covered.sum() > 20
        assert seen.cells[covered].mean() <= 0.03, orientation
        assert seen.cells.mean() > 0.5


@pytest.mark.parametrize("name", ["grey", "rgba", "huggingface"])
def test_other_formats_are_upright(name, turned, turned_store, tmp_path):
    """Whoever opens these turns images upright; eight files of one picture have one mask."""
    export(turned_store, name, output=tmp_path)
    levels = []
    for orientation in range(1, 9):
        path = next(p for p in sorted(tmp_path.rglob(f"o{orientation}.png")) if not p.is_symlink())
        with Image.open(path) as opened:
            levels.append(np.asarray(opened.getchannel(opened.getbands()[-1])))
    assert {one.shape for one in levels} == {(640, 900)}
    assert levels[0].min() == 0
    for one in levels[1:]:
        assert (one != levels[0]).mean() < 0.01


sides = st.integers(300, 2600)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.tuples(*[st.floats(0, 0.95)] * 2), st.tuples(*[st.floats(0.02, 0.5)] * 2))
def test_kohyas_masks_fit_whether_they_are_cropped_or_stretched(width_px, height_px, corner, extent):
    width_px, height_px = width_px // 2, height_px // 2
    levels = np.full((height_px, width_px), 255, dtype=np.uint8)
    x, y = int(corner[0] * width_px), int(corner[1] * height_px)
    levels[y : y + int(extent[1] * height_px) + 1, x : x + int(extent[0] * width_px) + 1] = 0
    both = trainer_named("kohya").fits_both_ways(levels, training_px=512).astype(np.float32) / 255
    bucket = kohya_bucket(width_px, height_px, 512)
    wanted = bucket.fitted(levels.astype(np.float32) / 255)
    for seen in (bucket.fitted(both), bucket.stretched(both)):
        assert np.all(blocks(seen) <= blocks(wanted) + 0.04)  # half a pixel of blending at an edge
    assert np.all(both <= levels.astype(np.float32) / 255)


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_only_what_the_trainer_reads_is_exported_and_the_rest_is_named(name, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = ["a.png", "b.Jpg", "c.JPG", "d.avif", "e.gif", "f.bmp", "g.tif"]
    for file in names:
        write_on(photograph("rocket.jpg", (300, 240)), lines=1).save(folder / file)
    summary = export(make_store(folder), name, output=tmp_path / "out")
    trainer = trainer_named(name)
    read = names if name == "kohya-alpha" else [file for file in names if trainer.reads_name(file)]
    assert summary.left_out.get("not-read-by-trainer", ()) == tuple(file for file in names if file not in read)
    assert summary.images == len(read)
    assert {"a.png", "c.JPG"} <= set(read)


READS = {
    "kohya": {"a.png", "c.JPG", "f.bmp"},
    "musubi-fork": {"a.png", "c.JPG", "d.avif", "f.bmp"},
    "ai-toolkit": {"a.png", "b.Jpg", "c.JPG"},
    "onetrainer": {"a.png", "b.Jpg", "c.JPG", "d.avif", "f.bmp", "g.tif"},
    "animalora": {"a.png", "b.Jpg", "c.JPG", "e.gif", "f.bmp"},
}


@pytest.mark.parametrize("name", READS)
def test_endings_that_trainers_read(name):
    names = ["a.png", "b.Jpg", "c.JPG", "d.avif", "e.gif", "f.bmp", "g.tif"]
    assert {file for file in names if trainer_named(name).reads_name(file)} == READS[name]


def test_what_is_printed_is_what_the_trainer_needs(turned_store, tmp_path):
    def printed(name):
        return export(turned_store, name, output=tmp_path / name).snippet

    assert [entry["crop_style"] for entry in json.loads(printed("simpletuner").text)] == ["center", "center"]
    assert printed("animalora").name.endswith(".yaml")
    assert yaml.safe_load(printed("animalora").text) == {"masked_loss": True}
    (subset,) = tomllib.loads(printed("kohya-alpha").text)["datasets"][0]["subsets"]
    assert subset["resize_interpolation"] == "bicubic"
    assert "extra keys not allowed" in printed("musubi").text
    fork = tomllib.loads(printed("musubi-fork").text)["datasets"][0]
    assert fork["loss_mask_directory"] == str(tmp_path / "musubi-fork" / "masks")
    assert "latent cells of 32 px" in (tmp_path / "musubi-fork" / "HOWTO.txt").read_text()


def test_simpletuner_is_told_which_version_reads_sub_folders(tmp_path):
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    write_on(photograph("rocket.jpg", (300, 240)), lines=1).save(folder / "sub" / "a.png")
    store = make_store(folder)
    commands = export(store, "simpletuner", output=tmp_path / "tree").snippet.command
    assert any("4.9.2" in command and "--flatten" in command for command in commands)
    flat = export(store, "simpletuner", output=tmp_path / "flat", flatten=True, images="link").snippet.command
    assert not any("4.9.2" in command for command in flat)
    assert (tmp_path / "flat" / "masks" / "sub__a.png").is_file()
