"""Painting over, and crops: array functions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from automask.fill.crops import Reason, propose_crop, why_not
from automask.fill.methods import Fill, painted_over

PAINTING = [fill for fill in Fill if fill is not Fill.NONE]


def gradient(height_px=60, width_px=80):
    y, x = np.mgrid[:height_px, :width_px]
    return np.stack([2 * x + 40, y + 60, 200 - x], axis=-1).astype(np.uint8)


def hole(shape=(60, 80)):
    weight = np.ones(shape, dtype=np.float32)
    weight[20:32, 30:50] = 0
    return weight


@pytest.mark.parametrize("fill", PAINTING)
def test_only_masked_pixels_change_and_the_mark_is_gone(fill):
    clean = gradient()
    marked, weight = clean.copy(), hole()
    marked[20:32, 30:50] = (255, 0, 255)
    out = painted_over(marked, weight, fill, seed="a.png")
    kept = weight == 1
    np.testing.assert_array_equal(out[kept], marked[kept])
    assert not (out[~kept] == (255, 0, 255)).all(axis=-1).any()
    distance = np.abs(out[~kept].astype(float) - clean[~kept]).mean()
    limits = {Fill.MEAN: 40, Fill.NOISE: 40, Fill.BLUR: 16, Fill.INPAINT: 10}
    assert distance < limits[fill]


def test_none_changes_nothing():
    np.testing.assert_array_equal(painted_over(gradient(), hole(), Fill.NONE), gradient())


def test_noise_is_the_same_for_the_same_name():
    one, again, other = (painted_over(gradient(), hole(), Fill.NOISE, seed=seed) for seed in ("a", "a", "b"))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_partial_weight_mixes():
    weight = hole()
    weight[weight == 0] = 0.5
    full = painted_over(gradient(), hole(), Fill.MEAN)[25, 40].astype(float)
    half = painted_over(gradient(), weight, Fill.MEAN)[25, 40].astype(float)
    np.testing.assert_allclose(half, (full + gradient()[25, 40]) / 2, atol=2)


@pytest.mark.parametrize("fill", PAINTING)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (33, 17)])
def test_nothing_to_keep_becomes_grey_and_small_images_work(fill, shape):
    pixels = np.zeros((*shape, 3), dtype=np.uint8)
    assert (painted_over(pixels, np.zeros(shape, dtype=np.float32), fill) == 128).all()
    weight = np.ones(shape, dtype=np.float32)
    weight[0, 0] = 0
    assert painted_over(pixels, weight, fill).shape == pixels.shape


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="weight"):
        painted_over(gradient(), np.ones((60, 79), dtype=np.float32), Fill.MEAN)


def test_letterbox_is_cut_to_the_pixel_and_costs_nothing():
    frame = np.zeros((900, 1600), dtype=bool)
    frame[:101] = frame[803:] = True
    crop = propose_crop(frame)
    assert crop.box.xyxy == (0, 101, 1600, 803)
    assert crop.content_lost == 0
    assert crop.area_lost == pytest.approx(1 - 702 / 900)


def test_a_title_band_inside_a_frame_costs_what_is_beside_it():
    frame = np.zeros((600, 400), dtype=bool)
    frame[:20] = frame[-20:] = True
    frame[:, :20] = frame[:, -20:] = True
    frame[480:520, 100:300] = True
    crop = propose_crop(frame)
    assert crop.box.xyxy == (20, 20, 380, 480)
    assert 0.05 < crop.content_lost < 0.25


@pytest.mark.parametrize(
    ("frame", "other", "reason"),
    [
        ([], [], Reason.NOTHING_MASKED),
        ([], [np.s_[10:20, 10:20]], Reason.NO_FRAME),
        ([np.s_[:, :]], [], Reason.ALL_FRAME),
        ([np.s_[:20]], [], None),
        ([np.s_[:60]], [], Reason.TOO_SMALL),
        ([np.s_[:60], np.s_[50:, 30:40]], [], Reason.TOO_SMALL),
        ([np.s_[:3], np.s_[50:, 50:53]], [], Reason.CONTENT_LOST),  # the picture goes on beside what is masked
    ],
)
def test_why_an_image_is_not_cropped(frame, other, reason):
    drawn = [np.zeros((100, 100), dtype=bool) for _ in range(2)]
    for place in frame:
        drawn[0][place] = True
    for place in other:
        drawn[1][place] = True
    crop = propose_crop(drawn[0])
    assert why_not(*drawn, crop, most_lost=0.25, least_side_px=45) is reason
    if crop is not None:
        assert why_not(*drawn, crop, most_lost=1.0, least_side_px=101) is Reason.SMALL_ALREADY


def test_no_frame_and_nothing_but_frame_give_no_crop():
    assert propose_crop(np.zeros((10, 10), dtype=bool)) is None
    assert propose_crop(np.ones((10, 10), dtype=bool)) is None


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=80, deadline=None)
def test_a_crop_is_free_and_on_small_images_the_largest(frame):
    crop = propose_crop(frame)
    if crop is None:
        assert frame.all() or not frame.any()
        return
    assert not frame[crop.box.slices].any()
    assert 0 <= crop.content_lost < 1
    height, width = frame.shape
    sums = np.pad(frame.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    best = max(
        (y1 - y0) * (x1 - x0)
        for y0 in range(height)
        for y1 in range(y0 + 1, height + 1)
        for x0 in range(width)
        for x1 in range(x0 + 1, width + 1)
        if sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0] == 0
    )
    assert crop.box.area_px == best
