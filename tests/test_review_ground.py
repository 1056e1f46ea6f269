"""Plain ground on the review page: listed, not asked about, masked by its switch in its own colour."""

import contextlib

import numpy as np
import pytest
from review_browser import Reviewer
from review_cases import EXAMPLES, begun, put_image, region_at, served, stored_levels

from automask.values.geometry import Box
from automask.values.types import Kind, Patch, Region

pytestmark = pytest.mark.slow
pytest_plugins = ["review_fixtures"]
pytest.importorskip("fastapi", reason="needs the extra api")

BOX = Box(0, 0, 300, 240)


@pytest.fixture
def grounded(tmp_path):
    """A store of two pictures: one with ground alone, which the policy trains, and one with text."""
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    for name in ("cat.jpg", "coffee.jpg"):
        (images / name).write_bytes((EXAMPLES / "photos" / name).read_bytes())
    with begun(root, images) as store:
        artefact = np.ones(BOX.shape, bool)
        artefact[60:180, 80:220] = False
        ground = Region(Kind.GROUND, BOX, 0.9, "ground", artefact=artefact), Patch(BOX, artefact, 1.0, "polygon")
        put_image(store, images, "cat.jpg", [ground], confidence=0.9)
        put_image(store, images, "coffee.jpg", [region_at(Box(600, 500, 820, 560))], confidence=0.9)
    return root


def test_kept_ground_is_listed_and_masked_by_its_switch_alone(context, grounded):
    with served(grounded) as server, contextlib.closing(context.new_page()) as page:
        reviewer = Reviewer(page)
        reviewer.open(server.address, "cat.jpg")
        row = page.locator("#regions > li").first
        assert "trained" in row.locator(".title").inner_text()
        assert "Plain ground behind the subject" in row.locator(".name").inner_text()
        assert page.locator("#marks polygon").count() == 0, "nobody is asked about it"
        colour = row.locator(".dot").evaluate("dot => getComputedStyle(dot).backgroundColor")
        names = page.evaluate("() => getComputedStyle(document.documentElement).getPropertyValue('--mask-ground')")
        assert colour == f"rgb({', '.join(names.split())})"
        assert (stored_levels(grounded, "cat.jpg") == 255).all()

        page.mouse.click(*reviewer.at(20, 20))  # on the ground, with the tool that switches regions
        reviewer.settle()
        assert not reviewer.switch(0).is_checked()

        reviewer.switch(0).click()
        reviewer.saved()
        levels = stored_levels(grounded, "cat.jpg")
        assert levels[20, 20] == 0
        assert levels[120, 150] == 255
        reviewer.press("Control+z")
        reviewer.saved()
        assert (stored_levels(grounded, "cat.jpg") == 255).all()

        page.locator("#more-filters summary").click()
        page.locator("#kind").select_option("none")
        reviewer.settle()
        assert page.locator(".strip-row", has_text="cat.jpg").count() == 1, "nothing else was found on it"
        page.locator("#kind").select_option("ground")
        reviewer.settle()
        assert page.locator(".strip-row").count() == 1
        assert reviewer.errors == []
