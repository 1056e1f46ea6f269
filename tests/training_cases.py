"""Images and crops that the tests of the training code share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automask_training.crops import CropConfig
from automask_training.synth import SyntheticImage, SyntheticInstance


@dataclass(frozen=True)
class Squares:
    """Images of 200 px with one bright bar of text and one faint square mark, or with nothing."""

    seed: int = 0
    empty_every: int = 4

    def sample(self, index: int) -> SyntheticImage:
        rng = np.random.default_rng([self.seed, index])
        pixels = rng.integers(60, 90, (200, 200, 3)).astype(np.uint8)
        if self.empty_every and index % self.empty_every == self.empty_every - 1:
            return SyntheticImage(pixels, ())
        x, y = (int(v) for v in rng.integers(10, 100, 2))
        bar = np.zeros((16, 60), bool)
        bar[4:12] = True
        bar[:, ::10] = True
        pixels[y : y + 16, x : x + 60][bar] = (240, 230, 60)
        mark = np.ones((20, 20), bool)
        pixels[170:190, 170:190] += np.uint8(60)
        return SyntheticImage(
            pixels,
            (
                SyntheticInstance("text", "text_line", (x, y, x + 60, y + 16), bar, 1.0),
                SyntheticInstance("watermark", "logo", (170, 170, 190, 190), mark, 0.3),
            ),
        )


@dataclass(frozen=True)
class Bars:
    """A noisy picture between bars, or without."""

    def get(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(index)
        pixels = rng.integers(40, 200, (64, 64, 3)).astype(np.uint8)
        shares = np.zeros((4, 16, 16), np.uint8)
        if index % 2:
            pixels[:16] = pixels[48:] = 0
            shares[0, :4] = shares[0, 12:] = 100
        return pixels, shares


def small_layout_task(**changes: Any) -> Any:
    from automask_training.layout import LayoutRecipe, LayoutTask
    from automask_training.layout_model import LayoutConfig

    recipe = LayoutRecipe(model=LayoutConfig(widths=(4, 8, 8, 8, 8), head_channels=8), rendered=8)
    return LayoutTask(Bars(), replace(recipe, **changes))


def small_sam_task(source: Any) -> Any:
    from automask_training.sam import SamRecipe, SamTask
    from automask_training.sam_loss import SamLossConfig
    from automask_training.sam_model import SamConfig

    model = SamConfig(size_px=128, width=64)
    crops = CropConfig(size_px=128, cells=32, short_side_px=(12.0, 60.0), zoom=(0.7, 2.0))
    return SamTask(source, SamRecipe(model=model, loss=SamLossConfig(), crops=crops, crops_per_image=2))


@dataclass(frozen=True)
class Scenes:
    """Features of 64 px that are noise, and some of them high where half of the samples have lettering."""

    def get(self, index: int) -> Any:
        from automask_training.scene import SceneSample

        rng = np.random.default_rng(index)
        cells = np.zeros((8, 8, 3), np.uint8)
        if index % 2:
            row, column = rng.integers(0, 6, 2)
            cells[row : row + 2, column : column + 3, 0] = 200
        shapes = ((40, 8, 8), (112, 4, 4), (320, 2, 2))
        levels = tuple(rng.normal(size=shape).astype(np.float16) for shape in shapes)
        levels[0][:8] += 3 * (cells[..., 0] > 0)
        return SceneSample(levels, cells)


def small_scene_task(**changes: Any) -> Any:
    from automask_training.scene import SceneRecipe, SceneTask
    from automask_training.scene_model import SceneConfig

    recipe = replace(SceneRecipe(size_px=64, rendered=16), **changes)
    return SceneTask(Scenes(), recipe, SceneConfig(width=8, last_width=8))
