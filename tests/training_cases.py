"""Images and crops that the tests of the training code share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
