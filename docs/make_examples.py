"""Draws the images that `automask demo` runs on: `python docs/make_examples.py`.

The drawings are our own; the photographs are the CC0 and public-domain samples of scikit-image (extra `train`). Fonts
come from the Debian packages fonts-ebgaramond, fonts-bebas-neue, fonts-dejavu-core and fonts-dancingscript; only
their rendering is in the pictures. automask/examples/README.md names every author.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from skimage import data

FONTS = Path("/usr/share/fonts")
SERIF = "opentype/ebgaramond/EBGaramond12-Regular.otf"
SERIF_ITALIC = "opentype/ebgaramond/EBGaramond12-Italic.otf"
CONDENSED = "opentype/bebas-neue/BebasNeue-Bold.otf"
SANS_BOLD = "truetype/dejavu/DejaVuSans-Bold.ttf"
MONO_BOLD = "truetype/dejavu/DejaVuSansMono-Bold.ttf"
SCRIPT = "opentype/dancingscript/DancingScript-Bold.otf"

Colour = tuple[int, int, int]


def font(face: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A face from the Debian font packages."""
    return ImageFont.truetype(str(FONTS / face), size_px)


def photograph(name: str, width_px: int) -> Image.Image:
    """A scikit-image sample, resized to a width."""
    pixels: NDArray[np.uint8] = getattr(data, name)()
    picture = Image.fromarray(pixels).convert("RGB")
    return picture.resize((width_px, round(picture.height * width_px / picture.width)), Image.Resampling.LANCZOS)


def gradient(width_px: int, height_px: int, stops: list[tuple[float, Colour]]) -> Image.Image:
    """A vertical colour gradient through (position 0..1, colour) stops."""
    at = np.linspace(0, 1, height_px)
    positions = [stop for stop, _ in stops]
    rows = np.stack([np.interp(at, positions, [colour[c] for _, colour in stops]) for c in range(3)], axis=1)
    return Image.fromarray(np.repeat(rows[:, None], width_px, axis=1).astype(np.uint8))


def ridge(width_px: int, base: float, height: float, *, seed: int, roughness: float) -> NDArray[np.float64]:
    """The skyline of a mountain range, one y per column."""
    rng = np.random.default_rng(seed)
    x = np.arange(width_px) / width_px
    y = np.full(width_px, base)
    for octave in range(7):
        frequency = 1.3 * 2**octave
        phase = rng.uniform(0, 2 * math.pi)
        y += height * roughness**octave * np.abs(np.sin(math.pi * frequency * x + phase)) * -1
    return y


def landscape(
    width_px: int, height_px: int, *, seed: int, stops: list[tuple[float, Colour]], hills: list[Colour]
) -> Image.Image:
    """Layers of misty mountains in front of a sky with a low sun."""
    picture = gradient(width_px, height_px, stops)
    glow = Image.new("L", picture.size)
    sun_x, sun_y, sun_r = width_px * 0.66, height_px * 0.40, width_px * 0.06
    ImageDraw.Draw(glow).ellipse((sun_x - sun_r, sun_y - sun_r, sun_x + sun_r, sun_y + sun_r), fill=255)
    halo = glow.filter(ImageFilter.GaussianBlur(width_px * 0.05)).point(lambda level: min(255, level * 2))
    picture.paste((255, 226, 178), mask=halo.point(lambda level: level * 6 // 10))
    picture.paste((255, 244, 222), mask=glow.filter(ImageFilter.GaussianBlur(2)))
    for i, colour in enumerate(hills):
        depth = (i + 1) / len(hills)
        base = height_px * (0.58 + 0.40 * depth)
        line = ridge(width_px, base, height_px * (0.16 + 0.05 * depth), seed=seed + i, roughness=0.47)
        draw = ImageDraw.Draw(picture)
        draw.polygon([(0, height_px), *enumerate(line.tolist()), (width_px, height_px)], fill=colour)
        mist = gradient(
            width_px, height_px, [(0, (0, 0, 0)), (0.5, (0, 0, 0)), (0.5 + depth / 2, (70, 70, 70)), (1, (0, 0, 0))]
        )
        picture.paste((244, 222, 205), mask=mist.convert("L").filter(ImageFilter.GaussianBlur(24)))
    grain = np.random.default_rng(seed).normal(0, 3.0, (height_px, width_px, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


DUSK: list[tuple[float, Colour]] = [
    (0, (38, 52, 96)),
    (0.28, (122, 92, 138)),
    (0.45, (236, 150, 116)),
    (0.62, (250, 210, 160)),
    (1, (250, 226, 190)),
]
DAY: list[tuple[float, Colour]] = [
    (0, (64, 128, 176)),
    (0.35, (136, 190, 214)),
    (0.6, (214, 232, 228)),
    (1, (236, 240, 228)),
]
DUSK_HILLS: list[Colour] = [(150, 108, 132), (112, 78, 112), (76, 54, 88), (44, 34, 62)]
DAY_HILLS: list[Colour] = [(128, 160, 168), (92, 132, 130), (58, 104, 88), (34, 74, 58)]


def tree(draw: ImageDraw.ImageDraw, x: float, y: float, height: float, colour: Colour) -> None:
    """A fir: stacked triangles."""
    for step in range(6):
        top, half = y - height + step * height * 0.15, height * (0.06 + 0.034 * step)
        draw.polygon([(x, top), (x - half, top + height * 0.26), (x + half, top + height * 0.26)], fill=colour)


def card() -> Image.Image:
    """A trading card: patterned border, key lines, art window, title band, rules text, number."""
    width_px, height_px = 660, 920
    border = np.zeros((height_px, width_px, 3), dtype=np.float64)
    yy, xx = np.mgrid[:height_px, :width_px]
    weave = (np.sin(xx / 5.0) * np.sin(yy / 5.0) > 0.2) * 10.0
    border[:] = (54, 40, 30)
    border += weave[..., None]
    picture = Image.fromarray(border.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((26, 26, width_px - 27, height_px - 27), outline=(198, 160, 92), width=4)
    draw.rectangle((34, 34, width_px - 35, height_px - 35), outline=(126, 92, 48), width=2)
    art = landscape(564, 500, seed=3, stops=DUSK, hills=DUSK_HILLS)
    art_draw = ImageDraw.Draw(art)
    for x, height in ((60, 150), (120, 190), (186, 130), (420, 170), (490, 210), (536, 140)):
        tree(art_draw, x, 500, height, (24, 20, 38))
    picture.paste(art, (48, 116))
    draw.rectangle((47, 115, 48 + 564, 116 + 500), outline=(198, 160, 92), width=3)
    draw.rounded_rectangle((46, 48, width_px - 47, 106), 10, fill=(226, 206, 166), outline=(126, 92, 48), width=2)
    draw.text((64, 77), "Warden of the Last Pass", font=font(SERIF, 38), fill=(40, 26, 18), anchor="lm")
    draw.ellipse((width_px - 106, 52, width_px - 56, 102), fill=(52, 88, 128), outline=(24, 40, 64), width=2)
    draw.text((width_px - 81, 77), "4", font=font(SERIF, 36), fill=(250, 246, 236), anchor="mm")
    draw.rounded_rectangle(
        (46, 632, width_px - 47, height_px - 58), 10, fill=(238, 224, 192), outline=(126, 92, 48), width=2
    )
    body = "When the sun is low, travellers within\ntwo leagues may rest once. Draw a card\n"
    body += "for every lantern that is still lit."
    draw.multiline_text((68, 652), body, font=font(SERIF, 31), fill=(40, 26, 18), spacing=6)
    draw.text(
        (68, 790), "\u201cThe mountain keeps what it is given.\u201d", font=font(SERIF_ITALIC, 28), fill=(84, 58, 40)
    )
    draw.text((width_px // 2, height_px - 44), "017 / 120", font=font(SERIF, 18), fill=(206, 176, 120), anchor="mm")
    return picture


def poster() -> Image.Image:
    """A travel poster: huge headline, small lines, a thick cream border."""
    width_px, height_px = 720, 960
    picture = Image.new("RGB", (width_px, height_px), (243, 234, 214))
    art = landscape(width_px - 72, height_px - 72, seed=11, stops=DAY, hills=DAY_HILLS)
    draw = ImageDraw.Draw(art)
    for x in range(10, art.width, 58):
        tree(draw, x, art.height, 90 + 50 * math.sin(x), (18, 48, 40))
    draw.text((art.width // 2, 96), "FAR NORTH", font=font(CONDENSED, 168), fill=(250, 246, 232), anchor="mm")
    draw.text((art.width // 2, 188), "BY NIGHT TRAIN", font=font(CONDENSED, 58), fill=(196, 60, 44), anchor="mm")
    draw.text(
        (art.width // 2, art.height - 42),
        "DAILY FROM PLATFORM NINE",
        font=font(CONDENSED, 40),
        fill=(250, 246, 232),
        anchor="mm",
    )
    picture.paste(art, (36, 36))
    return picture


def cat_with_watermark() -> Image.Image:
    """A photograph under a repeated translucent agency mark."""
    picture = photograph("chelsea", 900)
    mark = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(mark)
    draw.text((450, 300), "samplestock", font=font(SANS_BOLD, 104), fill=(255, 255, 255, 96), anchor="mm")
    draw.text(
        (450, 372), "preview copy  \u00b7  no. 48213", font=font(SANS_BOLD, 28), fill=(255, 255, 255, 110), anchor="mm"
    )
    turned = mark.rotate(14, resample=Image.Resampling.BICUBIC, center=(450, 300))
    return Image.alpha_composite(picture.convert("RGBA"), turned).convert("RGB")


def coffee_with_date() -> Image.Image:
    """A photograph with a camera's orange date stamp and a signature."""
    picture = photograph("coffee", 900)
    glow = Image.new("RGBA", picture.size)
    for blur_px, alpha in ((5, 150), (0, 255)):
        layer = Image.new("RGBA", picture.size)
        draw = ImageDraw.Draw(layer)
        draw.text(
            (picture.width - 40, picture.height - 36),
            "98  7 14",
            font=font(MONO_BOLD, 38),
            fill=(255, 138, 40, alpha),
            anchor="rs",
        )
        glow = Image.alpha_composite(glow, layer.filter(ImageFilter.GaussianBlur(blur_px)))
    return Image.alpha_composite(picture.convert("RGBA"), glow).convert("RGB")


def rocket_letterbox() -> Image.Image:
    """A film still: wide crop between black bars, with a subtitle."""
    still = photograph("rocket", 960)
    still = still.crop((0, 60, 960, 60 + 400))
    picture = Image.new("RGB", (960, 540))
    picture.paste(still, (0, 70))
    draw = ImageDraw.Draw(picture)
    draw.text(
        (480, 436),
        "We have cleared the tower.",
        font=font(SANS_BOLD, 32),
        fill=(255, 255, 255),
        anchor="mm",
        stroke_width=3,
        stroke_fill=(0, 0, 0),
    )
    return picture


def snapshot() -> Image.Image:
    """An instant photograph: white mat with a handwritten caption."""
    picture = Image.new("RGB", (700, 820), (246, 243, 236))
    noise = np.random.default_rng(5).normal(0, 1.6, (820, 700, 1))
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    cat = photograph("chelsea", 1000).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture.paste(cat.crop((190, 30, 810, 650)), (40, 40))
    ImageDraw.Draw(picture).text(
        (350, 742), "chelsea, finally still", font=font(SCRIPT, 58), fill=(52, 62, 96), anchor="mm"
    )
    return picture


def deep_field() -> Image.Image:
    """A clean photograph."""
    return photograph("hubble_deep_field", 760).crop((0, 0, 760, 640))


def valley() -> Image.Image:
    """A clean painting."""
    picture = landscape(960, 640, seed=21, stops=DUSK, hills=DUSK_HILLS)
    draw = ImageDraw.Draw(picture)
    for x, height in ((40, 210), (110, 150), (170, 190), (800, 170), (870, 240), (930, 160)):
        tree(draw, x, 640, height, (24, 20, 38))
    return picture


EXAMPLES: dict[str, Callable[[], Image.Image]] = {
    "art/card.png": card,
    "art/poster.jpg": poster,
    "art/valley.webp": valley,
    "photos/cat.jpg": cat_with_watermark,
    "photos/coffee.jpg": coffee_with_date,
    "photos/deep-field.jpg": deep_field,
    "photos/rocket.jpg": rocket_letterbox,
    "photos/snapshot.jpg": snapshot,
}


def main() -> None:
    """Draw all images into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent.parent / "automask" / "examples"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    folder: Path = parser.parse_args().folder
    for name, draw in EXAMPLES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = draw()
        if path.suffix == ".png":
            picture.quantize(255, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(
                path, optimize=True
            )
        else:
            picture.save(path, quality=86)


if __name__ == "__main__":
    main()
