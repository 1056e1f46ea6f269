"""The ink network and what is built on it: maps, groups, detector, refiner, second opinion. Shipped weights run."""

import dataclasses

import numpy as np
import pytest
from ink_cases import landscape, lettered, map_of
from PIL import Image as PillowImage
from PIL import ImageDraw

from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.mask.rendering import grow
from automask.protocols import Prompt, PromptableRefiner, WeightFile
from automask.run.pipeline import MaskPipeline
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.ink.confidence import InkModel
from automask_models.ink.detector import InkDetector, InkOptions
from automask_models.ink.groups import groups_of
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.ink.opinion import InkOpinion
from automask_models.ink.prompts import InkPromptSession
from automask_models.refiners.ink import InkRefiner, InkRefinerOptions


@pytest.fixture(scope="module")
def weights() -> WeightFile:
    found = WeightLibrary.discover().find(DEFAULT_WEIGHTS)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network(weights: WeightFile) -> InkNetwork:
    return InkNetwork.open(weights, runtime=RuntimeConfig(threads=2))


class TestMap:
    def test_a_window_is_the_map_at_the_pictures_resolution(self):
        cells = np.zeros((20, 30))
        cells[5:10, 6:12] = 1
        ink = map_of(cells)
        whole = ink.within(Box(0, 0, 120, 80))
        assert whole[20 + 2 : 40 - 2, 24 + 2 : 48 - 2].min() == pytest.approx(1)
        assert whole[:18].max() == 0
        window = Box(17, 13, 60, 50)
        assert np.array_equal(ink.within(window), whole[window.slices])

    def test_a_map_finer_or_coarser_than_the_picture_keeps_places(self):
        cells = np.zeros((20, 30))
        cells[10:, :] = 1
        for width_px in (30, 300, 3000):
            ink = map_of(cells, width_px=width_px)
            rows = ink.within(Box(0, 0, ink.width_px, ink.height_px)).mean(axis=1)
            assert (rows > 0.5).mean() == pytest.approx(0.5, abs=0.03)

    def test_upper_quartile_of_an_outline(self):
        cells = np.zeros((20, 20))
        cells[:, ::2] = 0.8
        assert map_of(cells).upper_quartile(((8, 8), (72, 8), (72, 72), (8, 72))) == pytest.approx(0.8)
        assert map_of(cells * 0).upper_quartile(((8, 8), (72, 8), (72, 72))) == 0
        assert map_of(cells).upper_quartile(((500, 500), (600, 500), (600, 600))) == 0


class TestGroups:
    def test_near_cells_are_one_thing_and_far_ones_are_not(self):
        cells = np.zeros((40, 60))
        cells[10:14, 10:13] = cells[10:14, 16:19] = 0.9
        cells[30:33, 45:50] = 0.7
        groups = list(groups_of(map_of(cells, mark=0.8)))
        assert [(g.count, round(g.probability, 2)) for g in groups] == [(24, 0.9), (15, 0.7)]
        assert groups[0].box_in(map_of(cells)).xyxy == (40, 40, 76, 56)
        assert all(g.mark == pytest.approx(0.8) for g in groups)

    def test_weak_cells_belong_to_the_core_that_they_touch_only(self):
        cells = np.zeros((40, 40))
        cells[10:14, 10:14] = 0.9
        cells[10:14, 14:16] = 0.3
        cells[30:34, 30:34] = 0.3
        (group,) = groups_of(map_of(cells))
        assert group.count == 16 + 8
        assert not list(groups_of(map_of(np.zeros((5, 5)))))

    def test_a_border_ornament_is_no_mark_and_a_tiled_mark_is_no_ornament(self):
        ring = np.zeros((60, 80))
        ring[4:-4, 4:-4] = 0.9
        ring[8:-8, 8:-8] = 0
        (group,) = groups_of(map_of(ring))
        assert group.is_ring
        tiled = np.zeros((60, 80))
        tiled[4:56:8, 4:76] = tiled[4:56, 4:76:8] = 0.9
        assert not any(group.is_ring for group in groups_of(map_of(tiled)))

    def test_surer_things_are_believed_more(self):
        model = InkModel.bundled()

        def believed(value: float, side: int) -> float:
            cells = np.zeros((40, 40))
            cells[5 : 5 + side, 5 : 5 + side] = value
            return model.of_group(next(groups_of(map_of(cells))))

        assert believed(0.6, 12) < believed(0.8, 12) < believed(0.95, 12)


class TestNetwork:
    @pytest.mark.parametrize(("size_px", "opacity"), [(28, 1.0), (40, 0.5), (220, 1.0)])
    def test_letters_light_up_and_the_landscape_does_not(self, network, size_px, opacity):
        image, letters = lettered("Harbour", size_px=size_px, at=(60, 200), opacity=opacity)
        found = network.map_of(image).within(image.box)
        # Huge letters are seen from far away, where a cell is many pixels.
        far = ~grow(letters, max(16, size_px // 5))
        assert found[letters].mean() > 0.5
        assert (found[far] > 0.5).mean() < 0.01

    def test_a_map_is_computed_once_per_image(self, network, monkeypatch):
        image = Image(id="a", pixels=np.asarray(landscape(320, 240)))
        first = network.map_of(image)
        monkeypatch.setattr(network, "look", None)
        assert network.map_of(image) is first

    def test_tiles_agree_with_one_look(self, network):
        # As wide as four tiles, and lettered across a seam.
        wide = np.tile(np.asarray(landscape(800, 64)), (1, 3, 1))
        canvas = PillowImage.fromarray(wide)
        ImageDraw.Draw(canvas).text((60, 10), "across the seam of two tiles " * 3, fill="white", font_size=36)
        pixels = np.asarray(canvas)
        whole = network.look(pixels)
        assert whole.unwanted.shape[1] > whole.unwanted.shape[0] * 20
        part = network.look(pixels[:, :1200])
        shared = whole.within(Box(0, 0, 1000, 64)) - part.within(Box(0, 0, 1000, 64))
        assert np.abs(shared).mean() < 0.1

    def test_other_files_are_refused(self, tmp_path):
        from automask_models.text.ppocr import DETECTION_FILE, bundled_model

        with pytest.raises(WeightsError, match="no ink network"):
            InkNetwork.open(bundled_model(DETECTION_FILE), runtime=RuntimeConfig())


class TestDetector:
    def test_finds_a_faint_mark_with_its_pixels(self, weights):
        detector = InkDetector(InkOptions(), weights=weights, runtime=RuntimeConfig(threads=2))
        detector.load()
        image, letters = lettered("Nguyen Photo", size_px=34, at=(560, 540), opacity=0.55)
        regions = [r for r in detector.detect([image])[0] if r.confidence >= 0.5]
        assert regions
        found = np.zeros(letters.shape, dtype=bool)
        for region in regions:
            assert region.kind in (Kind.WATERMARK, Kind.TEXT)
            found[region.box.slices] |= region.artefact
        assert found[letters].mean() > 0.8
        assert found[~grow(letters, 10)].mean() < 0.001

    def test_says_once_that_it_has_no_weights(self):
        detector = InkDetector(InkOptions(), weights=None, runtime=RuntimeConfig())
        detector.load()
        assert detector.detect([Image(id="a", pixels=np.zeros((8, 8, 3), np.uint8))]) == [[]]
        assert [issue.code for issue in detector.notices] == ["weights-missing"]

    def test_asked_for_by_name_it_needs_weights(self, tmp_path):
        library = WeightLibrary({}, cache_folder=tmp_path)
        config = PipelineConfig(refiner="polygon")
        assert [notice.code for notice in MaskPipeline.from_config(config, weights=library).notices] == [
            "layout-missing",
            "weights-missing",
            "weights-missing",
        ]
        for name in ("ink", "yolo"):
            named = config.model_copy(update={"detectors": ("edges", name)})
            with pytest.raises(WeightsError, match=rf"{name}\.weights=FILE"):
                MaskPipeline.from_config(named, weights=library)

    def test_named_weights_must_be_there(self, tmp_path):
        library = WeightLibrary.discover()
        with pytest.raises(WeightsError):
            InkDetector.from_options(
                InkOptions(weights=str(tmp_path / "no.onnx")), weights=library, runtime=RuntimeConfig()
            )

    def test_detect_before_load_is_an_error(self, weights):
        with pytest.raises(StageError, match="before load"):
            InkDetector(InkOptions(), weights=weights, runtime=RuntimeConfig()).detect([])


class TestRefiner:
    def test_takes_strokes_and_leaves_the_rest_of_the_region(self, weights):
        refiner = InkRefiner(InkRefinerOptions(close_cells=0), weights=weights, runtime=RuntimeConfig(threads=2))
        refiner.load()
        image, letters = lettered("HILL", size_px=180, at=(100, 150), opacity=1.0)
        ys, xs = np.nonzero(letters)
        box = Box(int(xs.min()) - 8, int(ys.min()) - 8, int(xs.max()) + 8, int(ys.max()) + 8)
        corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
        (patch,) = refiner.refine(image, [Region(Kind.TEXT, box, 0.9, "test", polygon=corners)])
        assert patch.refiner == "ink"
        found = np.zeros(letters.shape, dtype=bool)
        found[patch.box.slices] = patch.artefact
        assert found[letters].mean() > 0.9
        assert patch.artefact.mean() < 0.75

    def test_outlines_follow_colours_unless_they_miss_what_the_network_sees(self, weights, network, monkeypatch):
        image, letters = lettered("HILL", size_px=180, at=(100, 150), opacity=1.0)
        ys, xs = np.nonzero(letters)
        box = Box(int(xs.min()) - 8, int(ys.min()) - 8, int(xs.max()) + 8, int(ys.max()) + 8)
        corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
        region = Region(Kind.TEXT, box, 0.9, "test", polygon=corners)

        def overlap(**options):
            refiner = InkRefiner(InkRefinerOptions(**options), weights=weights, runtime=RuntimeConfig(threads=2))
            refiner.load()
            (patch,) = refiner.refine(image, [region])
            found = np.zeros(letters.shape, dtype=bool)
            found[patch.box.slices] = patch.artefact
            return (found & letters).sum() / (found | letters).sum()

        by_colour = overlap()
        assert by_colour > 0.85
        assert by_colour > overlap(by_colour=False)
        everywhere = dataclasses.replace(network.map_of(image), unwanted=np.ones_like(network.map_of(image).unwanted))
        monkeypatch.setattr(InkNetwork, "map_of", lambda *_: everywhere)
        assert overlap() == overlap(by_colour=False)

    def test_a_region_without_ink_keeps_its_shape_and_says_why(self, weights):
        refiner = InkRefiner(InkRefinerOptions(), weights=weights, runtime=RuntimeConfig(threads=2))
        refiner.load()
        image = Image(id="a", pixels=np.asarray(landscape(400, 300)))
        corners = ((50.0, 50.0), (250.0, 50.0), (250.0, 90.0), (50.0, 90.0))
        (patch,) = refiner.refine(image, [Region(Kind.TEXT, Box(50, 50, 250, 90), 0.9, "test", polygon=corners)])
        assert (patch.refiner, patch.artefact.all()) == ("polygon", True)
        assert patch.note.startswith("ink: seen in")


class TestPrompts:
    def session(self, *, strong: float = 0.9, faint: float = 0.15) -> InkPromptSession:
        cells = np.zeros((60, 80))
        cells[10:14, 10:20] = strong
        cells[10:14, 34:40] = strong
        cells[40:44, 50:70] = faint
        return InkPromptSession(map_of(cells), name="ink")

    def test_a_click_takes_the_word_that_it_is_near_and_no_other(self):
        answer = self.session().answer(Prompt(points=[(60.0, 44.0)], wanted=[True]))
        assert (answer.method, answer.score) == ("ink", pytest.approx(0.9))
        assert Box.of_artefact(answer.artefact) == Box(40, 40, 80, 56)

    def test_a_click_on_something_faint_finds_it(self):
        answer = self.session().answer(Prompt(points=[(240.0, 168.0)], wanted=[True]))
        assert Box.of_artefact(answer.artefact) == Box(200, 160, 280, 176)

    def test_a_click_on_nothing_answers_nothing(self):
        assert not self.session().answer(Prompt(points=[(20.0, 200.0)], wanted=[True])).artefact.any()

    def test_unwanted_clicks_take_their_part_out_of_a_box(self):
        box = Box(30, 30, 180, 70)
        whole = self.session().answer(Prompt(box=box))
        assert Box.of_artefact(whole.artefact) == Box(40, 40, 160, 56)
        less = self.session().answer(Prompt(box=box, points=[(148.0, 48.0)], wanted=[False]))
        assert Box.of_artefact(less.artefact) == Box(40, 40, 80, 56)

    def test_a_drawing_is_taken_for_the_ink_in_it(self):
        drawn = np.zeros((240, 320), dtype=bool)
        drawn[150:190, 190:250] = True
        answer = self.session().answer(Prompt(drawn=drawn))
        assert Box.of_artefact(answer.artefact) == Box(200, 160, 252, 176)

    def test_the_refiner_can_be_asked(self, weights):
        refiner = InkRefiner(InkRefinerOptions(), weights=weights, runtime=RuntimeConfig(threads=2))
        assert isinstance(refiner, PromptableRefiner)
        image, letters = lettered("Nguyen Photo", size_px=34, at=(560, 540), opacity=0.55)
        ys, xs = np.nonzero(letters)
        found = refiner.prompt_session(image).answer(
            Prompt(points=[(float(xs.mean()), float(ys.mean()))], wanted=[True])
        )
        assert found.artefact[letters].mean() > 0.8
        assert found.artefact[~grow(letters, 12)].mean() < 0.001


def test_the_second_opinion_keeps_the_first_one(network):
    image, letters = lettered("Harbour", size_px=40, at=(60, 200), opacity=1.0)
    ys, xs = np.nonzero(letters)
    x0, y0, x1, y1 = int(xs.min()) - 4, int(ys.min()) - 4, int(xs.max()) + 4, int(ys.max()) + 4
    on_text = Region(Kind.TEXT, Box(x0, y0, x1, y1), 0.6, "t", polygon=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    beside = Region(
        Kind.TEXT, Box(400, 400, 600, 440), 0.6, "t", polygon=((400, 400), (600, 400), (600, 440), (400, 440))
    )
    boxed = Region(Kind.TEXT, Box(0, 0, 10, 10), 0.6, "t")
    opinion = InkOpinion(network, InkModel.bundled())
    seen, unseen, same = opinion.on(image, [on_text, beside, boxed])
    assert seen.confidence > 0.6 > unseen.confidence
    assert seen.attributes["score_text"] == unseen.attributes["score_text"] == 0.6
    assert same is boxed
    asked = opinion.on(image, [dataclasses.replace(one, proposed=True) for one in (on_text, beside, boxed)])
    assert [one.proposed for one in asked] == [False, True, True], "only ink under a line settles it"
