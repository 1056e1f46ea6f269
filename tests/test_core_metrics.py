"""Leak and waste on cases that can be computed by hand."""

import numpy as np
import pytest

from automask.mask.metrics import mean_of, score_mask


def canvas(level=0, size=1024):
    return np.full((size, size), level, dtype=np.uint8)


def test_nothing_unwanted_and_nothing_masked():
    score = score_mask(canvas(255), None)
    assert score.leak is None
    assert score.waste == 0
    assert score.far_cells == 128 * 128


def test_missed_box_leaks_wholly_and_grown_box_neither_leaks_nor_wastes():
    truth = canvas()
    truth[80:160, 80:160] = 255
    assert score_mask(canvas(255), truth).leak == 1
    mask = canvas(255)
    mask[72:168, 72:168] = 0
    score = score_mask(mask, truth)
    assert (score.leak, score.waste) == (0, 0)
    assert score.unwanted_cells == 100
    assert score.far_cells == 128 * 128 - 144


def test_everything_masked_wastes_everything_far():
    truth = canvas()
    truth[80:160, 80:160] = 255
    assert score_mask(canvas(0), truth).waste == 1
    assert score_mask(canvas(0), canvas(255)).waste is None


def test_two_percent_of_a_cell_is_the_threshold():
    truth = canvas()
    truth[80, 80] = 255  # 1 / 64 = 1.6 %
    assert score_mask(canvas(255), truth).leak is None
    truth[80, 81] = 255
    assert score_mask(canvas(255), truth).unwanted_cells == 1


def test_ignored_cells_and_their_neighbours_count_in_neither():
    truth = canvas()
    truth[80:88, 80:88] = 255
    truth[88:96, 80:88] = 128
    score = score_mask(canvas(0), truth)
    assert score.leak is None
    truth = canvas(128)
    assert score_mask(canvas(0), truth).waste is None


def test_grey_is_partial():
    truth = canvas()
    truth[:512] = 255
    score = score_mask(canvas(51), truth)
    assert score.leak == pytest.approx(0.2)
    assert score.waste == pytest.approx(0.8)


def test_sizes_must_match():
    with pytest.raises(ValueError, match="one size"):
        score_mask(canvas(255), canvas(0, size=512))


def test_mean_leaves_out_what_does_not_exist():
    assert mean_of([None, 1.0, 0.0]) == 0.5
    assert mean_of([None]) is None
