"""A person calls regions other kinds in a real browser, and that is what they stay."""

import contextlib
import json

import numpy as np
import pytest
from cli_process import automask
from review_browser import Reviewer
from review_cases import CONFIG, served, stored_levels

from automask.config import PolicyConfig
from automask.run.redraw import redraw_store
from automask.store import Store

pytestmark = pytest.mark.slow
pytest_plugins = ["review_fixtures"]
pytest.importorskip("fastapi", reason="needs the extra api")


def kind_of(reviewer):
    return reviewer.page.locator("#regions select").first.input_value()


def called_in(root):
    with Store.open(root, read_only=True) as store:
        row = store.lookup("cat.jpg")
        return [kind.value for kind in row.kinds], store.called_kinds(row.content_sha256)


def exported_kinds(root, output):
    made = automask("export", root, "--to", "coco", "--output", output)
    assert made.returncode == 0, made.stderr
    written = json.loads((output / "annotations-rle.json").read_text())
    names = {category["id"]: category["name"] for category in written["categories"]}
    (cat,) = (image["id"] for image in written["images"] if image["file_name"] == "cat.jpg")
    return [names[one["category_id"]] for one in written["annotations"] if one["image_id"] == cat]


def test_the_kind_of_a_region_is_kept(reviewer, server, root, tmp_path):
    reviewer.page.locator("#regions .title").first.click()
    before = stored_levels(root, "cat.jpg")
    reviewer.page.locator("#regions select").first.select_option("watermark")
    reviewer.saved()
    assert called_in(root)[0] == ["watermark"]
    assert np.array_equal(stored_levels(root, "cat.jpg"), before)
    reviewer.page.reload()
    reviewer.open(server.address, "cat.jpg")
    assert reviewer.name() == "cat.jpg"
    assert kind_of(reviewer) == "watermark"
    assert reviewer.page.locator("#regions .kind-watermark").count() == 1
    assert exported_kinds(root, tmp_path / "coco") == ["watermark"]

    reviewer.page.locator("#regions .title").first.click()
    reviewer.page.locator("#regions select").first.select_option("frame")
    reviewer.page.locator("#regions select").first.select_option("text")
    reviewer.saved()
    assert called_in(root) == (["text"], {}), "as it was found: nothing is left to keep"
    reviewer.press("Control+z")
    assert kind_of(reviewer) == "frame"
    reviewer.press("Control+z")
    reviewer.saved()
    assert kind_of(reviewer) == "watermark"
    assert called_in(root)[0] == ["watermark"]
    reviewer.press("Control+Shift+z")
    reviewer.saved()
    assert called_in(root)[0] == ["frame"]


POLICY = {"watermark": {"weight": 0.25}, "overlay": {"action": "keep"}, "custom": {"weight": 0.5}}


def test_a_kind_takes_its_weight_and_gives_it_back(context, root):
    """Whatever the order: the mask, what the page says of it, and both after a reload."""
    redraw_store(root, CONFIG.model_copy(update={"policy": PolicyConfig.model_validate(POLICY)}))
    with served(root) as server, contextlib.closing(context.new_page()) as page:
        reviewer = Reviewer(page)
        reviewer.open(server.address, "coffee.jpg")
        before = stored_levels(root, "coffee.jpg")
        assert (before[530, 700], before[140, 150]) == (0, 64)
        for number, kind, level, percent in (
            (0, "watermark", 64, 25), (0, "overlay", 255, None), (0, "custom", 128, 50), (0, "frame", 0, 0),
            (0, "overlay", 255, None), (0, "text", 0, 0), (1, "text", 0, 0), (1, "custom", 128, 50),
            (1, "overlay", 255, None), (1, "frame", 0, 0), (1, "watermark", 64, 0),
        ):  # fmt: skip
            row = page.locator("#regions > li").nth(number)
            row.locator(".title").click()
            row.locator("select").select_option(kind)
            reviewer.saved()
            for _ in range(2):
                row = page.locator("#regions > li").nth(number)
                assert stored_levels(root, "coffee.jpg")[(530, 700) if number == 0 else (140, 150)] == level, kind
                assert row.locator("select").input_value() == kind
                assert reviewer.switch(number).is_checked() == (percent is not None)
                assert percent is None or row.locator("input[type=range]").input_value() == str(percent)
                page.reload()
                reviewer.open(server.address, "coffee.jpg")
        assert np.array_equal(stored_levels(root, "coffee.jpg"), before)
        with Store.open(root, read_only=True) as store:
            assert store.correction(store.lookup("coffee.jpg").content_sha256).layers is None, "nothing is left of it"
        assert reviewer.errors == []


@pytest.mark.parametrize("keeps", ["mine", "theirs"])
def test_two_people_call_one_region_two_things(context, root, keeps):
    with served(root, author="ann") as ann_server, served(root, author="bob") as bob_server:
        ann, bob = Reviewer(context.new_page()), Reviewer(context.new_page())
        ann.open(ann_server.address)
        bob.open(bob_server.address)
        for person, kind in ((bob, "frame"), (ann, "overlay")):
            person.page.bring_to_front()
            person.page.locator("#regions .title").first.click()
            person.page.locator("#regions select").first.select_option(kind)
            if person is bob:
                bob.saved()
        ann.page.wait_for_selector("#conflict[open]")
        ann.page.click(f"#conflict-{keeps}")
        ann.saved()
        ann.page.wait_for_selector("#conflict", state="hidden")
        wanted = "overlay" if keeps == "mine" else "frame"
        assert called_in(root)[0] == [wanted]
        ann.page.wait_for_function("kind => document.querySelector('#regions select')?.value === kind", arg=wanted)
        assert ann.errors == bob.errors == []
        ann.page.close()
        bob.page.close()


def test_the_queue_follows(reviewer):
    strip = reviewer.page.locator(".strip-row", has_text="cat.jpg")
    assert strip.locator(".kind-text").count() == 1
    reviewer.page.locator("#regions .title").first.click()
    reviewer.page.locator("#regions select").first.select_option("overlay")
    reviewer.saved()
    reviewer.settle()
    assert strip.locator(".kind-overlay").count() == 1
    assert strip.locator(".kind-text").count() == 0
