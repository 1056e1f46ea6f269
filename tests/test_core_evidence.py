"""Regions of several detectors that describe the same pixels count as one, and nothing is lost by it."""

import dataclasses

import numpy as np
import pytest

from automask.config import KindPolicy, PipelineConfig, PolicyConfig, ReviewConfig
from automask.mask.drawing import draw
from automask.mask.merging import fused, merged
from automask.values.geometry import Box
from automask.values.types import Fingerprints, Kind, MaskResult, Patch, Region, Verdict

WIDTH_PX, HEIGHT_PX = 200, 100
POLICY = PolicyConfig()


def found(source, box, *, kind=Kind.TEXT, confidence=0.6, stripes=False, **attributes):
    box = Box(*box)
    artefact = np.ones(box.shape, dtype=np.bool_)
    if stripes:
        artefact[::3] = False
        artefact[1::3] = False
    region = Region(kind, box, confidence, source, attributes=attributes)
    return region, Patch(box, artefact, 1.0, "polygon")


def proposed(pair):
    region, patch = pair
    return dataclasses.replace(region, proposed=True), patch


def result_of(*pairs):
    return MaskResult(
        image_id="a.png",
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        regions=tuple(region for region, _ in pairs),
        patches=tuple(patch for _, patch in pairs),
        confidence=1.0,
        verdict=Verdict.AUTO,
        issues=(),
        fingerprints=Fingerprints("d", "r", "f"),
    )


def test_two_witnesses_of_the_same_pixels_are_one_region_that_lists_both():
    pairs = [
        found("rapidocr", (10, 10, 60, 30), text="Sample"),
        found("yolo", (12, 8, 62, 30), kind=Kind.WATERMARK, confidence=0.7, score=3.5),
        found("rapidocr", (100, 60, 150, 80)),
    ]
    (region, patch), other = merged(pairs, POLICY)
    assert region.source == "rapidocr+yolo"
    assert region.confidence == pytest.approx(1 - 0.4 * 0.3)
    assert region.kind is Kind.WATERMARK
    assert region.attributes == {"text": "Sample", "score": 3.5}
    assert region.box == patch.box == Box(10, 8, 62, 30)
    assert patch.artefact[2:22, :50].all()
    assert other is pairs[2] or other == pairs[2]


def test_strokes_and_the_area_around_them_are_the_same_thing():
    pairs = [
        found("rapidocr", (10, 10, 60, 30)),
        found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK, stripes=True, confidence=0.9),
    ]
    ((region, patch),) = merged(pairs, POLICY)
    assert region.source == "rapidocr+yolo"
    assert patch.artefact.all()


def test_a_thin_border_does_not_vouch_for_a_wide_one():
    thin, wide = np.ones((HEIGHT_PX, WIDTH_PX), bool), np.ones((HEIGHT_PX, WIDTH_PX), bool)
    thin[2:-2, 2:-2] = False
    wide[30:-30, 60:-60] = False
    box = Box(0, 0, WIDTH_PX, HEIGHT_PX)
    pairs = [
        (Region(Kind.FRAME, box, confidence, source), Patch(box, artefact, 1.0, "polygon"))
        for source, artefact, confidence in (("overlay", thin, 0.95), ("edges", wide, 0.3))
    ]
    assert len(merged(pairs, POLICY)) == 2


def frame(source, margin_px, *, confidence=0.9, **attributes):
    """A frame as wide on all sides of the image."""
    artefact = np.ones((HEIGHT_PX, WIDTH_PX), bool)
    artefact[margin_px:-margin_px, margin_px:-margin_px] = False
    box = Box(0, 0, WIDTH_PX, HEIGHT_PX)
    return Region(Kind.FRAME, box, confidence, source, attributes=attributes), Patch(box, artefact, 1.0, "polygon")


def test_the_frame_of_a_dataset_says_where_frames_of_single_images_end():
    deeper = frame("edges", 19, confidence=0.6)
    ((region, patch),) = merged([deeper, frame("overlay", 20, template="t")], POLICY)
    assert region.source == "edges+overlay"
    assert np.array_equal(patch.artefact, frame("overlay", 20)[1].artefact)
    ((_, patch),) = merged([frame("edges", 30), frame("overlay", 20, template="t")], POLICY)
    assert np.array_equal(patch.artefact, frame("overlay", 21)[1].artefact), "the play of a print, no more"
    assert len(merged([frame("edges", 30), frame("overlay", 20, confidence=0.4, template="t")], POLICY)) == 2


def test_the_mark_of_a_dataset_says_how_far_the_mark_of_a_single_image_reaches():
    mark = found("overlay", (50, 30, 110, 70), kind=Kind.OVERLAY, confidence=0.9, template="t")
    ((region, patch),) = merged([found("ink", (40, 20, 115, 78), kind=Kind.WATERMARK), mark], POLICY)
    assert region.source == "ink+overlay"
    assert patch.box == Box(48, 28, 112, 72), "the mark with some play"
    elsewhere = merged([found("ink", (100, 20, 190, 78), kind=Kind.WATERMARK), mark], POLICY)
    assert elsewhere[0][1].box == Box(100, 20, 190, 78)


def test_a_mark_cuts_what_it_explains_also_where_nothing_becomes_one():
    mark = found("overlay", (50, 30, 110, 70), kind=Kind.OVERLAY, confidence=0.9, template="t")
    result = result_of(found("ink", (70, 10, 90, 60), kind=Kind.WATERMARK), mark)
    shown = fused(result, POLICY)
    assert [patch.box for patch in shown.patches] == [Box(70, 28, 90, 60), Box(50, 30, 110, 70)]


def test_what_the_frame_of_a_dataset_does_not_explain_stays():
    plate = found("edges", (50, 70, 150, 95), kind=Kind.FRAME)
    other = merged([plate, frame("overlay", 10, template="t")], POLICY)
    assert [region.source for region, _ in other] == ["edges", "overlay"]
    transparent = frame("alpha", 30, confidence=1.0)
    ((_, patch),) = merged([transparent, frame("overlay", 20, template="t")], POLICY)
    assert np.array_equal(patch.artefact, transparent[1].artefact)


def test_a_frame_that_the_dataset_confirms_needs_no_person_however_large():
    config = PipelineConfig.model_validate({"render": {"growth_cells": 0}, "review": {"audit": 0}})

    def verdict(*pairs):
        return draw(result_of(*pairs), config).judged.verdict

    large = frame("overlay", 30, confidence=0.98, template="t")
    assert large[1].artefact.mean() > 0.7
    assert verdict(large) is Verdict.AUTO
    assert verdict(frame("edges", 30, confidence=0.98)) is Verdict.REVIEW
    of_another_type = frame("overlay", 30, confidence=0.98, template="t", score=0.77)
    assert verdict(of_another_type) is Verdict.REVIEW, "this card matches the frame for its larger part only"
    written = found("rapidocr", (2, 2, 90, 24), confidence=0.55)
    assert verdict(large, written) is Verdict.AUTO, "words on the frame change nothing"
    assert verdict(large, found("rapidocr", (40, 35, 60, 60), confidence=0.55)) is Verdict.REVIEW
    assert verdict(large, found("rapidocr", (30, 30, 140, 70), confidence=1.0)) is Verdict.REVIEW


@pytest.mark.parametrize(
    ("others", "drawn", "asks"),
    [
        ([], False, True),
        ([proposed(found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK, confidence=1.0))], False, True),
        ([found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK, confidence=0.2)], True, True),  # a weak witness
        ([found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK, confidence=0.9)], True, False),
        ([found("yolo", (100, 10, 160, 30), kind=Kind.WATERMARK, confidence=0.2)], False, True),  # of something else
    ],
)
def test_a_proposal_is_drawn_only_where_something_else_speaks_for_it(others, drawn, asks):
    asked = proposed(found("rapidocr", (10, 10, 60, 30), confidence=0.8))
    result = result_of(asked, *others)
    mask = draw(result, PipelineConfig(policy=PolicyConfig(text=KindPolicy(accept=0.0)))).mask
    assert bool(mask.weight[20, 30] == 0) is drawn
    verdict = draw(result, PipelineConfig(review=ReviewConfig(audit=0))).judged.verdict
    assert (verdict is Verdict.REVIEW) is asks


@pytest.mark.parametrize(
    "second",
    [
        found("rapidocr", (10, 10, 60, 30)),  # the same witness twice
        found("yolo", (40, 10, 90, 30), kind=Kind.WATERMARK),  # beside it
        found("person", (10, 10, 60, 30), kind=Kind.CUSTOM),
        found("overlay", (10, 10, 60, 30), kind=Kind.OVERLAY, confidence=0.4, template="t"),  # waits for a decision
    ],
)
def test_what_does_not_merge(second):
    pairs = [found("rapidocr", (10, 10, 60, 30)), second]
    assert merged(pairs, POLICY) == pairs


def test_a_kept_kind_neither_joins_nor_stops_the_others():
    policy = PolicyConfig(text=KindPolicy(action="keep"))
    pairs = [found("rapidocr", (10, 10, 60, 30), confidence=0.9), found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK)]
    assert merged(pairs, policy) == pairs
    mask = draw(result_of(*pairs), PipelineConfig(policy=policy)).mask
    assert (mask.weight[10:30, 10:60] == 0).all()


def test_what_was_drawn_before_stays_drawn_with_the_lowest_weight():
    policy = PolicyConfig(watermark=KindPolicy(accept=0.95), text=KindPolicy(weight=0.25))
    pairs = [found("rapidocr", (10, 10, 60, 30)), found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK, confidence=0.9)]
    ((region, _),) = merged(pairs, policy)
    assert region.kind is Kind.TEXT
    mask = draw(result_of(*pairs), PipelineConfig(policy=policy)).mask
    assert (mask.weight[10:30, 10:60] == 0.25).all()


def test_the_result_itself_keeps_what_each_found():
    result = result_of(found("rapidocr", (10, 10, 60, 30)), found("yolo", (10, 10, 60, 30), kind=Kind.WATERMARK))
    judged = draw(result, PipelineConfig()).judged
    assert [region.source for region in judged.regions] == ["rapidocr", "yolo"]
    (together,) = fused(result, POLICY).regions
    assert together.confidence == pytest.approx(1 - 0.4 * 0.4)
