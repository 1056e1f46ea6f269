"""Cutting out what the ink network takes for lettering and is none, with the shipped network on pictures drawn here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from automask.config import RuntimeConfig
from automask.values.geometry import Box
from automask.weights import WeightLibrary
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.ink.reading import GroupReader
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_training.negatives import Miner, main, window_around
from automask_training.synth.backgrounds import Backgrounds, PictureCache
from automask_training.synth.index import MaterialIndex
from automask_training.synth.synthesizer import Synthesizer, SynthRecipe


@pytest.fixture(scope="module")
def miner() -> Miner:
    runtime = RuntimeConfig(threads=1)
    weights = WeightLibrary.discover().find(DEFAULT_WEIGHTS)
    assert weights is not None
    return Miner(
        InkNetwork.open(weights, runtime=runtime),
        GroupReader.open(bundled_model(RECOGNITION_FILE), runtime=runtime),
    )


def _with_scribbles() -> Image.Image:
    """Strokes as of handwriting that nobody can read, on grey."""
    picture = Image.new("RGB", (640, 480), (150, 150, 150))
    draw = ImageDraw.Draw(picture)
    x = np.linspace(0, 22, 400)
    points = [(180 + 9 * t + 6 * np.sin(3.1 * t), 240 + 16 * np.sin(5 * t) + 5 * np.sin(13 * t)) for t in x]
    draw.line([(float(a), float(b)) for a, b in points], fill=(245, 245, 245), width=3)
    return picture


def _with_letters() -> Image.Image:
    picture = Image.new("RGB", (640, 480), (60, 80, 120))
    ImageDraw.Draw(picture).text((120, 200), "HARBOUR VIEW", fill="white", font=ImageFont.load_default(48))
    return picture


def test_what_cannot_be_read_is_cut_out(miner: Miner):
    cuts = miner.cuts(np.asarray(_with_scribbles()))
    assert len(cuts) == 1
    assert cuts[0].x0 < 260
    assert cuts[0].x1 > 320
    assert cuts[0].y0 < 225 < 255 < cuts[0].y1


def test_lettering_is_left_out_with_its_surroundings(miner: Miner):
    assert miner.cuts(np.asarray(_with_letters())) == []
    both = _with_letters()
    both.paste(_with_scribbles().crop((170, 200, 400, 280)), (150, 300))
    assert all(cut.y0 > 250 for cut in miner.cuts(np.asarray(both)))


@pytest.mark.parametrize("box", [Box(0, 0, 5, 5), Box(630, 470, 640, 480), Box(100, 100, 400, 120)])
def test_a_window_holds_what_was_found_and_lies_within_the_picture(box: Box):
    window = window_around(box, width_px=640, height_px=480)
    assert window.intersection(box) == box
    assert window.intersection(Box(0, 0, 640, 480)) == window
    assert min(window.width_px, window.height_px) >= 320


def test_the_command_lists_cuts_and_the_synthesizer_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "backgrounds").mkdir()
    (tmp_path / "sprites").mkdir()
    _with_scribbles().save(tmp_path / "backgrounds" / "scribbles.jpg", quality=95)
    _with_letters().save(tmp_path / "backgrounds" / "letters.jpg", quality=95)
    listed = {
        "backgrounds": [
            {"file": f"backgrounds/{name}.jpg", "source": "s", "licence": "CC0"} for name in ("scribbles", "letters")
        ]
    }
    (tmp_path / "materials.json").write_text(json.dumps(listed))
    assert main([str(tmp_path), "--drawn", "0"]) == 0
    assert capsys.readouterr().out == "1 cuts of 2 pictures.\n"
    index = MaterialIndex.read(tmp_path)
    assert [(each.file, each.source) for each in index.negatives] == [("negatives/scribbles-0.jpg", "s")]
    assert (tmp_path / index.negatives[0].file).is_file()
    assert index.of_split("val").negatives == ()

    backgrounds = Backgrounds(PictureCache(tmp_path, limit_bytes=10_000_000), index)
    drawn = backgrounds.draw(np.random.default_rng(0), 256, busy_share=0.0, negative_share=1.0)
    rest = backgrounds.draw(np.random.default_rng(0), 256, busy_share=1.0, negative_share=0.0)
    assert np.ptp(drawn.mean(axis=-1)) > 20
    assert not np.array_equal(drawn, rest)
    recipe = SynthRecipe(empty=1.0, negatives=1.0)
    shown = Synthesizer(tmp_path, seed=1, size_px=256, recipe=recipe).sample(0)
    assert shown.instances == ()
