"""The cluster refiner finds lettering by colour, and says so where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.config import RuntimeConfig
from automask.plugins import build_refiner
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.refiners import cluster
from automask_models.refiners.cluster import find_ink, k_means, nearest


@pytest.fixture
def refiner():
    return build_refiner("cluster", options={}, weights=WeightLibrary({}), runtime=RuntimeConfig())


def lettering(fill, outline, ground):
    """(image, truth): a word with an outline."""
    font = ImageFont.load_default(size=48)
    picture = PillowImage.new("RGB", (260, 100), ground)
    ImageDraw.Draw(picture).text((20, 20), "Words", font=font, fill=fill, stroke_width=3, stroke_fill=outline)
    truth = PillowImage.new("L", (260, 100))
    ImageDraw.Draw(truth).text((20, 20), "Words", font=font, fill=255, stroke_width=3, stroke_fill=255)
    return Image(id="x", pixels=np.asarray(picture)), np.asarray(truth) > 127


@pytest.mark.parametrize(
    ("fill", "outline", "ground"),
    [("black", "black", "white"), ("white", "black", "#7090c0"), ("#ffd000", "#802000", "#e8e8e8")],
)
def test_letters_with_their_outline_are_found(refiner, fill, outline, ground):
    image, truth = lettering(fill, outline, ground)
    rows, columns = np.nonzero(truth)
    box = Box(columns.min() - 4, rows.min() - 4, columns.max() + 5, rows.max() + 5)
    (patch,) = refiner.refine(image, [Region(kind=Kind.TEXT, box=box, confidence=0.9, source="t")])
    assert patch.refiner == "cluster"
    drawn = np.zeros(truth.shape, dtype=bool)
    drawn[patch.box.slices] = patch.artefact
    assert (drawn & truth).sum() / truth.sum() > 0.93
    assert (drawn & ~truth).sum() / (~truth[box.slices]).sum() < 0.15


@pytest.mark.parametrize("noise_levels", [0, 12])
@pytest.mark.parametrize("chunk", [1, 700, 5_000])
def test_working_in_parts_changes_nothing(monkeypatch, chunk, noise_levels):
    image, truth = lettering("#ffd000", "#802000", "#e8e8e8")
    noise = np.random.default_rng(1).normal(0, noise_levels, image.pixels.shape)
    image = Image(id="x", pixels=np.clip(image.pixels + noise, 0, 255).astype(np.uint8))
    box = Box.of_artefact(truth).padded(4, width_px=260, height_px=100)
    filled = np.ones(box.shape, dtype=np.bool_)
    whole = find_ink(image, box, filled)
    monkeypatch.setattr(cluster, "_CHUNK", chunk)
    in_parts = find_ink(image, box, filled)
    np.testing.assert_array_equal(in_parts.artefact, whole.artefact)
    assert whole.artefact.any()
    assert in_parts.separation == pytest.approx(whole.separation, abs=1e-6)


def test_no_colours_apart_leave_the_polygon(refiner):
    image = Image(id="x", pixels=np.full((50, 80, 3), 90, dtype=np.uint8))
    polygon = ((10.0, 10.0), (60.0, 10.0), (60.0, 30.0), (10.0, 40.0))
    region = Region(kind=Kind.TEXT, box=Box(10, 10, 60, 40), confidence=0.7, source="t", polygon=polygon)
    (patch,) = refiner.refine(image, [region])
    assert (patch.refiner, patch.score) == ("polygon", 0.7)
    assert "no colours" in patch.note
    assert patch.artefact.any()


@pytest.mark.parametrize("size", [(1, 1), (2, 40)])
def test_tiny_images(refiner, size):
    image = Image(id="x", pixels=np.zeros((*size, 3), dtype=np.uint8))
    (patch,) = refiner.refine(image, [Region(kind=Kind.TEXT, box=image.box, confidence=0.5, source="t")])
    assert patch.artefact.all()


def test_a_shape_that_the_detector_knows_is_kept(refiner):
    image = Image(id="x", pixels=np.zeros((20, 20, 3), dtype=np.uint8))
    shape = np.eye(10, dtype=np.bool_)
    region = Region(kind=Kind.FRAME, box=Box(0, 0, 10, 10), confidence=0.5, source="t", artefact=shape)
    assert (refiner.refine(image, [region])[0].artefact == shape).all()


def test_k_means_separates_and_repeats():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 5000)
    points = (np.array([[0, 0, 0], [50, 10, 0], [100, -40, 20]])[truth] + rng.normal(size=(5000, 3))).astype(np.float32)
    centres = k_means(points, count=3)
    assert np.array_equal(centres, k_means(points, count=3))
    labels = nearest(points, centres)
    assert all(len(set(labels[truth == i])) == 1 for i in range(3))
    assert k_means(np.zeros((10, 3), np.float32), count=3).shape == (3, 3)
