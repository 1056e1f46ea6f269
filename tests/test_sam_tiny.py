"""The shipped small SAM: what it outlines by box and by click, and that a fresh install outlines with it, offline."""

from __future__ import annotations

import numpy as np
import pytest

from automask.config import PipelineConfig, RuntimeConfig
from automask.mask.rendering import grow
from automask.plugins import build_refiner
from automask.protocols import Prompt
from automask.values.geometry import Box
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.doctor import mark, picture
from automask_models.refiners.backends.factory import open_backend
from automask_models.refiners.backends.onnx import AutomaskOnnxBackend
from automask_models.refiners.sam import DEFAULT_WEIGHTS, SamRefiner

RUNTIME = RuntimeConfig(threads=1)
LARGEST_BYTES = 30_000_000


@pytest.fixture(scope="module")
def network():
    """Asked alone, without the ink map."""
    options = {"weights": DEFAULT_WEIGHTS, "ink": ""}
    return build_refiner("sam", options=options, weights=WeightLibrary.discover(), runtime=RUNTIME)


@pytest.fixture(scope="module")
def session(network):
    return network.prompt_session(Image("a", picture()))


def iou(answer):
    letters = grow(mark(), 2)  # it answers in cells of 4 px
    return (answer & letters).sum() / (answer | letters).sum()


def test_all_shipped_weights_are_small_together():
    specs = WeightLibrary.discover().specs
    shipped = [file.size_bytes for spec in specs.values() if not spec.url and not spec.hub for file in spec.files]
    assert 0 < sum(shipped) <= LARGEST_BYTES


def test_it_is_what_outlines_by_default():
    refiner = build_refiner(PipelineConfig().refiner, options={}, weights=WeightLibrary.discover(), runtime=RUNTIME)
    assert isinstance(refiner, SamRefiner)
    assert refiner.weight_file.name == DEFAULT_WEIGHTS
    assert isinstance(open_backend(refiner.weight_file.path, runtime=RUNTIME), AutomaskOnnxBackend)


def test_it_outlines_a_mark_by_its_box(session):
    assert iou(session.answer(Prompt(box=Box.of_artefact(mark()))).artefact) > 0.75


@pytest.mark.parametrize("letter", [0, 5])
def test_it_outlines_a_mark_by_a_click_on_it(session, letter):
    rows, columns = np.nonzero(mark())
    order = np.argsort(columns)
    at = order[40 if letter == 0 else -40]
    answer = session.answer(Prompt([(columns[at] + 0.5, rows[at] + 0.5)], [True])).artefact
    assert answer[rows[at], columns[at]]
    assert (answer & mark()).sum() > 0.4 * mark().sum(), "a click may mean a part of the word"
    assert (answer & grow(mark(), 6)).sum() > 0.8 * answer.sum()


def test_it_finds_next_to_nothing_on_plain_ground(session):
    answer = session.answer(Prompt([(60.5, 420.5)], [True])).artefact
    assert answer.mean() < 0.01
