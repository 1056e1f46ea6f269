"""`POST /v1/adjust` against a real server on loopback."""

import io

import numpy as np
import pytest

pytest.importorskip("fastapi")

from api_server import serving
from PIL import Image

from automask.mask.rendering import grow
from automask_api.adjusting import Adjustments, adjusted


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data")) as client:
        yield client


@pytest.fixture
def levels():
    mask = np.full((128, 128), 255, dtype=np.uint8)
    mask[40:60, 30:90] = 0
    mask[90:100, 90:100] = 128
    return mask


def sent(client, levels, **options):
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG")
    answer = client.post("/v1/adjust", content=out.getvalue(), params=options)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_growing_is_that_of_masks(client, levels):
    out = sent(client, levels, grow_cells=1, training_px=128)
    assert (out == 0).sum() == grow(levels == 0, 8).sum()
    assert (out < 255).sum() == grow(levels < 255, 8).sum()


def test_shrinking_takes_back_what_growing_gave(client, levels):
    grown = sent(client, levels, grow_cells=1, training_px=128)
    np.testing.assert_array_equal(sent(client, grown, grow_cells=-1, training_px=128), levels)


def test_inverting_twice_is_nothing(client, levels):
    once = sent(client, levels, invert="true")
    np.testing.assert_array_equal(once, 255 - levels)
    np.testing.assert_array_equal(sent(client, once, invert="true"), levels)


def test_small_islands_are_closed_and_large_ones_stay(client, levels):
    levels[45:50, 40:45] = 255
    out = sent(client, levels, fill_holes_cells=1, training_px=128)
    assert out[47, 42] == 0
    levels[42:58, 35:80] = 255
    np.testing.assert_array_equal(sent(client, levels, fill_holes_cells=1, training_px=128), levels)


def test_nothing_asked_is_nothing_done(levels):
    np.testing.assert_array_equal(adjusted(levels, Adjustments()), levels)
    assert not np.shares_memory(adjusted(levels, Adjustments()), levels)


def test_bad_requests_are_problems(client):
    assert client.post("/v1/adjust", content=b"no image").status_code == 422
    assert client.post("/v1/adjust", content=b"x", params={"grow_cells": 99}).json()["code"] == "config-invalid"
    assert client.post("/v1/adjust", content=b"x", params={"by": 1}).status_code == 422
