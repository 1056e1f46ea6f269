"""Boxes, polygons, growth and holes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from automask.mask.metrics import with_neighbours
from automask.mask.rendering import fill_holes, grow, growth_px
from automask.values.geometry import Box, rasterise_polygon
from automask.values.grid import LatentGrid

corners = st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60))
boxes = corners.map(lambda c: Box(c[0], c[1], c[0] + c[2], c[1] + c[3]))
artefacts = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


@given(boxes, boxes)
def test_intersection_and_union_agree_with_pixels(first, second):
    canvas = np.zeros((2, 200, 200), dtype=bool)
    for layer, box in zip(canvas, (first, second), strict=True):
        layer[box.y0 + 60 : box.y1 + 60, box.x0 + 60 : box.x1 + 60] = True
    shared = first.intersection(second)
    assert (shared.area_px if shared else 0) == (canvas[0] & canvas[1]).sum()
    assert first.iou(second) == pytest.approx((canvas[0] & canvas[1]).sum() / (canvas[0] | canvas[1]).sum())
    assert first.union(second).contains(first)
    assert first.union(second).contains(second)


@given(artefacts)
def test_box_of_artefact_is_tight(artefact):
    box = Box.of_artefact(artefact)
    if box is None:
        assert not artefact.any()
        return
    inside = artefact[box.slices]
    assert inside.sum() == artefact.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@pytest.mark.parametrize("corners", [(3, 3, 3, 9), (3, 9, 9, 3)])
def test_empty_box_is_refused(corners):
    with pytest.raises(ValueError, match="empty box"):
        Box(*corners)


@pytest.mark.parametrize("corners", [(0.5, 0, 2, 2), (0, 0, 2, True)])
def test_box_of_fractions_is_refused(corners):
    with pytest.raises(ValueError, match="integer"):
        Box(*corners)


@given(boxes)
def test_a_rectangle_polygon_fills_its_box(box):
    polygon = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    window = Box(box.x0 - 3, box.y0 - 3, box.x1 + 3, box.y1 + 3)
    drawn = rasterise_polygon(polygon, window)
    assert drawn.shape == window.shape
    assert drawn[3:-3, 3:-3].all()
    assert drawn.sum() == box.area_px


def test_rasterised_circle_has_the_area_of_its_polygon():
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    polygon = tuple((50 + 30 * np.cos(a), 50 + 30 * np.sin(a)) for a in angles)
    drawn = rasterise_polygon(polygon, Box(0, 0, 100, 100))
    area_px = 64 / 2 * 30**2 * np.sin(2 * np.pi / 64)
    assert drawn.sum() == pytest.approx(area_px, rel=0.05)
    assert Box.of_artefact(drawn) == Box(20, 20, 80, 80)


@given(artefacts, st.integers(0, 5))
def test_growth_covers_every_pixel_within_the_square(artefact, radius_px):
    padded = np.pad(artefact, radius_px)
    expected = np.zeros_like(artefact)
    for dy in range(2 * radius_px + 1):
        for dx in range(2 * radius_px + 1):
            expected |= padded[dy : dy + artefact.shape[0], dx : dx + artefact.shape[1]]
    np.testing.assert_array_equal(grow(artefact, radius_px), expected)


@pytest.mark.parametrize("radius_px", [127, 128, 129, 200, 255, 256, 257, 1000])
def test_growth_far_is_as_far_as_opencv_measures_it(radius_px):
    import cv2

    artefact = np.zeros((600, 700), dtype=np.bool_)
    artefact[[3, 300, 310, 590], [690, 20, 22, 350]] = True
    distance_px = cv2.distanceTransform((~artefact).view(np.uint8), cv2.DIST_C, cv2.DIST_MASK_3)
    np.testing.assert_array_equal(grow(artefact, radius_px), distance_px <= radius_px)


@given(artefacts)
def test_growth_by_one_is_the_eight_neighbourhood(artefact):
    np.testing.assert_array_equal(grow(artefact, 1), with_neighbours(artefact))


def test_holes_are_filled_up_to_an_area_and_never_the_art_window():
    ring = np.zeros((40, 40), dtype=bool)
    ring[5:35, 5:35] = True
    ring[10:12, 10:12] = False  # 4 px
    ring[15:30, 15:30] = False  # 225 px
    filled = fill_holes(ring, 16)
    assert filled[10:12, 10:12].all()
    assert not filled[15:30, 15:30].any()
    assert fill_holes(ring, 0).sum() == ring.sum()


def test_background_that_reaches_the_border_is_no_hole():
    corner = np.ones((10, 10), dtype=bool)
    corner[0:2, 0:2] = False
    np.testing.assert_array_equal(fill_holes(corner, 100), corner)


@given(st.integers(16, 5000), st.integers(16, 5000), st.sampled_from([512, 768, 1024]), st.sampled_from([8, 16, 32]))
def test_grid_holds_whole_cells_near_the_training_area(width_px, height_px, training_px, cell_px):
    grid = LatentGrid.of(width_px, height_px, training_px=training_px, cell_px=cell_px)
    rows, columns = grid.shape_cells
    assert (rows * cell_px, columns * cell_px) == (grid.height_px, grid.width_px)
    assert grid.scale == pytest.approx(training_px / (width_px * height_px) ** 0.5)
    # a growth of n cells is a length of n * cell at training size, to half a source pixel
    assert abs(growth_px(grid, 2.0) - 2 * cell_px / grid.scale) <= max(0.5, 1 - 2 * cell_px / grid.scale) + 1e-9
