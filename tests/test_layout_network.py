"""The shipped layout network: what it says of framed pictures and of others, and what it costs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from frame_cases import scene

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.protocols import WeightFile
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.ink.network import DEFAULT_WEIGHTS as INK_WEIGHTS
from automask_models.layout.network import CHANNELS, DEFAULT_WEIGHTS, LayoutNetwork
from automask_training.synth.layout.borders import BORDERS
from automask_training.synth.layout.framed import CHANNELS as TRAINED_CHANNELS
from automask_training.synth.layout.scenes import UNFRAMED

LARGEST_BYTES = 4_000_000
SEEN = ("white_mat", "letterbox", "pillarbox", "textured_border", "polaroid", "rounded_window")
"""Kinds whose borders are broad enough to fill cells."""


def weights(name: str = DEFAULT_WEIGHTS) -> WeightFile:
    found = WeightLibrary.discover().find(name)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network() -> LayoutNetwork:
    return LayoutNetwork.open(weights(), runtime=RuntimeConfig(threads=1))


def test_it_is_small_and_means_what_it_was_trained_for():
    assert weights().path.stat().st_size <= LARGEST_BYTES
    assert CHANNELS == TRAINED_CHANNELS


@pytest.mark.parametrize("kind", SEEN)
def test_it_sees_a_frame_and_the_picture_in_it(network: LayoutNetwork, kind: str):
    frames, pictures = [], []
    for seed in range(10):
        framed = BORDERS[kind](scene(360, 480, seed=seed), np.random.default_rng(seed))
        found = network.look(framed.pixels)
        truth = found.share_of(framed.truth > 0)
        frames.append(float(found.frame[truth > 0.95].mean()))
        pictures.append(float(found.frame[truth < 0.05].mean()))
    assert np.mean(frames) > 0.8, np.round(frames, 2)
    assert sum(frame < 0.6 for frame in frames) <= 1, np.round(frames, 2)
    assert max(pictures) < 0.25, np.round(pictures, 2)


def test_it_sees_no_frame_in_scenes_that_only_look_framed(network: LayoutNetwork):
    drawn = [
        float((network.look(draw(np.random.default_rng(seed))).frame > 0.5).mean())
        for draw in UNFRAMED.values()
        for seed in range(2)
    ]
    assert np.mean([share > 0.02 for share in drawn]) <= 0.1


def test_an_image_is_looked_at_once_by_whoever_asks(network: LayoutNetwork):
    image = Image("a", scene())
    assert network.map_of(image) is network.map_of(image)
    other = LayoutNetwork.open(weights(), runtime=RuntimeConfig(threads=1))
    assert other.map_of(image) is network.map_of(image)
    assert np.array_equal(network.look(image.pixels).frame, network.map_of(image).frame)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (17, 2000), (64, 64)])
def test_no_size_is_too_small_to_be_looked_at(network: LayoutNetwork, shape: tuple[int, int]):
    found = network.look(np.full((*shape, 3), 90, np.uint8))
    assert found.frame.shape == (64, 64)
    assert np.isfinite(found.frame).all()
    assert found.share_of(np.ones(shape, np.bool_)).mean() == pytest.approx(1)


def test_other_networks_are_refused_with_advice():
    with pytest.raises(WeightsError, match="is no layout network"):
        LayoutNetwork.open(weights(INK_WEIGHTS), runtime=RuntimeConfig(threads=1))


@pytest.mark.slow
def test_a_look_costs_two_hundredths_of_a_second_of_the_processor(network: LayoutNetwork):
    pixels = scene(1024, 1024)
    network.look(pixels)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        network.look(pixels)
        seconds.append(time.process_time() - start)
    assert min(seconds) <= 0.04  # .02 on the machine that it was measured on
