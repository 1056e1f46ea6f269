"""Dates as cameras write them into pictures, drawn for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from automask_training.synth import emblems
from automask_training.synth.backgrounds import PictureCache
from automask_training.synth.index import MaterialIndex
from automask_training.synth.lettering import FontCollection
from automask_training.synth.marks import MarkDrawer
from automask_training.synth.raster import Canvas
from automask_training.synth.scripts import film_date


@pytest.mark.parametrize("text", ["0", "1", "7", "'02", "12:59", "3  13 '02", ""])
def test_lamps_show_every_digit(text: str):
    shown = emblems.dot_line(text, 28)
    assert shown.dtype == np.uint8
    assert shown.any() == bool(text)
    if text.isdigit():
        digits = {digit: emblems.dot_line(digit, 28).tobytes() for digit in "0123456789"}
        assert len(set(digits.values())) == 10


def test_light_on_film_only_brightens_and_fades_where_the_picture_is_bright(tmp_path: Path):
    index = MaterialIndex()
    drawer = MarkDrawer(PictureCache(tmp_path, limit_bytes=1_000_000), index, FontCollection(tmp_path, ()))
    changes = []
    for level in (30, 225):
        canvas = Canvas(np.full((256, 256, 3), level, dtype=np.uint8))
        assert drawer._film_date(np.random.default_rng(2), canvas)
        change = canvas.pixels.astype(np.int16) - level
        assert change.min() >= 0
        assert [each.label for each in canvas.instances] == ["timestamp"]
        changes.append(change.max())
    assert changes[1] < changes[0] / 3


def test_backs_of_film_cameras_write_groups_of_digits_apart():
    for seed in range(40):
        groups = film_date(np.random.default_rng(seed)).split()
        assert len(groups) in (2, 3)
        assert all(set(group) <= set("0123456789':") for group in groups)
