"""What of a template an image shows: cells that are picture stay picture, and a page's margins are no template."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_frames_edges import bordered, scene
from test_frames_verdict import layout_of

from automask.values.geometry import Box
from automask.values.types import Kind, Region
from automask_models.overlay.judging import as_shown


def template_region(mask: np.ndarray, *, kind: Kind = Kind.FRAME, confidence: float = 0.9) -> Region:
    box = Box.of_artefact(mask)
    assert box is not None
    return Region(kind, box, confidence, "overlay", artefact=np.ascontiguousarray(mask[box.slices]))


@pytest.fixture(scope="module")
def framed() -> tuple[np.ndarray, np.ndarray]:
    pixels, truth = bordered(scene(), (60, 60, 60, 60), (250, 250, 246))
    return pixels, truth > 0


def test_a_template_that_the_image_shows_is_applied_as_it_is(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    shown = as_shown(template_region(frame), layout_of(frame, pixels))
    assert shown is not None
    assert shown.confidence == 0.9
    assert shown.artefact is not None
    assert shown.artefact.sum() == pytest.approx(frame.sum(), rel=0.01)


@pytest.mark.parametrize("kind", [Kind.FRAME, Kind.OVERLAY])
def test_cells_that_are_picture_stay(framed: tuple[np.ndarray, np.ndarray], kind: Kind):
    pixels, frame = framed
    deeper = frame.copy()
    deeper[400:] = True  # the others have a text box there
    shown = as_shown(template_region(deeper, kind=kind), layout_of(frame, pixels))
    assert shown is not None
    assert shown.artefact is not None
    left = np.zeros(frame.shape, np.bool_)
    left[shown.box.slices] = shown.artefact
    assert not left[430:500, 100:600].any()
    assert left[frame].mean() > 0.97


def test_what_is_mostly_picture_is_only_proposed_and_all_of_it_is_nothing(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    everything = np.ones(frame.shape, np.bool_)
    shown = as_shown(template_region(everything), layout_of(frame, pixels))
    assert shown is not None
    assert (shown.confidence, shown.proposed) == (0.9, True)
    assert as_shown(template_region(everything), layout_of(np.zeros(frame.shape), pixels)) is None


def test_margins_of_pages_repeat_and_are_no_template(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    page = layout_of(np.where(frame, 0.6, 0), pixels, margin=frame)
    assert as_shown(template_region(frame, kind=Kind.OVERLAY), page) is None


def test_small_marks_lie_on_pictures(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    mark = np.zeros(frame.shape, np.bool_)
    mark[300:340, 200:400] = True
    region = template_region(mark, kind=Kind.OVERLAY)
    assert as_shown(region, layout_of(np.zeros(frame.shape), pixels)) is region


def test_what_a_person_confirmed_is_applied_as_it_is(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    region = dataclasses.replace(template_region(frame), confidence=1.0)
    assert as_shown(region, layout_of(np.zeros(frame.shape), pixels)) is region
