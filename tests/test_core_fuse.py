"""Rendering: policy, weights, order, corrections."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automask.config import KindPolicy, PolicyConfig, RenderConfig
from automask.mask.rendering import CorrectionLayers, Mask, is_drawn
from automask.values.geometry import Box
from automask.values.types import Kind, Patch, Region

DEFAULTS = PolicyConfig()
WORD = Box(8, 8, 24, 16)
UNGROWN = RenderConfig(growth_cells=0, fill_holes_cells=0)
SIZE = {"width_px": 64, "height_px": 48}


def region(kind="text", box=WORD, confidence=0.9):
    return Region(kind=Kind(kind), box=box, confidence=confidence, source="test")


def patch(box=WORD):
    return Patch(box=box, artefact=np.ones(box.shape, dtype=bool), score=1.0, refiner="test")


def render(pairs, *, config=UNGROWN, policy=DEFAULTS, correction=None):
    return Mask.from_patches(
        [p for _, p in pairs], [r for r, _ in pairs], render=config, policy=policy, correction=correction, **SIZE
    )


def test_white_is_train_and_nothing_found_is_all_white():
    mask = render([])
    assert mask.weight.dtype == np.float32
    assert (mask.levels == 255).all()
    assert mask.masked_share == 0


def test_a_patch_becomes_black_exactly_where_it_is():
    mask = render([(region(), patch())])
    assert (mask.levels[8:16, 8:24] == 0).all()
    assert (mask.levels == 0).sum() == 8 * 16
    assert mask.masked_share == pytest.approx(128 / (64 * 48))


def test_growth_is_in_cells_at_training_resolution():
    # 64 x 48 trained at 32 px with 8 px cells: the scale is 32 / sqrt(64 * 48), one cell is 14 source pixels
    box = Box(30, 20, 31, 21)
    mask = render([(region(box=box), patch(box))], config=RenderConfig(training_px=64, cell_px=8, growth_cells=1))
    radius = round(8 / (64 / (64 * 48) ** 0.5))
    assert radius == 7
    assert (mask.levels == 0).sum() == (2 * radius + 1) ** 2


def test_regions_below_the_accepted_confidence_are_only_proposed():
    assert render([(region(confidence=0.49), patch())]).masked_share == 0
    assert render([(region(confidence=0.5), patch())]).masked_share > 0


@pytest.mark.parametrize("kind", Kind)
def test_what_says_that_it_is_proposed_is_not_drawn_whatever_is_accepted(kind):
    asked = dataclasses.replace(region(kind, confidence=1.0), proposed=True)
    everything = PolicyConfig.model_validate({each.value: {"action": "mask", "accept": 0.0} for each in Kind})
    assert is_drawn(region(kind, confidence=0.0), everything)
    assert not is_drawn(asked, everything)
    assert render([(asked, patch())], policy=everything).masked_share == 0


def test_the_lowest_weight_wins_where_kinds_overlap():
    policy = PolicyConfig(text=KindPolicy(weight=0.5), frame=KindPolicy(weight=0.0))
    both = [
        (region("frame", Box(0, 0, 16, 48)), patch(Box(0, 0, 16, 48))),
        (region("text"), patch()),
    ]
    for order in (both, both[::-1]):
        levels = render(order, policy=policy).levels
        assert (levels[:, :16] == 0).all()
        assert (levels[8:16, 16:24] == 128).all()


def test_keep_stops_only_its_own_kind():
    policy = PolicyConfig(text=KindPolicy(action="keep"))
    mask = render([(region("text"), patch()), (region("watermark"), patch())], policy=policy)
    assert (mask.levels[8:16, 8:24] == 0).all()
    assert render([(region("text"), patch())], policy=policy).masked_share == 0


def test_correction_order_and_empty_correction():
    full = np.ones((48, 64), dtype=bool)
    nothing = render([(region(), patch())], correction=CorrectionLayers(replaces=True))
    assert (nothing.levels == 255).all()
    add = np.zeros((48, 64), dtype=bool)
    add[40:44, 40:44] = True
    both = render([(region(), patch())], correction=CorrectionLayers(add=add, remove=full))
    assert (both.levels == 0).sum() == 16, "what a person added stays although everything automatic was removed"


def test_a_region_removed_as_a_whole_leaves_no_ring_at_any_training_size():
    remove = np.zeros((48, 64), dtype=bool)
    remove[8:16, 8:24] = True
    for training_px in (64, 128, 512):
        config = RenderConfig(training_px=training_px)
        mask = render([(region(), patch())], config=config, correction=CorrectionLayers(remove=remove))
        assert (mask.levels == 255).all()


def test_added_layers_grow_unless_they_came_grown():
    add = np.zeros((48, 64), dtype=bool)
    add[24, 32] = True
    config = RenderConfig(training_px=64, cell_px=8)
    grown = render([], config=config, correction=CorrectionLayers(add=add))
    exact = render([], config=config, correction=CorrectionLayers(add=add, already_grown=True))
    assert (exact.levels == 0).sum() == 1
    assert (grown.levels == 0).sum() == 15 * 15


def test_weight_layer_sets_partial_weights():
    levels = np.full((48, 64), 64, dtype=np.uint8)
    where = np.zeros((48, 64), dtype=bool)
    where[:8] = True
    mask = render([(region(), patch())], correction=CorrectionLayers(weight_levels=levels, weight_set=where))
    assert (mask.levels[:8] == 64).all()
    assert (mask.levels[8:16, 8:24] == 0).all()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.floats(0, 1)), max_size=6))
def test_more_regions_never_train_more(spots):
    pairs = [(region(box=Box(x, y, x + 9, y + 7), confidence=c), patch(Box(x, y, x + 9, y + 7))) for x, y, c in spots]
    weights = [render(pairs[:count], config=RenderConfig(training_px=64)).weight for count in range(len(pairs) + 1)]
    for fewer, more in itertools.pairwise(weights):
        assert (more <= fewer).all()


def test_values_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="confidence"):
        region(confidence=float("nan"))
    with pytest.raises(ValueError, match="artefact must be bool"):
        Patch(box=Box(0, 0, 4, 4), artefact=np.ones((4, 5), dtype=bool), score=1, refiner="x")
    with pytest.raises(ValueError, match="artefact must be bool"):
        Patch(box=Box(0, 0, 4, 4), artefact=np.ones((4, 4), dtype=np.uint8), score=1, refiner="x")
