"""Pages of panels."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from automask_training.synth.drawings import redrawn
from automask_training.synth.layout.cards import filled
from automask_training.synth.layout.framed import IGNORED, Framed, letters, share_px
from automask_training.synth.layout.paints import Colour, Pixels, Rng
from automask_training.synth.layout.pictures import PictureShelf


def comic_page(picture: Pixels, rng: Rng) -> Framed:
    """Panels cut from one picture, apart by gutters, most with an inked border."""
    height_px, width_px = picture.shape[:2]
    gutter = share_px(picture, rng, 0.015, 0.04)
    ground: Colour = (255, 255, 255) if rng.random() < 0.75 else (0, 0, 0)
    line = int(rng.integers(0, 4))
    page = np.empty_like(picture)
    page[:] = ground
    truth = np.full((height_px, width_px), 255, np.uint8)
    margin = gutter if rng.random() < 0.75 else 0
    rows = int(rng.integers(2, 4))
    edges_y = np.linspace(margin, height_px - margin + gutter, rows + 1)
    edges_y[1:-1] += rng.uniform(-0.08, 0.08, rows - 1) * height_px
    for top, bottom in pairwise(edges_y):
        columns = int(rng.integers(1, 4))
        edges_x = np.linspace(margin, width_px - margin + gutter, columns + 1)
        edges_x[1:-1] += rng.uniform(-0.08, 0.08, columns - 1) * width_px
        for left, right in pairwise(edges_x):
            x0, y0, x1, y1 = round(left), round(top), round(right) - gutter, round(bottom) - gutter
            page[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
            truth[y0:y1, x0:x1] = 0
            if line:
                cv2.rectangle(page, (x0, y0), (x1 - 1, y1 - 1), (0, 0, 0), 2 * line - 1)
                cv2.rectangle(truth, (x0, y0), (x1 - 1, y1 - 1), 255, 2 * line - 1)
    return Framed(page, truth)


def drawn_page(shelf: PictureShelf, rng: Rng) -> Framed:
    """A page of panels with balloons; panels may reach the edge. Margins and gutters are told apart from frames."""
    height_px, width_px = int(rng.integers(420, 560)), int(rng.integers(280, 420))
    grey, level = rng.random() < 0.7, 255 if rng.random() < 0.85 else int(rng.integers(0, 40))
    page = np.full((height_px, width_px, 3), level, np.uint8)
    page_margin = np.full((height_px, width_px), 255, np.uint8)
    left, top, right, bottom = (0 if rng.random() < 0.3 else int(rng.integers(3, 50)) for _ in range(4))
    gutter = int(rng.integers(1, 14))
    y = top
    while y < height_px - bottom - 30:
        low = min(height_px - bottom, y + int(rng.integers(70, 300)))
        low = height_px - bottom if height_px - bottom - low < 40 else low
        x = left
        while x < width_px - right - 20:
            far = min(width_px - right, x + int(rng.integers(60, 420)))
            far = width_px - right if width_px - right - far < 40 else far
            panel = _panel(shelf, rng, low - y, far - x, grey=grey)
            page[y:low, x:far] = panel
            page_margin[y:low, x:far] = 0
            if rng.random() < 0.85:
                cv2.rectangle(page, (x, y), (far - 1, low - 1), (255 - level,) * 3, int(rng.integers(1, 4)))
            x = far + gutter
        y = low + int(gutter * rng.uniform(0.8, 2))
    for _ in range(int(rng.integers(0, 7))):
        centre = int(rng.integers(width_px)), int(rng.integers(height_px))
        axes = int(rng.integers(15, 60)), int(rng.integers(15, 60))
        cv2.ellipse(page, centre, axes, 0, 0, 360, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.ellipse(page, centre, axes, 0, 0, 360, (0, 0, 0), 1, cv2.LINE_AA)
        wide = axes[0]
        for line in range(int(rng.integers(1, 4))):
            letters(rng, page, centre[0] - wide // 2, centre[1] - 12 + 12 * line, wide, 6, (20, 20, 20))
    truth = np.where(page_margin > 0, IGNORED, 0).astype(np.uint8)
    return Framed(page, truth, others={"margin": page_margin})


def _panel(shelf: PictureShelf, rng: Rng, height_px: int, width_px: int, *, grey: bool) -> Pixels:
    """What a panel shows: a drawing, a figure on white, or nothing but paper and speed lines."""
    which = rng.random()
    if which < 0.12:
        panel = np.full((height_px, width_px, 3), 255 if rng.random() < 0.8 else 20, np.uint8)
        centre = (int(rng.integers(width_px)), int(rng.integers(height_px)))
        for _ in range(int(rng.integers(0, 40))):
            angle = rng.uniform(0, 2 * np.pi)
            far = (int(centre[0] + 700 * np.cos(angle)), int(centre[1] + 700 * np.sin(angle)))
            cv2.line(panel, (2 * centre[0] - far[0], 2 * centre[1] - far[1]), far, (60, 60, 60), 1)
        return panel
    picture = filled(shelf.picture(rng), height_px, width_px, rng)
    panel = redrawn(rng, picture) if rng.random() < 0.75 else picture
    return np.repeat(cv2.cvtColor(panel, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1) if grey else panel
