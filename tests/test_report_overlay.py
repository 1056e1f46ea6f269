"""Drawing of masks and regions over images."""

import numpy as np
import pytest
from PIL import Image

from automask.report.overlay import KIND_COLOURS, Mark, outline, tint
from automask.values.geometry import Box
from automask.values.types import Kind, Region


def test_tint_colours_what_is_not_trained_by_its_weight():
    pixels = np.full((2, 3, 3), 100, dtype=np.uint8)
    levels = np.array([[255, 128, 0], [255, 255, 255]], dtype=np.uint8)
    out = tint(pixels, levels)
    assert out.dtype == np.uint8
    assert (out[1] == 100).all()
    assert (out[0, 0] == 100).all()
    assert 100 < out[0, 1, 0] < out[0, 2, 0]
    assert (pixels == 100).all()


def test_tint_without_a_mask_is_the_image():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    assert (tint(pixels, None) == pixels).all()


@pytest.mark.parametrize("kind", list(Kind))
def test_outline_draws_each_kind_in_its_colour(kind):
    picture = Image.new("RGB", (200, 200))
    region = Region(kind, Box(20, 60, 120, 160), 0.9, "fake")
    outline(picture, [Mark(region=region, drawn=True)], scale=0.5, labelled=False)
    assert picture.getpixel((10, 55)) == KIND_COLOURS[kind]
    assert picture.getpixel((35, 55)) == (0, 0, 0)


def test_proposals_are_dashed_and_labels_stay_inside():
    picture = Image.new("RGB", (80, 60))
    region = Region(Kind.TEXT, Box(0, 0, 80, 60), 0.3, "fake", polygon=((0, 0), (80, 0), (80, 60), (0, 60)))
    outline(picture, [Mark(region=region, drawn=False)])
    top = np.asarray(picture)[0]
    assert top.any()
    assert np.asarray(picture).any(axis=2).mean() < 0.5


def test_a_tiny_image_can_be_outlined():
    picture = Image.new("RGB", (1, 1))
    outline(picture, [Mark(region=Region(Kind.FRAME, Box(0, 0, 1, 1), 1.0, "fake"), drawn=True)])
    assert picture.size == (1, 1)
