"""The fit of the judge of boxes, and how many marks a pipeline masks. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ink_cases import manifest_of
from training_cases import Squares
from watermark_cases import write_graph

from automask.config import PipelineConfig
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED
from automask.values.geometry import Box
from automask.values.types import Image
from automask_models.watermark.judging import FEATURES, MarkModel
from automask_models.watermark.yolo import OUR_SIDE_PX
from automask_training import mark_judge, marks_found
from automask_training.ink_confidence import Picture
from automask_training.line_judge import KnownPicture, fit
from automask_training.synth import SyntheticImage, SyntheticInstance

NAMES = {0: "watermark", 1: "logo"}


@pytest.fixture
def no_materials(tmp_path: Path) -> Path:
    folder = tmp_path / "materials"
    folder.mkdir()
    (folder / "materials.json").write_text("{}", encoding="utf-8")
    return folder


def weights(folder: Path, *rows: list[float]) -> str:
    """A detector with these rows x0 y0 x1 y1 score class, in pixels of a picture of 640 px."""
    scaled = [[*(each * OUR_SIDE_PX / 640 for each in row[:4]), *row[4:]] for row in rows]
    return write_graph(folder / "boxes.onnx", scaled, names=NAMES)


class TestJudge:
    def known(self, tmp_path: Path, box: list[float], truth: np.ndarray | None, *marks: Box) -> list[bool | None]:
        picture = Picture(Image("a", np.full((640, 640, 3), 90, np.uint8)), truth, "a", "watermark")
        graph = weights(tmp_path, [*box, 0.9, 1])
        (found,) = mark_judge.collect([(picture, marks)], weights=graph, threads=1)
        return [each.is_text for each in found.lines]

    def test_a_box_is_what_the_truth_in_it_says(self, tmp_path: Path):
        truth = np.zeros((640, 640), np.uint8)
        truth[100:200, 100:200] = TRUTH_UNWANTED
        truth[400:600, 400:600] = TRUTH_IGNORE
        assert self.known(tmp_path, [90, 90, 210, 210], truth) == [True]
        assert self.known(tmp_path, [300, 0, 360, 60], truth) == [False]
        assert self.known(tmp_path, [192, 192, 292, 292], truth) == [False], "a corner in a hundred is none"
        assert self.known(tmp_path, [80, 80, 400, 400], truth) == [True]
        assert self.known(tmp_path, [180, 180, 280, 280], truth) == [None], "a piece says nothing"
        assert self.known(tmp_path, [420, 420, 580, 580], truth) == [None], "nobody knows"
        assert self.known(tmp_path, [300, 0, 360, 60], None) == [False]

    def test_what_is_unwanted_and_no_mark_says_nothing(self, tmp_path: Path):
        truth = np.zeros((640, 640), np.uint8)
        truth[100:200, 100:200] = TRUTH_UNWANTED
        picture = Picture(Image("a", np.full((640, 640, 3), 90, np.uint8)), truth, "a", "text")
        graph = weights(tmp_path, [90, 90, 210, 210, 0.9, 1], [300, 0, 360, 60, 0.5, 1])
        (found,) = mark_judge.collect([(picture, ())], weights=graph, threads=1)
        assert [each.is_text for each in found.lines] == [None, False]

    def test_a_box_on_a_known_mark_is_one_however_thin_its_strokes(self, tmp_path: Path):
        truth = np.zeros((640, 640), np.uint8)
        truth[::100, ::100] = TRUTH_UNWANTED
        assert self.known(tmp_path, [0, 0, 600, 600], truth, Box(0, 0, 640, 640)) == [True]

    def test_what_is_found_is_kept(self, tmp_path: Path):
        graph = weights(tmp_path, [100, 100, 200, 200, 0.9, 1])
        picture = Picture(Image("a", np.full((640, 640, 3), 90, np.uint8)), None, "a")
        first = mark_judge.collect([(picture, ())], weights=graph, cache=tmp_path / "cache", threads=1)
        assert len(list((tmp_path / "cache").glob("*.json"))) == 1
        assert mark_judge.collect([(picture, ())], weights=graph, cache=tmp_path / "cache", threads=1) == first
        assert set(first[0].lines[0].features) == set(FEATURES)

    def test_drawn_pictures_come_with_their_marks(self, no_materials: Path):
        shown = list(mark_judge.drawn_pictures(no_materials, count=6))
        assert any(marks for _, marks in shown)
        for picture, marks in shown:
            assert picture.truth is not None
            for box in marks:
                assert (picture.truth[box.slices] == TRUTH_UNWANTED).any()

    def test_the_command_writes_a_model_that_the_detector_reads(
        self, tmp_path: Path, no_materials: Path, capsys: pytest.CaptureFixture[str]
    ):
        # Where the letters of the manifest's pictures are, and where nothing is.
        graph = weights(tmp_path, [40, 130, 560, 300, 0.9, 1], [500, 400, 620, 470, 0.5, 0])
        first = manifest_of(tmp_path)
        other = first.with_name("other.json")
        other.write_text(first.read_text().replace('"texts"', '"words"'))
        for each in (first, other):
            each.write_text(each.read_text().replace('"text"', '"watermark"'))
        arguments = [str(first), str(other), "--materials", str(no_materials), "--out", str(tmp_path / "m.json")]
        few = ["--free", "0", "--written", "0", "--drawn", "2", "--threads", "1", "--weights", graph]
        assert mark_judge.main([*arguments, *few]) == 0
        model = MarkModel.chosen(str(tmp_path / "m.json"), option="x")
        assert set(model.boxes.coefficients) == set(FEATURES)
        assert "drawn" in model.fitted_on
        assert "all, each source left out" in capsys.readouterr().out

    def test_nothing_to_learn_from_is_an_error(self, tmp_path: Path):
        graph = weights(tmp_path, [500, 400, 620, 470, 0.5, 0])
        arguments = [str(manifest_of(tmp_path)), "--free", "0", "--written", "0", "--weights", graph, "--threads", "1"]
        assert mark_judge.main(arguments) != 0

    def test_a_fit_of_one_source_needs_both_classes(self):
        with pytest.raises(Exception, match="one class"):
            fit([KnownPicture("a", [])], prior_odds=1.0, names=FEATURES)


class TestFound:
    MADE = SyntheticImage(
        pixels=np.full((256, 256, 3), 120, np.uint8),
        instances=(
            SyntheticInstance("watermark", "logo", (32, 32, 96, 96), np.ones((64, 64), np.bool_), 1.0),
            SyntheticInstance("watermark", "corner", (160, 160, 224, 224), np.ones((64, 64), np.bool_), 1.0),
        ),
    )

    def figures(self, *masked: tuple[int, int, int, int]) -> marks_found.Figures:
        levels = np.full((256, 256), 255, np.uint8)
        for x0, y0, x1, y1 in masked:
            levels[y0:y1, x0:x1] = 0
        found = marks_found.Figures()
        found.add(self.MADE, levels)
        return found

    def test_each_mark_is_counted_by_itself(self):
        found = self.figures((24, 24, 104, 104))
        assert found.leaks["logo"] == [0.0]
        assert found.leaks["corner"] == [1.0]
        assert found.row()[:4] == ["1", "2", "0.500", "0.500"]
        assert found.false_areas == [0]

    def test_what_is_masked_apart_from_marks_is_a_false_area(self):
        found = self.figures((24, 24, 104, 104), (160, 20, 200, 60), (20, 160, 60, 200))
        assert found.false_areas == [2]
        assert found.wastes[0] > 0.03
        assert self.figures((200, 20, 202, 22)).false_areas == [0], "a speck is none"

    def test_pipelines_see_the_same_pictures(self):
        plain = PipelineConfig(detectors=("edges",), dataset_detectors=(), refiner="polygon")
        pictures = (Squares().sample(number) for number in range(3))
        found = marks_found.measure(pictures, {"one": plain, "other": plain})
        assert found["one"] == found["other"]
        assert "found by other" in marks_found.table(found)

    def test_a_folder_without_materials_is_an_error(self, tmp_path: Path):
        assert marks_found.main([str(tmp_path), "--count", "1"]) != 0
