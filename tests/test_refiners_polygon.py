"""The polygon refiner fills what the detector drew."""

from __future__ import annotations

import numpy as np
import pytest

from automask.config import RuntimeConfig
from automask.plugins import build_refiner
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary


@pytest.fixture
def refiner():
    return build_refiner("polygon", options={}, weights=WeightLibrary({}), runtime=RuntimeConfig())


@pytest.fixture
def image():
    return Image(id="x", pixels=np.zeros((40, 60, 3), dtype=np.uint8))


def test_shape_comes_from_artefact_then_polygon_then_box(refiner, image):
    box = Box(10, 10, 20, 20)
    artefact = np.eye(10, dtype=np.bool_)
    triangle = ((10.0, 10.0), (20.0, 10.0), (10.0, 20.0))
    patches = refiner.refine(
        image,
        [
            Region(kind=Kind.FRAME, box=box, confidence=0.9, source="t", polygon=triangle, artefact=artefact),
            Region(kind=Kind.TEXT, box=box, confidence=0.8, source="t", polygon=triangle),
            Region(kind=Kind.TEXT, box=box, confidence=0.7, source="t"),
        ],
    )
    assert (patches[0].artefact == artefact).all()
    assert 45 <= patches[1].artefact.sum() <= 65
    assert patches[2].artefact.all()
    assert [patch.score for patch in patches] == [0.9, 0.8, 0.7]
    assert {patch.refiner for patch in patches} == {"polygon"}


def test_a_polygon_that_hangs_over_the_edge_is_cut(refiner, image):
    polygon = ((-20.0, -5.0), (30.0, -5.0), (30.0, 12.0), (-20.0, 12.0))
    region = Region(kind=Kind.TEXT, box=Box(0, 0, 30, 12), confidence=0.9, source="t", polygon=polygon)
    (patch,) = refiner.refine(image, [region])
    assert image.box.contains(patch.box)
    assert patch.box == Box(0, 0, 30, 12)
    assert patch.artefact.all()


def test_no_regions_no_patches(refiner, image):
    assert refiner.refine(image, []) == []
