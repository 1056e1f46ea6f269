"""The run-length codec."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from automask.values import rle

ARTEFACTS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40))


@given(ARTEFACTS)
def test_round_trip(artefact):
    assert np.array_equal(rle.decode(rle.encode(artefact), shape=artefact.shape), artefact)


@given(ARTEFACTS)
def test_coco_round_trip(artefact):
    counts = rle.coco_counts(artefact)
    assert sum(counts) == artefact.size
    assert all(count > 0 for count in counts[1:])
    assert np.array_equal(rle.from_coco_counts(counts, shape=artefact.shape), artefact)


def test_coco_counts_run_down_the_columns():
    artefact = np.array([[False, True, True], [False, True, False]])
    assert rle.coco_counts(artefact) == [2, 3, 1]
    assert rle.coco_counts(np.ones((2, 3), dtype=np.bool_)) == [0, 6]


@given(st.data())
def test_levels_round_trip(data):
    where = data.draw(ARTEFACTS)
    levels = data.draw(hnp.arrays(np.uint8, where.shape))
    back = rle.decode_levels(rle.encode_levels(levels, where), where)
    assert np.array_equal(back[where], levels[where])
    assert (back[~where] == 255).all()


def test_long_rows_are_small():
    artefact = np.zeros((4000, 6000), dtype=np.bool_)
    artefact[1000:1200, 500:5500] = True
    assert len(rle.encode(artefact)) < 1000


def test_not_contiguous_arrays():
    artefact = np.arange(48).reshape(6, 8)[::2, ::3] % 2 == 0
    assert np.array_equal(rle.decode(rle.encode(artefact)), artefact)


@given(ARTEFACTS, st.data())
def test_damage_is_noticed_or_harmless(artefact, data):
    blob = bytearray(rle.encode(artefact))
    position = data.draw(st.integers(0, len(blob) - 1))
    blob[position] ^= data.draw(st.integers(1, 255))
    try:
        back = rle.decode(bytes(blob), shape=artefact.shape)
    except ValueError:
        return
    assert back.shape == artefact.shape


@pytest.mark.parametrize("cut", [0, 3, 8, 12, -1])
def test_cut_off_blobs(cut):
    blob = rle.encode(np.eye(9, dtype=np.bool_))
    with pytest.raises(ValueError, match=r"packed artefact|cut off"):
        rle.decode(blob[:cut])


def test_wrong_shape_and_version():
    blob = rle.encode(np.eye(3, dtype=np.bool_))
    with pytest.raises(ValueError, match="shape"):
        rle.decode(blob, shape=(3, 4))
    with pytest.raises(ValueError, match="version 9"):
        rle.decode(b"\x09" + blob[1:])


def test_a_blob_cannot_fill_the_memory():
    import struct
    import zlib

    bomb = struct.pack("<BII", 1, 2, 2) + zlib.compress(bytes(50_000_000))
    with pytest.raises(ValueError, match="too long"):
        rle.decode(bomb)


@pytest.mark.parametrize("array", [np.zeros((2, 2), dtype=np.uint8), np.zeros(4, dtype=np.bool_)])
def test_only_bool_planes(array):
    with pytest.raises(ValueError, match="bool"):
        rle.encode(array)


def test_bad_coco_counts():
    with pytest.raises(ValueError, match="add up"):
        rle.from_coco_counts([3, 2], shape=(2, 3))
    with pytest.raises(ValueError, match="add up"):
        rle.from_coco_counts([-1, 7], shape=(2, 3))
