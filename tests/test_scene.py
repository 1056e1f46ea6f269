"""The shipped scene network and what its word counts: letters against things, the models, and their fit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ink_cases import landscape, lettered, manifest_of

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.protocols import WeightFile
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.ink.detector import InkDetector, InkOptions
from automask_models.ink.network import DEFAULT_WEIGHTS as INK_WEIGHTS
from automask_models.scene.network import DEFAULT_WEIGHTS, SceneMap, SceneNetwork
from automask_models.scene.opinion import BEFORE, FEATURES, SCENE, SceneModel, SceneOpinion
from automask_models.text.evidence import LogisticModel
from automask_models.text.rapidocr import RapidOcrDetector, RapidOcrOptions
from automask_training import scene_judge
from automask_training.line_judge import KnownLine, KnownPicture, fit, pictures

RUNTIME = RuntimeConfig(threads=1)
LARGEST_BYTES = 8_000_000
SHARES = st.floats(0.0, 1.0)


def weights(name: str = DEFAULT_WEIGHTS) -> WeightFile:
    found = WeightLibrary.discover().find(name)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network() -> SceneNetwork:
    return SceneNetwork.open(weights(), runtime=RUNTIME)


def region(box: Box, **changed: object) -> Region:
    return dataclasses.replace(Region(Kind.TEXT, box, 0.6, "t"), **changed)


class TestMap:
    CELLS = np.zeros((8, 10), np.float32)
    CELLS[2:4, 5:10] = 0.9

    def test_the_surest_quarter_of_the_cells_of_a_box_counts(self):
        seen = SceneMap(self.CELLS, width_px=1000, height_px=800)
        assert seen.upper_quartile(region(Box(500, 200, 1000, 400))) == pytest.approx(0.9)
        assert seen.upper_quartile(region(Box(0, 500, 300, 800))) == 0

    def test_an_outline_and_pixels_are_looked_at_where_they_are(self):
        seen = SceneMap(self.CELLS, width_px=1000, height_px=800)
        below = ((0.0, 500.0), (1000.0, 500.0), (1000.0, 800.0), (0.0, 800.0))
        assert seen.upper_quartile(region(Box(0, 0, 1000, 800), polygon=below)) == 0
        artefact = np.zeros((800, 1000), np.bool_)
        artefact[200:400, 500:] = True
        assert seen.upper_quartile(region(Box(0, 0, 1000, 800), artefact=artefact)) == pytest.approx(0.9)

    @settings(deadline=None, max_examples=60)
    @given(x0=st.integers(0, 98), y0=st.integers(0, 98), width=st.integers(1, 100), height=st.integers(1, 100))
    def test_every_box_has_an_answer(self, x0, y0, width, height):
        seen = SceneMap(self.CELLS, width_px=100, height_px=100)
        box = Box(x0, y0, min(100, x0 + width), min(100, y0 + height))
        assert 0 <= seen.upper_quartile(region(box)) <= 1


class TestNetwork:
    def test_it_is_small(self):
        assert weights().path.stat().st_size <= LARGEST_BYTES

    @pytest.mark.parametrize("size_px", [60, 150])
    def test_it_sees_letters_on_a_landscape_and_none_without(self, network, size_px):
        image, letters = lettered("Harbour", size_px=size_px, at=(60, 200), opacity=1.0)
        box = Box.of_artefact(letters)
        assert network.look(image.pixels).upper_quartile(region(box)) > 0.5
        assert network.look(np.asarray(landscape(800, 600))).upper_quartile(region(box)) < 0.1

    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (17, 2000), (64, 64), (900, 700)])
    def test_no_size_is_too_small_to_be_looked_at(self, network, shape):
        found = network.look(np.full((*shape, 3), 90, np.uint8))
        assert (found.height_px, found.width_px) == shape
        assert np.isfinite(found.lettering).all()
        assert 0 <= found.lettering.min() <= found.lettering.max() <= 1

    def test_other_networks_are_refused(self):
        with pytest.raises(WeightsError, match="no lettering network"):
            SceneNetwork.open(weights(INK_WEIGHTS), runtime=RUNTIME)


class TestOpinion:
    MODEL = LogisticModel(intercept=0.0, coefficients={"log_odds": 1.0, "scene_log_odds": 1.0})

    def test_letters_become_surer_and_things_less_so(self, network):
        image, letters = lettered("Harbour", size_px=150, at=(60, 200), opacity=1.0)
        box = Box.of_artefact(letters)
        found, thing = SceneOpinion(network, self.MODEL).on(image, [region(box), region(Box(300, 450, 700, 590))])
        assert found.confidence > 0.6 > thing.confidence
        assert found.attributes[BEFORE] == thing.attributes[BEFORE] == 0.6
        assert found.attributes[SCENE] > 0.5 > thing.attributes[SCENE]

    @pytest.mark.parametrize("kind", [Kind.FRAME, Kind.WATERMARK])
    def test_frames_and_marks_are_none_of_its_business(self, network, kind):
        image, _ = lettered("a", size_px=10, at=(0, 0), opacity=1.0)
        other = region(Box(0, 0, 800, 20), kind=kind)
        assert SceneOpinion(network, self.MODEL).on(image, [other]) == [other]
        assert SceneOpinion(network, self.MODEL).on(image, []) == []

    def test_models_of_other_numbers_are_refused(self):
        with pytest.raises(ValueError, match="not measured"):
            SceneModel(
                fitted_on="", lines=self.MODEL, groups=LogisticModel(intercept=0.0, coefficients={"weight": 1.0})
            )

    @settings(deadline=None, max_examples=60)
    @given(sure=SHARES, seen=SHARES, more=SHARES)
    def test_the_shipped_models_rise_with_both(self, sure, seen, more):
        for model in (SceneModel.bundled().lines, SceneModel.bundled().groups):
            low, high = sorted((seen, more))
            by_seen = [model.probability(dict(zip(FEATURES, (sure, each), strict=True))) for each in (low, high)]
            by_sure = [model.probability(dict(zip(FEATURES, (each, sure), strict=True))) for each in (low, high)]
            assert by_seen == sorted(by_seen)
            assert by_sure == sorted(by_sure)


@pytest.mark.parametrize(
    ("stage", "options"), [(RapidOcrDetector, RapidOcrOptions), (InkDetector, InkOptions)], ids=["rapidocr", "ink"]
)
class TestDetectors:
    def test_its_weights_and_models_belong_to_what_they_find(self, stage, options):
        library = WeightLibrary.discover()
        made, without = (
            stage.from_options(options(scene=name), weights=library, runtime=RUNTIME) for name in (DEFAULT_WEIGHTS, "")
        )
        assert made.fingerprint != without.fingerprint

    def test_they_ask_it_unless_told_not_to(self, stage, options):
        image, _ = lettered("Harbour", size_px=150, at=(60, 200), opacity=1.0)
        for name in (DEFAULT_WEIGHTS, ""):
            made = stage.from_options(options(scene=name), weights=WeightLibrary.discover(), runtime=RUNTIME)
            made.load()
            found = made.detect([image])[0]
            texts = [each for each in found if each.kind is Kind.TEXT]
            assert texts
            assert all((SCENE in each.attributes) == bool(name) for each in texts)

    def test_weights_that_are_missing_are_an_error(self, stage, options):
        with pytest.raises(WeightsError, match="other"):
            stage.from_options(options(scene="other"), weights=WeightLibrary.discover(), runtime=RUNTIME)


class TestFit:
    def test_lines_and_groups_are_found_with_what_the_truth_says(self, tmp_path):
        shown = pictures([manifest_of(tmp_path)], None, per_source=5, free=0, written=0)
        found = scene_judge.collect(shown, threads=1, cache=tmp_path / "cache")
        for kind in scene_judge.KINDS:
            texts = [line for picture in found[kind] if picture.source == "texts" for line in picture.lines]
            assert any(line.is_text for line in texts), kind
            assert all(set(line.features) == set(FEATURES) for line in texts)
        again = pictures([tmp_path / "manifest.json"], None, per_source=5, free=0, written=0)
        assert scene_judge.collect(again, threads=1, cache=tmp_path / "cache") == found

    def test_what_tells_text_from_things_gets_the_weight(self):
        rng = np.random.default_rng(0)
        lines = []
        for number in range(200):
            seen = rng.normal(2.0 if number % 2 else -2.0, 1.0)
            features = {"log_odds": float(rng.normal()), "scene_log_odds": float(seen)}
            lines.append(KnownLine(features=features, is_text=bool(number % 2), share=0.01, wanted=0.01, unwanted=0.01))
        model = fit([KnownPicture("a", lines)], prior_odds=1.0, names=FEATURES)
        assert model.coefficients["scene_log_odds"] > 3 * abs(model.coefficients["log_odds"])

    def test_an_image_is_looked_at_once_for_both_detectors(self, network):
        image = Image("a", np.asarray(landscape(200, 100)))
        assert network.map_of(image) is SceneNetwork.open(weights(), runtime=RUNTIME).map_of(image)
