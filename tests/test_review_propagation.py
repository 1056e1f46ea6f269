"""What was put right on one image, on all that show the same mark: through the routes, and through the page."""

import json
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra api")

from fastapi.testclient import TestClient
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from review_browser import Reviewer, browser
from review_cases import (
    EXAMPLES,
    begun,
    chromium_below,
    kill_all,
    need_chromium,
    packed,
    put_image,
    region_at,
    served,
    stored_levels,
)

from automask.store import Store
from automask.values.geometry import Box
from automask_api.review.serving import build_app
from automask_api.review.source import ReviewSource, token_of

MARKED = ("cat.jpg", "coffee.jpg", "rocket.jpg")
LEFT_PX, UP_PX, WIDTH_PX, HEIGHT_PX = 150, 50, 134, 34
"""The mark's box: so far from the right and lower edge, and so large."""


def stamp(picture):
    """A half-transparent mark near the lower right corner, as photographs bear it."""
    layer = PillowImage.new("RGBA", picture.size)
    place = (picture.width - LEFT_PX, picture.height - UP_PX)
    ImageDraw.Draw(layer).text(place, "© studio", fill=(255, 255, 255, 170), font=ImageFont.load_default(30))
    return PillowImage.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def mark_box(picture):
    x0, y0 = picture.width - LEFT_PX, picture.height - UP_PX
    return Box(x0, y0, x0 + WIDTH_PX, y0 + HEIGHT_PX)


@pytest.fixture
def root(tmp_path):
    """Three photographs with the mark, of different sizes, and one without; it was found on the first one only."""
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    boxes = {}
    for name in MARKED:
        with PillowImage.open(EXAMPLES / "photos" / name) as picture:
            stamp(picture).save(images / name, quality=95)
            boxes[name] = mark_box(picture)
    shutil.copy(EXAMPLES / "photos" / "deep-field.jpg", images / "deep-field.jpg")
    with begun(root, images) as store:
        put_image(store, images, "cat.jpg", [region_at(boxes["cat.jpg"], text="studio")], confidence=0.2)
        for number, name in enumerate(("coffee.jpg", "deep-field.jpg", "rocket.jpg")):
            put_image(store, images, name, [], confidence=0.3 + number / 10)
    return root


def size_of(root, name):
    with PillowImage.open(root.parent / "images" / name) as picture:
        return picture.width, picture.height


def masked_share(root, name):
    """How much of the place of the mark is masked."""
    with PillowImage.open(root.parent / "images" / name) as picture:
        return float((stored_levels(root, name)[mark_box(picture).slices] == 0).mean())


def everything_masked(root, name):
    return int((stored_levels(root, name) == 0).sum())


# Routes


@pytest.fixture
def page(root):
    with ReviewSource.open(root, author="ann") as source:
        yield TestClient(build_app(source), base_url="http://localhost")


def the_mark(root):
    width_px, height_px = size_of(root, "cat.jpg")
    artefact = np.zeros((height_px, width_px), dtype=np.bool_)
    artefact[Box(width_px - LEFT_PX, height_px - UP_PX, width_px - 16, height_px - 16).slices] = True
    return packed(artefact)


def found(page, root):
    answer = page.post(f"/review/api/images/{token_of('cat.jpg')}/propagation/search", json={"pixels": the_mark(root)})
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    *lines, last = [json.loads(line) for line in answer.text.splitlines()]
    assert last == {"ended": True}
    assert [line["done"] for line in lines] == [1, 2, 3]
    return [line["found"] for line in lines if line["found"] is not None]


def body(page, root, *, operation="0123456789abcdef"):
    places = [{name: one[name] for name in ("image", "content", "corner", "score")} for one in found(page, root)]
    return {"operation": operation, "pixels": the_mark(root), "mode": "add", "places": places}


def spread(page, document, *, revision=0):
    path = f"/review/api/images/{token_of('cat.jpg')}/propagation"
    return page.post(path, json=document, headers={"If-Match": f'"{revision}"'})


def test_a_mark_is_found_applied_once_and_taken_back(page, root):
    document = body(page, root)
    assert {one["image"] for one in document["places"]} == {token_of("coffee.jpg"), token_of("rocket.jpg")}
    for _ in range(2):  # the second time as after a lost answer
        answer = spread(page, document)
        assert answer.status_code == 200, answer.text
        assert {one["revision"] for one in answer.json()["images"].values()} == {1}
    assert masked_share(root, "coffee.jpg") == masked_share(root, "rocket.jpg") == 1
    assert everything_masked(root, "deep-field.jpg") == 0
    for _ in range(2):
        answer = page.delete(f"/review/api/propagations/{document['operation']}")
        assert {one["revision"] for one in answer.json()["images"].values()} == {2}
    assert everything_masked(root, "coffee.jpg") == everything_masked(root, "rocket.jpg") == 0
    assert page.delete("/review/api/propagations/ffffffffffffffff").status_code == 404


def test_what_was_looked_for_must_still_hold(page, root):
    document = body(page, root)
    late = spread(page, document, revision=7)
    assert (late.status_code, late.json()["code"]) == (412, "correction-conflict")
    assert page.post(f"/review/api/images/{token_of('cat.jpg')}/propagation", json=document).status_code == 422
    for wrong in (
        {"places": []},
        {"operation": "../x"},
        {"mode": "paint"},
        {"pixels": "AAAA"},
        {"places": [document["places"][0] | {"content": "0" * 64}]},
        {"places": [document["places"][0] | {"corner": [90_000, 0]}]},
    ):
        assert spread(page, document | wrong).status_code == 422, wrong
    foreign = page.post(
        f"/review/api/images/{token_of('cat.jpg')}/propagation",
        json=document,
        headers={"If-Match": '"0"', "Origin": "http://evil.example"},
    )
    assert foreign.status_code == 403
    assert everything_masked(root, "coffee.jpg") == 0


def test_a_part_of_an_image_is_shown_with_what_surrounds_it(page, root):
    path = f"/review/api/images/{token_of('coffee.jpg')}/part"
    assert page.get(f"{path}/700/540/834/574").status_code == 200
    for box in ("834/540/700/574", "5000/0/6000/9"):
        assert page.get(f"{path}/{box}").status_code == 404


# The page


def ask_for_the_mark(reviewer, button):
    button.click()
    reviewer.page.wait_for_selector("#spread[open]")
    reviewer.page.wait_for_selector("#spread-progress", state="hidden")


def names(reviewer):
    return set(reviewer.page.locator("#spread-list .name").all_inner_texts())


@pytest.mark.slow
def test_a_person_spreads_a_mark_and_takes_it_back_with_one_undo(root, tmp_path):
    need_chromium()
    with served(root) as server, browser(tmp_path / "profile") as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        reviewer.page.locator("#regions .title").first.click()
        ask_for_the_mark(reviewer, reviewer.page.locator("#regions .spreads").first)
        assert names(reviewer) == {"coffee.jpg", "rocket.jpg"}
        reviewer.page.locator("#spread-list li", has_text="rocket.jpg").locator("input").uncheck()
        assert reviewer.page.inner_text("#spread-apply") == "Mask on 1 image"
        reviewer.page.click("#spread-apply")
        reviewer.saved()
        assert masked_share(root, "coffee.jpg") == 1
        assert everything_masked(root, "rocket.jpg") == 0, "it was unticked"
        reviewer.page.locator("#stage").focus()
        reviewer.press("d")
        reviewer.wait_for("coffee.jpg")
        reviewer.page.wait_for_function("() => parseFloat(document.querySelector('#coverage-share').textContent) > 0")
        reviewer.press("Control+z")
        reviewer.saved()
        assert everything_masked(root, "coffee.jpg") == 0
        reviewer.press("Control+y")
        reviewer.saved()
        assert masked_share(root, "coffee.jpg") == 1
        assert reviewer.errors == []


@pytest.mark.slow
def test_what_is_drawn_by_hand_spreads_and_later_work_there_is_kept(root, tmp_path):
    need_chromium()
    with served(root) as server, browser(tmp_path / "profile") as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address, "coffee.jpg")
        width_px, height_px = size_of(root, "coffee.jpg")
        reviewer.press("m")
        reviewer.drag((width_px - LEFT_PX, height_px - UP_PX), (width_px - 16, height_px - 16))
        part = reviewer.page.locator("#parts .part")
        part.wait_for()
        assert part.inner_text().startswith("Added by hand")
        ask_for_the_mark(reviewer, part.locator(".spreads"))
        assert names(reviewer) == {"cat.jpg", "rocket.jpg"}
        reviewer.page.click("#spread-apply")
        reviewer.saved()
        assert masked_share(root, "rocket.jpg") == 1
        reviewer.page.locator("#strip .strip-row", has_text="rocket.jpg").click()
        reviewer.wait_for("rocket.jpg")
        reviewer.press("b")
        reviewer.drag((400, 60), (460, 60))
        reviewer.saved()
        reviewer.page.click("#history summary")
        reviewer.page.get_by_text("Take back on all images").click()
        reviewer.saved()
        assert masked_share(root, "rocket.jpg") == 0
        assert stored_levels(root, "rocket.jpg")[60, 430] == 0, "the stroke stays"
        with Store.open(root, read_only=True) as store:
            history = store.correction_history(store.lookup("rocket.jpg").content_sha256)
        assert [one.tool.split(":")[0] for one in history] == ["propagate", "review", "propagate-undo"]
        assert reviewer.errors == []


@pytest.mark.slow
def test_a_killed_server_and_browser_lose_no_propagation(root, tmp_path):
    need_chromium()
    with served(root) as server:
        with browser(tmp_path / "profile") as context:
            reviewer = Reviewer(context.new_page())
            reviewer.open(server.address)
            reviewer.page.locator("#regions .title").first.click()
            ask_for_the_mark(reviewer, reviewer.page.locator("#regions .spreads").first)
            server.kill()
            reviewer.page.click("#spread-apply")
            reviewer.page.wait_for_selector("#state[data-state=waiting]")
            kill_all(chromium_below(os.getpid()))
        assert everything_masked(root, "coffee.jpg") == 0
        server.start()
        with browser(tmp_path / "profile") as context:
            reviewer = Reviewer(context.new_page())
            reviewer.open(server.address, "coffee.jpg")
            reviewer.saved()
            assert masked_share(root, "coffee.jpg") == masked_share(root, "rocket.jpg") == 1
            reviewer.page.click("#history summary")
            reviewer.page.get_by_text("Take back on all images").click()
            reviewer.saved()
            assert everything_masked(root, "coffee.jpg") == everything_masked(root, "rocket.jpg") == 0
