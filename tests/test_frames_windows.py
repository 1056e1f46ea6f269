"""Cards of every kind with an art window, and the plates that lie over it."""

from __future__ import annotations

import numpy as np
import pytest
from measure_frames import jpeg, rendered
from test_frames_edges import bordered, scene

from automask.config import PolicyConfig
from automask.mask.metrics import mean_of, score_mask
from automask.mask.rendering import is_drawn
from automask.values.geometry import Box
from automask_models.frames.detector import detect_frames
from automask_models.frames.plates import find_plates
from automask_models.frames.windows import find_window
from automask_training.synth.layout.cards import CARD_KINDS
from automask_training.synth.layout.framed import Pixels, letters

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
        scores.append(score_mask(rendered(detect_frames(pixels), pixels), card.truth))
    leak, waste = mean_of([score.leak for score in scores]), mean_of([score.waste for score in scores])
    assert leak is not None
    assert leak <= WORST.get(kind, 0.25), scores
    assert waste is not None
    assert waste <= WASTED.get(kind, 0.05), scores


def lettered_plate(pixels: Pixels, box: Box) -> None:
    pixels[box.slices] = (60, 90, 140)
    letters(np.random.default_rng(5), pixels, box.x0 + 20, box.y0 + 12, box.width_px - 40, 24, (250, 250, 250))


def test_a_plate_over_the_picture_of_a_framed_card_is_masked_to_its_edge():
    pixels, _ = bordered(scene(), (24, 24, 24, 24), (30, 20, 60))
    lettered_plate(pixels, Box(90, 400, 598, 450))
    regions = [region for region in detect_frames(jpeg(pixels)) if region.attributes["pattern"] == "plate"]
    assert len(regions) == 1
    assert is_drawn(regions[0], PolicyConfig())
    box = regions[0].box
    assert np.abs(np.array([box.x0, box.y0, box.x1, box.y1]) - [90, 400, 598, 450]).max() <= 5


def test_a_lettered_sign_in_a_picture_without_border_is_only_proposed():
    pixels = scene()
    lettered_plate(pixels, Box(120, 300, 520, 350))
    found = find_plates(pixels, inside=Box(0, 0, 640, 480), at_least=0.5)
    assert len(found) == 1
    regions = detect_frames(jpeg(pixels))
    assert any(region.proposed and region.confidence >= 0.5 for region in regions), "however sure it is"
    assert not any(is_drawn(region, PolicyConfig()) for region in regions)


def test_two_plates_in_line_need_no_border():
    pixels = scene()
    for y in (40, 380):
        lettered_plate(pixels, Box(60, y, 580, y + 50))
    plates = [region for region in detect_frames(jpeg(pixels)) if region.attributes["pattern"] == "plate"]
    assert [is_drawn(plate, PolicyConfig()) for plate in plates] == [True, True]


@pytest.mark.parametrize("seed", range(4))
def test_a_smooth_thing_without_letters_is_no_plate(seed: int):
    pixels = scene(seed=seed)
    pixels[300:400, 120:520] = (60, 90, 140)
    assert find_plates(jpeg(pixels), inside=Box(0, 0, 640, 480), at_least=0.3) == []


def test_a_scene_has_no_art_window():
    for seed in range(4):
        pixels = scene(seed=seed)
        window = find_window(pixels, inside=Box(0, 0, 640, 480), at_least=0.5)
        assert window is None or window.confidence < 0.5


def test_a_picture_in_a_border_keeps_all_of_itself():
    pixels = np.full((520, 680, 3), 250, np.uint8)
    pixels[20:500, 20:660] = scene()
    window = find_window(pixels, inside=Box(20, 20, 660, 500), at_least=0.5)
    assert window is None or window.confidence < 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (120, 97), (200, 100)])
def test_tiny_and_constant_images_have_no_art_window(shape: tuple[int, int]):
    pixels = np.full((*shape, 3), 90, np.uint8)
    assert find_window(pixels, inside=Box(0, 0, shape[1], shape[0]), at_least=0.5) is None
