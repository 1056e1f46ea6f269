"""Makes docs/images/review.png: `automask demo`, then `automask review`, in Chromium.

python docs/make_review_picture.py http://127.0.0.1:PORT/review/ docs/images/review.png
"""

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

SIZE = {"width": 1360, "height": 850}
IMAGE = "art/card.png"
COLOURS = 256


def main() -> None:
    """Open one image of the demo, draw a stroke, and keep what is on screen with few colours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("target", type=Path)
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme=arguments.theme)
        page.goto(f"{arguments.address}#{IMAGE}")
        page.wait_for_selector("body[data-ready]")
        page.select_option("#shelf", "all")
        page.locator("#regions .title").first.click()
        page.keyboard.press("b")
        page.locator("#stage").evaluate("() => document.activeElement.blur()")
        page.mouse.move(640, 300)
        page.wait_for_timeout(2500)
        shot = page.screenshot()
        browser.close()
    with Image.open(io.BytesIO(shot)) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(
            arguments.target, optimize=True
        )


if __name__ == "__main__":
    main()
