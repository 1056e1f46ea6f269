"""Nothing that a person did is lost: killed servers and browsers, two people on one image. And anybody can use it."""

import os

import pytest
from review_browser import READY, Reviewer, browser
from review_cases import chromium_below, kill_all, make_store, need_chromium, served, stored_levels

from automask.store import Store

pytestmark = pytest.mark.slow
pytest.importorskip("fastapi", reason="needs the extra api")

STROKE = ((400, 60), (480, 60))


@pytest.fixture(autouse=True)
def _chromium():
    need_chromium()


@pytest.fixture
def root(tmp_path):
    return make_store(tmp_path)


def test_a_killed_server_loses_nothing(root, tmp_path):
    with served(root) as server, browser(tmp_path / "profile") as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        reviewer.press("b")
        server.kill()
        reviewer.drag(*STROKE)
        reviewer.page.wait_for_selector("#state[data-state=waiting]")
        assert "No server" in reviewer.page.inner_text("#state")
        reviewer.press("Space")  # goes on to the image that was fetched ahead
        reviewer.wait_for("coffee.jpg")
        server.start()
        reviewer.saved()
        assert stored_levels(root, "cat.jpg")[60, 440] == 0
        with Store.open(root, read_only=True) as store:
            assert store.lookup("cat.jpg").decision == "accepted"


def test_a_killed_browser_and_server_lose_nothing(root, tmp_path):
    with served(root) as server:
        with browser(tmp_path / "profile") as context:
            reviewer = Reviewer(context.new_page())
            reviewer.open(server.address)
            reviewer.press("b")
            server.kill()
            reviewer.drag(*STROKE)
            reviewer.page.wait_for_selector("#state[data-state=waiting]")
            kill_all(chromium_below(os.getpid()))
        server.start()
        with browser(tmp_path / "profile") as context:
            reviewer = Reviewer(context.new_page())
            reviewer.open(server.address, "cat.jpg")
            reviewer.saved()
            assert stored_levels(root, "cat.jpg")[60, 440] == 0


def test_a_reloaded_page_shows_what_was_done(root, tmp_path):
    with served(root) as server, browser(tmp_path / "profile") as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        reviewer.switch(0).click()
        reviewer.saved()
        reviewer.page.reload()
        reviewer.page.wait_for_selector(READY)
        assert reviewer.page.inner_text("#shelf option:checked") == "To review (4)", "only accepting settles it"
        reviewer.open(server.address, "cat.jpg")
        reviewer.page.reload()
        reviewer.page.wait_for_selector(READY)
        assert not reviewer.switch(0).is_checked()
        reviewer.page.click("#history summary")
        reviewer.page.wait_for_selector("#history li")
        assert "ann" in reviewer.page.inner_text("#history")


@pytest.mark.parametrize("keeps", ["mine", "theirs"])
def test_two_people_on_one_image_see_each_other(root, tmp_path, keeps):
    with (
        served(root, author="ann") as ann_server,
        served(root, author="bob") as bob_server,
        browser(tmp_path / "profile") as context,
    ):
        ann, bob = Reviewer(context.new_page()), Reviewer(context.new_page())
        ann.open(ann_server.address)
        bob.open(bob_server.address)
        bob.page.bring_to_front()
        bob.press("b")
        bob.drag((400, 140), (480, 140))
        bob.saved()
        ann.page.bring_to_front()
        ann.press("b")
        ann.drag(*STROKE)
        ann.page.wait_for_selector("#conflict[open]")
        assert "bob saved version 1" in ann.page.inner_text("#conflict")
        ann.page.click(f"#conflict-{keeps}")
        ann.saved()
        levels = stored_levels(root, "cat.jpg")
        assert (levels[60, 440], levels[140, 440]) == ((0, 255) if keeps == "mine" else (255, 0))
        with Store.open(root, read_only=True) as store:
            history = store.correction_history(store.lookup("cat.jpg").content_sha256)
        assert [one.author for one in history] == (["bob", "ann"] if keeps == "mine" else ["bob"])
        ann.drag((400, 20), (480, 20))
        ann.saved()
        assert stored_levels(root, "cat.jpg")[20, 440] == 0, "the page goes on working"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation(root, tmp_path, theme):
    axe_package = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    with served(root) as server, browser(tmp_path / "profile", color_scheme=theme, bypass_csp=True) as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        views = {
            "editor": lambda: reviewer.page.locator("#regions .title").first.click(),
            "brush and filters": lambda: (
                reviewer.page.keyboard.press("b"),
                reviewer.page.click("#more-filters summary"),
            ),
            "help": lambda: reviewer.page.click("#help-button"),
            "grid": lambda: (reviewer.page.keyboard.press("Escape"), reviewer.page.click("#grid-button")),
            "the same mark on other images": lambda: (
                reviewer.page.click("#grid-button"),
                reviewer.page.get_by_role("button", name="Same on all").first.click(),
                reviewer.page.wait_for_selector("dialog[open]"),
            ),
            "telephone": lambda: (
                reviewer.page.keyboard.press("Escape"),
                reviewer.page.set_viewport_size({"width": 412, "height": 860}),
            ),
        }
        for view, show in views.items():
            show()
            reviewer.settle()
            found = axe_package.Axe().run(reviewer.page).response["violations"]
            serious = [
                (one["id"], [node["html"][:160] for node in one["nodes"]])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == [], view


def test_tab_visits_everything_in_order(root, tmp_path):
    with served(root) as server, browser(tmp_path / "profile") as context:
        reviewer = Reviewer(context.new_page())
        reviewer.open(server.address)
        seen = []
        for _ in range(60):
            reviewer.press("Tab")
            seen.append(reviewer.page.evaluate("() => document.activeElement.id || document.activeElement.className"))
        first = [seen.index(name) for name in ("grid-button", "shelf", "stage", "accept", "grow", "title")]
        assert first == sorted(first)
