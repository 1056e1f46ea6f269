"""The detector `tiling`: what is repeated over a picture is found however faint, nothing else is."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from automask.config import PolicyConfig
from automask.mask.metrics import score_mask
from automask.mask.rendering import is_drawn
from automask.values.types import Image, Kind, Region
from automask_models.tiling.detector import TilingDetector, TilingOptions
from automask_models.tiling.pattern import Copies, Pattern, closure_of, coverage_of
from automask_models.tiling.shifts import Autocorrelation, Shift, fine_detail, whitened

DRAWN = 0.5
Picture = NDArray[np.uint8]


def landscape(seed: int, *, width_px: int = 640, height_px: int = 480) -> Picture:
    """Random (H, W, 3) picture with the spectrum of a photograph and some straight, hard edges."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height_px, width_px, 3))
    for octave in range(8):
        size = (max(2, height_px >> (7 - octave)), max(2, width_px >> (7 - octave)))
        noise = rng.normal(size=(*size, 3))
        picture += cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC) / 1.7**octave
    picture = (picture - picture.min()) / np.ptp(picture) * 200 + 25
    levels = picture.astype(np.uint8)
    for _ in range(4):
        ends = [tuple(int(value) for value in rng.integers(0, (width_px, height_px))) for _ in range(2)]
        cv2.line(levels, ends[0], ends[1], tuple(int(value) for value in rng.integers(0, 255, 3)), 3, cv2.LINE_AA)
    return levels


def names(width_px: int, height_px: int, *, step: tuple[int, int] = (170, 90)) -> NDArray[np.float32]:
    """Coverage of a name that is tiled over a picture in shifted rows, (H, W) float32 0..1."""
    sheet = np.zeros((height_px, width_px), dtype=np.uint8)
    for row, y in enumerate(range(30, height_px + 30, step[1])):
        for x in range(-100 + (row % 2) * step[0] // 2, width_px, step[0]):
            cv2.putText(sheet, "Sample", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
    return sheet.astype(np.float32) / 255


def net(width_px: int, height_px: int) -> NDArray[np.float32]:
    """Coverage of two families of parallel lines."""
    sheet = np.zeros((height_px, width_px), dtype=np.uint8)
    for start in range(-2 * height_px, 3 * height_px, 110):
        cv2.line(sheet, (0, start), (width_px, start + width_px * 3 // 4), 255, 2, cv2.LINE_AA)
        cv2.line(sheet, (0, start), (width_px, start - width_px * 3 // 4), 255, 2, cv2.LINE_AA)
    return sheet.astype(np.float32) / 255


def marked(picture: Picture, coverage: NDArray[np.float32], opacity: float) -> Picture:
    """A picture with white at this opacity on it, as it comes out of a JPEG file."""
    alpha = (coverage * opacity)[..., None]
    mixed = (picture * (1 - alpha) + 255 * alpha).astype(np.uint8)
    _, data = cv2.imencode(".jpg", mixed, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def found_in(pixels: Picture) -> list[Region]:
    detector = TilingDetector(TilingOptions())
    return [
        region
        for region in detector.detect([Image(id="picture", pixels=np.ascontiguousarray(pixels))])[0]
        if is_drawn(region, PolicyConfig())
    ]


def weight_levels(regions: list[Region], pixels: Picture) -> Picture:
    levels = np.full(pixels.shape[:2], 255, dtype=np.uint8)
    for region in regions:
        assert region.artefact is not None
        levels[region.box.slices][region.artefact] = 0
    return levels


@pytest.mark.parametrize("opacity", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("drawn", [names, net], ids=["names", "net"])
def test_what_is_tiled_is_found_and_outlined(drawn: Callable[[int, int], NDArray[np.float32]], opacity: float) -> None:
    coverage = drawn(640, 480)
    for seed in range(3):
        pixels = marked(landscape(seed), coverage, opacity)
        (region,) = found_in(pixels)
        assert (region.kind, region.source) == (Kind.WATERMARK, "tiling")
        truth = (coverage > 0.5).astype(np.uint8) * np.uint8(255)
        score = score_mask(weight_levels([region], pixels), truth)
        assert score.leak is not None
        assert score.leak <= 0.3
        assert (score.waste or 0.0) <= 0.05


def test_nothing_is_found_where_nothing_repeats() -> None:
    for seed in range(6):
        assert not found_in(landscape(seed))


@pytest.mark.parametrize("pitch_px", [6, 11])
def test_textures_of_short_pitch_are_no_mark(pitch_px: int) -> None:
    pixels = landscape(1)
    pixels[::pitch_px] //= 2
    pixels[:, ::pitch_px] //= 2
    assert not found_in(pixels)


def dotted(pitch_px: int, *, degrees: float, size_px: int = 640) -> Picture:
    """A picture under dots at the places of a turned square lattice, as on a dress or a screen of print."""
    rows, columns = np.mgrid[:size_px, :size_px].astype(np.float64)
    turn = np.deg2rad(degrees)
    u, v = columns * np.cos(turn) + rows * np.sin(turn), rows * np.cos(turn) - columns * np.sin(turn)
    dots = (u % pitch_px - pitch_px / 2) ** 2 + (v % pitch_px - pitch_px / 2) ** 2 < (0.3 * pitch_px) ** 2
    pixels = landscape(5, width_px=size_px, height_px=size_px).copy()
    pixels[dots] = 230
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.6), dtype=np.uint8)


@pytest.mark.parametrize("degrees", [0, 21, 45])
@pytest.mark.parametrize("pitch_px", [8, 14, 18, 22, 26, 36, 44])
def test_dots_all_over_a_picture_are_not_masked_unasked(pitch_px: int, degrees: float) -> None:
    assert found_in(dotted(pitch_px, degrees=degrees)) == []


@pytest.mark.parametrize("degrees", [0.0, 20.0, 65.0])
def test_the_steps_of_a_gradient_are_no_mark(degrees: float) -> None:
    y, x = np.mgrid[0:600, 0:600] / 600
    along = x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))
    pixels = np.stack([60 + 70 * along, 120 + 40 * along, 150 - 60 * along], axis=2).astype(np.uint8)
    assert not found_in(marked(pixels, np.zeros((600, 600), dtype=np.float32), 0.0))


def test_copies_at_odd_places_are_no_mark() -> None:
    pixels = landscape(2)
    rng = np.random.default_rng(3)
    stamp = landscape(9, width_px=60, height_px=50)
    for x, y in zip(rng.integers(0, 580, 9), rng.integers(0, 430, 9), strict=True):
        pixels[y : y + 50, x : x + 60] = stamp
    assert not found_in(pixels)


def test_windows_of_one_house_are_no_mark() -> None:
    """A lattice in one corner of a picture covers too few of its blocks."""
    pixels = landscape(4)
    for y in range(20, 200, 40):
        for x in range(20, 240, 45):
            pixels[y : y + 24, x : x + 20] = 20
    assert not found_in(pixels)


def test_large_pictures_are_outlined_at_their_own_size() -> None:
    coverage = cv2.resize(names(640, 480), (1920, 1440), interpolation=cv2.INTER_LINEAR)
    pixels = marked(landscape(5, width_px=1920, height_px=1440), coverage, 0.3)
    (region,) = found_in(pixels)
    assert region.box.width_px > 1700
    assert region.artefact is not None
    assert region.artefact.shape == region.box.shape


@pytest.mark.parametrize("pixels", [np.zeros((64, 300, 3)), np.full((200, 200, 3), 255), np.zeros((97, 1500, 3))])
def test_small_and_empty_pictures_give_nothing_and_no_warning(pixels: NDArray[np.float64]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not found_in(pixels.astype(np.uint8))


@settings(max_examples=25, deadline=None)
@given(dx=st.integers(-150, 150), dy=st.integers(0, 120), seed=st.integers(0, 99))
def test_a_shift_is_found_to_the_pixel(dx: int, dy: int, seed: int) -> None:
    if max(abs(dx), dy) < 40:
        dx = 40 + abs(dx)
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 255, (320, 400), dtype=np.uint8)
    whole = np.zeros((320, 400), dtype=np.int64)
    whole += noise
    whole += np.roll(noise, (dy, dx), axis=(0, 1))
    detail = whitened(fine_detail(np.repeat((whole // 2).astype(np.uint8)[..., None], 3, axis=2)))
    (first, *_) = Autocorrelation.of(detail).shifts()
    assert (first.dx_px, first.dy_px) in {(dx, dy), (-dx, -dy)}


def test_shifts_of_a_lattice_are_closed_and_cover_the_picture() -> None:
    pixels = marked(landscape(7), names(640, 480), 0.3)
    detail = whitened(fine_detail(pixels))
    agreement = Autocorrelation.of(detail)
    shifts = agreement.shifts()
    assert closure_of(shifts, agreement) > 0.9
    assert coverage_of(detail, Copies(detail.shape, shifts)) > 0.9
    assert closure_of([Shift(33, 5, 9.0), Shift(61, 40, 9.0)], agreement) < 0.5
    assert agreement.has_peak(10_000, 0, prominence=1.0) is None


def test_the_same_picture_gives_the_same_pattern() -> None:
    pixels = marked(landscape(8), net(640, 480), 0.2)
    first, second = Pattern.of(pixels), Pattern.of(pixels.copy())
    assert first is not None
    assert second is not None
    assert first.shifts == second.shifts
    assert np.array_equal(first.artefact, second.artefact)
