"""What the page shows in a real browser is the mask file, to the byte, before and after all that a person does."""

import base64

import numpy as np
import pytest
from one_mask_cases import HEIGHT_PX, NAMES, WIDTH_PX, make_set
from review_browser import Reviewer
from review_cases import served, stored_levels

pytestmark = pytest.mark.slow
pytest_plugins = ["review_fixtures"]
pytest.importorskip("fastapi", reason="needs the extra api")

CANVAS = """() => {
    const canvas = document.querySelector('#overlay');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let text = '';
    for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at]);
    return [canvas.width, canvas.height, btoa(text)];
}"""


@pytest.fixture
def root(tmp_path):
    return make_set(tmp_path)


def shown(reviewer):
    """(H, W) uint8, what is on the page where it shows the mask."""
    reviewer.page.mouse.move(0, 0)
    reviewer.press("2")
    reviewer.settle()
    width_px, height_px, text = reviewer.page.evaluate(CANVAS)
    assert (width_px, height_px) == (WIDTH_PX, HEIGHT_PX), "the whole image, a pixel for each of its pixels"
    levels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height_px, width_px)
    reviewer.press("1")
    return levels


def check(reviewer, root, name, what):
    reviewer.saved()
    wrong = np.argwhere(shown(reviewer) != stored_levels(root, name))
    assert not len(wrong), (name, what, len(wrong), wrong[:3])


def brush(reviewer):
    reviewer.press("b")
    reviewer.drag((30, 100), (200, 110), (210, 160), (60, 150), (30, 100))  # around a hole


def erase(reviewer):
    reviewer.press("e")
    reviewer.drag((20, 90), (120, 105))


def switch_off(reviewer):
    reviewer.switch(0).click()


def weigh(reviewer):
    reviewer.page.locator("#regions .title").last.click()
    reviewer.page.locator("#regions input[type=range]").last.fill("30")


def call(reviewer):
    reviewer.page.locator("#regions .title").first.click()
    reviewer.page.locator("#regions select").first.select_option("watermark")


def undo(reviewer):
    reviewer.press("Escape", "Control+z")


def lasso(reviewer):
    reviewer.press("l")
    reviewer.drag((250, 20), (300, 30), (310, 60), (255, 70), (250, 20))


STEPS = (brush, erase, undo, switch_off, weigh, call, undo, lasso)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_the_file(context, root, name):
    with served(root) as server:
        page = context.new_page()
        reviewer = Reviewer(page)
        reviewer.open(server.address, name)
        check(reviewer, root, name, "as it was stored")
        for step in STEPS:
            step(reviewer)
            check(reviewer, root, name, step.__name__)
        page.reload()
        reviewer.open(server.address, name)
        check(reviewer, root, name, "loaded again")
        assert reviewer.errors == []
        page.close()
