"""The recogniser on lines drawn here: what is read does not depend on what else is read, and short lines are quick."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.config import RuntimeConfig
from automask_models.text import ppocr
from automask_models.text.ppocr import RECOGNITION_FILE, RECOGNITION_HEIGHT_PX, Recogniser, bundled_model

FONT = ImageFont.truetype(Path(__file__).parent / "data" / "fonts" / "noto-sans-latin-cyrillic.ttf", 34)
WORDS = ("Sea view", "Harbour", "Limited edition", "Open until late on every day of the week but one")


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser(bundled_model(RECOGNITION_FILE).path, runtime=RuntimeConfig(threads=1))


def line(text):
    """A tight crop, (48, W, 3) uint8: letters nearly reach to its rim."""
    crop = PillowImage.new("RGB", (round(FONT.getlength(text)) + 8, RECOGNITION_HEIGHT_PX), (40, 60, 90))
    ImageDraw.Draw(crop).text((4, 0), text, font=FONT, fill=(240, 240, 235))
    return np.asarray(crop)


def test_lines_are_read_to_their_last_letter(recogniser):
    read = recogniser.recognise([line(text) for text in WORDS])
    assert [one.text[-3:] for one in read] == [text[-3:] for text in WORDS]


@pytest.mark.parametrize("text", WORDS)
def test_a_line_is_read_the_same_whatever_is_read_with_it(recogniser, text):
    alone = recogniser.recognise([line(text)])[0]
    others = [line(other) for other in WORDS * 3 if other != text]
    beside = recogniser.recognise([*others, line(text), *others])[len(others)]
    assert beside.text == alone.text
    assert beside.score == pytest.approx(alone.score, abs=1e-4)


def test_short_lines_are_not_padded_to_the_width_of_long_ones(recogniser, monkeypatch):
    shapes = []
    real = ppocr._run
    monkeypatch.setattr(ppocr, "_run", lambda session, tensor: shapes.append(tensor.shape) or real(session, tensor))
    crops = [line(text) for text in WORDS]
    recogniser.recognise(crops)
    padded = sorted(shape[-1] for shape in shapes for _ in range(shape[0]))
    margins = [wide - crop.shape[1] for wide, crop in zip(padded, crops, strict=True)]
    assert all(32 <= margin < 64 for margin in margins), margins
    shapes.clear()
    recogniser.recognise([crops[1]] * 8)
    assert [shape[0] for shape in shapes] == [6, 2]
