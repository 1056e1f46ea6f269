"""Procedural pictures: plain grounds, flat art, and textures that are easily taken for lettering, tilings or frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from automask_training.synth.raster import Bytes, Colour, blur, resize

Texture = Callable[[np.random.Generator, int], Bytes]


def random_colour(rng: np.random.Generator) -> Colour:
    """Return a colour, natural ones more often than pure ones."""
    from colorsys import hsv_to_rgb

    red, green, blue = hsv_to_rgb(rng.random(), rng.beta(1.2, 1.8), rng.beta(2.0, 1.4))
    return round(red * 255), round(green * 255), round(blue * 255)


def near(rng: np.random.Generator, colour: Colour, spread: int) -> Colour:
    """Return a colour within `spread` levels a channel; brightness changes more than hue."""
    shared, own = int(rng.integers(-spread, spread + 1)), max(1, spread // 4)
    red, green, blue = (int(np.clip(each + shared * 3 // 4 + rng.integers(-own, own + 1), 0, 255)) for each in colour)
    return red, green, blue


def flat(rng: np.random.Generator, side_px: int) -> Bytes:
    """One colour."""
    return np.full((side_px, side_px, 3), random_colour(rng), dtype=np.uint8)


def gradient(rng: np.random.Generator, side_px: int) -> Bytes:
    """A linear or radial run between two or three colours."""
    y, x = np.mgrid[0:side_px, 0:side_px].astype(np.float32) / side_px
    angle = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.7:
        run = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5
    else:
        run = np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.2, 0.8)) * rng.uniform(0.8, 1.6)
    stops = np.linspace(0, 1, int(rng.integers(2, 4)))
    base = random_colour(rng)
    colours = np.array(
        [base] + [near(rng, base, 80) if rng.random() < 0.6 else random_colour(rng) for _ in stops[1:]],
        dtype=np.float64,
    )
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, colours[:, c]) for c in range(3)], axis=-1)
    return np.asarray(table[(run * 255).clip(0, 255).astype(np.uint8)] + 0.5, dtype=np.uint8)


def noise_field(rng: np.random.Generator, side_px: int, *, cells: int, octaves: int = 4) -> NDArray[np.float32]:
    """Return fractal noise, float32 (side, side), 0..1; `cells` is the number of bumps across at the coarsest level."""
    total = np.zeros((side_px, side_px), dtype=np.float32)
    for octave in range(octaves):
        count = min(side_px, cells * 2**octave)
        coarse = (rng.random((count + 1, count + 1)) * 255).astype(np.uint8)
        total += resize(coarse, side_px, side_px).astype(np.float32) / (255.0 * 2**octave)
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def _between(field: NDArray[np.float32], first: Colour, second: Colour) -> Bytes:
    a, b = np.array(first, dtype=np.float32), np.array(second, dtype=np.float32)
    return (a + (b - a) * field[..., None] + 0.5).astype(np.uint8)


def clouds(rng: np.random.Generator, side_px: int) -> Bytes:
    """Fractal noise between two colours: sky, water, marble, plaster."""
    base = random_colour(rng)
    return _between(noise_field(rng, side_px, cells=int(rng.integers(2, 24))), base, near(rng, base, 110))


def stripes(rng: np.random.Generator, side_px: int) -> Bytes:
    """Parallel bars, straight or wavy: cloth, blinds, waves."""
    y, x = np.mgrid[0:side_px, 0:side_px].astype(np.float32)
    angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    run = x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.5:
        run += rng.uniform(2, 20) * np.sin((x * np.sin(angle) - y * np.cos(angle)) / rng.uniform(8, 60))
    wave = np.sin(run * (2 * np.pi / rng.uniform(5, 60)))
    field = (
        (wave > rng.uniform(-0.6, 0.6)).astype(np.float32)
        if rng.random() < 0.5
        else (wave * 0.5 + 0.5).astype(np.float32)
    )
    return _between(field, random_colour(rng), random_colour(rng))


def bricks(rng: np.random.Generator, side_px: int) -> Bytes:
    """Bricks, tiles or rows of windows."""
    import cv2

    base, joint = random_colour(rng), random_colour(rng)
    sheet = np.full((side_px, side_px, 3), joint, dtype=np.uint8)
    width, height, gap = int(rng.integers(14, 110)), int(rng.integers(10, 80)), int(rng.integers(1, 9))
    offset = width // 2 if rng.random() < 0.5 else 0
    for row, y in enumerate(range(-int(rng.integers(0, height)), side_px, height)):
        for x in range(-width + (offset if row % 2 else 0), side_px, width):
            cv2.rectangle(sheet, (x, y), (x + width - gap - 1, y + height - gap - 1), near(rng, base, 22), -1)
    return sheet


def lattice(rng: np.random.Generator, side_px: int) -> Bytes:
    """A fence, a net or a grating in front of a soft ground."""
    import cv2

    sheet = clouds(rng, side_px) if rng.random() < 0.5 else gradient(rng, side_px)
    colour, step, thick = random_colour(rng), int(rng.integers(14, 90)), int(rng.integers(1, 6))
    slopes = ((1.0, -1.0), (0.0, None), (None,), (rng.uniform(0.2, 2), -rng.uniform(0.2, 2)))[int(rng.integers(4))]
    for slope in slopes:
        for start in range(-2 * side_px, 3 * side_px, step):
            if slope is None:
                cv2.line(sheet, (start, 0), (start, side_px), colour, thick, cv2.LINE_AA)
            else:
                cv2.line(sheet, (0, start), (side_px, round(start + slope * side_px)), colour, thick, cv2.LINE_AA)
    return sheet


def leaves(rng: np.random.Generator, side_px: int) -> Bytes:
    """Overlapping blades or leaves."""
    import cv2

    base = random_colour(rng)
    sheet = np.full((side_px, side_px, 3), near(rng, base, 40), dtype=np.uint8)
    long, slim = rng.uniform(6, 40), rng.uniform(1.5, 10)
    for _ in range(int(rng.integers(300, 900))):
        centre = (int(rng.integers(side_px)), int(rng.integers(side_px)))
        axes = (int(long * rng.uniform(0.6, 1.4)), max(1, int(slim * rng.uniform(0.6, 1.4))))
        cv2.ellipse(sheet, centre, axes, rng.uniform(0, 180), 0, 360, near(rng, base, 55), -1, cv2.LINE_AA)
    return sheet


def strands(rng: np.random.Generator, side_px: int) -> Bytes:
    """Hair, fur, grass or scratches."""
    import cv2

    base = random_colour(rng)
    sheet = clouds(rng, side_px)
    lean, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1.5)
    for _ in range(int(rng.integers(60, 260))):
        angles = (
            lean
            + rng.normal(0, 0.25)
            + np.linspace(0, bend, 8) * rng.uniform(0.4, 1)
            + np.cumsum(rng.normal(0, 0.08, 8))
        )
        start = rng.uniform(0, side_px, 2)
        points = start + np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=-1) * rng.uniform(6, 30), axis=0)
        cv2.polylines(
            sheet, [points.astype(np.int32)], False, near(rng, base, 60), int(rng.integers(1, 4)), cv2.LINE_AA
        )
    return sheet


def branches(rng: np.random.Generator, side_px: int) -> Bytes:
    """Twigs or cracks that fork."""
    import cv2

    sheet = gradient(rng, side_px) if rng.random() < 0.5 else clouds(rng, side_px)
    colour = random_colour(rng)
    tips = [
        (rng.uniform(0, side_px, 2), rng.uniform(0, 2 * np.pi), rng.uniform(2, 9))
        for _ in range(int(rng.integers(2, 7)))
    ]
    for _ in range(400):
        if not tips:
            break
        point, angle, thick = tips.pop(0)
        end = point + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(10, 45)
        cv2.line(
            sheet, (int(point[0]), int(point[1])), (int(end[0]), int(end[1])), colour, max(1, round(thick)), cv2.LINE_AA
        )
        for _ in range(1 + int(rng.random() < 0.35)):
            if thick > 0.6 and (end >= 0).all() and (end < side_px).all():
                tips.append((end, angle + rng.normal(0, 0.45), thick * rng.uniform(0.75, 0.97)))
    return sheet


def specks(rng: np.random.Generator, side_px: int) -> Bytes:
    """Stars, snow, bokeh or halftone dots."""
    import cv2

    sheet = gradient(rng, side_px)
    colour, largest = random_colour(rng), float(rng.choice([2, 4, 14, 40]))
    for _ in range(int(rng.integers(40, 500))):
        radius = max(1, int(rng.random() ** 2 * largest))
        cv2.circle(
            sheet,
            (int(rng.integers(side_px)), int(rng.integers(side_px))),
            radius,
            near(rng, colour, 40),
            -1,
            cv2.LINE_AA,
        )
    return blur(sheet, rng.uniform(0.5, 3)) if rng.random() < 0.4 else sheet


def shapes(rng: np.random.Generator, side_px: int) -> Bytes:
    """Flat art: discs, wheels, eyes, boxes and polygons with hard edges."""
    import cv2

    sheet = gradient(rng, side_px) if rng.random() < 0.5 else flat(rng, side_px)
    for _ in range(int(rng.integers(2, 16))):
        colour = random_colour(rng)
        x, y, size = int(rng.integers(side_px)), int(rng.integers(side_px)), int(side_px * rng.uniform(0.02, 0.3))
        which = rng.random()
        if which < 0.35:
            cv2.circle(sheet, (x, y), size, colour, -1, cv2.LINE_AA)
            if rng.random() < 0.5:
                cv2.circle(
                    sheet, (x, y), max(1, size * 2 // 3), random_colour(rng), int(rng.integers(-1, 6)) or 1, cv2.LINE_AA
                )
            if rng.random() < 0.4:
                for spoke in np.linspace(0, 2 * np.pi, int(rng.integers(5, 14))):
                    end = (int(x + size * np.cos(spoke)), int(y + size * np.sin(spoke)))
                    cv2.line(sheet, (x, y), end, colour, max(1, size // 14), cv2.LINE_AA)
        elif which < 0.6:
            cv2.rectangle(sheet, (x, y), (x + size, y + int(size * rng.uniform(0.2, 3))), colour, -1)
        else:
            points = np.array([x, y]) + rng.normal(0, size, (int(rng.integers(3, 8)), 2))
            cv2.fillPoly(sheet, [points.astype(np.int32)], colour, cv2.LINE_AA)
    return sheet


def plaid(rng: np.random.Generator, side_px: int) -> Bytes:
    """Two crossing sets of stripes of one weave: tartan, table cloth, graph paper."""
    base = np.full((side_px, side_px, 3), random_colour(rng), dtype=np.float32)
    ramp = np.arange(side_px, dtype=np.float32)
    for axis in (0, 1):
        for _ in range(int(rng.integers(1, 4))):
            period, width = rng.uniform(10, 120), rng.uniform(0.05, 0.6)
            band = ((ramp / period + rng.random()) % 1.0 < width).astype(np.float32) * rng.uniform(0.2, 0.7)
            share = band[:, None, None] if axis == 0 else band[None, :, None]
            base += (np.asarray(random_colour(rng), dtype=np.float32) - base) * share
    return np.asarray(base + 0.5, dtype=np.uint8)


def motifs(rng: np.random.Generator, side_px: int) -> Bytes:
    """One small shape over and over: knitting, scales, roof tiles, mosaics, wallpaper, book spines."""
    import cv2

    ground = random_colour(rng)
    wide, high = int(rng.integers(8, 70)), int(rng.integers(8, 70))
    tile = np.full((high, wide, 3), ground, dtype=np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        colour, which = near(rng, ground, 90) if rng.random() < 0.7 else random_colour(rng), rng.random()
        if which < 0.3:
            cv2.ellipse(
                tile,
                (wide // 2, high // 2),
                (max(1, wide // 3), max(1, high // 3)),
                rng.uniform(0, 180),
                0,
                360,
                colour,
                -1,
                cv2.LINE_AA,
            )
        elif which < 0.55:
            points = rng.uniform(0, 1, (int(rng.integers(3, 6)), 2)) * (wide, high)
            cv2.fillPoly(tile, [points.astype(np.int32)], colour, cv2.LINE_AA)
        elif which < 0.8:
            cv2.line(tile, (0, int(rng.integers(high))), (wide // 2, high - 1), colour, max(1, wide // 8), cv2.LINE_AA)
            cv2.line(
                tile, (wide // 2, high - 1), (wide - 1, int(rng.integers(high))), colour, max(1, wide // 8), cv2.LINE_AA
            )
        else:
            cv2.rectangle(tile, (1, 1), (wide - 2, high - 2), colour, max(1, wide // 12))
    mirrored = np.concatenate([tile, tile[:, ::-1]], axis=1) if rng.random() < 0.4 else tile
    rows = side_px // high + 2
    row = np.tile(mirrored, (1, side_px // mirrored.shape[1] + 3, 1))
    shift = mirrored.shape[1] // 2 if rng.random() < 0.5 else 0
    sheet = np.concatenate([np.roll(row, shift * (number % 2), axis=1) for number in range(rows)])[:side_px, :side_px]
    shade = noise_field(rng, side_px, cells=3, octaves=2)[..., None] * np.float32(0.6) + np.float32(0.6)
    return np.asarray((sheet * shade).clip(0, 255), dtype=np.uint8)


def ripples(rng: np.random.Generator, side_px: int) -> Bytes:
    """Contour lines of noise: waves, wood grain, marbling, curly hair."""
    field = noise_field(rng, side_px, cells=int(rng.integers(2, 7)), octaves=3)
    y, x = np.mgrid[0:side_px, 0:side_px].astype(np.float32) / side_px
    run = field * np.float32(rng.uniform(2, 12)) + (x * np.cos(1.0) + y) * np.float32(rng.uniform(0, 14))
    wave = (np.sin(run * np.float32(2 * np.pi)) * 0.5 + 0.5).astype(np.float32) ** np.float32(rng.uniform(0.4, 4))
    base = random_colour(rng)
    return _between(wave, base, near(rng, base, 110))


def parchment(rng: np.random.Generator, side_px: int) -> Bytes:
    """A painted map without names: land, sea, coast lines, hills, rivers and roads."""
    import cv2

    land, sea = near(rng, (222, 200, 150), 35), near(rng, (170, 190, 190), 45)
    ink = near(rng, (80, 55, 35), 25)
    height = noise_field(rng, side_px, cells=int(rng.integers(2, 5)), octaves=5)
    is_land = (height > rng.uniform(0.25, 0.6)).astype(np.uint8)
    drawn = np.where(is_land[..., None] > 0, np.array(land), np.array(sea)).astype(np.float32)
    drawn *= (0.85 + 0.25 * noise_field(rng, side_px, cells=6))[..., None]
    sheet: Bytes = drawn.clip(0, 255).astype(np.uint8)
    coast, _ = cv2.findContours(is_land, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(sheet, coast, -1, ink, int(rng.integers(1, 3)), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 60))):
        x, y = int(rng.integers(side_px)), int(rng.integers(side_px))
        if is_land[y, x]:
            size = int(side_px * rng.uniform(0.008, 0.03))
            if rng.random() < 0.6:
                cv2.polylines(
                    sheet,
                    [np.array([[x - size, y + size], [x, y - size], [x + size, y + size]], dtype=np.int32)],
                    False,
                    ink,
                    1,
                    cv2.LINE_AA,
                )
            else:
                cv2.circle(sheet, (x, y), max(1, size // 2), near(rng, (70, 100, 50), 30), -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 4))):
        points = rng.uniform(0, side_px, 2) + np.cumsum(
            rng.normal(0, side_px * 0.05, (12, 2)) + rng.normal(0, side_px * 0.03, 2), axis=0
        )
        cv2.polylines(
            sheet,
            [points.astype(np.int32)],
            False,
            ink if rng.random() < 0.5 else sea,
            int(rng.integers(1, 4)),
            cv2.LINE_AA,
        )
    return sheet


PLAIN: tuple[Texture, ...] = (flat, gradient, clouds, shapes)
"""Grounds for flat art and posters."""
BUSY: tuple[Texture, ...] = (
    stripes,
    bricks,
    lattice,
    leaves,
    strands,
    branches,
    specks,
    clouds,
    plaid,
    motifs,
    ripples,
    parchment,
)
"""Textures that look like marks, grids or borders and are not."""


def draw(rng: np.random.Generator, side_px: int, textures: tuple[Texture, ...]) -> Bytes:
    """Draw one of `textures`, uint8 (side, side, 3)."""
    return textures[int(rng.integers(len(textures)))](rng, side_px)
