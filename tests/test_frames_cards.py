"""Cards with ornaments on a plain ground, and photographs that lie on one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.cards import find_card

Pixels = NDArray[np.uint8]


def painting(height_px: int, width_px: int, *, seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (height_px, width_px, 3)).astype(np.float32)
    coarse, fine = cv2.GaussianBlur(noise, (0, 0), 9) * 900, cv2.GaussianBlur(noise, (0, 0), 2) * 120
    return np.clip(120 + coarse + fine, 0, 255).astype(np.uint8)


def ornamented_card(*, seed: int) -> tuple[Pixels, Pixels]:
    """A card with a mirrored frame, an oval window and gems that stand out of its flanks; and the truth."""
    height_px, width_px = 400, 280
    half = painting(height_px, width_px // 2, seed=seed + 100) // 3 + 60
    frame = np.concatenate([half, half[:, ::-1]], axis=1)
    window = np.zeros((height_px, width_px), np.uint8)
    cv2.ellipse(window, (width_px // 2, 130), (80, 95), 0, 0, 360, 255, -1)
    card = np.where(window[..., None] > 0, painting(height_px, width_px, seed=seed), frame).astype(np.uint8)
    image = np.full((480, 360, 3), 200, np.uint8)
    image[40:440, 40:320] = card
    for centre in ((44, 60), (48, 420), (312, 420)):
        cv2.circle(image, centre, 26, (60, 90, 200), -1)
    truth = np.full((480, 360), 255, np.uint8)
    truth[40:440, 40:320] -= window
    return image, truth


def test_everything_but_the_art_window_is_found():
    for seed in range(3):
        image, truth = ornamented_card(seed=seed)
        card = find_card(image, inside=Box(0, 0, 360, 480))
        assert card is not None
        assert card.confidence >= 0.5
        assert (card.outside & (truth == 255)).sum() >= 0.85 * (truth == 255).sum()
        assert (card.outside & (truth == 0)).sum() <= 0.15 * (truth == 0).sum()


def test_a_photograph_on_a_plain_ground_is_no_card():
    image = np.full((480, 360, 3), 200, np.uint8)
    image[40:440, 40:320] = painting(400, 280, seed=1)
    card = find_card(image, inside=Box(40, 40, 320, 440))
    assert card is None or card.confidence < 0.3


def test_without_a_plain_ground_there_is_no_card():
    assert find_card(painting(300, 200, seed=2), inside=Box(0, 0, 200, 300)) is None


def test_tiny_and_constant_images_hold_no_card():
    for shape in ((1, 1), (1, 90), (64, 64), (70, 200)):
        assert find_card(np.full((*shape, 3), 255, np.uint8), inside=Box(0, 0, shape[1], shape[0])) is None
