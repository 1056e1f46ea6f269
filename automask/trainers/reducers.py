"""How trainers shrink a mask to the latent grid, in numpy.

Each function takes a weight array (H, W), float32, 1 = train, and returns float32 (rows, columns) in cells. The first
four follow the definitions of torch's `interpolate` modes, so that the effect of a mask can be told without torch.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def area(weight: FloatArray, shape_cells: tuple[int, int]) -> FloatArray:
    """Mean over each cell's window (`mode="area"`): sd-scripts, SimpleTuner, AnimaLoraStudio."""
    rows = _area_matrix(weight.shape[0], shape_cells[0])
    columns = _area_matrix(weight.shape[1], shape_cells[1])
    return _separable(weight, rows, columns)


def nearest(weight: FloatArray, shape_cells: tuple[int, int]) -> FloatArray:
    """Top-left sample of each cell (`mode="nearest"`): ai-toolkit, invoke-training."""
    return _sampled(weight, shape_cells, offset=0.0)


def nearest_exact(weight: FloatArray, shape_cells: tuple[int, int]) -> FloatArray:
    """Centre sample of each cell (`mode="nearest-exact"`): diffusion-pipe."""
    return _sampled(weight, shape_cells, offset=0.5)


def bilinear_antialias(weight: FloatArray, shape_cells: tuple[int, int]) -> FloatArray:
    """Triangle filter as wide as two cells (`mode="bilinear", antialias=True`): OneTrainer."""
    rows = _triangle_matrix(weight.shape[0], shape_cells[0])
    columns = _triangle_matrix(weight.shape[1], shape_cells[1])
    return _separable(weight, rows, columns)


def clamp(weight: FloatArray, *, minimum: float) -> FloatArray:
    """Lift every weight to at least `minimum`: OneTrainer's `unmasked_weight`."""
    return np.clip(weight, minimum, 1.0).astype(np.float32)


def rescale(weight: FloatArray, *, minimum: float) -> FloatArray:
    """Map 0..1 to minimum..1: ai-toolkit's `mask_min_value`."""
    return (minimum + weight * (1.0 - minimum)).astype(np.float32)


def _separable(weight: FloatArray, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> FloatArray:
    reduced: FloatArray = (rows @ weight.astype(np.float64) @ columns.T).astype(np.float32)
    return reduced


def _area_matrix(source: int, target: int) -> NDArray[np.float64]:
    matrix = np.zeros((target, source))
    for index in range(target):
        start, stop = (index * source) // target, -((-(index + 1) * source) // target)
        matrix[index, start:stop] = 1.0 / (stop - start)
    return matrix


def _triangle_matrix(source: int, target: int) -> NDArray[np.float64]:
    scale = source / target
    support = max(scale, 1.0)
    matrix = np.zeros((target, source))
    for index in range(target):
        centre = scale * (index + 0.5)
        start = max(int(centre - support + 0.5), 0)
        stop = min(int(centre + support + 0.5), source)
        positions = np.arange(start, stop)
        values = np.maximum(0.0, 1.0 - np.abs(positions - centre + 0.5) / support)
        matrix[index, start:stop] = values / values.sum()
    return matrix


def _sampled(weight: FloatArray, shape_cells: tuple[int, int], *, offset: float) -> FloatArray:
    def indices(source: int, target: int) -> NDArray[np.int64]:
        # torch computes the scale in float32; doing the same keeps ties on the same side.
        scale = np.float32(source / target)
        return np.array(
            [min(math.floor(np.float32(index + offset) * scale), source - 1) for index in range(target)],
            dtype=np.int64,
        )

    rows, columns = indices(weight.shape[0], shape_cells[0]), indices(weight.shape[1], shape_cells[1])
    return weight[np.ix_(rows, columns)].astype(np.float32)
