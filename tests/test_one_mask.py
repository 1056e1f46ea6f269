"""The page, the file, `show` and every export are one mask, to the byte."""

import json
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_process import automask
from export_cases import export
from one_mask_cases import NAMES, SETTINGS, make_set, some_layers, some_result
from page_drawing import page_levels
from PIL import Image
from review_cases import CONFIG, stored_levels

from automask.config import PipelineConfig, PolicyConfig
from automask.fill.source import StoreSource
from automask.mask.drawing import draw
from automask.report.source import ReportSource
from automask.run.loaded import Loaded, is_current
from automask.run.redraw import redraw_store
from automask.store import Store
from automask.trainers.conventions import TRAINERS
from automask.values.types import Kind

pytest.importorskip("fastapi", reason="needs the extra api")

from automask_api.review import documents
from automask_api.review.routes import image_document
from automask_api.review.source import ReviewSource, token_of


def some_config(rng):
    policy = {
        kind.value: {
            "action": str(rng.choice(["mask", "mask", "review", "keep"])),
            "weight": float(rng.choice([0.0, 0.0, 0.1, 0.3, 0.30001, 0.5, 1.0])),
            "accept": float(rng.choice([0.3, 0.5, 0.8])),
        }
        for kind in Kind
    }
    render = {
        "training_px": int(rng.choice([128, 512, 1024])),
        "cell_px": int(rng.choice([8, 16])),
        "growth_cells": float(rng.choice([0, 0.3, 1, 2.5])),
        "fill_holes_cells": float(rng.choice([0, 1, 2, 5])),
    }
    return PipelineConfig.model_validate({"policy": policy, "render": render})


def described(config, result, layers):
    """What the page is told of a result that lies in no store."""
    return {
        "id": result.image_id,
        "width_px": result.width_px,
        "height_px": result.height_px,
        "regions": [one.model_dump(mode="json") for one in documents.region_documents(result, config, layers)],
        "grid": documents.GridDocument.of(result.width_px, result.height_px, config).model_dump(mode="json"),
        "weights": {kind.value: weight for kind, weight in documents.kind_weights(config).items()},
        "levels": {kind.value: level for kind, level in documents.kind_levels(config).items()},
        "correction": (
            {"layers": documents.LayersDocument.of(layers).model_dump(mode="json")} if layers is not None else None
        ),
    }


def test_the_page_draws_what_python_draws(tmp_path):
    rng = np.random.default_rng(15)
    cases = []
    for _ in range(150):
        result, config = some_result(rng), some_config(rng)
        cases.append((result, config, some_layers(rng, result) if rng.random() < 0.7 else None))
    drawn = page_levels([described(config, result, layers) for result, config, layers in cases], tmp_path)
    for number, ((result, config, layers), levels) in enumerate(zip(cases, drawn, strict=True)):
        wanted = draw(result, config, layers).mask.levels
        wrong = np.argwhere(levels != wanted)
        assert not len(wrong), (number, wrong[:3], levels[tuple(wrong[0])], wanted[tuple(wrong[0])], config, layers)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set"))


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


def page_of(root, folder):
    with ReviewSource.open(root, author="ann") as source:
        rows = {name: source.row(token_of(name)) for name in NAMES}
        documents = [image_document(source, row).model_dump(mode="json") for row in rows.values()]
    return dict(zip(rows, page_levels(documents, folder), strict=True))


def exported(folder, name):
    with Image.open(folder / "masks" / name) as mask:
        return np.asarray(mask)


def test_a_mark_cuts_what_it_explains_also_where_nothing_else_merges(root):
    """Two things stay two, and one of them is smaller than what was found."""
    with Store.open(root, read_only=True) as store:
        loaded = Loaded.of(store, store.lookup("cut.png"))
    things = {one.region.source: one for one in loaded.drawn(SETTINGS).things}
    assert set(things) == {"rapidocr", "overlay"}
    (text,) = (one for one in loaded.drawn(SETTINGS).things if one.region.attributes.get("text") == "SAMPLE")
    assert text.patch.box.x0 > 40
    without = draw(loaded.found, SETTINGS.model_copy(update={"policy": PolicyConfig(overlay={"action": "keep"})}))
    assert (without.mask.levels[230, 42], loaded.drawn(SETTINGS).mask.levels[230, 42]) == (0, 255)


def test_two_proposals_that_are_one_thing_are_drawn_everywhere(root, tmp_path):
    assert stored_levels(root, "proposed.png")[50, 60] == 0
    with ReviewSource.open(root, author="ann") as source:
        document = image_document(source, source.row(token_of("proposed.png")))
    assert [(one.drawn, one.source, len(one.keys)) for one in document.regions] == [
        (True, "ink+rapidocr", 2),
        (False, "edges", 1),
    ]
    with ReportSource.open(root) as source:
        marks = source.marks(source.store.lookup("proposed.png"))
    assert [(mark.drawn, mark.region.source) for mark in marks] == [(True, "ink+rapidocr"), (False, "edges")]


def test_everybody_has_the_same_mask(root, tmp_path):
    """Page, file, exports (of the file, and drawn again), fills, report and `show`."""
    page = page_of(root, tmp_path)
    export(root, "grey", output=tmp_path / "files")
    files = {name: stored_levels(root, name) for name in NAMES}
    for name in NAMES:
        (root / "masks" / name).unlink()
    export(root, "grey", output=tmp_path / "drawn")
    export(root, "rgba", output=tmp_path / "rgba")
    with StoreSource.open(root) as source:
        filled = {name: source.mask(source.store.lookup(name)).levels for name in NAMES}
    with ReportSource.open(root) as source:
        reported = {name: source.levels(source.store.lookup(name)) for name in NAMES}
    for name in NAMES:
        assert np.array_equal(page[name], files[name]), name
        assert np.array_equal(exported(tmp_path / "files", name), files[name]), name
        assert np.array_equal(exported(tmp_path / "drawn", name), files[name]), name
        assert np.array_equal(filled[name], files[name]), name
        assert np.array_equal(reported[name], files[name]), name
        with Image.open(next((tmp_path / "rgba").rglob(name))) as picture:
            assert np.array_equal(np.asarray(picture)[..., 3], files[name]), name


PICTURES = {"huggingface": "mask", "kohya-alpha": "alpha", "rgba": "alpha", "grey": "mask"} | {
    name: "mask" for name in TRAINERS if name != "kohya-alpha"
}
"""Exporters that write a picture of each mask; where it is."""


def mask_in(folder, name, where):
    """The levels that an export has for an image, whatever its file is called."""
    stem = Path(name).stem
    for path in sorted(folder.rglob(f"{stem}*")):
        if path.is_symlink() or not path.is_file() or path.suffix not in (".png", ".mask"):
            continue
        with Image.open(path) as opened:
            if where == "alpha" and opened.mode == "RGBA":
                return np.asarray(opened.getchannel("A"))
            if where == "mask" and opened.mode in ("L", "RGB"):
                return np.asarray(opened.convert("L"))
    raise AssertionError(f"no mask of {name} in {folder}")


def test_every_exporter_that_writes_pictures_is_compared():
    assert PICTURES.keys() | {"coco", "cvat", "labelme", "labelstudio", "yolo-seg"} == {
        point.name for point in entry_points(group="automask.exporters")
    }


MORE = {"ai-toolkit", "kohya", "kohya-alpha", "musubi-fork", "onetrainer"}
"""Trainers that get some more masked than the file: they blur, stretch, have larger cells, or take grey for white."""
REACH_PX = 40
"""Three of the largest cells, on these images."""


@pytest.mark.parametrize("exporter", sorted(PICTURES))
def test_every_export_has_the_mask_of_the_file(root, tmp_path, exporter):
    export(root, exporter, output=tmp_path / "out")
    for name in NAMES:
        levels = stored_levels(root, name)
        found = mask_in(tmp_path / "out", name, PICTURES[exporter])
        if exporter not in MORE:
            assert np.array_equal(found, levels), (name, (found != levels).sum())
            continue
        assert (found[levels == 0] == 0).all(), name
        near = cv2.dilate((levels < 255).astype(np.uint8), np.ones((2 * REACH_PX + 1,) * 2, np.uint8))
        assert (found[near == 0] == 255).all(), name


def test_outlines_are_of_what_the_file_masks(root, tmp_path):
    """Before it grew."""
    pytest.importorskip("pycocotools")
    from pycocotools import mask as runs

    export(root, "coco", output=tmp_path / "coco")
    content = json.loads((tmp_path / "coco" / "annotations-rle.json").read_text())
    for image in content["images"]:
        levels = stored_levels(root, image["file_name"])
        outlined = np.zeros(levels.shape, dtype=np.bool_)
        for one in content["annotations"]:
            if one["image_id"] == image["id"]:
                packed = runs.frPyObjects(one["segmentation"], *levels.shape)
                outlined |= runs.decode(packed).astype(bool)
        assert outlined.any()
        assert (levels[outlined] < 255).all(), image["file_name"]


def test_show_tints_what_the_mask_takes_away(root, tmp_path):
    """A mask that is gone is drawn for it."""
    levels = stored_levels(root, "cut.png")
    (root / "masks" / "cut.png").unlink()
    done = automask("show", root, "cut.png", "--output", tmp_path / "shown.png")
    assert done.returncode == 0, done.stderr
    with Image.open(root.parent / "shown.png") as shown, Image.open(input_of(root) / "cut.png") as image:
        changed = (np.asarray(shown.convert("RGB")) != np.asarray(image.convert("RGB"))).any(axis=2)
    assert (changed[levels < 128]).mean() > 0.99


def input_of(root):
    with Store.open(root, read_only=True) as store:
        return Path(store.last_run().input_root)


def test_one_answer_to_whether_a_mask_is_current(root):
    with Store.open(root) as store:
        row = store.lookup("cut.png")
        newest = store.correction(row.content_sha256).revision
        assert is_current(row, SETTINGS, correction_revision=newest)
        assert not is_current(row, SETTINGS, correction_revision=newest + 1)
        assert not is_current(row, CONFIG, correction_revision=newest)
        store.templates.put_matches("cut.png", [], content_sha256=row.content_sha256, fingerprint="again")
        assert not is_current(store.lookup("cut.png"), SETTINGS, correction_revision=newest)


def test_a_mask_that_is_gone_is_drawn_again_by_render(root):
    levels = stored_levels(root, "cut.png")
    (root / "masks" / "cut.png").unlink()
    assert redraw_store(root, SETTINGS).written == {"rendered": 1}
    assert np.array_equal(stored_levels(root, "cut.png"), levels)
