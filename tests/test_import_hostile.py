"""Whatever a file says: no crash, no half of an import, and no mask that masks nothing unless that was asked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_process import automask
from export_cases import make_store
from fakes import red_on_grey
from import_cases import (
    ROUNDS,
    SIZE_PX,
    added,
    attempt,
    levels_of,
    make_import_store,
    masked_nothing,
    run,
    state_of,
)
from PIL import Image, ImageOps

from automask.config import PipelineConfig
from automask.errors import ConfigError, InputError
from automask.run.runner import run_dataset

DATA = Path(__file__).parent / "data" / "import"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_import_store(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def store(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "store"))


@pytest.mark.parametrize("name", ["coco-rle", "labelme", "labelstudio", "cvat"])
@pytest.mark.parametrize("content", [
    b"", b"\x00\xff", b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a": ' * 50_000, b"<annotations",
    b"\xef\xbb\xbf[]",
    b"9" * 5_000, "[1]".encode("utf-16"), b"<!DOCTYPE a [<!ENTITY b 'c'>]><annotations/>", b"NaN", b"null",
])  # fmt: skip
def test_files_that_are_nothing(store, tmp_path, name, content):
    before = state_of(store)
    summary = attempt(store, tmp_path / "in", name, lambda file: file.write_bytes(content))
    assert summary is None or summary.imported == []
    assert state_of(store) == before


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"zebra", b"II*\x00\x08\x00\x00\x00\xff\xff"]
)
def test_masks_that_are_no_pictures(store, tmp_path, content):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(content)
    before = state_of(store)
    assert len(run(store, tmp_path / "in").unusable) == 1
    assert state_of(store) == before


EMPTY = {
    "coco-rle": json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": []}),
    "labelme": json.dumps({"shapes": [], "imagePath": "a.png"}),
    "labelstudio": json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": []}]}]),
    "cvat": '<annotations><image name="a.png" width="96" height="64"/></annotations>',
}


@pytest.mark.parametrize("name", sorted(EMPTY))
def test_an_empty_entry_skips_its_image_until_told(store, tmp_path, name):
    case, before = ROUNDS[name], state_of(store)
    summary = attempt(store, tmp_path / "in", name, lambda file: file.write_text(EMPTY[name]))
    assert (summary.imported, summary.would_empty, summary.masking_nothing) == ([], ["a.png"], 0)
    assert state_of(store) == before
    source = tmp_path / "in" if name == "labelme" else next((tmp_path / "in").iterdir())
    dry = run(store, source, case.format, allows_empty=True, is_dry=True)
    assert (dry.emptied, state_of(store)) == (["a.png"], before)
    summary = run(store, source, case.format, allows_empty=True)
    assert (summary.imported, summary.emptied, summary.masking_nothing) == (["a.png"], ["a.png"], 1)
    assert masked_nothing(store) == ["a.png"]
    assert run(store, source, case.format).unchanged == ["a.png"], "it masks nothing already"


def write_levels(folder, **levels):
    folder.mkdir(exist_ok=True)
    for stem, pixels in levels.items():
        Image.fromarray(pixels).save(folder / f"{stem}.png")


def half(value, masked=0, rows=16):
    pixels = np.full((SIZE_PX[1], SIZE_PX[0]), value, dtype=np.uint8)
    pixels[:rows] = masked
    return pixels


def test_white_masks_empty_nothing_and_the_rest_imports(store, tmp_path):
    write_levels(tmp_path / "in", a=half(255, masked=255), b=half(255))
    summary = run(store, tmp_path / "in")
    assert (summary.imported, summary.would_empty) == (["b.jpg"], ["a.png"])
    assert masked_nothing(store) == []


class TestBinaryMasks:
    def test_0_and_1_are_read_as_0_and_255(self, store, tmp_path):
        write_levels(tmp_path / "in", a=half(1))
        summary = run(store, tmp_path / "in")
        assert (summary.imported, summary.binary) == (["a.png"], ["a.png"])
        assert np.array_equal(levels_of(store, "a.png"), half(255))

    def test_they_are_inverted_as_such(self, store, tmp_path):
        write_levels(tmp_path / "in", a=half(0, masked=1))
        with pytest.raises(ConfigError, match="0 and 1") as caught:
            run(store, tmp_path / "in")
        assert (caught.value.code, "--invert" in caught.value.advice) == ("import-polarity", True)
        run(store, tmp_path / "in", inverts=True)
        assert np.array_equal(levels_of(store, "a.png"), half(255))

    def test_in_the_alpha_channel(self, store, tmp_path):
        pixels = np.dstack([np.full((SIZE_PX[1], SIZE_PX[0], 3), 7, dtype=np.uint8), half(1)])
        write_levels(tmp_path / "in", a=pixels)
        assert run(store, tmp_path / "in", "rgba").binary == ["a.png"]
        assert np.array_equal(levels_of(store, "a.png"), half(255))

    @pytest.mark.parametrize("highest", [2, 3, 15])
    def test_numbers_of_classes_are_no_weights(self, store, tmp_path, highest):
        write_levels(tmp_path / "in", a=half(highest, masked=1))
        assert "classes" in next(iter(run(store, tmp_path / "in").unusable.values()))

    def test_one_bit_and_all_black_masks_are_what_they_were(self, store, tmp_path):
        write_levels(tmp_path / "in", a=half(255) > 0, b=half(0))
        summary = run(store, tmp_path / "in", keeps_polarity=True)
        assert (summary.imported, summary.binary) == (["a.png", "b.jpg"], [])
        assert np.array_equal(levels_of(store, "a.png"), half(255))
        assert levels_of(store, "b.jpg").max() == 0


@pytest.mark.parametrize("mode", ["LA", "RGBA", "RGB", "P", "1"])
def test_modes_that_say_the_same(store, tmp_path, mode):
    (tmp_path / "in").mkdir()
    Image.fromarray(half(255)).convert(mode).save(tmp_path / "in" / "a.png")
    assert run(store, tmp_path / "in").imported == ["a.png"]
    assert np.array_equal(levels_of(store, "a.png"), half(255))


def test_masks_lie_as_their_trainer_reads_them(store, tmp_path):
    write_levels(tmp_path / "in", turned=half(255))
    run(store, tmp_path / "in", "kohya")  # reads the pixels of the file, which lie upside down
    assert np.array_equal(levels_of(store, "turned.jpg"), half(255)[::-1])
    run(store, tmp_path / "in", "masks", replaces=True)
    assert np.array_equal(levels_of(store, "turned.jpg"), half(255))


def test_images_are_no_masks_of_themselves(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(half(255, masked=90)).save(tmp_path / "images" / "a.png")
    root = make_store(tmp_path / "images")
    summary = run(root, tmp_path / "images", keeps_polarity=True)
    assert summary.imported == []
    assert "the image itself" in next(iter(summary.unusable.values()))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_files_on_their_side(tmp_path, orientation):
    """Programs that ignore EXIF draw on the pixels as they lie in the file."""
    (tmp_path / "images").mkdir()
    picture = Image.fromarray(red_on_grey(*SIZE_PX))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "images" / "a.jpg", exif=exif)
    root = make_store(tmp_path / "images")
    mask = Image.fromarray(half(255, rows=10))
    upright = np.asarray(ImageOps.exif_transpose(_with_exif(mask, exif)))
    write_levels(tmp_path / "in", a=np.asarray(mask))
    run(root, tmp_path / "in", "kohya")
    assert np.array_equal(levels_of(root, "a.jpg"), upright)
    if orientation >= 5:  # the size tells
        image = {"id": 1, "file_name": "a.jpg", "width": SIZE_PX[0], "height": SIZE_PX[1]}
        content = {"images": [image], "annotations": [{"image_id": 1, "bbox": [0, 0, SIZE_PX[0], 10]}]}
        (tmp_path / "in.json").write_text(json.dumps(content))
        run(root, tmp_path / "in.json", "coco", replaces=True)
        assert (added(root, "a.jpg") != (upright == 0)).mean() < 0.02
        run(root, tmp_path / "in", "masks", replaces=True)
        assert np.array_equal(levels_of(root, "a.jpg"), upright)


def _with_exif(picture, exif):
    picture.getexif().update(exif)
    return picture


def test_two_copies_of_one_picture_with_two_masks(original, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(original.with_name("images"), folder)
    shutil.copy(folder / "a.png", folder / "copy.png")
    root = make_store(folder)
    write_levels(tmp_path / "in", a=half(255), copy=half(255, rows=20))
    summary = run(root, tmp_path / "in")
    assert summary.imported == ["a.png"]
    assert "same picture" in next(iter(summary.unusable.values()))
    assert np.array_equal(levels_of(root, "copy.png"), half(255)), "a correction belongs to the pixels"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    shutil.copytree(DATA / "images", folder / "images")
    config = PipelineConfig(detectors=("edges",), dataset_detectors=(), refiner="polygon")
    run_dataset(folder / "images", folder / "store", config)
    return folder / "store"


class TestSmallInputs:
    """Files made after bug reports."""

    @pytest.fixture
    def small(self, pristine, tmp_path):
        return Path(shutil.copytree(pristine, tmp_path / "small"))

    @pytest.mark.parametrize(("source", "format_", "wanted"), [
        ("labelstudio/ellipse.json", "labelstudio", ["a.jpg", "d.jpg"]),
        ("labelstudio/separate-tags.json", "labelstudio", ["a.jpg", "d.jpg"]),
        ("labelstudio/upload-prefix.json", "labelstudio", ["a.jpg", "b c.png", "d.jpg"]),
        ("labelme", "labelme", ["a.jpg", "d.jpg"]),
        ("x-anylabeling", "labelme", ["a.jpg", "d.jpg"]),
        ("masks-0-and-1", "masks", ["a.jpg", "d.jpg"]),
    ])  # fmt: skip
    def test_each_is_drawn(self, small, source, format_, wanted):
        summary = run(small, DATA / source, format_)
        assert (summary.imported, summary.unusable, summary.emptied) == (wanted, {}, [])
        for name in wanted:
            assert 0 < (levels_of(small, name) < 128).mean() < 0.5

    def test_json_that_is_no_annotation(self, small):
        before = state_of(small)
        with pytest.raises(InputError, match="no shapes") as caught:
            run(small, DATA / "foreign-json", "labelme", allows_empty=True)
        assert caught.value.code == "import-nothing"
        assert state_of(small) == before

    def test_json_that_is_no_annotation_beside_some_that_is(self, small, tmp_path):
        shutil.copytree(DATA / "foreign-json", tmp_path / "in")
        shutil.copy(DATA / "labelme" / "d.json", tmp_path / "in")
        summary = run(small, tmp_path / "in", "labelme")
        assert (summary.imported, len(summary.left_alone)) == (["d.jpg"], 1)


def test_the_command_says_what_it_did(store, tmp_path):
    write_levels(tmp_path / "in", a=half(255, masked=255), b=half(1))
    told = automask("import", store, "--from", tmp_path / "in")
    assert told.returncode == 8
    for words in ("1 masks are corrections now", "values 0 and 1", "see --allow-empty: a.png", "2 images of the store"):
        assert words in told.stdout
    told = automask("import", store, "--from", tmp_path / "in", "--allow-empty")
    assert told.returncode == 0
    assert "1 images of the store mask nothing now, 1 of them by this import" in told.stdout


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_control_characters_of_a_file_reach_no_terminal(store, tmp_path, flags):
    images = [{"id": 1, "file_name": "\x1b[2J\ud800.png"}, {"id": 2, "file_name": "a.png"}]
    content = {"images": images, "annotations": [{"image_id": 2, "bbox": ["\x1b"] * 4}]}
    (tmp_path / "in.json").write_text(json.dumps(content))
    told = automask("import", store, "--from", tmp_path / "in.json", "--format", "coco", *flags)
    assert (told.returncode, told.stderr) == (8, "")
    assert "?[2J?.png" in told.stdout
    assert "\x1b" not in told.stdout
