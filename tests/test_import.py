"""Masks that were drawn elsewhere become corrections; nothing is guessed, nothing is lost."""

import json
import shutil

import numpy as np
import pytest
from export_cases import artefact_of, export, make_store
from fakes import red_on_grey
from PIL import Image

from automask.config import PipelineConfig
from automask.errors import ConfigError, InputError
from automask.importing.coco import counts_of_text
from automask.importing.run import READERS, ImportOptions, import_masks
from automask.store import Store
from automask.trainers.conventions import TRAINERS
from automask.values.brush import decode_brush, encode_brush

NAMES = ["a.png", "b.jpg", "sub/c.png"]


@pytest.fixture
def store(tmp_path):
    for seed, name in enumerate(NAMES):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(red_on_grey(96, 64, seed=seed)).save(path, quality=100)
    return make_store(tmp_path / "images")


def levels_of(store, image_id):
    with Store.open(store, read_only=True) as opened:
        return np.asarray(Image.open(opened.mask_path(opened.lookup(image_id).mask_name)))


def write_mask(folder, name, *, size=(96, 64), masked=slice(0, 16)):
    levels = np.full((size[1], size[0]), 255, dtype=np.uint8)
    levels[masked] = 0
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)
    return levels


def run(store, source, format_="masks", **options):
    return import_masks(store, source, ImportOptions(format=format_, **options))


def test_masks_of_any_folder_are_used_as_they_are(store, tmp_path):
    wanted = write_mask(tmp_path / "mine", "a.png")
    write_mask(tmp_path / "mine", "sub/c.png.png")
    write_mask(tmp_path / "mine", "c.png")  # not in sub/: not guessed
    summary = run(store, tmp_path / "mine", author="ann")
    assert summary.imported == ["a.png", "sub/c.png"]
    assert (summary.unmatched, summary.without) == (("c.png",), 1)
    assert np.array_equal(levels_of(store, "a.png"), wanted)
    with Store.open(store) as opened:
        correction = opened.correction(opened.lookup("a.png").content_sha256)
        assert (correction.author, correction.tool, correction.layers.already_grown) == ("ann", "import-masks", True)
    again = run(store, tmp_path / "mine")
    assert (again.imported, again.unchanged) == ([], ["a.png", "sub/c.png"])


def test_masks_that_look_inverted_are_refused_until_told(store, tmp_path):
    levels = write_mask(tmp_path / "mine", "a.png", masked=slice(16, 64))
    with pytest.raises(ConfigError, match="inverted") as caught:
        run(store, tmp_path / "mine")
    assert caught.value.code == "import-polarity"
    assert run(store, tmp_path / "mine", keeps_polarity=True).imported == ["a.png"]
    assert np.array_equal(levels_of(store, "a.png"), levels)
    assert run(store, tmp_path / "mine", inverts=True, replaces=True).imported == ["a.png"]
    assert np.array_equal(levels_of(store, "a.png"), 255 - levels)


def test_a_persons_correction_is_replaced_only_when_asked(store, tmp_path):
    write_mask(tmp_path / "one", "a.png")
    write_mask(tmp_path / "two", "a.png", masked=slice(0, 8))
    run(store, tmp_path / "one")
    assert run(store, tmp_path / "two").kept == ["a.png"]
    assert run(store, tmp_path / "two", replaces=True, is_dry=True).imported == ["a.png"]
    assert levels_of(store, "a.png")[:16].max() == 0
    run(store, tmp_path / "two", replaces=True)
    assert levels_of(store, "a.png")[8:].min() == 255
    with Store.open(store) as opened:
        assert len(opened.correction_history(opened.lookup("a.png").content_sha256)) == 2


def test_sizes(store, tmp_path):
    write_mask(tmp_path / "mine", "a.png", size=(48, 32), masked=slice(0, 8))
    write_mask(tmp_path / "mine", "b.png", size=(64, 64))
    summary = run(store, tmp_path / "mine")
    assert (summary.imported, summary.resized) == (["a.png"], ["a.png"])
    assert levels_of(store, "a.png").shape == (64, 96)
    assert "not the same shape" in next(iter(summary.unusable.values()))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_what_is_no_grey_mask_is_told(store, tmp_path, mode):
    (tmp_path / "mine").mkdir()
    picture = Image.fromarray(red_on_grey(96, 64, seed=1)) if mode == "RGB" else Image.new(mode, (96, 64))
    picture.save(tmp_path / "mine" / "a.png")
    summary = run(store, tmp_path / "mine", keeps_polarity=True)
    assert summary.imported == []
    assert len(summary.unusable) == 1


def test_one_file_for_two_images_is_refused(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, name in enumerate(["a.png", "a.jpg"]):
        Image.fromarray(red_on_grey(96, 64, seed=seed)).save(folder / name)
    store = make_store(folder)
    write_mask(tmp_path / "mine", "a.png")
    with pytest.raises(InputError, match=r"a\.jpg and of a\.png|a\.png and of a\.jpg") as caught:
        run(store, tmp_path / "mine")
    assert caught.value.code == "import-ambiguous"


def test_nothing_that_fits_is_an_error(store, tmp_path):
    write_mask(tmp_path / "mine", "zebra.png")
    with pytest.raises(InputError) as caught:
        run(store, tmp_path / "mine")
    assert caught.value.code == "import-nothing"


@pytest.fixture
def bare_store(store, tmp_path):
    """A store of the same images in which the person did without text."""
    config = PipelineConfig(policy={"text": {"action": "keep"}})
    shutil.copytree(tmp_path / "images", tmp_path / "bare")
    return make_store(tmp_path / "bare", config=config)


@pytest.mark.parametrize("trainer", sorted(set(TRAINERS)))
def test_masks_of_every_trainer_come_back(store, bare_store, tmp_path, trainer):
    output = export(store, trainer, output=tmp_path / "out", images="link" if trainer != "invoke" else None).output
    folder = output / "masks" if (output / "masks").is_dir() else output / "images"
    before = {name: levels_of(store, name) for name in NAMES}
    store = bare_store
    summary = run(store, folder, trainer)
    assert sorted(summary.imported) == NAMES, summary
    for name in NAMES:
        trained_again = (before[name] < 64) & (levels_of(store, name) > 192)
        assert trained_again.mean() < 0.02, "a trainer may need more growth, never less"


@pytest.mark.parametrize(("format_", "file"), [
    ("coco", "annotations-rle.json"), ("coco", "annotations-polygons.json"),
    ("labelme", "images"), ("labelstudio", "tasks.json"), ("cvat", "annotations.xml"),
])  # fmt: skip
def test_outlines_come_back_and_grow_as_before(store, bare_store, tmp_path, format_, file):
    output = export(store, format_, output=tmp_path / "out").output
    if format_ == "labelstudio":
        submit(output / file)
    before = {name: (artefact_of(store, name), levels_of(store, name)) for name in NAMES}
    store = bare_store
    summary = run(store, output / file, format_)
    assert sorted(summary.imported) == NAMES, summary
    for name, (artefact, levels) in before.items():
        with Store.open(store) as opened:
            layers = opened.correction(opened.lookup(name).content_sha256).layers
        assert not layers.already_grown
        agreement = (layers.add & artefact).sum() / (layers.add | artefact).sum()
        assert agreement == 1.0 if format_ in ("labelstudio", "cvat") or "rle" in file else agreement > 0.9
        assert (levels_of(store, name) != levels).mean() < 0.02


def submit(path):
    """What Label Studio exports once somebody accepted the predictions."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        task["annotations"] = task.pop("predictions")
    path.write_text(json.dumps(tasks))


def test_polygons_and_rectangles_that_label_studio_and_cvat_export(store, tmp_path):
    tasks = [{
        "id": 1,
        "data": {"image": "/data/local-files/?d=images/sub/c.png"},
        "annotations": [{"result": [
            {"type": "rectanglelabels", "original_width": 96, "original_height": 64,
             "value": {"x": 0, "y": 0, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["text"]}},
            {"type": "polygonlabels", "original_width": 96, "original_height": 64,
             "value": {"points": [[50, 50], [100, 50], [100, 100], [50, 100]], "polygonlabels": ["text"]}},
        ]}],
    }]  # fmt: skip
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    (tmp_path / "annotations.xml").write_text(
        '<annotations><image id="0" name="sub/c.png" width="96" height="64">'
        '<box label="text" xtl="0" ytl="0" xbr="48" ybr="16"/>'
        '<polygon label="text" points="48.0,32.0;96.0,32.0;96.0,64.0;48.0,64.0"/></image></annotations>'
    )
    wanted = np.zeros((64, 96), dtype=np.bool_)
    wanted[:16, :48] = wanted[32:, 48:] = True
    for name, format_ in (("tasks.json", "labelstudio"), ("annotations.xml", "cvat")):
        run(store, tmp_path / name, format_, replaces=True)
        with Store.open(store) as opened:
            add = opened.correction(opened.lookup("sub/c.png").content_sha256).layers.add
        assert (add != wanted).mean() < 0.03


def test_brush_run_lengths():
    rng = np.random.default_rng(0)
    for artefact in (rng.random((9, 13)) < 0.5, np.ones((300, 300), dtype=np.bool_), np.zeros((2, 2), dtype=np.bool_)):
        assert np.array_equal(decode_brush(encode_brush(artefact), shape=artefact.shape), artefact)
    with pytest.raises(ValueError, match="cut off"):
        decode_brush(encode_brush(rng.random((9, 13)) < 0.5)[:20], shape=(9, 13))
    with pytest.raises(ValueError, match="px"):
        decode_brush(encode_brush(np.ones((2, 2), dtype=np.bool_)), shape=(3, 3))


def test_compressed_run_lengths_are_those_of_pycocotools():
    mask = pytest.importorskip("pycocotools.mask")
    artefact = np.random.default_rng(3).random((40, 50)) < 0.3
    packed = mask.encode(np.asfortranarray(artefact.astype(np.uint8)))
    from automask.values.rle import coco_counts

    assert counts_of_text(packed["counts"].decode()) == coco_counts(artefact)


def test_every_format_has_a_reader():
    assert set(READERS) == {"masks", "rgba", "coco", "labelme", "labelstudio", "cvat", *TRAINERS}
