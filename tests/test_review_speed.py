"""How fast the page is for a person. Prints its figures: `pytest -m slow -s tests/test_review_speed.py`."""

import statistics

import numpy as np
import pytest
from PIL import Image as PillowImage
from review_browser import Reviewer, browser
from review_cases import EXAMPLES, begun, need_chromium, put_image, region_at, served

from automask.geometry import Box

pytestmark = pytest.mark.slow
pytest.importorskip("fastapi", reason="needs the extra api")

QUEUE = 5000
VISITED = 24
NEXT_MS = 150
EVENT_MS = 16

WATCH = """() => {
    const spent = { events: [], handler: 0, frame: 0 };
    window.spent = spent;
    let began = 0;
    const close = () => {
        if (spent.handler) spent.events.push(spent.handler + spent.frame);
        spent.handler = spent.frame = 0;
    };
    addEventListener('pointermove', () => { close(); began = performance.now(); }, true);
    addEventListener('pointermove', () => { spent.handler += performance.now() - began; });
    const request = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (callback) => request((time) => {
        const from = performance.now();
        callback(time);
        spent.frame += performance.now() - from;
    });
}"""


@pytest.fixture(autouse=True)
def _chromium():
    need_chromium()


def test_the_brush_on_24_megapixels(tmp_path):
    root = large_image(tmp_path)
    with served(root) as server, browser(tmp_path / "profile") as context:
        page = context.new_page()
        page.add_init_script(f"({WATCH})()")
        reviewer = Reviewer(page)
        reviewer.open(server.address)
        reviewer.press("b", "]", "]")
        for zoomed in (False, True):
            if zoomed:
                reviewer.press("9")
                page.wait_for_timeout(800)
            page.mouse.move(420, 250)
            page.mouse.down()
            page.evaluate("() => { window.spent.events.length = 0; }")
            for step in range(200):
                page.mouse.move(420 + 2.2 * step, 300 + 90 * np.sin(step / 14))
            page.mouse.up()
            spent = page.evaluate("() => window.spent.events")
            middle, p95 = statistics.median(spent), float(np.percentile(spent, 95))
            where = "at 100 %" if zoomed else "whole picture"
            print(f"brush on 6000 x 4000 px, {where}: median {middle:.1f} ms, p95 {p95:.1f} ms of {len(spent)} events")
            assert len(spent) > 50
            assert p95 <= EVENT_MS


def test_the_next_image_of_5000(tmp_path):
    root = long_queue(tmp_path, QUEUE)
    with served(root) as server, browser(tmp_path / "profile") as context:
        page = context.new_page()
        reviewer = Reviewer(page)
        reviewer.open(server.address)
        assert f"of {QUEUE}" in page.inner_text("#progress")
        page.wait_for_timeout(1500)
        page.evaluate("() => performance.clearMeasures('next-image')")
        for index in range(VISITED):
            reviewer.press("Space")
            page.wait_for_function("count => performance.getEntriesByName('next-image').length >= count", arg=index + 1)
            page.wait_for_timeout(1200)  # a person looks at it
        taken = page.evaluate("() => performance.getEntriesByName('next-image').map(one => one.duration)")
        middle, p95 = statistics.median(taken), float(np.percentile(taken, 95))
        print(f"next image of {QUEUE}, from key to picture: median {middle:.0f} ms, p95 {p95:.0f} ms of {len(taken)}")
        assert middle <= NEXT_MS


def large_image(folder):
    images, root = folder / "images", folder / "store"
    images.mkdir()
    with PillowImage.open(EXAMPLES / "photos" / "rocket.jpg") as picture:
        picture.convert("RGB").resize((6000, 4000)).save(images / "large.jpg", quality=88)
    with begun(root, images) as store:
        pairs = [region_at(Box(300, 3500, 3000, 3800)), region_at(Box(0, 0, 6000, 160))]
        put_image(store, images, "large.jpg", pairs, confidence=0.3)
    return root


def long_queue(folder, count):
    """Most of them small, since only the first ones are looked at."""
    images, root = folder / "images", folder / "store"
    images.mkdir()
    with PillowImage.open(EXAMPLES / "photos" / "rocket.jpg") as opened:
        shown = opened.convert("RGB").resize((1536, 1024))
    small = shown.resize((48, 32))
    with begun(root, images) as store:
        for index in range(count):
            picture = shown if index < VISITED + 6 else small
            picture.putpixel((index % 48, index // 48 % 32), (255, index % 256, index // 256))
            picture.save(images / f"{index:04d}.png", compress_level=1)
            width_px, height_px = picture.size
            pair = region_at(Box(2, 2, width_px // 3, height_px // 6))
            put_image(store, images, f"{index:04d}.png", [pair], confidence=0.1 + 0.3 * index / count)
    return root
