"""The proof's own arithmetic: shares and distances with intervals, crops, true masks, and the table of arms."""

import zlib

import numpy as np
import pytest

from automask_training.proof.arms import CORE, SEEDS, Arm, all_runs, run_named
from automask_training.proof.estimates import kernel_distance, share_above
from automask_training.proof.marks import MARKED_SHARE, is_marked
from automask_training.proof.pictures import SIDE_PX
from automask_training.proof.sets import cropped, filled, true_weight


def test_a_share_is_told_above_that_of_mistakes_with_an_interval_of_both():
    found = np.arange(1000) < 300
    mistaken = np.arange(200) < 10
    told = share_above(found, mistaken)
    assert told.value == pytest.approx(0.25)
    assert 0.20 < told.low < 0.25 < told.high < 0.30
    alone = share_above(found, mistaken[:0])
    assert alone.value == pytest.approx(0.30)
    assert alone.high - alone.low < told.high - told.low


def test_a_share_of_nothing_has_no_width():
    told = share_above(np.zeros(1000, dtype=bool), np.zeros(100, dtype=bool))
    assert (told.value, told.low, told.high) == (0.0, 0.0, 0.0)


def test_the_distance_between_draws_of_one_thing_is_nothing_and_grows_with_a_shift():
    rng = np.random.default_rng(0)
    one, other, far = (rng.normal(shift, 1.0, (400, 8)).astype(np.float32) for shift in (0.0, 0.0, 0.5))
    same, apart = kernel_distance(one, other), kernel_distance(far, other)
    assert same.low < 0.0 < same.high
    assert apart.low > same.high
    assert apart.low < apart.value < apart.high


@pytest.mark.parametrize(
    ("unwanted", "kept"),
    [
        (np.s_[480:, 256:], (480, 512)),
        (np.s_[:, :64], (512, 448)),
        (np.s_[:48, 256:], (464, 512)),
    ],
)
def test_a_crop_keeps_the_largest_part_without_anything_unwanted(unwanted: tuple[slice, slice], kept: tuple[int, int]):
    truth = np.zeros((SIDE_PX, SIDE_PX), dtype=bool)
    truth[unwanted] = True
    pixels = np.where(truth[..., None], np.uint8(255), np.uint8(7)).repeat(3, axis=2)
    left = cropped(pixels, truth)
    assert left.shape[:2] == kept
    assert (left == 7).all()


def test_a_crop_of_a_clean_picture_is_the_picture():
    pixels = np.arange(SIDE_PX * SIDE_PX * 3, dtype=np.uint32).astype(np.uint8).reshape(SIDE_PX, SIDE_PX, 3)
    assert np.array_equal(cropped(pixels, np.zeros((SIDE_PX, SIDE_PX), dtype=bool)), pixels)


def test_one_cell_of_growth_is_16_px_of_a_full_size_picture():
    truth = np.zeros((SIDE_PX, SIDE_PX), dtype=bool)
    truth[200:210, 300:310] = True
    rows, columns = np.nonzero(true_weight(truth, growth_cells=1.0) == 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (184, 225, 284, 325)
    rows, _ = np.nonzero(true_weight(truth, growth_cells=0.0) == 0)
    assert (rows.min(), rows.max()) == (200, 209)


def truth_grown(truth: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(truth)
    grown = np.zeros_like(truth)
    grown[rows.min() - 8 : rows.max() + 9, columns.min() - 8 : columns.max() + 9] = True
    return grown


def test_filling_leaves_nothing_of_a_mark_and_the_rest_alone():
    truth = np.zeros((SIDE_PX, SIDE_PX), dtype=bool)
    truth[200:210, 300:340] = True
    pixels = np.where(truth[..., None], np.uint8(255), np.uint8(40)).repeat(3, axis=2)
    left = filled(pixels, truth).astype(int)
    assert np.abs(left - 40).max() <= 4  # OpenCV rounds its sums
    assert (left[~truth_grown(truth)] == 40).all()


def test_every_run_has_a_name_of_its_own_and_is_found_by_it():
    runs = [(arm.run_name(seed), arm, seed) for arm, seed in all_runs()]
    assert len({name for name, _, _ in runs}) == len(runs)
    assert all(run_named(name) == (arm, seed) for name, arm, seed in runs)
    with pytest.raises(KeyError):
        run_named("watermark-none-0")


def test_the_core_of_one_seed_comes_first_and_differs_from_plain_in_one_thing_each():
    first = [arm for arm, seed in all_runs() if seed == SEEDS[0]][: len(CORE)]
    assert first == list(CORE)
    plain = CORE[0]
    assert (plain.name, plain.masks, plain.pixels) == ("plain", "none", "marked")
    settings = [(arm.pixels, arm.masks, arm.recall, arm.growth_cells) for arm in CORE]
    assert len(set(settings)) == len(CORE)
    assert Arm(name="x", about="").run_name(1) == "watermark-x-1"


def test_most_pictures_are_marked_and_the_same_ones_in_every_set():
    names = [f"picture-{number}" for number in range(2000)]
    marked = [is_marked(name) for name in names]
    assert np.mean(marked) == pytest.approx(MARKED_SHARE, abs=0.03)
    assert marked == [zlib.crc32(b"marked" + name.encode()) % 1000 < 850 for name in names]
