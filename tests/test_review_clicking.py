"""What a click means, and the scripted person who counts how many are needed."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from review_cases import EXAMPLES, make_store

pytest.importorskip("fastapi", reason="needs the extra api")

from measuring.clicking import Start, measure_clicks, rows_of

from automask.bench.manifest import read_manifest
from automask.config import PipelineConfig
from automask.protocols import Prompt
from automask_api.refining.clicks import masked_thing
from automask_api.review.source import ReviewSource, token_of
from automask_models.ink.network import InkMap
from automask_models.ink.prompts import InkPromptSession

CONFIG = PipelineConfig(detectors=("edges",))


@pytest.fixture
def manifest(tmp_path):
    """A photograph with lettering that the edge detector cannot see, and its truth."""
    with PillowImage.open(EXAMPLES / "photos" / "coffee.jpg") as opened:
        picture, truth = opened.convert("RGB"), PillowImage.new("L", opened.size)
    for canvas, fill in ((picture, (255, 255, 255)), (truth, 255)):
        ImageDraw.Draw(canvas).text((120, 80), "Harbour Studio", fill=fill, font=ImageFont.load_default(44))
    picture.save(tmp_path / "a.png")
    truth.point(lambda level: 255 if level > 60 else 0).save(tmp_path / "a.mask.png")
    entry = {"kind": "watermark", "source": "made", "image": "a.png", "mask": "a.mask.png", "truth": "pixels"}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    return read_manifest(tmp_path / "manifest.json")


def test_a_missed_mark_takes_two_clicks_at_most(manifest):
    (figures,) = measure_clicks(manifest, manifest.entries, CONFIG, start=Start.EMPTY, clicks=2)
    assert figures.leaks[0] == 1
    assert (figures.is_fine_after(0), figures.is_fine_after(2)) == (False, True)
    x, y, adds = figures.clicks[0]
    assert adds
    assert 120 <= x < 460
    assert 80 <= y < 140
    assert rows_of([figures], 2)[-1][1:3] == ["1", "0% (1.000 / 0.000)"]


def test_a_removing_click_takes_what_is_seen_as_one_thing():
    masked = np.zeros((40, 60), dtype=np.bool_)
    masked[5:10, 5:20] = masked[5:10, 24:28] = masked[20:30, 40:50] = True

    def thing(x, y, *, hole_px=0):
        return masked_thing(masked, (x, y), growth_px=3, hole_px=hole_px)

    assert thing(10, 7).sum() == 75 + 20, "their grown masks touch"
    assert thing(37, 25).sum() == 100, "masks are shown grown"
    assert not thing(34, 15).any()
    assert thing(34, 15, hole_px=6).sum() == 100, "and small holes are shown filled"


def test_a_removing_click_leaves_what_is_much_surer():
    session, thing = ink_session()
    point = (12.0, 42.0)
    part = session.wrong_part(thing, point)
    assert part[42, 12]
    assert not part[42, 100]
    assert (session.wrong_part(thing, (100.0, 42.0)) == thing).all(), "a click on the surest means all of it"
    kept = session.wrong_part(thing, (100.0, 42.0), wanted=[(12.0, 42.0)])
    assert kept[42, 100]
    assert not kept[42, 12]


def test_a_click_beside_a_mask_means_what_is_not_masked():
    session, thing = ink_session()
    masked = thing.copy()
    masked[:, :68] = False
    anew = session.answer(Prompt(points=[(58.0, 42.0)], wanted=[True])).artefact
    more = session.answer(Prompt(points=[(58.0, 42.0)], wanted=[True], masked=masked)).artefact
    assert anew[42, 100]
    assert not anew[42, 20], "too faint beside what is sure"
    assert more[42, 20]
    assert not more[42, 100]


def ink_session():
    """A faint thing that touches a sure one on its right, and both of them as a mask."""
    cells = np.full((32, 48), 0.01, dtype=np.float32)
    cells[10:12, 2:17] = 0.1
    cells[10:12, 17:36] = 0.9
    ink = InkMap(unwanted=cells, mark=cells, width_px=192, height_px=128)
    thing = np.zeros((128, 192), dtype=np.bool_)
    thing[40:48, 8:144] = True
    return InkPromptSession(ink, name="ink"), thing


def test_the_page_asks_the_network_that_drew_the_masks(tmp_path):
    with ReviewSource.open(make_store(tmp_path), author="ann") as source:
        found = source.thing_at(source.row(token_of("rocket.jpg")), 480, 436)
    assert found.method in {"sam", "ink"}, "two opinions by default, and none by colour alone"
