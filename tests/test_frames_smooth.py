"""Frames around smooth and dark pictures, thin coloured borders, and scans that lie askew."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from frame_cases import bordered, jpeg, scene, score
from numpy.typing import NDArray

from automask_models.frames.picture import certainly_picture, detail_of
from automask_training.synth.layout.framed import plain_colour

Pixels = NDArray[np.uint8]


def blurred(seed: int, *, dark: bool) -> Pixels:
    """A picture out of focus: many colours, and hardly a step between neighbouring pixels."""
    soft = cv2.GaussianBlur(scene(480, 640, seed=seed), (0, 0), 25)
    return (soft * 0.35).astype(np.uint8) if dark else soft


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("margins_px", [(6, 6, 6, 6), (60, 40, 60, 40)])
def test_a_smooth_picture_is_a_picture(margins_px: tuple[int, int, int, int], dark: bool):
    framed, truth = bordered(blurred(3, dark=dark), margins_px, (255, 255, 255))
    figures = score(jpeg(framed), truth)
    assert figures.leak is not None
    assert figures.leak <= 0.05
    assert (figures.waste or 0.0) <= 0.02


def test_few_flat_colours_are_a_drawing():
    rng = np.random.default_rng(0)
    drawing = np.full((400, 400, 3), 255, np.uint8)
    for _ in range(3):
        cv2.circle(drawing, (int(rng.integers(100, 300)), 200), 60, plain_colour(rng), -1, cv2.LINE_AA)
    assert certainly_picture(drawing) == 0.0
    smooth = blurred(5, dark=False)
    assert detail_of(smooth) < 0.16
    assert certainly_picture(smooth) == 1.0


def test_two_pixels_of_a_strong_colour_end_under_a_plain_sky():
    picture = scene(480, 640, seed=2)
    y, x = np.mgrid[:480, :640]
    picture[y < 150 + 40 * np.sin(x / 50)] = (80, 114, 163)
    framed, truth = bordered(picture, (2, 2, 2, 2), (232, 254, 18))
    figures = score(jpeg(framed, quality=88), truth)
    assert figures.leak == pytest.approx(0.0, abs=0.05)
    assert (figures.waste or 0.0) <= 0.01
