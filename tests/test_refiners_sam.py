"""The sam refiner takes a mask that agrees with its region, and otherwise leaves the polygon."""

from __future__ import annotations

import dataclasses
import itertools
import sys

import numpy as np
import pytest
from sam_fakes import TRAITS, FakeBackend, dark

from automask.config import RuntimeConfig
from automask.errors import PluginError, WeightsError
from automask.plugins import build_refiner
from automask.protocols import WeightFile
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.refiners.agreement import agreement_of, centre_points, span_of
from automask_models.refiners.backends.frame import SquareFrame
from automask_models.refiners.backends.protocol import Prompts
from automask_models.refiners.sam import SamOptions, SamRefiner
from automask_models.refiners.views import plan_views

TEXT = Box(60, 80, 180, 110)


def picture(width_px: int = 256, height_px: int = 256) -> Image:
    """Dark bars like letters inside TEXT on a light ground."""
    pixels = np.full((height_px, width_px, 3), 230, dtype=np.uint8)
    for x in range(TEXT.x0 + 4, TEXT.x1 - 4, 12):
        pixels[TEXT.y0 + 4 : TEXT.y1 - 4, x : x + 5] = 20
    return Image(id="x", pixels=pixels)


def region(box: Box = TEXT, **changes) -> Region:
    return dataclasses.replace(Region(kind=Kind.TEXT, box=box, confidence=0.8, source="t"), **changes)


def refiner(backend: FakeBackend, **options) -> SamRefiner:
    built = SamRefiner(
        SamOptions(**options), weights=WeightFile(name="fake", path=None, sha256="0" * 64), runtime=RuntimeConfig()
    )
    built._backend = backend
    return built


def test_strokes_are_taken_without_filling_the_box():
    image = picture()
    (patch,) = refiner(FakeBackend(dark)).refine(image, [region()])
    assert (patch.refiner, patch.note) == ("sam", "")
    drawn = np.zeros((256, 256), dtype=bool)
    drawn[patch.box.slices] = patch.artefact
    truth = image.pixels[..., 0] < 128
    assert (drawn & truth).sum() >= 0.97 * truth.sum()
    assert drawn.sum() <= 1.5 * truth.sum()
    assert patch.score == pytest.approx(0.9)


def everything(pixels):
    return np.full((1, *pixels.shape[:2]), 5.0)


def nothing(pixels):
    return np.full((1, *pixels.shape[:2]), -5.0)


def left_half(pixels):
    logits = dark(pixels)
    logits[:, :, 115:] = -5
    return logits


def undecided(pixels):
    return np.where(dark(pixels) > 0, 0.5, -0.5)


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (everything, "leaves its region"),
        (nothing, "covers 0%"),
        (left_half, "misses parts"),
        (undecided, "unstable"),
    ],
)
def test_a_mask_that_disagrees_leaves_the_polygon(segment, words):
    (patch,) = refiner(FakeBackend(segment), max_missed_ink=1.0).refine(picture(), [region()])
    assert patch.refiner == "polygon"
    assert words in patch.note
    assert patch.box == TEXT
    assert patch.artefact.all()


def test_missed_ink_is_a_leak_and_refused():
    def every_other_letter(pixels):
        logits = dark(pixels)
        for x in range(TEXT.x0 + 4, TEXT.x1 - 4, 24):
            logits[:, :, x - 2 : x + 8] = -5
        return logits

    (patch,) = refiner(FakeBackend(every_other_letter), min_span=0.0).refine(picture(), [region()])
    assert "clear ink" in patch.note


def test_a_low_predicted_iou_is_refused():
    (patch,) = refiner(FakeBackend(dark, ious=(0.2,))).refine(picture(), [region()])
    assert "predicted IoU 0.20" in patch.note


def test_the_alternative_that_agrees_wins_over_a_higher_iou():
    def three(pixels):
        return np.concatenate([everything(pixels), dark(pixels), nothing(pixels)])

    (patch,) = refiner(FakeBackend(three, ious=(0.99, 0.8, 0.95))).refine(picture(), [region()])
    assert patch.refiner == "sam"
    assert patch.score == pytest.approx(0.8)


def test_one_encoding_for_all_regions_of_an_image():
    backend = FakeBackend(dark)
    boxes = [Box(10, 10, 90, 40), TEXT, Box(20, 200, 200, 240)]
    patches = refiner(backend).refine(picture(), [region(box) for box in boxes])
    assert len(patches) == 3
    assert backend.encoded == [(256, 256)]
    (prompts,) = backend.asked
    assert len(prompts) == 3
    assert prompts.boxes.tolist()[1] == [60, 80, 180, 110]
    assert prompts.points.shape == (3, 2, 2)
    assert prompts.masks.shape == (3, 64, 64)
    assert (prompts.masks[1, 21:27, 16:44] > 0).all()
    assert prompts.masks[1, :19].max() == -6.0


def test_small_regions_are_shown_from_closer_up():
    image = picture(2000, 1500)
    backend = FakeBackend(dark)
    (patch,) = refiner(backend).refine(image, [region()])
    assert patch.refiner == "sam"
    assert all(side <= 480 for shape in backend.encoded for side in shape)


def test_no_more_close_ups_than_allowed():
    backend = FakeBackend(dark)
    (patch,) = refiner(backend, max_crops=0).refine(picture(2000, 1500), [region()])
    assert backend.encoded == []
    assert (patch.refiner, "max_crops" in patch.note) == ("polygon", True)


def test_regions_with_their_own_shape_and_other_kinds_are_not_asked():
    backend = FakeBackend(dark)
    shape = np.eye(*TEXT.shape, dtype=np.bool_)
    patches = refiner(backend).refine(picture(), [region(artefact=shape), region(kind=Kind.FRAME)])
    assert backend.encoded == []
    assert (patches[0].artefact == shape).all()
    assert [patch.refiner for patch in patches] == ["polygon", "polygon"]


def test_no_regions_no_patches():
    assert refiner(FakeBackend(dark)).refine(picture(), []) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5, 3)])
def test_tiny_images(size):
    image = Image(id="x", pixels=np.zeros((*size, 3), dtype=np.uint8))
    (patch,) = refiner(FakeBackend(dark)).refine(image, [region(image.box)])
    assert image.box.contains(patch.box)
    assert patch.artefact.any()


def test_a_long_line_is_followed_by_overlapping_windows():
    image = Box(0, 0, 3000, 1000)
    line = Box(100, 480, 2900, 510)
    plan = plan_views([line], image=image, traits=TRAITS, max_crops=100)
    assert plan.left_out == ()
    windows = [view.window for view in plan.views]
    assert len(windows) > 3
    assert windows[0].x0 <= line.x0
    assert windows[-1].x1 >= line.x1
    for before, after in itertools.pairwise(windows):
        assert before.x1 - after.x0 >= 0.2 * before.width_px
        assert image.contains(after)
    assert all(30 * 256 / window.width_px >= TRAITS.min_short_px for window in windows)


def test_neighbours_share_a_close_up():
    image = Box(0, 0, 3000, 3000)
    boxes = [Box(1000, 1000, 1100, 1020), Box(1010, 1030, 1090, 1048), Box(2500, 2500, 2560, 2520)]
    plan = plan_views(boxes, image=image, traits=TRAITS, max_crops=100)
    assert sorted(len(view.parts) for view in plan.views) == [1, 2]


def test_every_region_is_in_a_view_or_left_out():
    rng = np.random.default_rng(0)
    image = Box(0, 0, 1500, 900)
    boxes = []
    for _ in range(60):
        x, y = int(rng.integers(0, 1400)), int(rng.integers(0, 850))
        boxes.append(Box(x, y, min(1500, x + int(rng.integers(1, 900))), min(900, y + int(rng.integers(1, 60)))))
    plan = plan_views(boxes, image=image, traits=TRAITS, max_crops=20)
    covered = {index for view in plan.views for index, _ in view.parts}
    assert covered | set(plan.left_out) == set(range(60))
    assert not covered & set(plan.left_out)
    for view in plan.views:
        assert image.contains(view.window)
        assert all(view.window.contains(part) and boxes[index].contains(part) for index, part in view.parts)


@pytest.mark.parametrize("fit", ["pad", "stretch", "repeat"])
@pytest.mark.parametrize("size", [(300, 200), (64, 640), (1000, 1000)])
def test_a_prompt_mask_comes_back_where_it_was(fit, size):
    height_px, width_px = size
    frame = SquareFrame(256, width_px, height_px, fit=fit)
    box = Box(width_px // 4, height_px // 4, width_px // 4 * 3, height_px // 4 * 3)
    logits = frame.prompt_mask(np.ones(box.shape, dtype=np.bool_), box, side_px=64, logit=6.0)
    back = frame.window_logits(logits, Box(0, 0, width_px, height_px)) > 0
    truth = np.zeros(size, dtype=bool)
    truth[box.slices] = True
    assert (back & truth).sum() / (back | truth).sum() > 0.9


def test_span_sees_a_missing_end():
    filled = np.ones((20, 200), dtype=np.bool_)
    mask = np.zeros_like(filled)
    mask[:, ::3] = True
    assert span_of(mask, filled) == 1.0
    mask[:, 100:] = False
    assert span_of(mask, filled) == pytest.approx(0.5, abs=0.1)
    lower = np.zeros_like(filled)
    lower[12:, :] = True
    assert span_of(lower, filled) == pytest.approx(0.5, abs=0.1)


def test_points_lie_on_ink():
    filled = np.ones((20, 90), dtype=np.bool_)
    ink = np.zeros_like(filled)
    ink[5:15, [10, 44, 80]] = True
    points = centre_points(filled, Box(100, 200, 190, 220), ink, count=3)
    assert {int(x) - 100 for x, _ in points} == {10, 44, 80}
    assert all(205 <= y < 215 for _, y in points)


def test_agreement_of_an_empty_mask_is_nothing():
    empty = agreement_of(np.full((5, 5), -1, np.float32), np.ones((5, 5), np.bool_), iou=0.9, tolerance_px=1)
    assert empty.rank == 0.0


def test_prompts_refuse_what_does_not_go_together():
    boxes = np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match="one length"):
        Prompts(boxes=boxes, masks=np.zeros((1, 64, 64), np.float32))
    with pytest.raises(ValueError, match="box or points"):
        Prompts()


def test_missing_weights_say_what_to_do(tmp_path):
    library = WeightLibrary({}, cache_folder=tmp_path)
    with pytest.raises(WeightsError, match="models pull"):
        build_refiner("sam", options={"weights": "nowhere"}, weights=library, runtime=RuntimeConfig())


def test_without_the_extra_it_says_so(tmp_path, monkeypatch):
    path = tmp_path / "x.pth"
    path.write_bytes(b"x")
    built = build_refiner(
        "sam",
        options={"weights": str(path)},
        weights=WeightLibrary({}, cache_folder=tmp_path / "cache"),
        runtime=RuntimeConfig(),
    )
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PluginError, match=r"extra `sam`"):
        built.load()


def test_fingerprint_follows_weights_and_options(tmp_path):
    path = tmp_path / "x.pth"
    library = WeightLibrary({}, cache_folder=tmp_path / "cache")

    def fingerprint(**options):
        options = {"weights": str(path), **options}
        return build_refiner("sam", options=options, weights=library, runtime=RuntimeConfig()).fingerprint

    path.write_bytes(b"one")
    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint(min_iou=0.6) != first
    moved = tmp_path / "moved.pth"
    moved.write_bytes(b"one")
    assert fingerprint(weights=str(moved)) == first
    path.write_bytes(b"other")
    assert fingerprint() != first
