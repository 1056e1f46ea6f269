"""Cards of every kind with an art window, and the plates that lie over it."""

from __future__ import annotations

import numpy as np
import pytest
from frame_cases import scene, shipped_frames
from measure_frames import jpeg, rendered

from automask.mask.metrics import mean_of, score_mask
from automask.values.geometry import Box
from automask_models.frames.windows import find_window
from automask_training.synth.layout.cards import CARD_KINDS

WORST = {"overlapped_card": 0.5, "scanned_card": 0.6}
"""Mean leak that is tolerated where narrow plates or the tilt of a scan hide the window at times."""
WASTED = {"ornamented_card": 0.3, "scanned_card": 0.3}
"""Mean waste that is tolerated where `cards` takes a smooth sky for a part of the mirrored frame."""


@pytest.mark.parametrize("kind", CARD_KINDS)
def test_a_card_is_masked_and_its_art_is_not(kind: str):
    scores = []
    for seed in range(3):
        card = CARD_KINDS[kind](scene(480, 400, seed=seed), np.random.default_rng(seed))
        pixels = jpeg(card.pixels)
        scores.append(score_mask(rendered(shipped_frames(pixels), pixels), card.truth))
    leak, waste = mean_of([score.leak for score in scores]), mean_of([score.waste for score in scores])
    assert leak is not None
    assert leak <= WORST.get(kind, 0.25), scores
    assert waste is not None
    assert waste <= WASTED.get(kind, 0.05), scores


def test_a_scene_has_no_art_window():
    for seed in range(4):
        pixels = scene(seed=seed)
        window = find_window(pixels, inside=Box(0, 0, 640, 480))
        assert window is None or window.confidence < 0.5


def test_a_picture_in_a_border_keeps_all_of_itself():
    pixels = np.full((520, 680, 3), 250, np.uint8)
    pixels[20:500, 20:660] = scene()
    window = find_window(pixels, inside=Box(20, 20, 660, 500))
    assert window is None or window.confidence < 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (120, 97), (200, 100)])
def test_tiny_and_constant_images_have_no_art_window(shape: tuple[int, int]):
    pixels = np.full((*shape, 3), 90, np.uint8)
    assert find_window(pixels, inside=Box(0, 0, shape[1], shape[0])) is None
