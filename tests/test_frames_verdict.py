"""Geometry proposes, the layout network judges: evidence, the verdict, and what is traced from the map."""

from __future__ import annotations

import numpy as np
import pytest
from frame_cases import bordered, layout_of, region_of, scene

from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import ConfigError
from automask.run.pipeline import MaskPipeline
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.frames.detector import EdgesDetector, EdgesOptions
from automask_models.frames.judging import Evidence, FrameJudge
from automask_models.frames.nesting import ACCEPT, WEAK
from automask_models.frames.tracing import trace
from automask_models.frames.verdict import judged

JUDGE = FrameJudge.bundled()


def in_a_mat() -> tuple[np.ndarray, np.ndarray]:
    return bordered(scene(), (60, 60, 60, 60), (250, 250, 246))


class TestEvidence:
    def test_it_tells_the_inside_from_what_lies_beyond(self):
        pixels, truth = in_a_mat()
        evidence = Evidence.of(layout_of(truth > 0, pixels), truth > 0, geometry=0.7)
        assert evidence.inside > 0.9
        assert evidence.beyond < 0.1
        assert evidence.share == pytest.approx((truth > 0).mean(), abs=0.01)
        assert evidence.geometry == 0.7

    def test_a_thin_border_is_hardly_for_the_network_to_judge(self):
        pixels, truth = bordered(scene(), (3, 3, 3, 3), (0, 0, 0))
        thin = Evidence.of(layout_of(truth > 0, pixels), truth > 0, geometry=0.9)
        broad_pixels, broad_truth = in_a_mat()
        broad = Evidence.of(layout_of(broad_truth > 0, broad_pixels), broad_truth > 0, geometry=0.9)
        assert thin.features["thin"] > 0.7
        assert broad.features["thin"] < 0.2
        assert abs(thin.features["inside"]) < abs(broad.features["inside"])

    @pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 25)])
    def test_any_size_has_evidence(self, shape: tuple[int, int]):
        pixels = np.zeros((*shape, 3), np.uint8)
        mask = np.ones(shape, np.bool_)
        features = Evidence.of(layout_of(mask, pixels), mask, geometry=1.0).features
        assert np.isfinite(list(features.values())).all()


class TestVerdict:
    def test_what_the_map_calls_frame_is_drawn_and_what_it_calls_picture_is_not(self):
        pixels, truth = in_a_mat()
        proposed = [region_of(truth > 0, 0.8)]
        (drawn,) = judged(proposed, pixels, layout_of(truth > 0, pixels), JUDGE, source="edges")
        assert drawn.confidence >= ACCEPT
        assert drawn.attributes["geometry"] == 0.8
        assert np.array_equal(drawn.artefact, truth > 0)
        (listed,) = judged(proposed, pixels, layout_of(np.zeros(truth.shape), pixels), JUDGE, source="edges")
        assert WEAK <= listed.confidence < ACCEPT
        assert not listed.proposed, "nobody is asked about it"

    @pytest.mark.parametrize("depth_px", [8, 24, 60, 150])
    @pytest.mark.parametrize("says", [0.0, 0.2, 0.5, 0.8, 1.0])
    def test_the_judge_alone_only_asks_and_what_geometry_is_sure_of_is_never_dropped(self, depth_px: int, says: float):
        pixels, truth = bordered(scene(), (depth_px,) * 4, (250, 250, 246))
        for geometry in (0.31, 0.49, 0.5, 0.99):
            layout = layout_of((truth > 0) * says, pixels)
            regions = judged([region_of(truth > 0, geometry)], pixels, layout, JUDGE, source="edges")
            own = [region for region in regions if region.attributes["pattern"] == "ring"]
            assert all(region.proposed for region in own) == (geometry < ACCEPT) or not own
            assert own or geometry < ACCEPT

    def test_an_undecided_map_leaves_it_to_how_sure_geometry_is(self):
        pixels, truth = in_a_mat()
        layout = layout_of(np.where(truth > 0, 0.5, 0), pixels)
        evidence = [Evidence.of(layout, truth > 0, geometry=each) for each in (0.5, 0.75, 0.95, 1.0)]
        probabilities = [JUDGE.proposed.probability(each.features) for each in evidence]
        assert probabilities == sorted(probabilities)
        assert probabilities[-1] > probabilities[0] + 0.1
        denied = layout_of(np.zeros(truth.shape), pixels)
        certain = Evidence.of(denied, truth > 0, geometry=1.0)
        assert JUDGE.proposed.probability(certain.features) < ACCEPT

    @pytest.mark.parametrize("channel", ["margin", "ground"])
    def test_page_margins_and_studio_grounds_are_no_frame(self, channel: str):
        pixels, truth = in_a_mat()
        unsure = np.where(truth > 0, 0.5, 0)
        layout = layout_of(unsure, pixels, **{channel: truth > 0})
        found = judged([region_of(truth > 0, 0.8)], pixels, layout, JUDGE, source="edges")
        assert all(region.confidence < ACCEPT for region in found)

    def test_what_is_left_out_is_unlikely_and_the_rest_is_shown(self):
        pixels, truth = in_a_mat()
        for share in np.linspace(0, 1, 11):
            layout = layout_of((truth > 0) * share, pixels)
            for region in judged([region_of(truth > 0, 0.6)], pixels, layout, JUDGE, source="edges"):
                assert region.confidence >= WEAK


class TestTrace:
    def test_a_frame_that_geometry_misses_is_traced_to_its_edge(self):
        pixels, truth = in_a_mat()
        (traced,) = judged([], pixels, layout_of(truth > 0, pixels), JUDGE, source="edges")
        assert traced.attributes["pattern"] == "traced"
        assert traced.confidence >= ACCEPT
        mask = np.zeros(truth.shape, np.bool_)
        mask[traced.box.slices] = traced.artefact
        assert (mask != (truth > 0)).mean() < 0.01

    def test_sides_move_to_an_edge_within_reach(self):
        pixels, truth = in_a_mat()
        rough = np.roll(truth, (7, -7), (0, 1))  # the map is out by most of a cell
        found = trace(pixels, layout_of(rough > 0, pixels))
        assert found is not None
        assert (found.outside != (truth > 0)).mean() < 0.012
        assert found.support > 0.8

    def test_an_oval_keeps_its_form(self):
        pixels = scene(480, 640)
        y, x = np.mgrid[-1:1:480j, -1:1:640j]
        outside = np.hypot(x, y) > 0.9
        found = trace(pixels, layout_of(outside, pixels))
        assert found is not None
        assert (found.outside != outside).mean() < 0.03

    def test_a_plate_over_the_picture_is_kept(self):
        pixels, truth = in_a_mat()
        frame = truth > 0
        frame[400:470, 120:600] = True
        found = trace(pixels, layout_of(frame, pixels))
        assert found is not None
        assert found.outside[420:450, 160:560].all()
        assert not found.outside[200:350, 160:560].any()

    def test_nothing_and_everything_are_no_frame(self):
        pixels = scene()
        assert trace(pixels, layout_of(np.zeros(pixels.shape[:2]), pixels)) is None
        assert trace(pixels, layout_of(np.ones(pixels.shape[:2]), pixels)) is None

    def test_a_traced_frame_that_adds_nothing_is_not_told_twice(self):
        pixels, truth = in_a_mat()
        regions = judged([region_of(truth > 0, 0.95)], pixels, layout_of(truth > 0, pixels), JUDGE, source="edges")
        assert [region.attributes["pattern"] for region in regions] == ["ring"]


class TestDetector:
    def test_without_weights_edges_alone_decide_and_it_says_so(self):
        detector = EdgesDetector(EdgesOptions.model_validate({}), weights=None, runtime=RuntimeConfig())
        detector.load()
        pixels, truth = in_a_mat()
        ((region,),) = detector.detect([Image("a", pixels)])
        assert "geometry" not in region.attributes
        assert region.confidence >= ACCEPT
        assert truth.any()
        assert [issue.code for issue in detector.notices] == ["layout-missing"]

    def test_with_weights_the_network_judges(self):
        detector = EdgesDetector.from_options(
            EdgesOptions.model_validate({}), weights=WeightLibrary.discover(), runtime=RuntimeConfig(threads=1)
        )
        detector.load()
        pixels, _ = in_a_mat()
        ((region, *_),) = detector.detect([Image("a", pixels)])
        assert region.confidence >= ACCEPT
        assert region.attributes["layout_inside"] > 0.5
        assert list(detector.notices) == []

    def test_the_fingerprint_follows_weights_and_judge(self):
        bare = EdgesDetector(EdgesOptions.model_validate({}), weights=None, runtime=RuntimeConfig())
        whole = EdgesDetector.from_options(
            EdgesOptions.model_validate({}), weights=WeightLibrary.discover(), runtime=RuntimeConfig()
        )
        assert bare.fingerprint != whole.fingerprint
        assert JUDGE.sha256 in whole.model_sha256s

    def test_weights_of_another_name_must_be_there(self):
        config = PipelineConfig(detectors=("edges",), dataset_detectors=(), options={"edges": {"nope": 1}})
        with pytest.raises(ConfigError):
            MaskPipeline.from_config(config)
