"""People put masks right in a real browser, against the real server."""

import shutil

import numpy as np
import pytest
from review_browser import Reviewer
from review_cases import (
    EXAMPLES,
    begun,
    put_image,
    region_at,
    served,
    stored_levels,
)

from automask.store import Store
from automask.values.geometry import Box
from automask.values.types import Kind

pytestmark = pytest.mark.slow
pytest_plugins = ["review_fixtures"]
pytest.importorskip("fastapi", reason="needs the extra api")


def decisions(root):
    with Store.open(root, read_only=True) as store:
        return {row.image_id: str(row.decision) for row in store.images() if row.decision is not None}


def test_accepting_takes_one_key_and_goes_on(reviewer, root):
    assert reviewer.name() == "cat.jpg"
    reviewer.press("Space")
    reviewer.wait_for("coffee.jpg")
    reviewer.press("s")
    reviewer.wait_for("deep-field.jpg")
    reviewer.press("r")
    reviewer.wait_for("rocket.jpg")
    reviewer.press("n")
    reviewer.saved()
    assert decisions(root) == {
        "cat.jpg": "accepted", "coffee.jpg": "skipped", "deep-field.jpg": "excluded", "rocket.jpg": "accepted",
    }  # fmt: skip
    assert (stored_levels(root, "rocket.jpg") == 255).all(), "nothing to mask"


def test_excluding_is_reversible(reviewer, root):
    reviewer.press("r")
    reviewer.wait_for("coffee.jpg")
    reviewer.saved()
    assert decisions(root) == {"cat.jpg": "excluded"}
    reviewer.press("a")
    reviewer.wait_for("cat.jpg")
    reviewer.press("r")
    reviewer.saved()
    assert decisions(root) == {}


def test_a_false_region_goes_with_one_action_in_the_list_or_on_the_picture(reviewer, root):
    reviewer.press("d")
    reviewer.wait_for("coffee.jpg")
    reviewer.switch(1).click()
    reviewer.saved()
    assert (stored_levels(root, "coffee.jpg")[80:200, 80:240] == 255).all()
    assert stored_levels(root, "coffee.jpg")[530, 700] == 0
    reviewer.press("v")
    reviewer.click(150, 140)
    assert reviewer.switch(1).is_checked()
    reviewer.saved()
    assert stored_levels(root, "coffee.jpg")[140, 150] == 0


def test_a_region_that_overlaps_another_goes_off_and_on_again(context, tmp_path):
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    shutil.copy(EXAMPLES / "photos" / "cat.jpg", images / "cat.jpg")
    with begun(root, images) as store:
        pairs = [region_at(Box(60, 100, 260, 160)), region_at(Box(220, 100, 360, 160), kind=Kind.OVERLAY)]
        put_image(store, images, "cat.jpg", pairs, confidence=0.2)
    with served(root) as server:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        before = stored_levels(root, "cat.jpg")
        in_part = "() => document.querySelectorAll('#regions input[role=switch]')[1].indeterminate"
        for _ in range(2):
            reviewer.switch(1).click()
            assert reviewer.page.evaluate(in_part)
            reviewer.saved()
            levels = stored_levels(root, "cat.jpg")
            assert levels[130, 320] == 255
            assert levels[130, 240] == 0, "what the other region masks, too"
            reviewer.switch(1).click()
            assert reviewer.switch(1).is_checked()
            reviewer.saved()
            assert np.array_equal(stored_levels(root, "cat.jpg"), before)
        reviewer.press("v")
        reviewer.click(320, 130)
        assert reviewer.page.evaluate(in_part)
        reviewer.click(320, 130)
        assert reviewer.switch(1).is_checked()
        reviewer.saved()
        assert np.array_equal(stored_levels(root, "cat.jpg"), before)
        for number in (0, 1):
            reviewer.switch(number).click()
        reviewer.saved()
        assert (stored_levels(root, "cat.jpg") == 255).all(), "neither protects what both mask"
        reviewer.page.close()


def test_an_address_is_opened_though_the_list_changes_before_it_is_noticed(reviewer):
    """As when an answer of the server comes between the address and the browser's word of it."""
    reviewer.page.evaluate("""
        location.hash = 'coffee.jpg';
        const shelf = document.querySelector('#shelf');
        shelf.value = 'all';
        shelf.dispatchEvent(new Event('change'));
    """)
    reviewer.wait_for("coffee.jpg")
    reviewer.page.go_back()
    reviewer.wait_for("cat.jpg")


def test_the_address_opens_an_image_and_back_returns_to_it(reviewer, root):
    page = reviewer.page
    reviewer.press("b")
    reviewer.drag((400, 100), (480, 100))
    page.evaluate("location.hash = 'coffee.jpg'")
    reviewer.wait_for("coffee.jpg")
    reviewer.saved()
    assert stored_levels(root, "cat.jpg")[100, 440] == 0
    reviewer.press("g")
    page.evaluate("location.hash = 'rocket.jpg'")
    reviewer.wait_for("rocket.jpg")
    assert page.is_hidden("#grid")
    page.go_back()
    reviewer.wait_for("coffee.jpg")
    page.go_back()
    reviewer.wait_for("cat.jpg")
    assert page.url.endswith("#cat.jpg")
    for unknown in ("no-such.jpg", "100%.jpg"):
        page.evaluate("name => { location.hash = name; }", unknown)
        page.wait_for_function("name => document.querySelector('#toast').textContent.includes(name)", arg=unknown)
        assert page.url.endswith("#cat.jpg")
        assert reviewer.name() == "cat.jpg"


def test_left_masks_and_right_unmasks(reviewer, root):
    assert "Left switches" in reviewer.page.inner_text("#hint")
    reviewer.press("b")
    assert reviewer.page.inner_text("#hint").split() == ["Brush", "Left", "masks", "right", "unmasks"]
    reviewer.drag((400, 100), (480, 100))
    reviewer.drag((60, 230), (360, 230), button="right")
    reviewer.saved()
    levels = stored_levels(root, "cat.jpg")
    assert levels[100, 440] == 0
    assert levels[230, 100] == 255


def test_the_panel_says_what_the_confidence_is_about(reviewer):
    facts = reviewer.page.locator("#facts dd")
    before = facts.nth(1).inner_text()
    assert before.endswith("%")
    assert "corrected" not in before
    reviewer.press("e")
    reviewer.drag((100, 230), (320, 230))
    reviewer.saved()
    assert facts.nth(1).inner_text() == f"{before}, before it was corrected"


def test_the_eraser_leaves_what_it_shows(reviewer, root):
    reviewer.press("e", "]", "]")
    reviewer.drag((100, 230), (320, 230))
    reviewer.saved()
    levels = stored_levels(root, "cat.jpg")
    assert levels[230, 110:310].min() == 255
    assert levels[202, 200] == 0
    assert levels[230, 64] == 0


@pytest.mark.parametrize(
    ("key", "draw"),
    [
        ("l", lambda one: one.drag((400, 60), (460, 60), (460, 120), (400, 120), (400, 62))),
        ("m", lambda one: one.drag((400, 60), (460, 120))),
        ("p", lambda one: [one.click(*point) for point in ((400, 60), (460, 60), (460, 120), (400, 120), (400, 60))]),
    ],
)
def test_outlines_are_filled(reviewer, root, key, draw):
    reviewer.press(key)
    draw(reviewer)
    reviewer.saved()
    levels = stored_levels(root, "cat.jpg")
    assert (levels[64:116, 404:456] == 0).all()
    assert levels[90, 440 + 60] == 255
    reviewer.press("Control+z")
    reviewer.saved()
    assert (stored_levels(root, "cat.jpg")[64:116, 404:456] == 255).all()


def test_undo_goes_back_over_tools_and_images(reviewer, root):
    untouched = stored_levels(root, "cat.jpg")
    reviewer.press("b")
    reviewer.drag((400, 60), (420, 60))
    reviewer.press("Space")
    reviewer.wait_for("coffee.jpg")
    reviewer.switch(0).click()
    reviewer.saved()
    assert stored_levels(root, "coffee.jpg")[530, 700] == 255
    reviewer.page.locator("#stage").focus()
    reviewer.press("Control+z")
    reviewer.saved()
    assert stored_levels(root, "coffee.jpg")[530, 700] == 0
    reviewer.press("Control+z")
    reviewer.wait_for("cat.jpg")
    reviewer.saved()
    assert decisions(root) == {}
    reviewer.press("Control+z")
    reviewer.saved()
    assert np.array_equal(stored_levels(root, "cat.jpg"), untouched)
    reviewer.press("Control+y", "Control+y")
    reviewer.saved()
    assert stored_levels(root, "cat.jpg")[60, 410] == 0
    assert decisions(root) == {"cat.jpg": "accepted"}


def test_the_page_shows_the_mask_that_the_server_draws(reviewer, root):
    reviewer.press("b")
    reviewer.drag((400, 60), (420, 90))
    reviewer.press("2")
    reviewer.page.wait_for_timeout(400)
    shown = reviewer.page.evaluate(
        """() => {
            const canvas = document.querySelector('#overlay');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            const { a, e, f } = new DOMMatrix(getComputedStyle(canvas).transform);
            let black = 0;
            for (let at = 0; at < data.length; at += 4) black += data[at] === 0;
            return { black: black * a * a, step: a, x: e, y: f };
        }"""
    )
    reviewer.saved()
    drawn = int((stored_levels(root, "cat.jpg") == 0).sum())
    assert shown["black"] == pytest.approx(drawn, rel=0.02)


def test_the_picture_is_clear_of_what_floats_over_it(reviewer):
    page = reviewer.page
    for width, height in ((1440, 900), (820, 1100), (412, 860)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        left, top = reviewer.at(0, 0)
        right, bottom = reviewer.at(451, 300)
        tools, looks, zoom = (page.locator(one).bounding_box() for one in ("#tools", "#looks", "#zoom"))
        assert left >= tools["x"] + tools["width"], width
        assert top >= looks["y"] + looks["height"], width
        assert right <= width
        assert bottom <= zoom["y"], width
    page.set_viewport_size({"width": 1440, "height": 900})


def test_proposals_are_outlined_from_the_start(context, tmp_path):
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    shutil.copy(EXAMPLES / "photos" / "cat.jpg", images / "cat.jpg")
    with begun(root, images) as store:
        put_image(store, images, "cat.jpg", [region_at(Box(60, 200, 360, 260), confidence=0.2)], confidence=0.2)
    with served(root) as server:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        assert reviewer.page.locator("#marks .proposed").count() > 0
        reviewer.page.close()


def test_weight_and_kind_of_a_region(reviewer, root):
    reviewer.page.locator("#regions .title").first.click()
    weight = reviewer.page.locator("#regions input[type=range]").first
    weight.fill("40")
    reviewer.saved()
    levels = stored_levels(root, "cat.jpg")
    assert set(np.unique(levels)) == {102, 255}
    assert levels[230, 200] == levels[196, 200] == 102, "what surrounds it has the same weight"
    reviewer.page.locator("#regions select").first.select_option("watermark")
    reviewer.saved()
    assert stored_levels(root, "cat.jpg")[230, 200] == 0
    assert reviewer.page.locator("#regions .kind-watermark").count() == 1


def test_the_whole_mask_grows_shrinks_inverts_and_comes_back(reviewer, root):
    before = (stored_levels(root, "cat.jpg") == 0).sum()
    for button, holds in (
        ("#grow", lambda count: count > before),
        ("#reset", lambda count: count == before),
        ("#shrink", lambda count: count < before),
        ("#reset", lambda count: count == before),
        ("#invert", lambda count: count > 4 * before),
    ):
        reviewer.page.click(button)
        reviewer.saved()
        assert holds((stored_levels(root, "cat.jpg") == 0).sum()), button
    reviewer.page.wait_for_selector("#coverage-warning:visible")


def test_the_grid_accepts_many_at_once(reviewer, root):
    reviewer.press("g")
    reviewer.page.locator("#cards input[type=checkbox]").nth(0).click()
    reviewer.page.locator("#cards input[type=checkbox]").nth(2).click(modifiers=["Shift"])
    assert reviewer.page.inner_text("#accept-chosen") == "Accept 3"
    reviewer.page.click("#accept-chosen")
    reviewer.saved()
    assert list(decisions(root).values()) == ["accepted"] * 3
    reviewer.press("g", "Control+z")
    reviewer.saved()
    assert decisions(root) == {}


def test_filters_narrow_the_queue(reviewer):
    page = reviewer.page
    page.click("#more-filters summary")
    page.select_option("#kind", "watermark")
    assert page.locator("#strip .strip-row").count() == 1
    page.select_option("#kind", "none")
    assert page.locator("#strip .strip-row").all_inner_texts()[0].startswith("deep-field.jpg")
    page.select_option("#kind", "")
    page.locator("#below").fill("35")
    assert page.locator("#strip .strip-row").count() == 2
    assert page.inner_text("#shelf option:checked") == "To review (2)"


def test_a_pen_and_two_fingers(reviewer, root):
    reviewer.press("b")
    x, y = reviewer.at(420, 90)
    fire = """([type, id, kind, x, y, buttons, button]) => document.querySelector('#stage').dispatchEvent(
        new PointerEvent(type, {pointerId: id, pointerType: kind, clientX: x, clientY: y, buttons, button,
            bubbles: true}))"""
    reviewer.page.evaluate("() => { document.querySelector('#stage').setPointerCapture = () => {}; }")
    for type_, buttons in (("pointerdown", 1), ("pointermove", 1), ("pointerup", 0)):
        reviewer.page.evaluate(fire, [type_, 7, "pen", x, y, buttons, 0])
    reviewer.saved()
    assert stored_levels(root, "cat.jpg")[90, 420] == 0
    zoom = reviewer.page.inner_text("#zoom-shown")
    before = stored_levels(root, "cat.jpg")
    for type_, id_, dx in (
        ("pointerdown", 1, 0), ("pointerdown", 2, 60), ("pointermove", 2, 160),
        ("pointerup", 1, 0), ("pointerup", 2, 160),
    ):  # fmt: skip
        reviewer.page.evaluate(fire, [type_, id_, "touch", x + dx, y - 60, 1, 0])
    reviewer.saved()
    assert reviewer.page.inner_text("#zoom-shown") != zoom
    reviewer.press("Control+z")  # the dot that the first finger made before the second came
    reviewer.saved()
    assert np.array_equal(stored_levels(root, "cat.jpg"), before)


def test_clicks_take_and_remove_things(reviewer, root):
    reviewer.press("d", "d")
    reviewer.wait_for("deep-field.jpg")
    reviewer.press("Space")
    reviewer.wait_for("rocket.jpg")
    covered = "document.querySelector('#coverage-share').textContent"
    reviewer.page.wait_for_function(f"() => parseInt({covered}) > 0")  # it still tells of the picture before at first
    reviewer.press("w")
    reviewer.click(200, 30)
    reviewer.page.wait_for_function(f"() => parseInt({covered}) === 0")
    reviewer.saved()
    assert (stored_levels(root, "rocket.jpg") == 255).all(), "a false region goes with a click"
    reviewer.press("q")
    reviewer.click(480, 436)
    reviewer.page.wait_for_function(f"() => parseInt({covered}) > 0")
    reviewer.saved()
    levels = stored_levels(root, "rocket.jpg")
    assert levels[436, 480] == 0
    assert (levels == 0).mean() < 0.2, "the caption, not the sky"
