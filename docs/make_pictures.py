"""Makes the README's picture from what `automask demo` wrote: `python docs/make_pictures.py automask-demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

SHOWN = ("photos/cat.jpg", "art/card.png", "photos/coffee.jpg", "art/poster.jpg", "photos/rocket.jpg")
ROW_PX = 300
GAP_PX = 8


def strip(paths: list[Path]) -> list[Image.Image]:
    """Pictures of one row height."""
    row = []
    for path in paths:
        with Image.open(path) as picture:
            width_px = round(picture.width * ROW_PX / picture.height)
            row.append(picture.convert("RGB").resize((width_px, ROW_PX), Image.Resampling.LANCZOS))
    return row


def before_and_after(demo: Path) -> Image.Image:
    """Images above, their masks below."""
    images = strip([demo / "images" / name for name in SHOWN])
    masks = strip([demo / "images-masks" / "masks" / Path(name).with_suffix(".png") for name in SHOWN])
    width_px = sum(image.width for image in images) + GAP_PX * (len(images) + 1)
    canvas = Image.new("RGB", (width_px, 2 * ROW_PX + 3 * GAP_PX), (128, 128, 132))
    x = GAP_PX
    for image, mask in zip(images, masks, strict=True):
        canvas.paste(image, (x, GAP_PX))
        canvas.paste(mask, (x, ROW_PX + 2 * GAP_PX))
        ImageDraw.Draw(canvas).rectangle(
            (x, ROW_PX + 2 * GAP_PX, x + mask.width - 1, 2 * ROW_PX + 2 * GAP_PX - 1), outline=(128, 128, 132)
        )
        x += image.width + GAP_PX
    return canvas


def main() -> None:
    """Write docs/images/before-after.jpg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    target = Path(__file__).parent / "images" / "before-after.jpg"
    target.parent.mkdir(exist_ok=True)
    before_and_after(parser.parse_args().demo).save(target, quality=88)


if __name__ == "__main__":
    main()
