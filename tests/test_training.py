"""The training code: schedules, crops, prompts, exact resume, export. What needs torch is marked slow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from training_cases import Squares

from automask_training.crops import CropConfig, Window, cut, make_crop, mask_coverage
from automask_training.evaluate_real import BoxMasker, ClusterMasker, mean_iou, regions_of
from automask_training.prompts import PADDING, PromptConfig, Scene, box_coverage, make_prompts, thing_box
from automask_training.schedule import Schedule

RECIPES = Path(__file__).parents[1] / "models" / "training"


def scene_with(things: np.ndarray) -> Scene:
    return Scene(grey=np.full((64, 64), 90, np.uint8), things=things.astype(np.float32), size_px=256)


class TestSchedule:
    def test_warms_up_holds_and_decays(self) -> None:
        schedule = Schedule(peak=1.0, warmup_samples=9, decay_start_samples=100, total_samples=200, floor_ratio=0.1)
        assert schedule.rate(0) == pytest.approx(0.1)
        assert schedule.rate(9) == schedule.rate(99) == 1.0
        assert 0.1 < schedule.rate(150) < schedule.rate(110) < 1.0
        assert schedule.rate(200) == schedule.rate(500) == pytest.approx(0.1)

    def test_refuses_phases_out_of_order(self) -> None:
        with pytest.raises(ValueError, match="ordered"):
            Schedule(warmup_samples=10, decay_start_samples=5, total_samples=20)


class TestCrops:
    def test_cut_is_the_identity_at_its_own_size(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (80, 90, 3)).astype(np.uint8)
        assert np.array_equal(cut(pixels, Window(7, 11, 64), size_px=64), pixels[11:75, 7:71])

    def test_cut_pads_by_the_edge(self) -> None:
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[:, 0] = 200
        out = cut(pixels, Window(-10, 0, 40), size_px=40)
        assert (out[:, :11] == 200).all()
        assert (out[:, 11:] == 0).all()

    def test_coverage_is_the_share_of_each_cell(self) -> None:
        mask = np.ones((4, 8), bool)
        cover = mask_coverage(mask, (2, 0, 10, 4), Window(0, 0, 16), cells=4)
        assert cover is not None
        assert cover[0] == pytest.approx([0.5, 1, 0.5, 0], abs=0.01)
        assert not cover[1:].any()
        assert mask_coverage(mask, (2, 0, 10, 4), Window(20, 20, 16), cells=4) is None

    def test_what_is_not_known_of_a_picture_is_turned_along_with_it(self) -> None:
        """A cell is not known when any of it is not, however the crop was turned; what is wanted may lie beside it."""
        image = Squares(empty_every=0).sample(0)
        bar = image.instances[0]
        unknown = np.zeros(image.pixels.shape[:2], bool)
        x0, y0, x1, y1 = bar.box
        unknown[y0:y1, x0:x1] = ~bar.mask
        rng = np.random.default_rng(1)
        seen = 0
        for _ in range(40):
            crop = make_crop(replace(image, unknown=unknown), CropConfig(anywhere_share=0.0), rng)
            around = crop.classes[0] > 0
            if around.sum() > 60:
                seen += 1
                near = cv2.dilate(around.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
                assert (crop.unknown > 0)[~near].mean() < 0.02
                assert (crop.unknown > 0)[near].mean() > 0.3
        assert seen > 5

    def test_a_thing_of_unknown_kind_is_in_both_classes(self) -> None:
        image = Squares(empty_every=0).sample(0)
        unnamed = replace(image, instances=tuple(replace(one, is_kind_known=False) for one in image.instances))
        for seed in range(8):
            crop = make_crop(unnamed, CropConfig(anywhere_share=0.0), np.random.default_rng(seed))
            assert crop.classes.any()
            assert np.array_equal(crop.classes[0], crop.classes[1])

    def test_a_crop_depends_on_its_seed_only(self) -> None:
        image = Squares().sample(0)
        first, again = (make_crop(image, CropConfig(), np.random.default_rng(3)) for _ in range(2))
        assert np.array_equal(first.pixels, again.pixels)
        assert np.array_equal(first.prompts.targets, again.prompts.targets)

    def test_crops_show_what_was_asked_for(self) -> None:
        image, rng = Squares().sample(0), np.random.default_rng(0)
        crops = [make_crop(image, CropConfig(anywhere_share=0.0), rng) for _ in range(30)]
        assert all(c.classes.max() > 128 for c in crops)
        assert {tuple(c.classes.max(axis=(1, 2)) > 128) for c in crops} >= {(True, False), (False, True)}


class TestPrompts:
    def test_arrays_agree_in_shape_and_type(self) -> None:
        config = PromptConfig(box_prompts=4, click_prompts=3, clicks=2)
        things = np.zeros((2, 64, 64))
        things[0, 10:20, 10:40] = things[1, 40:50, 40:60] = 1
        prompts = make_prompts(scene_with(things), config, np.random.default_rng(0))
        assert prompts.points.shape == (7, 2, 2)
        assert prompts.labels.shape == (7, 2)
        assert prompts.boxes.shape == (7, 4)
        assert prompts.masks.shape == prompts.targets.shape == (7, 64, 64)
        assert (prompts.labels[:4] == PADDING).all()

    def test_prompts_on_nothing_want_nothing(self) -> None:
        for seed in range(20):
            prompts = make_prompts(scene_with(np.zeros((0, 64, 64))), PromptConfig(), np.random.default_rng(seed))
            assert not prompts.targets.any()

    def test_whole_boxes_ask_for_all_in_them_and_parts_for_no_more(self) -> None:
        things = np.zeros((2, 64, 64))
        things[0, 10:20, 10:40] = 1
        things[1, 12:15, 20:30] = 1
        config = PromptConfig(nothing_share=0.0, part_share=0.0, click_prompts=0)
        prompts = make_prompts(scene_with(things[:1]), config, np.random.default_rng(0))
        assert all(np.array_equal(t, np.round(things[0] * 255)) for t in prompts.targets)
        config = replace(config, part_share=1.0)
        scene = scene_with(things[:1])
        for target, box in zip(
            *((p := make_prompts(scene, config, np.random.default_rng(1))).targets, p.boxes), strict=True
        ):
            assert not target[box_coverage(box, scene) == 0].any()

    def test_clicks_for_a_thing_lie_on_it_or_beside_it(self) -> None:
        things = np.zeros((1, 64, 64))
        things[0, 20:40, 20:40] = 1
        config = PromptConfig(box_prompts=0, click_prompts=40, nothing_share=0.0)
        prompts = make_prompts(scene_with(things), config, np.random.default_rng(0))
        positive = prompts.points[prompts.labels == 1] / 4
        negative = prompts.points[prompts.labels == 0] / 4
        assert ((positive > 17) & (positive < 43)).all()
        assert (((negative < 20) | (negative > 40)).any(axis=1)).all()

    def test_box_of_a_thing(self) -> None:
        things = np.zeros((1, 64, 64))
        things[0, 10:20, 30:50] = 1
        scene = scene_with(things)
        assert thing_box(scene.things[0], scene).tolist() == [120, 40, 200, 80]
        assert box_coverage(np.array([120, 40, 200, 80], np.float32), scene).sum() == 200


class TestRealEvaluation:
    def test_regions_join_near_groups_and_masks_are_scored_inside_them(self) -> None:
        truth = np.zeros((200, 200), np.uint8)
        truth[20:40, 20:30] = truth[20:40, 33:43] = truth[150:170, 150:180] = 255
        pixels = np.where(truth[..., None] > 0, 220, 40).repeat(3, axis=2).astype(np.uint8)
        assert len(regions_of(truth)) == 2
        assert mean_iou(ClusterMasker(), [(pixels, truth)]) == (1.0, 2)
        score, count = mean_iou(BoxMasker(), [(pixels, truth)])
        assert count == 2
        assert 0.4 < score < 0.9
