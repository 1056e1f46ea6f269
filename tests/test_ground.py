"""Plain ground behind a subject: what is found of it, what is left alone, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from ground_pictures import COUNT, PHOTOS, product_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import WeightsError
from automask.run.pipeline import MaskPipeline
from automask.values.types import Image, Kind
from automask.weights import WeightLibrary
from automask_models.frames.detector import EdgesDetector
from automask_models.ground.detector import GroundDetector, GroundOptions, ground_of
from automask_models.ground.growing import grown
from automask_models.layout.network import LayoutMap, LayoutNetwork

SIDE = 64


@pytest.fixture(scope="module")
def detector() -> GroundDetector:
    made = GroundDetector.from_options(
        GroundOptions(), weights=WeightLibrary.discover(), runtime=RuntimeConfig(threads=1)
    )
    made.load()
    return made


def ground_in(detector: GroundDetector, image: Image) -> np.ndarray:
    """(H, W) bool of what is found and would be drawn."""
    whole = np.zeros(image.pixels.shape[:2], bool)
    for region in detector.detect([image])[0]:
        assert region.kind is Kind.GROUND
        if region.confidence >= PipelineConfig().policy.ground.accept:
            whole[region.box.slices] |= region.artefact
    return whole


def map_with(ground: np.ndarray, pixels: np.ndarray) -> LayoutMap:
    """A map that says where ground is, and nothing else."""
    none = np.zeros((SIDE, SIDE), np.float32)
    return LayoutMap(none, none, none, ground.astype(np.float32), pixels.shape[1], pixels.shape[0])


def test_ten_product_pictures(detector):
    covered, lost = [], []
    for number in range(COUNT):
        picture = product_picture(number)
        found = ground_in(detector, Image(f"{number}", picture.pixels))
        covered.append(found[picture.ground].mean())
        lost.append(found[picture.subject].mean())
    assert np.mean(covered) >= 0.95, np.round(covered, 3)
    assert np.mean(lost) <= 0.02, np.round(lost, 3)


DARK_BARS = pytest.mark.xfail(reason="bars beside a dark picture pass for its ground", strict=True)


@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg", pytest.param("rocket.jpg", marks=DARK_BARS), "snapshot.jpg"])
def test_photographs_have_none_nor_has_what_is_framed(detector, name):
    with PillowImage.open(PHOTOS / name) as photo:
        assert not ground_in(detector, Image(name, np.asarray(photo.convert("RGB")))).any()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_page_is_no_ground_of_anything(detector, level):
    assert not ground_in(detector, Image("empty", np.full((300, 400, 3), level, np.uint8))).any()


def test_transparent_pixels_are_not_found_twice(detector):
    picture = product_picture(0)
    alpha = np.full(picture.ground.shape, 255, np.uint8)
    alpha[:100] = 0
    found = ground_in(detector, Image("a", picture.pixels, alpha=alpha))
    assert not found[:100].any()
    assert found[110:][picture.ground[110:]].mean() > 0.9


def test_the_map_of_an_image_is_computed_once_for_edges_and_ground(monkeypatch):
    looks = []
    look = LayoutNetwork.look
    monkeypatch.setattr(LayoutNetwork, "look", lambda self, pixels: looks.append(1) or look(self, pixels))
    config = PipelineConfig(detectors=("edges", "ground"), dataset_detectors=(), refiner="polygon")
    (result,) = MaskPipeline.from_config(config).analyse([Image("a", product_picture(2).pixels)])
    assert {region.source for region in result.regions} >= {"ground"}
    assert len(looks) == 1
    assert EdgesDetector.name != GroundDetector.name


def test_without_weights_it_says_so_and_is_refused_by_name():
    class None_:
        def find(self, reference, *, stage=""):
            return None

    made = GroundDetector.from_options(GroundOptions(), weights=None_(), runtime=RuntimeConfig())
    assert [notice.code for notice in made.notices] == ["weights-missing"]
    made.load()
    assert made.detect([Image("a", np.zeros((40, 40, 3), np.uint8))]) == [[]]
    config = PipelineConfig(detectors=("ground",), dataset_detectors=(), refiner="polygon")
    with pytest.raises(WeightsError, match="ground was asked for and would find nothing"):
        MaskPipeline.from_config(config, weights=None_())


class TestGrowing:
    """From the map's sure cells to the edge of the subject."""

    @staticmethod
    def plain(height_px=160, width_px=200, colour=(200, 190, 180)):
        pixels = np.empty((height_px, width_px, 3), np.uint8)
        pixels[:] = colour
        pixels[50:110, 70:130] = (60, 20, 110)
        truth = np.ones((height_px, width_px), bool)
        truth[50:110, 70:130] = False
        return pixels, truth

    @settings(max_examples=25, deadline=None)
    @given(
        st.integers(0, 2**32 - 1),
        st.integers(17, 300),
        st.integers(17, 300),
    )
    def test_it_has_the_size_of_the_image_and_is_the_same_again(self, seed, height_px, width_px):
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 256, 3, dtype=np.uint8) + np.zeros((height_px, width_px, 3), np.uint8)
        pixels[height_px // 3 : height_px // 2, width_px // 3 : width_px // 2] = rng.integers(0, 256, 3, dtype=np.uint8)
        before, layout = pixels.copy(), map_with(rng.random((SIDE, SIDE)), pixels)
        one, again = grown(pixels, layout), grown(pixels, layout)
        assert (one is None) == (again is None)
        assert np.array_equal(pixels, before)
        if one is not None and again is not None:
            assert one.artefact.shape == pixels.shape[:2]
            assert one.artefact.dtype == np.bool_
            assert one.artefact.any()
            assert np.array_equal(one.artefact, again.artefact)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
    def test_more_that_is_sure_never_gives_less_ground(self, seed, share):
        pixels, truth = self.plain()
        rng = np.random.default_rng(seed)
        fewer = rng.random((SIDE, SIDE)) < share
        more = fewer | (rng.random((SIDE, SIDE)) < 0.3)
        rows, columns = np.mgrid[0:SIDE, 0:SIDE]
        outside = (np.abs(rows - SIDE // 2) > 14) | (np.abs(columns - SIDE // 2) > 14)
        found = [grown(pixels, map_with(each & outside, pixels)) for each in (fewer, more)]
        if found[0] is not None:
            assert found[1] is not None
            assert not (found[0].artefact & ~found[1].artefact).any()
            assert not found[1].artefact[~truth].any()

    def test_it_ends_at_the_edge_and_takes_the_soft_shadow(self):
        import cv2

        pixels, truth = self.plain(320, 400)
        shadow = np.zeros(truth.shape, np.float32)
        shadow[115:150, 60:160] = 0.4
        shaded = pixels * (1 - cv2.GaussianBlur(shadow, (0, 0), 12))[..., None]
        pixels = np.where(truth[..., None], shaded, pixels).astype(np.uint8)
        cells = np.zeros((SIDE, SIDE))
        cells[:4] = cells[-4:] = cells[:, :4] = cells[:, -4:] = 1
        found = grown(pixels, map_with(cells, pixels))
        assert found.artefact[truth].mean() > 0.98
        assert found.artefact[~truth].mean() < 0.01

    def test_a_pale_part_that_an_edge_encloses_stays_with_the_subject(self):
        pixels, truth = self.plain()
        pixels[65:95, 85:115] = (200, 190, 180)
        found = grown(pixels, map_with(np.ones((SIDE, SIDE)), pixels))
        assert not found.artefact[65:95, 85:115].any()
        assert found.artefact[truth].mean() > 0.98

    def test_a_map_that_sees_no_ground_gives_none(self):
        pixels, _ = self.plain()
        assert grown(pixels, map_with(np.zeros((SIDE, SIDE)), pixels)) is None

    def test_noise_all_over_is_no_plain_ground(self):
        pixels = np.random.default_rng(0).integers(0, 256, (160, 200, 3), dtype=np.uint8)
        found = grown(pixels, map_with(np.ones((SIDE, SIDE)), pixels))
        assert found is None or found.artefact.mean() < 0.05


class TestConfidence:
    """What the map says of the ground's cells; and of what it calls a frame, whether a rectangle is in it."""

    @staticmethod
    def confidence(*, ground: float, frame: float, is_round: bool) -> float:
        pixels = np.full((320, 320, 3), 240, np.uint8)
        y, x = np.mgrid[0:320, 0:320] - 160
        inside = np.hypot(x, y) < 90 if is_round else (np.abs(x) < 90) & (np.abs(y) < 90)
        pixels[inside] = (40, 60, 120)
        cells = np.ones((SIDE, SIDE), np.float32)
        cells[14:50, 14:50] = 0
        none = np.zeros_like(cells)
        region = ground_of(Image("a", pixels), LayoutMap(cells * frame, none, none, cells * ground, 320, 320))
        return 0.0 if region is None else region.confidence

    @pytest.mark.parametrize("is_round", [True, False])
    def test_more_ground_in_the_map_never_makes_it_less_sure(self, is_round):
        found = [self.confidence(ground=value, frame=0.02, is_round=is_round) for value in (0.52, 0.7, 0.95)]
        assert found == sorted(found)
        assert 0.4 < found[0] < 0.8 < found[-1]

    def test_a_rectangle_in_a_plain_border_is_a_framed_picture(self):
        assert self.confidence(ground=0.05, frame=0.9, is_round=False) < 0.2
        assert self.confidence(ground=0.05, frame=0.9, is_round=True) > 0.8
