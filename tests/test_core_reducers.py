"""Reducers against torch, and growth against what was measured on the trainers' own code."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from automask.mask.rendering import grow, growth_px
from automask.trainers import reducers
from automask.values.grid import LatentGrid

SOURCE_PX, TRAINING_PX, CELLS = 1536, 1024, 128

# Residual weight on cells that hold ink, by growth in px at training resolution (1 cell = 8 px), as measured with each
# trainer's own mask path on twelve such images: area (sd-scripts, SimpleTuner), antialiased bilinear (OneTrainer,
# unmasked weight 0), nearest-exact (diffusion-pipe), nearest (invoke-training).
MEASURED = {
    0: {"area": 0.70, "bilinear_antialias": 0.71, "nearest_exact": 0.70, "nearest": 0.70},
    8: {"area": 0.00, "bilinear_antialias": 0.01, "nearest_exact": 0.00, "nearest": 0.00},
}


def ink_image(seed):
    """Ten text lines of 18 to 64 px on 1536 x 1536."""
    rng = np.random.default_rng(seed)
    canvas = Image.new("L", (SOURCE_PX, SOURCE_PX))
    draw = ImageDraw.Draw(canvas)
    for row in range(10):
        text = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz ABCDEFG"), size=24))
        position = (int(rng.integers(20, 300)), 40 + 148 * row)
        draw.text(position, text, fill=255, font=ImageFont.load_default(size=int(rng.integers(18, 65))))
    return np.asarray(canvas) > 127


def trained_weight(artefact):
    """Mask as a trainer sees it before its reduction: resized to training size."""
    levels = Image.fromarray(np.where(artefact, 0, 255).astype(np.uint8))
    resized = levels.resize((TRAINING_PX, TRAINING_PX), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32) / 255


@pytest.mark.parametrize("growth_training_px", sorted(MEASURED))
@pytest.mark.parametrize("reducer", sorted(MEASURED[0]))
def test_growth_by_one_cell_leaves_nothing_in_every_trainer(reducer, growth_training_px):
    grid = LatentGrid.of(SOURCE_PX, SOURCE_PX)
    residual = []
    for seed in range(3):
        ink = ink_image(seed)
        has_ink = grid.cell_means(np.where(ink, 255, 0).astype(np.uint8), resample=Image.Resampling.BOX) > 0
        artefact = grow(ink, growth_px(grid, growth_training_px / 8))
        reduced = getattr(reducers, reducer)(trained_weight(artefact), (CELLS, CELLS))
        residual.append(reduced[has_ink].mean())
    assert np.mean(residual) == pytest.approx(
        MEASURED[growth_training_px][reducer], abs=0.1 if not growth_training_px else 0.02
    )


def test_clamp_and_rescale():
    weight = np.array([[0.0, 0.5], [1.0, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(reducers.clamp(weight, minimum=0.1), [[0.1, 0.5], [1, 0.5]])
    np.testing.assert_allclose(reducers.rescale(weight, minimum=0.1), [[0.1, 0.55], [1, 0.55]])


@pytest.mark.slow
@pytest.mark.parametrize("source", [(64, 64), (100, 37), (1024, 768), (1000, 1003), (8, 8)])
@pytest.mark.parametrize("target", [(8, 8), (13, 7), (128, 96)])
def test_reducers_equal_torch(source, target):
    torch = pytest.importorskip("torch")
    if target[0] > source[0] or target[1] > source[1]:
        target = (max(1, source[0] // 8), max(1, source[1] // 8))
    weight = np.random.default_rng(0).random(source, dtype=np.float32)
    tensor = torch.from_numpy(weight)[None, None]

    def reference(mode, **options):
        return torch.nn.functional.interpolate(tensor, size=target, mode=mode, **options)[0, 0].numpy()

    np.testing.assert_allclose(reducers.area(weight, target), reference("area"), atol=1e-5)
    np.testing.assert_array_equal(reducers.nearest(weight, target), reference("nearest"))
    np.testing.assert_array_equal(reducers.nearest_exact(weight, target), reference("nearest-exact"))
    antialiased = reference("bilinear", antialias=True, align_corners=False)
    np.testing.assert_allclose(reducers.bilinear_antialias(weight, target), antialiased, atol=1e-5)
