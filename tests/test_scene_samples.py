"""What the scene network learns from: cells of drawn pictures, in blocks on disk. No torch."""

from __future__ import annotations

import pickle
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import Squares

from automask_training.sample_blocks import BLOCK, BlockFolder
from automask_training.scene import FRAME, LETTERING, UNKNOWN, SceneRecipe
from automask_training.scene_samples import RenderedScenes, render
from automask_training.synth import SyntheticImage, SyntheticInstance

RECIPES = Path(__file__).parents[1] / "models" / "training"
RECIPE = SceneRecipe(size_px=96, rendered=8)


def redness(pixels: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """The mean red of each cell, where a network would give its maps."""
    cells = pixels[..., 0].reshape(len(pixels), 12, 8, 12, 8).mean(axis=(2, 4))
    return tuple(cells[:, None].astype(np.float16) for _ in range(3))


def drawn(source: Any, folder: Path, *, count: int = 8) -> RenderedScenes:
    render(source, RECIPE, folder, encode=redness, count=count)
    return RenderedScenes(folder)


def test_cells_lie_where_the_pictures_show_it_whole_and_cut(tmp_path: Path) -> None:
    samples = drawn(Squares(empty_every=0), tmp_path, count=24)
    shown = [index for index in range(24) if samples.get(index).cells.any()]
    assert {index for index in range(0, 24, 2)} < set(shown), "a cut may have neither"
    for index in shown:
        sample = samples.get(index)
        red = sample.features[0][0].astype(float)
        lettering = sample.cells[..., LETTERING].astype(float) / 255
        # The bar is red, the mark a little, and nothing else is: how red a cell is tells how much of both it has.
        assert np.corrcoef(red.ravel(), lettering.ravel())[0, 1] > 0.8, index
        assert not sample.cells[..., (FRAME, UNKNOWN)].any()


def test_a_picture_without_lettering_has_no_cells_with_any(tmp_path: Path) -> None:
    samples = drawn(Squares(empty_every=2), tmp_path)
    assert [bool(samples.get(index).cells.any()) for index in (0, 2, 4, 6)] == [True, False, True, False]


@dataclass(frozen=True)
class Framed:
    """A frame as wide as a quarter of the picture, text on it, and the lower half unknown."""

    def sample(self, index: int) -> SyntheticImage:
        whole, unknown = np.ones((96, 24), bool), np.zeros((96, 96), bool)
        unknown[48:] = True
        return SyntheticImage(
            np.zeros((96, 96, 3), np.uint8),
            (
                SyntheticInstance("frame", "border", (0, 0, 24, 96), whole, 1.0),
                SyntheticInstance("text", "text_line", (8, 40, 32, 56), np.ones((16, 24), bool), 1.0),
            ),
            unknown=unknown,
        )


def test_lettering_comes_before_frame_and_before_what_is_unknown(tmp_path: Path) -> None:
    cells = drawn(Framed(), tmp_path, count=2).get(0).cells == 255
    lettering, frame, unknown = (cells[..., channel] for channel in (LETTERING, FRAME, UNKNOWN))
    assert [slice_.tolist() for slice_ in np.nonzero(lettering)] == [[5] * 3 + [6] * 3, [1, 2, 3] * 2]
    assert frame[:, :3].sum() == 36 - 4
    assert not (frame & lettering).any()
    assert unknown.sum() == 6 * 12 - 3
    assert not (unknown & lettering).any()


def test_drawing_goes_on_with_the_block_that_is_not_whole(tmp_path: Path) -> None:
    source = Squares()
    render(source, RECIPE, tmp_path, encode=redness, count=BLOCK + 4, part=1, parts=2)
    blocks = BlockFolder(tmp_path, "cells.npy")
    assert (blocks.is_whole(0), blocks.is_whole(BLOCK)) == (False, True)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "0000000.features8.npy").write_bytes(b"of a process that was killed")
    samples = drawn(source, tmp_path, count=BLOCK + 4)
    assert all((tmp_path / name).stat().st_mtime_ns == when for name, when in before.items())
    assert samples.get(0).features[0].shape == (1, 12, 12)
    assert not list(tmp_path.glob("*.partial"))
    straight = drawn(source, tmp_path / "straight", count=BLOCK + 4)
    for index in (0, BLOCK - 1, BLOCK, BLOCK + 3):
        assert np.array_equal(samples.get(index).cells, straight.get(index).cells)


def test_a_reader_travels_to_other_processes_without_its_open_blocks(tmp_path: Path) -> None:
    samples = drawn(Squares(), tmp_path)
    here = samples.get(3)
    packed = pickle.dumps(samples)
    assert len(packed) < 1000
    assert np.array_equal(pickle.loads(packed).get(3).cells, here.cells)


def test_each_pass_sees_every_sample_once_in_an_order_of_its_own() -> None:
    recipe = SceneRecipe(rendered=50)
    passes = [[recipe.place(turn * 50 + step) for step in range(50)] for turn in range(3)]
    assert [sorted(each) for each in passes] == [list(range(50))] * 3
    assert passes[0] != passes[1] != passes[2]
    assert passes[1] == [recipe.place(50 + step) for step in range(50)]


def test_sizes_that_the_strides_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        SceneRecipe(size_px=100)


def test_the_shipped_recipe_draws_the_pictures_of_the_watermark_detector() -> None:
    scene, watermark = (tomllib.loads((RECIPES / f"{name}.toml").read_text()) for name in ("scene", "watermark"))
    for key in ("image_seed", "size_px", "render"):
        assert scene[key] == watermark[key]
    assert scene["recipe"]["size_px"] == watermark["recipe"]["size_px"]
