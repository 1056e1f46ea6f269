"""Synthetic datasets in which something repeats, or nothing does."""

import numpy as np

from automask.values.types import Image

WIDTH_PX, HEIGHT_PX = 320, 240


def picture(seed, *, width_px=WIDTH_PX, height_px=HEIGHT_PX):
    """Coloured blobs and texture: no two seeds share an edge."""
    import cv2

    rng = np.random.default_rng(seed)
    canvas = cv2.resize(rng.uniform(30, 225, (5, 6, 3)).astype(np.float32), (width_px, height_px))
    for _ in range(25):
        centre = (int(rng.integers(width_px)), int(rng.integers(height_px)))
        colour = tuple(float(level) for level in rng.uniform(20, 235, 3))
        cv2.circle(canvas, centre, int(rng.integers(5, 45)), colour, -1, cv2.LINE_AA)
    return np.clip(canvas + rng.normal(0, 3, canvas.shape), 0, 255).astype(np.uint8)


def lettering(text="SAMPLE", *, width_px=WIDTH_PX, height_px=HEIGHT_PX, at=(170, 215)):
    import cv2

    ink = np.zeros((height_px, width_px), np.uint8)
    cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
    return ink.astype(np.float32) / 255


def marked(seed, ink, *, opacity):
    pixels = picture(seed, width_px=ink.shape[1], height_px=ink.shape[0]).astype(np.float32)
    alpha = (ink * opacity)[..., None]
    return Image(f"{seed}.png", (pixels * (1 - alpha) + 255 * alpha).round().astype(np.uint8))


def card(seed, *, window=(40, 30, 280, 150), plate=True):
    """A printed card: patterned border, art window, plate with a different word on every card."""
    import cv2

    pixels = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    pixels[...] = np.where(((rows // 6 + columns // 6) % 2)[..., None] == 0, (150, 110, 60), (90, 60, 30))
    x0, y0, x1, y1 = window
    pixels[y0 - 3 : y1 + 3, x0 - 3 : x1 + 3] = 15
    pixels[y0:y1, x0:x1] = picture(seed, width_px=x1 - x0, height_px=y1 - y0)
    if plate:
        pixels[170:220, 30:290] = (225, 215, 190)
        cv2.putText(pixels, f"WORD {seed * 7919 % 9973}", (50, 205), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2)
    return Image(f"card-{seed}.png", pixels)


def card_truth(window=(40, 30, 280, 150)):
    truth = np.full((HEIGHT_PX, WIDTH_PX), 255, np.uint8)
    x0, y0, x1, y1 = window
    truth[y0:y1, x0:x1] = 0
    return truth
