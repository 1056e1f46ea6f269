"""Ornaments of the synthesizer: small drawn things that are no lettering."""

from __future__ import annotations

import numpy as np
import pytest

from automask_training.synth.ornaments import MOTIFS, Motif, add_ornaments


@pytest.mark.parametrize("motif", MOTIFS, ids=lambda each: each.__name__)
def test_motifs_are_lines_in_a_square(motif: Motif) -> None:
    for seed in range(6):
        strokes = motif(np.random.default_rng(seed))
        assert strokes
        for stroke in strokes:
            assert stroke.points.ndim == 2
            assert stroke.points.shape[1] == 2
            assert np.abs(stroke.points).max() <= 2.5


def test_ornaments_belong_to_the_picture_and_leave_the_original_alone() -> None:
    plain = np.full((160, 160, 3), 128, dtype=np.uint8)
    drawn = [add_ornaments(np.random.default_rng(seed), plain) for seed in range(12)]
    assert sum((each != plain).any() for each in drawn) >= 9
    assert all(np.array_equal(each, add_ornaments(np.random.default_rng(i), plain)) for i, each in enumerate(drawn))
    assert (plain == 128).all()
