"""Keys of the page and keys of its controls in a real browser: a click on a control does not catch the next key."""

import pytest
from review_cases import stored_levels

from automask.store import Store

pytestmark = pytest.mark.slow
pytest_plugins = ["review_fixtures"]
pytest.importorskip("fastapi", reason="needs the extra api")


def decided(root):
    with Store.open(root, read_only=True) as store:
        return {row.image_id: str(row.decision) for row in store.images() if row.decision is not None}


def opened(reviewer):
    """The first region's row, opened."""
    reviewer.page.locator("#regions .title").first.click()


def waiting(reviewer):
    return reviewer.page.inner_text("#shelf option:checked")


def click_switch(reviewer):
    reviewer.switch(0).click()


def click_title(reviewer):
    opened(reviewer)


def choose_kind(reviewer):
    opened(reviewer)
    reviewer.page.locator("#regions select").first.click()
    reviewer.press("Escape")  # the list hung open, and was closed again
    reviewer.page.locator("#regions select").first.select_option("watermark")


def drag_weight(reviewer):
    opened(reviewer)
    reviewer.page.locator("#regions input[type=range]").first.click()


def click_shelf(reviewer):
    reviewer.page.locator("#shelf").click()
    reviewer.press("Escape")


def open_filters(reviewer):
    reviewer.page.click("#more-filters summary")
    reviewer.page.locator("#below").click(position={"x": 200, "y": 5})


def open_history(reviewer):
    reviewer.page.click("#history summary")


def click_look(reviewer):
    reviewer.page.click("#looks button[data-look=trainer]")


def click_tool(reviewer):
    reviewer.page.click("#tools button[data-tool=lasso]")


def click_brush_size(reviewer):
    reviewer.press("b")
    reviewer.page.locator("#size").click()


def click_grow(reviewer):
    reviewer.page.click("#grow")


def click_theme(reviewer):
    reviewer.page.click("#theme-button")


def close_a_dialog(reviewer):
    reviewer.page.click("#help-button")
    reviewer.press("Escape")


def click_in_the_queue(reviewer):
    reviewer.page.locator("#strip .strip-row").nth(0).click()


CONTROLS = (
    click_switch, click_title, choose_kind, drag_weight, click_shelf, open_filters, open_history, click_look,
    click_tool, click_brush_size, click_grow, click_theme, close_a_dialog, click_in_the_queue,
)  # fmt: skip
# What a key that strays into a control would change.
FILTERS = """() => [...document.querySelectorAll('.filters select, .filters input, #size')].map(one => one.value)
    .concat(document.querySelector('#looks [aria-checked=true]').dataset.look)"""


BY_NAME = """() => {
    const order = document.querySelector('#order');
    order.value = 'name';
    order.dispatchEvent(new Event('change'));
}"""


def each_control(reviewer, server):
    """The page with one control after another used by the pointer, saved; everything is undone in between."""
    for use in CONTROLS:
        reviewer.page.goto("about:blank")
        reviewer.open(server.address, "cat.jpg")
        reviewer.page.evaluate(BY_NAME)
        use(reviewer)
        reviewer.saved()
        yield use.__name__


def test_space_accepts_whatever_was_clicked_last(reviewer, server, root):
    for name in each_control(reviewer, server):
        before = stored_levels(root, "cat.jpg")
        reviewer.press("Space")
        reviewer.wait_for("coffee.jpg")
        reviewer.saved()
        assert decided(root) == {"cat.jpg": "accepted"}, name
        assert (stored_levels(root, "cat.jpg") == before).all(), f"{name} acted a second time"
        reviewer.press("Control+z")
        reviewer.wait_for("cat.jpg")
        reviewer.saved()
        assert decided(root) == {}, name


def test_arrows_and_letters_are_the_pages_after_a_click(reviewer, server, root):
    for name in each_control(reviewer, server):
        before, filters = stored_levels(root, "cat.jpg"), reviewer.page.evaluate(FILTERS)
        reviewer.press("ArrowRight")
        reviewer.wait_for("coffee.jpg")
        reviewer.press("ArrowLeft")
        reviewer.wait_for("cat.jpg")
        reviewer.press("s")
        reviewer.wait_for("coffee.jpg")
        reviewer.saved()
        assert (stored_levels(root, "cat.jpg") == before).all(), name
        assert reviewer.page.evaluate(FILTERS)[:-2] == filters[:-2], name
        assert reviewer.page.evaluate(FILTERS)[-1] == filters[-1], name


def test_enter_after_a_click_finishes_the_polygon(reviewer, root):
    reviewer.page.click("#tools button[data-tool=polygon]")
    for point in ((400, 60), (460, 60), (460, 120)):
        reviewer.click(*point)
    reviewer.press("Enter")
    reviewer.saved()
    assert stored_levels(root, "cat.jpg")[70, 450] == 0


def test_a_control_that_was_reached_with_the_keyboard_keeps_its_keys(reviewer, root):
    page = reviewer.page
    reviewer.switch(0).click()  # the pointer was there before
    page.locator("#reset").focus()
    reviewer.press("Tab")
    for _ in range(12):
        if page.evaluate("document.activeElement.getAttribute('role')") == "switch":
            break
        reviewer.press("Tab")
    assert not reviewer.switch(0).is_checked()
    reviewer.press("Space")
    assert reviewer.switch(0).is_checked()
    reviewer.saved()
    assert reviewer.name() == "cat.jpg"
    assert decided(root) == {}
    reviewer.press("Shift+Tab")
    assert page.evaluate("document.activeElement.className") == "title"
    reviewer.press("Enter")
    assert page.locator("#regions .region.open").count() == 1
    page.locator("#regions select").first.focus()
    reviewer.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    reviewer.press("ArrowRight")
    assert page.evaluate("document.activeElement.value") == "1"
    assert reviewer.name() == "cat.jpg"
    reviewer.press("Space")  # a slider has no use for it
    reviewer.wait_for("coffee.jpg")


def test_keys_do_nothing_to_an_image_that_the_thumbnails_cover(reviewer, root):
    page = reviewer.page
    reviewer.press("g")
    box = page.locator("#cards input[type=checkbox]").nth(1)
    box.click()
    reviewer.press("Space")
    assert not page.locator("#cards input[type=checkbox]").nth(1).is_checked(), "Space ticks"
    page.click("#grid-title")
    reviewer.press("Space", "n", "r", "s", "d", "Enter")
    assert reviewer.name() == "cat.jpg"
    reviewer.press("Escape")
    assert page.is_hidden("#grid")
    reviewer.saved()
    assert decided(root) == {}
    assert "(4)" in waiting(reviewer)
