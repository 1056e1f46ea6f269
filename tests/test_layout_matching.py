"""A frame drawn on one card, found on others of its layout by where its window is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from automask.propagate.layout_matching import LayoutFinder, fit_frame, frames_a_window
from automask.propagate.propagation import LEAST_LAYOUT_SCORE

PHOTOS = Path(__file__).parent.parent / "automask" / "examples" / "photos"
WINDOW = (40, 70, 380, 330)


def card(name, *, size=(420, 600), window=WINDOW, colour=(190, 160, 110), move=(0, 0)):
    sheet = Image.new("RGB", (420, 600), colour)
    draw = ImageDraw.Draw(sheet)
    x0, y0, x1, y1 = window
    with Image.open(PHOTOS / f"{name}.jpg") as picture:
        sheet.paste(picture.convert("RGB").resize((x1 - x0, y1 - y0)), (x0, y0))
    draw.rectangle((x0 - 4, y0 - 4, x1 + 3, y1 + 3), outline=(50, 40, 30), width=4)
    draw.text((40, 30), name, fill=(20, 10, 0), font_size=24)
    draw.text((50, 380), f"Text of {name},\nin {len(name)} letters.", fill=(30, 20, 10), font_size=22)
    return np.roll(np.asarray(sheet.resize(size)), move, axis=(1, 0))


def frame(size=(420, 600), window=WINDOW):
    artefact = np.ones((size[1], size[0]), dtype=np.bool_)
    artefact[window[1] : window[3], window[0] : window[2]] = False
    return artefact


@pytest.fixture(scope="module")
def finder():
    return LayoutFinder(card("cat"), frame())


@pytest.mark.parametrize(
    "changes", [{}, {"size": (336, 480)}, {"size": (630, 900)}, {"colour": (90, 120, 170)}, {"size": (424, 600)}]
)
def test_cards_of_the_layout_are_found(finder, changes):
    corner, score = finder.find(card("coffee", **changes))
    assert score >= LEAST_LAYOUT_SCORE
    assert max(map(abs, corner)) <= 2


def test_a_shifted_print_moves_the_window(finder):
    corner, score = finder.find(card("rocket", move=(4, -3)))
    assert score >= LEAST_LAYOUT_SCORE
    assert np.abs(np.subtract(corner, (4, -3))).max() <= 1


def test_other_layouts_and_pictures_are_not(finder):
    for other in (card("coffee", window=(90, 120, 330, 460)), card("coffee", window=(40, 130, 380, 390))):
        assert finder.find(other)[1] < LEAST_LAYOUT_SCORE
    for name in ("cat", "coffee", "rocket", "deep-field", "snapshot"):
        with Image.open(PHOTOS / f"{name}.jpg") as picture:
            assert finder.find(np.asarray(picture.convert("RGB").resize((420, 600))))[1] < LEAST_LAYOUT_SCORE, name
    assert finder.find(card("coffee", size=(600, 420))) is None
    assert finder.find(np.full((600, 420, 3), 128, np.uint8))[1] < LEAST_LAYOUT_SCORE


def test_what_is_a_frame():
    assert frames_a_window(frame())
    assert not frames_a_window(frame(window=(0, 70, 380, 330))), "open at one side"
    assert not frames_a_window(~frame())
    assert not frames_a_window(np.ones((60, 40), dtype=np.bool_))
    assert not frames_a_window(frame(window=(40, 70, 60, 90))), "a hole is no window"


@pytest.mark.parametrize("move", [(0, 0), (5, -3), (-900, 900)])
def test_a_frame_reaches_the_edges_wherever_its_window_goes(move):
    fitted = fit_frame(frame(), (336, 480), move_px=move)
    assert fitted.shape == (480, 336)
    assert fitted[0].all()
    assert fitted[:, 0].all()
    assert fitted[-1].all()
    assert fitted[:, -1].all()
    if move != (-900, 900):
        x, y = round(0.8 * 210) + move[0], round(0.8 * 200) + move[1]
        assert not fitted[y, x]
        assert fitted[round(0.8 * 70) + move[1] - 2, x]
