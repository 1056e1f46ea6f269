"""One question about what repeats on the review page: asked of the group, answered once, taken back with one key."""

import json

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra api")

from cli_process import automask
from fastapi.testclient import TestClient
from overlay_cases import card, card_truth
from PIL import Image as PillowImage
from review_browser import Reviewer, browser
from review_cases import begun, need_chromium, put_image, region_at, served, stored_levels
from store_cases import make_template

from automask.mask.rendering import CorrectionLayers
from automask.store import Store
from automask.values.geometry import Box
from automask.values.templates import SCORE_ATTRIBUTE, TEMPLATE_ATTRIBUTE, TemplateOrigin
from automask.values.types import Kind, Region
from automask_api.review.serving import build_app
from automask_api.review.source import ReviewSource, token_of

CARDS = 9
FRAME = card_truth() == 255
TEMPLATE = make_template()
KEPT = (slice(200, 230), slice(100, 200))
"""What somebody unmasked by hand on card 4, before anybody was asked."""


@pytest.fixture
def root(tmp_path):
    """Nine cards whose frame is only proposed, the later ones less alike, and a picture without it."""
    images, root = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    with begun(root, images) as store:
        store.templates.add(TEMPLATE, origin=TemplateOrigin.ESTIMATED)
        for number in range(CARDS + 1):
            name = f"{number}.png"
            PillowImage.fromarray(card(number).pixels).save(images / name)
            put_image(store, images, name, [region_at(Box(60, 40, 120, 60))], confidence=0.2 + number / 100)
            content = store.lookup(name).content_sha256
            if number < CARDS:
                attributes = {TEMPLATE_ATTRIBUTE: TEMPLATE.id, SCORE_ATTRIBUTE: 1 - number / 20}
                box = Box(0, 0, FRAME.shape[1], FRAME.shape[0])
                region = Region(Kind.FRAME, box, 0.4, "overlay", artefact=FRAME, attributes=attributes)
                store.templates.put_matches(name, [region], content_sha256=content, fingerprint="f")
            if number == 4:
                unmasked = np.zeros(FRAME.shape, np.bool_)
                unmasked[KEPT] = True
                store.put_correction(
                    content, CorrectionLayers(remove=unmasked), author="ann", tool="review", based_on=None
                )
    assert automask("render", root).returncode == 0
    return root


def framed(root):
    """On which cards the frame is masked."""
    return {number for number in range(CARDS + 1) if stored_levels(root, f"{number}.png")[235, 10] == 0}


def test_the_routes_show_the_least_alike_first_and_answer_for_all(root):
    with ReviewSource.open(root, author="ann") as source:
        page = TestClient(build_app(source), base_url="http://localhost")
        (question,) = page.get("/review/api/questions").json()
        assert question["words"] == f"Was this mark put on {CARDS} pictures? It covers 1% of each."
        assert question["images"] == CARDS
        assert [one["image"] for one in question["members"]] == [token_of(f"{n}.png") for n in range(CARDS - 1, -1, -1)]
        path = f"/review/api/templates/{TEMPLATE.id}"
        for decision, masked in (("apply", set(range(CARDS))), ("forget", set()), (None, set())):
            answered = page.post(f"{path}/decision", json={"decision": decision})
            assert answered.status_code == 200, answered.text
            assert len(answered.json()["images"]) == CARDS
            assert framed(root) == masked
            assert page.get(f"{path}/images/{token_of('0.png')}").headers["Content-Type"] == "image/jpeg"
            assert (len(page.get("/review/api/questions").json()) == 1) is (decision is None)
        assert page.get(f"{path}/images/{token_of('9.png')}").status_code == 404, "it shows no frame"
        assert page.post("/review/api/templates/ffff/decision", json={"decision": "apply"}).status_code == 409


def queued(reviewer):
    return reviewer.page.locator("#shelf option[value=review]").inner_text()


@pytest.mark.slow
def test_a_person_answers_for_all_images_and_takes_it_back(root, tmp_path):
    need_chromium()
    with served(root) as server, browser(tmp_path / "profile") as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        page = reviewer.page
        before = queued(reviewer)
        assert page.inner_text("#ask") == "1 question about many images"
        page.click("#ask")
        page.wait_for_selector("#question[open]")
        names = page.locator("#question-list .name").all_inner_texts()
        assert names[:6] == ["8.png", "7.png", "6.png", "5.png", "4.png", "3.png"]
        page.wait_for_function(
            "() => [...document.querySelectorAll('#question-list img')].slice(0, 6).every(one => one.naturalWidth > 0)"
        )
        page.click("#question-later")
        assert framed(root) == set(), "nothing was said"
        page.click("#ask")
        page.get_by_role("button", name=f"Yes, mask it on {CARDS} images").click()
        reviewer.saved()
        assert framed(root) == set(range(CARDS))
        assert (stored_levels(root, "4.png")[KEPT] == 255).all(), "what a person unmasked stays so"
        page.wait_for_selector("#ask", state="hidden")
        assert queued(reviewer) == before, "an answer settles nothing"
        counts = json.loads(automask("status", root, "--json").stdout)["counts"]
        assert counts["review"] == CARDS + 1
        page.locator("#stage").focus()
        reviewer.press("Control+z")
        reviewer.saved()
        assert framed(root) == set()
        page.wait_for_selector("#ask:not([hidden])")
        reviewer.press("Control+y")
        reviewer.saved()
        assert framed(root) == set(range(CARDS))
        reviewer.press("Control+z")
        reviewer.saved()
        page.wait_for_selector("#ask:not([hidden])")
        page.click("#ask")
        page.click("#question-no")
        reviewer.saved()
        assert framed(root) == set()
        with Store.open(root, read_only=True) as store:
            assert store.templates.find(TEMPLATE.id).decision == "forget"
        assert reviewer.errors == []
