"""What waits for a person and why, in a real browser: only accepting settles an image, and undo restores the queue."""

import json
import shutil

import numpy as np
import pytest
from cli_process import automask
from PIL import Image as PillowImage
from PIL import ImageDraw
from review_browser import Reviewer
from review_cases import EXAMPLES, begun, put_image, region_at, served, stored_levels
from store_cases import make_template

from automask.store import Store
from automask.values.geometry import Box
from automask.values.templates import TEMPLATE_ATTRIBUTE, TemplateOrigin
from automask.values.types import Kind, Region, Verdict

pytestmark = pytest.mark.slow
pytest_plugins = ["review_fixtures"]
pytest.importorskip("fastapi", reason="needs the extra api")

CARD_PX, WINDOW = (420, 600), (40, 70, 380, 330)
"""Width and height of a card, and where its picture is."""


def waiting(root):
    with Store.open(root, read_only=True) as store:
        return [row.image_id for row in store.images(verdict=Verdict.REVIEW)]


def queued(reviewer):
    return reviewer.page.inner_text("#shelf option:checked")


def rows(reviewer):
    """What the panel lists as drawn by hand, once it is up to date."""
    reviewer.page.wait_for_timeout(400)
    return [text.splitlines()[0] for text in reviewer.page.locator("#parts .part").all_inner_texts()]


def card(name, *, scale=1.0):
    """A picture in the window of a card with its own name on it."""
    sheet = PillowImage.new("RGB", CARD_PX, (190, 160, 110))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((8, 8, CARD_PX[0] - 9, CARD_PX[1] - 9), outline=(70, 50, 30), width=4)
    x0, y0, x1, y1 = WINDOW
    draw.rectangle((x0 - 4, y0 - 4, x1 + 3, y1 + 3), fill=(50, 40, 30))
    with PillowImage.open(EXAMPLES / "photos" / f"{name}.jpg") as picture:
        sheet.paste(picture.convert("RGB").resize((x1 - x0, y1 - y0)), (x0, y0))
    draw.text((40, 30), name.title(), fill=(20, 10, 0), font_size=24)
    draw.text((50, 380), f"When {name} enters,\ndraw {len(name)} cards.", fill=(30, 20, 10), font_size=22)
    return sheet.resize((round(scale * CARD_PX[0]), round(scale * CARD_PX[1])))


@pytest.fixture
def deck(tmp_path):
    """Three cards of one layout, one of them smaller, and a photograph; each has a frame, two cards a shared mark."""
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    for name, scale in (("cat", 1.0), ("coffee", 1.0), ("rocket", 0.8)):
        card(name, scale=scale).save(images / f"{name}.png")
    shutil.copy(EXAMPLES / "photos" / "snapshot.jpg", images / "photo.jpg")
    with begun(root, images) as store:
        for at, name in enumerate(("cat.png", "coffee.png", "rocket.png", "photo.jpg")):
            frame = region_at(Box(0, 0, 300, 20), kind=Kind.FRAME)
            crossing = region_at(Box(100, 8, 120, 40))
            put_image(store, images, name, [frame, crossing], confidence=0.2 + at / 10)
        template = make_template()
        store.templates.add(template, origin=TemplateOrigin.ESTIMATED)
        for name in ("cat.png", "coffee.png"):
            box = Box(200, 400, 260, 420)
            artefact = np.ones(box.shape, dtype=np.bool_)
            region = Region(
                Kind.OVERLAY, box, 0.9, "overlay", artefact=artefact, attributes={TEMPLATE_ATTRIBUTE: template.id}
            )
            content = store.lookup(name).content_sha256
            store.templates.put_matches(name, [region], content_sha256=content, fingerprint="f")
    drawn = automask("render", root, "--growth-cells", "0")
    assert drawn.returncode == 0, drawn.stderr
    return root


@pytest.fixture
def dealer(context, deck):
    with served(deck) as server:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address, "cat.png")
        yield reviewer
        assert reviewer.errors == []
        reviewer.page.close()


def test_only_accepting_takes_an_image_out_of_the_queue_and_undo_brings_it_back(reviewer, root):
    everybody = ["cat.jpg", "coffee.jpg", "deep-field.jpg", "rocket.jpg"]
    reviewer.switch(0).click()
    reviewer.press("b")
    reviewer.drag((400, 60), (420, 60))
    reviewer.saved()
    assert (queued(reviewer), waiting(root)) == ("To review (4)", everybody)
    assert json.loads(automask("status", root, "--json").stdout)["counts"]["review"] == 4
    reviewer.press("Space")
    reviewer.wait_for("coffee.jpg")
    reviewer.saved()
    assert (queued(reviewer), waiting(root)) == ("To review (3)", everybody[1:])
    reviewer.press("Control+z")
    reviewer.wait_for("cat.jpg")
    reviewer.saved()
    assert (queued(reviewer), waiting(root)) == ("To review (4)", everybody)
    reviewer.press("Control+y")
    reviewer.saved()
    reviewer.press("b")
    reviewer.drag((400, 160), (420, 160))  # an accepted mask that is changed is another one
    reviewer.saved()
    assert (queued(reviewer), waiting(root)) == ("To review (4)", everybody)
    reviewer.press("Control+z")
    reviewer.saved()
    assert (queued(reviewer), waiting(root)) == ("To review (3)", everybody[1:]), "and this is the accepted one again"


def test_the_page_says_why_an_image_waits(reviewer):
    why = reviewer.page.inner_text("#reasons").splitlines()
    assert why == ["The mask as a whole looks doubtful (20 % sure).", "It is of the audit sample, picked at random."]
    strip = reviewer.page.locator(".strip-row", has_text="cat.jpg")
    assert strip.locator(".why").inner_text().startswith("The mask as a whole")
    assert "audit sample" in strip.get_attribute("aria-label")
    reviewer.press("Space")
    reviewer.wait_for("coffee.jpg")
    reviewer.press("a")
    reviewer.wait_for("cat.jpg")
    reviewer.saved()
    assert reviewer.page.inner_text("#reasons") == "It does not wait: you accepted it."
    reviewer.press("Control+z")
    reviewer.saved()
    assert "audit sample" in reviewer.page.inner_text("#reasons")


def test_regions_are_sorted_by_doubt_in_plain_words(context, tmp_path):
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    shutil.copy(EXAMPLES / "photos" / "coffee.jpg", images / "coffee.jpg")
    pairs = [
        region_at(Box(600, 500, 820, 560), text="Caf\u00e9"),
        region_at(Box(100, 100, 220, 110), confidence=0.55),
        region_at(Box(0, 0, 900, 600), kind=Kind.FRAME, confidence=0.2),
        region_at(Box(300, 100, 420, 180), kind=Kind.WATERMARK, confidence=0.52),
    ]
    with begun(root, images) as store:
        put_image(store, images, "coffee.jpg", pairs, confidence=0.5)
    with served(root) as server:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        assert reviewer.page.locator("#regions .name").all_inner_texts() == [
            "A watermark", "Small, faint text", "Perhaps a frame that only this image has", "\u201cCaf\u00e9\u201d",
        ]  # fmt: skip
        assert reviewer.page.inner_text("#reasons").splitlines()[:2] == [
            "Something that may be no watermark.", "Small, faint text.",
        ]  # fmt: skip
        reviewer.switch(0).click()  # the list and the mask mean the same region
        reviewer.saved()
        assert stored_levels(root, "coffee.jpg")[140, 360] == 255
        assert stored_levels(root, "coffee.jpg")[105, 160] == 0
        reviewer.page.close()


def test_an_act_is_one_row(dealer):
    dealer.switch(0).click()
    assert dealer.page.evaluate("document.querySelectorAll('#regions [role=switch]')[0].indeterminate"), (
        "text crosses it"
    )
    assert rows(dealer) == [], "a switch tells by itself what it did"
    dealer.press("b")
    dealer.drag((60, 560), (90, 560))
    assert rows(dealer) == ["Added by hand30 \u00d7 12 px"] or len(rows(dealer)) == 1
    dealer.page.click("#shrink")
    assert len(rows(dealer)) <= 2, "one for what is left of the stroke, one for all that was shrunk"
    dealer.press("Control+z", "Control+z")
    assert rows(dealer) == []


def test_the_image_that_a_mark_is_from_takes_it_back_everywhere(dealer, deck):
    page = dealer.page
    page.locator("#regions .region", has_text="repeats across").locator(".title").click()
    page.locator("#regions .region.open .spreads").click()
    page.wait_for_selector("#spread[open]")
    page.wait_for_selector("#spread-progress", state="hidden")
    assert "coffee.png" in page.inner_text("#spread-list")
    page.click("#spread-apply")
    dealer.saved()
    assert queued(dealer) == "To review (4)", "nobody has looked at the others"
    dealer.page.reload()
    page.wait_for_selector("body[data-ready]")
    page.click("#history summary")
    entry = page.locator("#history li", has_text="Masked on")
    entry.get_by_text("Take back on all images").click()
    dealer.saved()
    page.get_by_text("taken back").wait_for()
    assert page.get_by_text("Take back on all images").count() == 0
    with Store.open(deck, read_only=True) as store:
        assert store.correction(store.lookup("coffee.png").content_sha256).layers is None


def test_a_frame_drawn_by_hand_goes_to_the_cards_of_its_layout(dealer, deck):
    page = dealer.page
    x0, y0, x1, y1 = WINDOW
    dealer.press("m")
    for corners in (((0, 0), (420, y0)), ((0, y0), (x0, y1)), ((x1, y0), (420, y1)), ((0, y1), (420, 600))):
        dealer.drag(*corners)
    assert len(rows(dealer)) == 1
    page.locator("#parts .spreads").click()
    page.wait_for_selector("#spread[open]")
    page.wait_for_selector("#spread-progress", state="hidden")
    assert set(page.locator("#spread-list .name").all_inner_texts()) == {"coffee.png", "rocket.png"}, (
        "not the photograph"
    )
    page.locator("#spread-list li", has_text="coffee.png").locator("input").uncheck()
    page.click("#spread-apply")
    dealer.saved()
    levels = stored_levels(deck, "rocket.png")
    assert levels.shape == (480, 336)
    inside = (slice(round(0.8 * y0) + 3, round(0.8 * y1) - 3), slice(round(0.8 * x0) + 3, round(0.8 * x1) - 3))
    assert levels[inside].min() == 255
    outside = np.ones(levels.shape, dtype=np.bool_)
    outside[round(0.8 * y0) - 3 : round(0.8 * y1) + 3, round(0.8 * x0) - 3 : round(0.8 * x1) + 3] = False
    assert levels[outside].max() == 0
    assert (stored_levels(deck, "coffee.png") == 0).mean() < 0.1, "it was unticked"
    dealer.press("Control+z")
    dealer.saved()
    assert (stored_levels(deck, "rocket.png") == 0).mean() < 0.1


def test_a_recurring_mark_is_forgotten_and_taken_up_again(dealer, deck):
    page = dealer.page
    mark = page.locator("#regions .region", has_text="repeats across")
    mark.locator(".title").click()
    assert stored_levels(deck, "coffee.png")[410, 230] == 0
    mark.locator(".forget").click()
    dealer.saved()
    mark.wait_for(state="detached")
    assert stored_levels(deck, "coffee.png")[410, 230] == stored_levels(deck, "cat.png")[410, 230] == 255
    listed = json.loads(automask("overlays", "list", deck, "--json").stdout)
    assert [one["decision"] for one in listed] == ["forget"]
    page.locator("#stage").focus()
    dealer.press("Control+z")
    dealer.saved()
    mark.wait_for()
    assert stored_levels(deck, "coffee.png")[410, 230] == stored_levels(deck, "cat.png")[410, 230] == 0
    dealer.press("Control+y")
    dealer.saved()
    mark.wait_for(state="detached")
    assert queued(dealer) == "To review (4)"


def test_all_frames_go_off_on_an_image_and_on_all(dealer, deck):
    page = dealer.page
    names = ("cat.png", "coffee.png", "rocket.png", "photo.jpg")

    def framed():
        return [int(stored_levels(deck, name)[4, 50]) for name in names]

    assert framed() == [0, 0, 0, 0]
    page.click("#frames-off")
    dealer.saved()
    assert framed() == [255, 0, 0, 0]
    assert stored_levels(deck, "cat.png")[12, 110] == 0, "the text that crosses it stays"
    dealer.press("Control+z")
    dealer.saved()
    page.click("#frames-off-everywhere")
    dealer.saved()
    assert framed() == [255, 255, 255, 255]
    assert stored_levels(deck, "coffee.png")[12, 110] == 0
    assert queued(dealer) == "To review (4)"
    page.locator("#stage").focus()
    dealer.press("Control+z")
    dealer.saved()
    assert framed() == [0, 0, 0, 0]
