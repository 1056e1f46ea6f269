"""What of a template an image shows, and what the layouts of a group say of it: cells, votes, margins."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from frame_cases import bordered, layout_of, scene
from overlay_cases import HEIGHT_PX, WIDTH_PX, card, card_truth, lettering, marked

from automask.protocols import ImageFacts, ReducedImage
from automask.values.geometry import Box
from automask.values.types import Kind, Region
from automask_models.layout.network import CELLS
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.estimator import estimate
from automask_models.overlay.finding import LARGE_SHARE, Found, find_all
from automask_models.overlay.judging import agreed, as_shown
from automask_models.overlay.options import OverlayOptions
from automask_models.overlay.template import Template

NOWHERE = np.zeros((CELLS, CELLS), np.bool_)
FRAME = card_truth() == 255
NONE = np.zeros(FRAME.shape)


def template_region(mask: np.ndarray, *, kind: Kind = Kind.FRAME, confidence: float = 0.9) -> Region:
    box = Box.of_artefact(mask)
    assert box is not None
    return Region(kind, box, confidence, "overlay", artefact=np.ascontiguousarray(mask[box.slices]))


def pixels_of(region: Region | None, shape: tuple[int, int]) -> np.ndarray:
    whole = np.zeros(shape, np.bool_)
    if region is not None:
        assert region.artefact is not None
        whole[region.box.slices] = region.artefact
    return whole


@pytest.fixture(scope="module")
def framed() -> tuple[np.ndarray, np.ndarray]:
    pixels, truth = bordered(scene(), (60, 60, 60, 60), (250, 250, 246))
    return pixels, truth > 0


def test_a_template_that_the_image_shows_is_applied_as_it_is(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    for layout in (frame, np.zeros(frame.shape)):
        shown = as_shown(Found(template_region(frame), ~NOWHERE), layout_of(layout, pixels))
        assert shown is not None
        assert (shown.confidence, shown.proposed) == (0.9, False)
        assert np.array_equal(pixels_of(shown, frame.shape), frame)


@pytest.mark.parametrize("kind", [Kind.FRAME, Kind.OVERLAY])
@pytest.mark.parametrize("is_alike", [False, True])
def test_cells_stay_picture_where_neither_layout_nor_likeness_speaks_for_the_template(framed, kind, is_alike):
    pixels, frame = framed
    deeper = frame.copy()
    deeper[400:] = True  # the others have a text box there
    alike = NOWHERE | is_alike
    shown = as_shown(Found(template_region(deeper, kind=kind), alike), layout_of(frame, pixels))
    left = pixels_of(shown, frame.shape)
    assert left[430:500, 100:600].all() if is_alike else not left[430:500, 100:600].any()
    assert left[frame].mean() > (0.97 if is_alike else 0.85), "cells at the edge of the frame hold both"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_shown_is_a_part_of_the_template_and_no_cell_that_looks_like_it_goes(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(side) for side in rng.integers(40, 300, 2))
    pixels = np.zeros((*shape, 3), np.uint8)
    mask = np.zeros(shape, np.bool_)
    mask[: int(rng.integers(10, shape[0])), int(rng.integers(0, shape[1] // 2)) :] = True
    alike = rng.random((CELLS, CELLS)) < 0.5
    layout = dataclasses.replace(
        layout_of(np.zeros(shape), pixels), frame=rng.random((CELLS, CELLS)).astype(np.float32)
    )
    shown = as_shown(Found(template_region(mask), alike), layout)
    left = pixels_of(shown, shape)
    assert not (left & ~mask).any()
    rows, columns = (np.arange(side) * CELLS // side for side in shape)
    certain = alike[rows][:, columns] | (layout.frame[rows][:, columns] >= 0.5)
    assert (left[mask & certain]).all()
    assert shown is not None
    assert shown.proposed is bool(left.sum() < 0.5 * mask.sum())


def test_what_is_mostly_picture_is_only_proposed_and_all_of_it_is_nothing(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    everything = Found(template_region(np.ones(frame.shape, np.bool_)), NOWHERE)
    shown = as_shown(everything, layout_of(frame, pixels))
    assert shown is not None
    assert (shown.confidence, shown.proposed) == (0.9, True)
    assert as_shown(everything, layout_of(np.zeros(frame.shape), pixels)) is None


def test_margins_of_pages_are_no_template_however_alike(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    page = layout_of(np.where(frame, 0.6, 0), pixels, margin=frame)
    assert as_shown(Found(template_region(frame, kind=Kind.OVERLAY), ~NOWHERE), page) is None


def test_small_marks_and_what_a_person_confirmed_are_applied_as_they_are(framed: tuple[np.ndarray, np.ndarray]):
    pixels, frame = framed
    mark = np.zeros(frame.shape, np.bool_)
    mark[300:340, 200:400] = True
    picture = layout_of(np.zeros(frame.shape), pixels)
    small = template_region(mark, kind=Kind.OVERLAY)
    confirmed = template_region(frame, confidence=1.0)
    assert as_shown(Found(small), picture) is small
    assert as_shown(Found(confirmed, NOWHERE), picture) is confirmed


# Groups


def reduced(image) -> ReducedImage:
    content = hashlib.sha256(image.pixels.tobytes()).hexdigest()
    pixels = OverlayDetector(OverlayOptions(reduced_px=WIDTH_PX)).reduce(image)
    assert pixels is not None
    return ReducedImage(ImageFacts(image.id, content, image.width_px, image.height_px), pixels)


def said_of(image: ReducedImage, frame: np.ndarray, **others: np.ndarray):
    """The layout of an image at full size."""
    return layout_of(frame, np.zeros((image.facts.height_px, image.facts.width_px, 3), np.uint8), **others)


@pytest.fixture(scope="module")
def deck() -> tuple[list[ReducedImage], Template]:
    cards = [reduced(card(seed)) for seed in range(9)]
    (template,) = (t for t in estimate(cards, OverlayOptions(reduced_px=WIDTH_PX)) if t.kind == "frame")
    assert not template.needs_review
    assert template.area_share > LARGE_SHARE
    return cards, template


@pytest.mark.parametrize("calling", range(10))
def test_a_large_template_is_applied_by_itself_where_most_layouts_call_it_a_frame(deck, calling):
    cards, template = deck
    ids = {image.facts.id for image in cards[:calling]}

    def layout(image):
        return said_of(image, FRAME if image.facts.id in ids else NONE)

    (kept,) = agreed([template], cards, layout)
    assert kept.needs_review is (calling <= 4)
    assert (kept.confidence < 0.5) is kept.needs_review
    assert kept.usual.any() == (calling >= 5)


def test_layouts_have_no_say_about_small_marks():
    images = [reduced(marked(seed, lettering(), opacity=0.8)) for seed in range(8)]
    (template,) = estimate(images, OverlayOptions(reduced_px=WIDTH_PX))
    assert template.area_share < LARGE_SHARE
    (kept,) = agreed([template], images, lambda image: said_of(image, NONE))
    assert kept.id == template.id


@pytest.mark.parametrize("pages", range(9))
def test_what_most_layouts_call_the_margin_of_a_page_is_no_template(pages):
    images = [reduced(marked(seed, lettering(), opacity=0.8)) for seed in range(8)]
    templates = estimate(images, OverlayOptions(reduced_px=WIDTH_PX))
    ids = {image.facts.id for image in images[:pages]}
    margin = np.zeros((HEIGHT_PX, WIDTH_PX))
    margin[180:] = 1  # under the lettering and around it

    def layout(image):
        return said_of(image, NONE, margin=margin if image.facts.id in ids else NONE)

    assert len(agreed(templates, images, layout)) == (0 if pages > 4 else 1)


def test_a_card_whose_picture_reaches_over_the_frame_keeps_it_and_words_on_plates_are_masked(deck):
    """The layout of the others knows the frame; the one picture is told from words that differ on every card."""
    cards, template = deck
    (known,) = agreed([template], cards, lambda image: said_of(image, FRAME))
    over = card(20).pixels.copy()
    over[60:150, 0:40] = card(21).pixels[60:150, 100:140]
    strange = reduced(dataclasses.replace(card(20), pixels=over))
    seen = FRAME.copy()
    seen[60:150, 0:40] = False
    (found,) = find_all([known], strange)
    left = pixels_of(as_shown(found, said_of(strange, seen)), FRAME.shape)
    assert not left[68:142, 4:30].any()
    assert left[170:220, 30:290].mean() > 0.97
    plain = reduced(card(22))
    (found,) = find_all([known], plain)
    left = pixels_of(as_shown(found, said_of(plain, NONE)), FRAME.shape)
    assert left[FRAME].mean() > 0.97, "alike is enough"


def test_a_template_keeps_what_is_usual_in_its_file_and_older_files_keep_their_ids(deck):
    _, template = deck
    assert template.usual is not None
    assert template.usual.max() <= 1
    again = Template.from_bytes(template.to_bytes())
    assert again.id == template.id
    assert np.array_equal(again.usual, template.usual)
    older = dataclasses.replace(template, usual=None)
    assert Template.from_bytes(older.to_bytes()).id == older.id != template.id
    assert not Template.from_bytes(older.to_bytes()).usual.any()
