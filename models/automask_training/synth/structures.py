"""Things of a photograph that resemble lettering or logos and are none: wheels, dials, facades, rails, lamps, slats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from automask_training.synth.emblems import polygon_points
from automask_training.synth.raster import Bytes, Canvas, Colour, Layer, blur, tilted, trimmed
from automask_training.synth.textures import near, noise_field, random_colour

Structure = Callable[[np.random.Generator, int], Layer]
_GREY: Colour = (128, 128, 128)


def add_structures(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Return a copy of `pixels` with one to six structures on it; they belong to the picture."""
    canvas = Canvas(pixels.copy())
    side = canvas.size_px[0]
    draw = STRUCTURES[int(rng.integers(len(STRUCTURES)))]
    for _ in range(int(rng.choice([1, 2, 3, 6], p=[0.3, 0.4, 0.2, 0.1]))):
        if rng.random() < 0.3:
            draw = STRUCTURES[int(rng.integers(len(STRUCTURES)))]
        size = max(16, int(side * np.exp(rng.uniform(np.log(0.08), np.log(0.6)))))
        layer = in_the_scene(rng, draw(rng, size))
        width, height = layer.size_px
        x, y = int(rng.uniform(-0.15, 1.0) * side), int(rng.uniform(-0.15, 1.0) * side)
        canvas.stamp(layer, min(x, side - width // 2), min(y, side - height // 2), label=None)
    return canvas.pixels


def in_the_scene(rng: np.random.Generator, layer: Layer) -> Layer:
    """Shade a layer unevenly, blur it a little and look at it from aside."""
    height, width = layer.alpha.shape
    shade = noise_field(rng, max(height, width), cells=2, octaves=3)[:height, :width, None]
    rgb = layer.rgb.astype(np.float32) * (np.float32(0.55) + np.float32(0.65) * shade)
    rgb += rng.normal(0, rng.uniform(0, 6), (height, width, 1)).astype(np.float32)
    softness = rng.uniform(0.0, 1.6)
    coloured = np.asarray(rgb.clip(0, 255), dtype=np.uint8)
    soft = (
        Layer(blur(coloured, softness), blur(layer.alpha, softness)) if softness > 0.4 else Layer(coloured, layer.alpha)
    )
    return trimmed(tilted(soft, rng, rng.uniform(0.02, 0.35)))


def _sheet(side_px: int, high_px: int | None = None) -> tuple[Bytes, Bytes]:
    high = side_px if high_px is None else high_px
    return np.full((high, side_px, 3), _GREY, dtype=np.uint8), np.zeros((high, side_px), dtype=np.uint8)


def wheel(rng: np.random.Generator, side_px: int) -> Layer:
    """A wheel, fan or rosette: rings, spokes and a hub, often seen from aside."""
    import cv2

    rgb, alpha = _sheet(side_px)
    middle, radius = side_px // 2, side_px // 2 - 1
    dark, bright = near(rng, (35, 35, 38), 25), near(rng, (170, 170, 175), 60)
    cv2.circle(rgb, (middle, middle), radius, dark, -1, cv2.LINE_AA)
    cv2.circle(alpha, (middle, middle), radius, 255, -1, cv2.LINE_AA)
    rim = int(radius * rng.uniform(0.55, 0.8))
    cv2.circle(rgb, (middle, middle), rim, bright, max(1, side_px // 30), cv2.LINE_AA)
    if rng.random() < 0.4:
        cv2.circle(rgb, (middle, middle), rim, near(rng, bright, 40), -1, cv2.LINE_AA)
        bright = dark
    spokes, start, broad = int(rng.integers(4, 16)), rng.uniform(0, 6.3), rng.uniform(0.08, 0.3)
    for angle in start + np.arange(spokes) * 2 * np.pi / spokes:
        ends = [
            (middle + rim * np.cos(angle + turn) * share, middle + rim * np.sin(angle + turn) * share)
            for turn, share in ((-broad, 0.25), (broad, 0.25), (broad * 0.6, 0.97), (-broad * 0.6, 0.97))
        ]
        cv2.fillPoly(rgb, [np.array(ends, dtype=np.int32)], bright, cv2.LINE_AA)
    cv2.circle(rgb, (middle, middle), max(1, int(rim * rng.uniform(0.1, 0.3))), near(rng, bright, 30), -1, cv2.LINE_AA)
    if rng.random() < 0.6:
        width = max(4, int(side_px * rng.uniform(0.3, 1.0)))
        rgb, alpha = (cv2.resize(each, (width, side_px), interpolation=cv2.INTER_AREA) for each in (rgb, alpha))
    return Layer(np.asarray(rgb, dtype=np.uint8), np.asarray(alpha, dtype=np.uint8))


def dial(rng: np.random.Generator, side_px: int) -> Layer:
    """A clock or gauge without figures, a lens, a button."""
    import cv2

    rgb, alpha = _sheet(side_px)
    middle, radius = side_px // 2, side_px // 2 - 1
    face, ink = near(rng, random_colour(rng), 20), random_colour(rng)
    cv2.circle(rgb, (middle, middle), radius, ink, -1, cv2.LINE_AA)
    cv2.circle(rgb, (middle, middle), int(radius * rng.uniform(0.8, 0.96)), face, -1, cv2.LINE_AA)
    cv2.circle(alpha, (middle, middle), radius, 255, -1, cv2.LINE_AA)
    if rng.random() < 0.6:
        ticks, long = int(rng.choice([8, 12, 24, 60])), rng.uniform(0.05, 0.2)
        for angle in np.arange(ticks) * 2 * np.pi / ticks:
            outer, inner = radius * 0.85, radius * (0.85 - long)
            one, two = ((int(middle + r * np.cos(angle)), int(middle + r * np.sin(angle))) for r in (outer, inner))
            cv2.line(rgb, one, two, ink, max(1, side_px // 60), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 4))):
        angle, reach = rng.uniform(0, 6.3), radius * rng.uniform(0.3, 0.8)
        tip = (int(middle + reach * np.cos(angle)), int(middle + reach * np.sin(angle)))
        cv2.line(rgb, (middle, middle), tip, ink, max(1, side_px // 40), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 3))):
        cv2.circle(
            rgb, (middle, middle), int(radius * rng.uniform(0.1, 0.7)), near(rng, face, 60), max(1, side_px // 50)
        )
    return Layer(rgb, alpha)


def facade(rng: np.random.Generator, side_px: int) -> Layer:
    """A house front: rows of windows, some lit, some with crossbars or sills."""
    import cv2

    high = int(side_px * rng.uniform(0.5, 2.2))
    rgb, alpha = _sheet(side_px, high)
    wall, glass = random_colour(rng), near(rng, (60, 70, 85), 55)
    rgb[:], alpha[:] = wall, 255
    across, down = int(rng.integers(3, 18)), int(rng.integers(3, 22))
    step_x, step_y = side_px / across, high / down
    share_x, share_y = rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.85)
    bars = rng.random() < 0.4
    for row in range(down):
        for column in range(across):
            x, y = int((column + 0.5 - share_x / 2) * step_x), int((row + 0.5 - share_y / 2) * step_y)
            w, h = max(1, int(step_x * share_x)), max(1, int(step_y * share_y))
            pane = near(rng, glass, 25) if rng.random() < 0.85 else near(rng, (240, 220, 160), 30)
            cv2.rectangle(rgb, (x, y), (x + w, y + h), pane, -1)
            if bars and w > 5:
                cv2.line(rgb, (x + w // 2, y), (x + w // 2, y + h), wall, max(1, w // 10))
                cv2.line(rgb, (x, y + h // 2), (x + w, y + h // 2), wall, max(1, w // 10))
        if rng.random() < 0.2:
            cv2.line(
                rgb, (0, int(row * step_y)), (side_px, int(row * step_y)), near(rng, wall, 40), max(1, high // 120)
            )
    return Layer(rgb, alpha)


def rails(rng: np.random.Generator, side_px: int) -> Layer:
    """A railing, trellis, mast or crane: bars with gaps, braced crosswise at times."""
    import cv2

    wide, high = (side_px, int(side_px * rng.uniform(0.15, 0.8)))
    rgb, alpha = _sheet(wide, high)
    rgb[:] = random_colour(rng)
    thick, step = max(1, int(side_px * rng.uniform(0.004, 0.025))), max(4, int(side_px * rng.uniform(0.02, 0.14)))
    for x in range(0, wide, step):
        cv2.line(alpha, (x, 0), (x, high), 255, thick, cv2.LINE_AA)
    braced = rng.random()
    for x in range(0, wide, step):
        if braced < 0.35:
            cv2.line(alpha, (x, 0), (x + step, high), 255, max(1, thick // 2), cv2.LINE_AA)
        if braced < 0.2:
            cv2.line(alpha, (x + step, 0), (x, high), 255, max(1, thick // 2), cv2.LINE_AA)
        if braced > 0.8:
            cv2.circle(alpha, (x + step // 2, high // 2), max(1, step // 3), 255, thick, cv2.LINE_AA)
    for y in (0, high - 1, int(high * rng.uniform(0.2, 0.8)))[: int(rng.integers(1, 4))]:
        cv2.line(alpha, (0, y), (wide, y), 255, thick + 1, cv2.LINE_AA)
    if rng.random() < 0.4:
        rgb, alpha = np.ascontiguousarray(rgb.transpose(1, 0, 2)), np.ascontiguousarray(alpha.T)
    return Layer(rgb, alpha)


def slats(rng: np.random.Generator, side_px: int) -> Layer:
    """A grille, blind, vent, radiator or row of keys: equal pieces in one or two directions on a plate."""
    import cv2

    high = int(side_px * rng.uniform(0.15, 0.9))
    rgb, alpha = _sheet(side_px, high)
    plate = random_colour(rng)
    piece = near(rng, plate, 110)
    rgb[:], alpha[:] = plate, 255
    rows = int(rng.integers(2, 14))
    columns = int(rng.choice([1, 1, 2, 6, 12]))
    gap = rng.uniform(0.15, 0.6)
    for row in range(rows):
        for column in range(columns):
            x0, x1 = side_px * (column + gap / 4) / columns, side_px * (column + 1 - gap / 4) / columns
            y0, y1 = high * (row + gap / 2) / rows, high * (row + 1 - gap / 2) / rows
            cv2.rectangle(rgb, (int(x0), int(y0)), (int(x1), int(y1)), near(rng, piece, 8), -1)
    return Layer(rgb, alpha)


def lamp(rng: np.random.Generator, side_px: int) -> Layer:
    """A lamp, badge or pane without a sign on it: a bright blob in a dark rim with a highlight."""
    import cv2

    high = max(8, int(side_px * rng.uniform(0.3, 1.0)))
    rgb, alpha = _sheet(side_px, high)
    corners = int(rng.choice([3, 4, 5, 24]))
    outline = polygon_points(500, 490.0, corners).astype(np.float64) / 1000.0 * (side_px, high)
    outline = outline.astype(np.int32)
    colour = near(rng, ((200, 30, 25), (235, 170, 60), (235, 235, 240), (90, 120, 160))[int(rng.integers(4))], 50)
    cv2.fillPoly(alpha, [outline], 255, cv2.LINE_AA)
    rgb[:] = colour
    cv2.polylines(rgb, [outline], True, near(rng, (40, 40, 40), 35), max(1, side_px // 20), cv2.LINE_AA)
    spot = (int(side_px * rng.uniform(0.3, 0.7)), int(high * rng.uniform(0.3, 0.7)))
    cv2.circle(rgb, spot, max(1, int(high * rng.uniform(0.05, 0.3))), near(rng, (250, 250, 245), 20), -1, cv2.LINE_AA)
    return Layer(blur(rgb, max(0.6, side_px * rng.uniform(0.005, 0.05))), alpha)


STRUCTURES: tuple[Structure, ...] = (wheel, dial, facade, facade, rails, rails, slats, lamp)
"""All structures, the more common ones twice."""
