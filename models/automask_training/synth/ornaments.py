"""Small drawn things in numbers, which resemble lettering and are none: flowers, clouds, waves, scrolls, eyes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from automask_training.synth.raster import Bytes, Colour
from automask_training.synth.textures import near, random_colour

Points = NDArray[np.float64]
"""(N, 2) x, y in a square of -1..1, y down."""


class Stroke(NamedTuple):
    """One line of a motif; a closed one can be filled, an accent takes the second colour."""

    points: Points
    closed: bool = True
    accent: bool = False


Motif = Callable[[np.random.Generator], list[Stroke]]
_SHIFT = 4
"""Binary digits of a pixel that OpenCV draws to."""
_MOST = 60


def add_ornaments(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Return a copy of (H, W, 3) uint8 `pixels` with one to three groups of ornaments; they belong to the picture."""
    drawn = pixels.copy()
    for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
        _add_group(rng, drawn)
    return drawn


def _add_group(rng: np.random.Generator, pixels: Bytes) -> None:
    side = pixels.shape[0]
    size = side * np.exp(rng.uniform(np.log(0.012), np.log(0.12)))
    kinds = [MOTIFS[int(at)] for at in rng.integers(len(MOTIFS), size=int(rng.choice([1, 1, 2, 3])))]
    colours = [(random_colour(rng), random_colour(rng)) for _ in kinds]
    outline = near(rng, ((20, 20, 25), (235, 235, 230))[int(rng.random() < 0.3)], 25)
    style = str(rng.choice(["filled", "outlined", "both"], p=[0.35, 0.3, 0.35]))
    thick = max(1, round(size * rng.uniform(0.04, 0.2)))
    upright, varied = rng.random() < 0.5, rng.uniform(0.0, 0.5)
    same = [kind(rng) for kind in kinds] if rng.random() < 0.4 else None
    for x, y, along in ARRANGEMENTS[int(rng.integers(len(ARRANGEMENTS)))](rng, side, size)[:_MOST]:
        which = int(rng.integers(len(kinds)))
        strokes = same[which] if same is not None else kinds[which](rng)
        angle = (0.0 if upright else along) + rng.normal(0, 0.5 * varied)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        scale = size / 2 * np.exp(rng.normal(0, varied))
        for stroke in strokes:
            at = stroke.points @ turn * scale + (x, y)
            _draw(pixels, at, stroke, colours[which], outline=outline, style=style, thick_px=thick)


def _draw(
    pixels: Bytes,
    at: Points,
    stroke: Stroke,
    colours: tuple[Colour, Colour],
    *,
    outline: Colour,
    style: str,
    thick_px: int,
) -> None:
    import cv2

    fixed = [np.round(at * 2**_SHIFT).astype(np.int32)]
    colour = colours[1] if stroke.accent else colours[0]
    if stroke.closed and style != "outlined":
        cv2.fillPoly(pixels, fixed, colour, cv2.LINE_AA, _SHIFT)
    if style != "filled" or not stroke.closed:
        ink = outline if stroke.closed or style == "outlined" else colour
        cv2.polylines(pixels, fixed, stroke.closed, ink, thick_px, cv2.LINE_AA, _SHIFT)


def _polar(radii: NDArray[np.float64]) -> Points:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _disc(radius: float, x: float = 0.0, y: float = 0.0) -> Points:
    return np.add(_polar(np.full(24, radius)), (x, y))


def _around(count: int = 72) -> NDArray[np.float64]:
    return np.linspace(0, 2 * np.pi, count, endpoint=False)


def flower(rng: np.random.Generator) -> list[Stroke]:
    """Petals around a middle, at times with a second ring."""
    petals, deep = int(rng.integers(4, 11)), rng.uniform(0.25, 0.7)
    whole = _polar(1 - deep * (1 - np.abs(np.cos(petals * _around() / 2))))
    middle = Stroke(_disc(rng.uniform(0.15, 0.4)), accent=True)
    return [Stroke(whole), *([Stroke(whole * 0.6, accent=True)] if rng.random() < 0.3 else []), middle]


def heart(rng: np.random.Generator) -> list[Stroke]:
    """A heart."""
    t = _around()
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [Stroke(np.stack([16 * np.sin(t) ** 3, -y], axis=1) / 17)]


def cloud(rng: np.random.Generator) -> list[Stroke]:
    """A cloud, bush or mane: a flat round with a scalloped rim."""
    bulges = int(rng.integers(5, 10))
    rim = 1 - rng.uniform(0.15, 0.35) * (1 - np.abs(np.sin(bulges * _around() / 2 + rng.uniform(0, 3))))
    return [Stroke(_polar(rim) * (1, rng.uniform(0.45, 0.8)))]


def leaf(rng: np.random.Generator) -> list[Stroke]:
    """A leaf or feather with its rib, at times with veins."""
    t = np.linspace(0, 1, 24)
    half = rng.uniform(0.25, 0.6) * np.sin(np.pi * t ** rng.uniform(0.6, 1.4))
    x = 2 * t - 1
    blade = np.concatenate([np.stack([x, half], axis=1), np.stack([x, -half], axis=1)[::-1]])
    rib = Stroke(np.array([[-1.3, 0.0], [0.8, 0.0]]), closed=False, accent=True)
    veins = [
        Stroke(np.array([[at, 0.0], [at + 0.25, side * 0.6 * half[int(12 * (at + 1))]]]), closed=False, accent=True)
        for at in (-0.6, -0.2, 0.2)
        for side in (-1, 1)
    ]
    return [Stroke(blade), rib, *(veins if rng.random() < 0.4 else [])]


def star(rng: np.random.Generator) -> list[Stroke]:
    """A star, sparkle or sun."""
    corners, inner = int(rng.integers(4, 13)), rng.uniform(0.2, 0.7)
    return [Stroke(_polar(np.where(np.arange(2 * corners) % 2 == 0, 1.0, inner)))]


def drop(rng: np.random.Generator) -> list[Stroke]:
    """A drop, flame, tear or bud."""
    t = _around()
    width = rng.uniform(0.4, 0.7)
    return [Stroke(np.stack([width * np.sin(t) * np.sin(t / 2) ** rng.uniform(1, 2), np.cos(t)], axis=1))]


def crescent(rng: np.random.Generator) -> list[Stroke]:
    """A moon, claw, horn or slice."""
    t = np.linspace(-2.2, 2.2, 30)
    thick = rng.uniform(0.3, 0.8)
    outer = np.stack([np.cos(t), np.sin(t)], axis=1)
    inner = np.stack([(1 - thick * np.cos(t / 2.2 * np.pi / 2)) * np.cos(t), np.sin(t)], axis=1)
    return [Stroke(np.concatenate([outer, inner[::-1]]))]


def spiral(rng: np.random.Generator) -> list[Stroke]:
    """A curl, shell or snail."""
    turns = rng.uniform(1.2, 3.0)
    t = np.linspace(0.1, 1, 60)
    angle = 2 * np.pi * turns * t
    return [Stroke(np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1), closed=False)]


def scroll(rng: np.random.Generator) -> list[Stroke]:
    """A flourish: an S with a curl at either end."""
    curl = spiral(rng)[0].points * 0.45
    ends = [np.add(curl, (0.55, 0)), np.subtract(-curl, (0.55, 0))]
    stem = np.stack([np.linspace(-1, 1, 20), rng.uniform(0.1, 0.4) * np.sin(np.linspace(-np.pi, np.pi, 20))], axis=1)
    return [Stroke(line, closed=False) for line in (*ends, stem)]


def wave(rng: np.random.Generator) -> list[Stroke]:
    """Waves, scales or tiles of a roof: bows side by side in one to four rows."""
    bows, rows = int(rng.integers(2, 6)), int(rng.integers(1, 5))
    t = np.linspace(0, 1, 20 * bows)
    high = rng.uniform(0.2, 0.6) * np.abs(np.sin(np.pi * bows * t)) ** rng.uniform(0.5, 1.2)
    lines = [np.stack([2 * t - 1 + (row % 2) / bows, (row - rows / 2) * 0.5 - high], axis=1) for row in range(rows)]
    return [Stroke(line, closed=False) for line in lines]


def tuft(rng: np.random.Generator) -> list[Stroke]:
    """Grass, hair or fur: blades from one foot, straight or swaying."""
    t = np.linspace(0, 1, 12)
    blades = []
    for _ in range(int(rng.integers(3, 9))):
        foot, lean, sway = rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.6), rng.uniform(0, 0.25)
        x = foot + lean * t**2 + sway * np.sin(2 * np.pi * t)
        blades.append(Stroke(np.stack([x, 1 - 2 * rng.uniform(0.5, 1) * t], axis=1), closed=False))
    return blades


def flake(rng: np.random.Generator) -> list[Stroke]:
    """A snowflake, asterisk or twig: arms with barbs."""
    lines = []
    barb = rng.uniform(0.0, 0.4)
    for angle in np.arange(arms := int(rng.integers(3, 9))) * 2 * np.pi / arms:
        out = np.array([np.cos(angle), np.sin(angle)])
        lines.append(Stroke(np.stack([out * 0, out]), closed=False))
        for turn in (-0.7, 0.7):
            tip = np.array([np.cos(angle + turn), np.sin(angle + turn)])
            lines.append(Stroke(np.stack([out * 0.6, out * 0.6 + barb * tip]), closed=False))
    return lines


def eye(rng: np.random.Generator) -> list[Stroke]:
    """An eye, open or shut, as cartoons have them."""
    t = np.linspace(0, np.pi, 20)
    high = rng.uniform(0.3, 1.0)
    lid = np.stack([-np.cos(t), -high * np.sin(t)], axis=1)
    if rng.random() < 0.25:
        return [Stroke(lid, closed=False)]
    iris = _disc(high * rng.uniform(0.4, 0.8), rng.uniform(-0.3, 0.3))
    glint = _disc(0.15, 0.1, -0.15)
    return [Stroke(np.concatenate([lid, -lid])), Stroke(iris, accent=True), Stroke(glint)]


def blob(rng: np.random.Generator) -> list[Stroke]:
    """A pebble, spot or splash."""
    t = _around()
    radii = 0.75 + sum(rng.uniform(-0.25, 0.25) / k * np.cos(k * t + rng.uniform(0, 6.3)) for k in range(2, 6))
    return [Stroke(_polar(np.asarray(radii)))]


def paw(rng: np.random.Generator) -> list[Stroke]:
    """A pad with toes, a berry or a bunch: a round below smaller ones."""
    toes = int(rng.integers(3, 6))
    lines = [Stroke(_disc(0.5, 0, 0.4))]
    for at in np.linspace(-0.7, 0.7, toes):
        lines.append(Stroke(_disc(0.25, at, -0.55 + 0.4 * at**2)))
    return lines


MOTIFS: tuple[Motif, ...] = (
    *(flower, heart, cloud, leaf, star, drop, crescent, spiral, scroll, wave, tuft, flake, eye, blob, paw),
)
"""All motifs."""

Places = list[tuple[float, float, float]]
"""Middles x, y in pixels and the direction of the line that they lie on, in radians."""


def scattered(rng: np.random.Generator, side_px: int, size_px: float) -> Places:
    """Here and there within a patch of the picture."""
    count, spread = int(rng.integers(3, 40)), rng.uniform(2.5, 8.0) * size_px
    middle = rng.uniform(0.1, 0.9, 2) * side_px
    return [(*(middle + rng.normal(0, spread / 2, 2)), rng.uniform(0, 2 * np.pi)) for _ in range(count)]


def in_rows(rng: np.random.Generator, side_px: int, size_px: float) -> Places:
    """Side by side as letters stand, in one to six lines."""
    rows, columns, step = int(rng.integers(1, 7)), int(rng.integers(3, 16)), size_px * rng.uniform(0.9, 1.8)
    x, y = rng.uniform(0.02, 0.6, 2) * side_px
    shift = rng.uniform(0, 0.5)
    high = step * rng.uniform(0.9, 1.5)
    return [
        (x + (column + shift * (row % 2)) * step, y + row * high, 0.0)
        for row in range(rows)
        for column in range(columns)
    ]


def on_a_bow(rng: np.random.Generator, side_px: int, size_px: float) -> Places:
    """Along a bow or around a ring, as on a wreath, a collar or a canopy."""
    radius, start = size_px * rng.uniform(2.0, 8.0), rng.uniform(0, 2 * np.pi)
    length = 2 * np.pi if rng.random() < 0.4 else rng.uniform(0.8, 4.0)
    count = max(3, int(radius * length / (size_px * rng.uniform(0.9, 1.6))))
    middle = rng.uniform(0.1, 0.9, 2) * side_px
    angles = start + np.linspace(0, length, count, endpoint=length < 2 * np.pi)
    return [
        (middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle), angle + np.pi / 2) for angle in angles
    ]


ARRANGEMENTS = (scattered, in_rows, on_a_bow)
"""How they lie."""
