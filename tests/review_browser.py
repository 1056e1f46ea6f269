"""A person at the review page: Chromium, driven."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from review_cases import CHROMIUM, browser_arguments

READY = "body[data-ready]"
SAVED = "#state[data-state=saved]"


class Reviewer:
    """One tab with the page of a store."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, address: str, image: str = "") -> None:
        self.page.goto(address + (f"#{image}" if image else ""))
        self.page.wait_for_selector(READY)
        self.settle()

    def settle(self) -> None:
        """Let two frames pass."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def saved(self) -> None:
        """Wait until the server has everything: the page says so only when it is true."""
        self.page.wait_for_selector(SAVED)

    def name(self) -> str:
        return str(self.page.inner_text("#name"))

    def wait_for(self, name: str) -> None:
        self.page.wait_for_function("name => document.querySelector('#name').textContent === name", arg=name)
        self.page.wait_for_function("() => document.querySelector('#base').complete")
        self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the image is on screen."""
        point = self.page.evaluate(
            """([x, y]) => {
                const place = document.querySelector('#stage').getBoundingClientRect();
                const matrix = new DOMMatrix(getComputedStyle(document.querySelector('#world')).transform);
                const point = matrix.transformPoint(new DOMPoint(x, y));
                return [place.left + point.x, place.top + point.y];
            }""",
            [x, y],
        )
        return float(point[0]), float(point[1])

    def click(self, x: float, y: float, *, button: str = "left") -> None:
        self.page.mouse.click(*self.at(x, y), button=button)
        self.settle()

    def drag(self, *points: tuple[float, float], button: str = "left") -> None:
        """Draw along points of the image."""
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down(button=button)
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=6)
        mouse.up(button=button)
        self.settle()

    def switch(self, number: int) -> Any:
        """The switch of a region, from 0."""
        return self.page.locator("#regions input[role=switch]").nth(number)


@contextlib.contextmanager
def browser(profile: Path, **options: Any) -> Iterator[Any]:
    """A browser with a profile on disk, so that it can be killed and come back.

    Yields the context; `context.process_id` is not known to Playwright, see `processes_below`.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=str(CHROMIUM),
            args=browser_arguments(),
            viewport={"width": 1440, "height": 900},
            **options,
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            with contextlib.suppress(Exception):  # a killed browser has nothing left to close
                context.close()
