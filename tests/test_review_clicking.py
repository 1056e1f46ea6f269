"""What a click means, and the scripted person who counts how many are needed."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from review_cases import EXAMPLES, make_store

pytest.importorskip("fastapi", reason="needs the extra api")

from automask.bench.manifest import read_manifest
from automask.config import PipelineConfig
from automask_api.refining.clicks import masked_thing
from automask_api.review.clicking import Start, measure_clicks, rows_of
from automask_api.review.source import ReviewSource, token_of

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


def test_a_removing_click_takes_one_thing(manifest):
    masked = np.zeros((40, 60), dtype=np.bool_)
    masked[5:10, 5:20] = masked[20:30, 40:50] = True
    assert masked_thing(masked, (10, 7), near_px=3).sum() == 75
    assert masked_thing(masked, (37, 25), near_px=3).sum() == 100, "masks are shown grown"
    assert not masked_thing(masked, (30, 15), near_px=3).any()


def test_the_page_asks_the_network_that_drew_the_masks(tmp_path):
    with ReviewSource.open(make_store(tmp_path), author="ann") as source:
        found = source.thing_at(source.row(token_of("rocket.jpg")), 480, 436)
    assert found.method == "ink"
