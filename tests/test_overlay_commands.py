"""`automask overlays`: one decision for all images; templates on other datasets; the report's page."""

import json
import re
import shutil

import numpy as np
import pytest
from overlay_cases import card, card_truth, lettering, marked, picture
from PIL import Image
from typer.testing import CliRunner

from automask.config import PipelineConfig
from automask.errors import AutomaskError
from automask.report.pages import write_report
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.store import Store
from automask_models.overlay.commands import app
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions
from automask_models.refiners.polygon import PolygonRefiner

INK = lettering()
COUNT = 7


def run(folder, output, *, config=None):
    config = config or PipelineConfig(detectors=(), options={"overlay": {"reduced_px": 320}})
    pipe = MaskPipeline(
        config,
        detectors=(),
        dataset_detectors=(OverlayDetector(OverlayOptions(reduced_px=320)),),
        refiner=PolygonRefiner(PolygonRefiner.Options()),
    )
    return run_dataset(folder, output, config, pipeline=pipe)


def overlays(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of pictures with a mark, and its store."""
    folder = tmp_path_factory.mktemp("overlays") / "set"
    folder.mkdir()
    for seed in range(COUNT):
        Image.fromarray(marked(seed, INK, opacity=0.8).pixels).save(folder / f"{seed}.png")
    run(folder, folder.parent / "out")
    return folder, folder.parent / "out"


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made[1], tmp_path / "out")
    return tmp_path / "out"


def mask(store, name="3.png"):
    return np.asarray(Image.open(store / "masks" / name))


def test_list_and_show(store, tmp_path):
    (row,) = json.loads(overlays("list", store, "--json"))
    assert (row["kind"], row["where"], row["images"], row["state"]) == ("overlay", "bottom-right", COUNT, "masked")
    assert row["id"] in overlays("list", store)
    shown = overlays("show", store, row["id"][:6], "--output", tmp_path / "mark.png")
    assert "0.png, 1.png" in shown
    assert Image.open(tmp_path / "mark.png").width == 320


def test_forget_and_apply_count_for_all_images_at_once(store):
    (row,) = json.loads(overlays("list", store, "--json"))
    assert f"{COUNT} masks drawn again" in overlays("forget", store, row["id"])
    assert all((mask(store, f"{seed}.png") == 255).all() for seed in range(COUNT))
    assert "left alone" in json.loads(overlays("list", store, "--json"))[0]["state"]
    overlays("apply", store, row["id"])
    assert (mask(store)[INK > 0.2] == 0).all()


def test_a_saved_template_serves_another_dataset(store, tmp_path):
    (row,) = json.loads(overlays("list", store, "--json"))
    overlays("save", store, row["id"], "--output", tmp_path / "mark.template")
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(marked(40, INK, opacity=0.8).pixels).save(other / "marked.png")
    Image.fromarray(picture(41)).save(other / "clean.png")
    run(other, tmp_path / "masks", config=PipelineConfig(detectors=(), templates=(str(tmp_path / "mark.template"),)))
    assert (mask(tmp_path / "masks", "marked.png")[INK > 0.2] == 0).all()
    assert (mask(tmp_path / "masks", "clean.png") == 255).all()


@pytest.mark.parametrize("what", ["mark", "frame"])
def test_a_template_is_made_from_one_mask_drawn_by_hand(tmp_path, what):
    images = [card(seed) if what == "frame" else marked(seed, INK, opacity=0.9) for seed in range(3)]
    unwanted = card_truth() == 255 if what == "frame" else INK > 0.1
    folder = tmp_path / "set"
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image.pixels).save(folder / f"{index}.png")
    Image.fromarray(picture(41)).save(folder / "clean.png")
    Image.fromarray(np.where(unwanted, 0, 255).astype(np.uint8)).save(tmp_path / "drawn.png")
    overlays("make", folder / "0.png", tmp_path / "drawn.png", "--output", tmp_path / "t.template")
    run(folder, tmp_path / "masks", config=PipelineConfig(detectors=(), templates=(str(tmp_path / "t.template"),)))
    for index in range(3):
        assert (mask(tmp_path / "masks", f"{index}.png")[unwanted] == 0).mean() >= 0.98
    assert (mask(tmp_path / "masks", "clean.png") == 255).all()


@pytest.mark.parametrize(
    ("levels", "reason"),
    [(np.full((240, 320), 255), "too little"), (np.zeros((240, 320)), "whole image"), (np.zeros((9, 9)), "9 x 9 px")],
)
def test_masks_that_give_no_template_are_refused(made, tmp_path, levels, reason):
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(AutomaskError, match=reason) as caught:
        overlays("make", made[0] / "0.png", tmp_path / "mask.png")
    assert caught.value.code == "mask-unusable"


def test_an_unknown_id_is_refused(store):
    with pytest.raises(AutomaskError) as caught:
        overlays("apply", store, "ffffffffffffffff")
    assert caught.value.code == "template-unknown"


def test_the_report_shows_each_template_with_its_support(store):
    index = write_report(store)
    page = (index.parent / "overlays.html").read_text()
    with Store.open(store, read_only=True) as opened:
        template = opened.templates.all()[0].template
    assert f"<h2>{template.id[:8]}</h2>" in page
    assert f"in {COUNT} images" in page
    assert (index.parent / re.search(r'src="\./([^"]+)"', page).group(1)).read_bytes() == template.picture_png
    assert './overlays.html"' in index.read_text()


def test_without_templates_there_is_no_such_page(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    Image.fromarray(picture(1)).save(folder / "a.png")
    run(folder, tmp_path / "out")
    index = write_report(tmp_path / "out")
    assert not (index.parent / "overlays.html").exists()
    assert "overlays.html" not in index.read_text()
