"""The judge of our own detector's boxes: what it measures, the shipped model, and where it is asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watermark_cases import CODE, stamped, write_graph

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.protocols import WeightFile, WeightSource
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.ink.network import InkMap
from automask_models.scene.network import SceneMap
from automask_models.text.evidence import LogisticModel
from automask_models.watermark.judging import FEATURES, MarkModel, each_once, mark_features
from automask_models.watermark.yolo import DEFAULT_WEIGHTS, JUDGED_SCORE, YoloDetector, YoloOptions

RUNTIME = RuntimeConfig(threads=1)
WIDE, HIGH = 400, 200


def picture(width_px: int = WIDE, height_px: int = HIGH) -> Image:
    return Image(id="x", pixels=np.zeros((height_px, width_px, 3), dtype=np.uint8))


def boxed(box: Box, *, score: float = 0.6, label: str = "logo") -> Region:
    return Region(Kind.WATERMARK, box, score, "yolo", attributes={"label": label, "score": score})


def maps(
    unwanted: np.ndarray, *, mark: float = 0.8, lettering: float = 0.1, width_px: int = WIDE, height_px: int = HIGH
) -> tuple[InkMap, SceneMap]:
    ink = InkMap(unwanted, np.full_like(unwanted, mark), width_px=width_px, height_px=height_px)
    rows, columns = max(1, height_px // 8), max(1, width_px // 8)
    return ink, SceneMap(np.full((rows, columns), lettering, np.float32), width_px=width_px, height_px=height_px)


class TestFeatures:
    INK = np.zeros((HIGH // 4, WIDE // 4), np.float32)
    INK[10:20, 10:30] = 0.9
    THING = Box(40, 40, 120, 80)

    def of(self, *regions: Region, **changes: float) -> list[dict[str, float]]:
        return mark_features(regions, picture(), *maps(self.INK, **changes))

    def test_what_is_told_of_a_mark(self):
        (found,) = self.of(boxed(self.THING))
        assert tuple(sorted(found)) == tuple(sorted(FEATURES))
        assert found["ink_log_odds"] == pytest.approx(np.log(9), abs=1e-3)
        assert found["mark"] == pytest.approx(0.8)
        assert found["is_logo"] == 1
        assert found["is_code"] == found["is_signature"] == found["is_timestamp"] == 0
        assert found["log_share"] == pytest.approx(np.log10(80 * 40 / (WIDE * HIGH)))

    def test_where_there_is_no_ink_its_kind_is_none(self):
        (found,) = self.of(boxed(Box(300, 100, 380, 180)))
        assert found["mark"] == 0

    def test_the_class_that_none_of_the_flags_names_is_a_watermark(self):
        (found,) = self.of(boxed(self.THING, label="watermark"))
        assert sum(found[name] for name in FEATURES if name.startswith("is_")) == 0

    @settings(deadline=None, max_examples=60)
    @given(x0=st.integers(0, 98), y0=st.integers(0, 98), width=st.integers(1, 100), height=st.integers(1, 100))
    def test_every_box_of_every_map_has_finite_numbers(self, x0: int, y0: int, width: int, height: int):
        box = Box(x0, y0, min(100, x0 + width), min(100, y0 + height))
        for cells in (1, 3, 40):
            ink = np.full((cells, cells), 0.4, np.float32)
            (found,) = mark_features([boxed(box)], picture(100, 100), *maps(ink, width_px=100, height_px=100))
            assert all(np.isfinite(value) for value in found.values())


class TestModel:
    def test_models_of_other_numbers_are_refused(self):
        with pytest.raises(ValueError, match="not measured"):
            MarkModel(fitted_on="", boxes=LogisticModel(intercept=0.0, coefficients={"weight": 1.0}))

    def test_a_better_score_never_makes_a_mark_less_likely(self):
        assert MarkModel.bundled().boxes.coefficients["log_odds"] > 0


class TestEachOnce:
    def of(self, *boxes: tuple[Box, float]) -> list[Box]:
        found = [dataclasses.replace(boxed(box), confidence=confidence) for box, confidence in boxes]
        return [region.box for region in each_once(found)]

    def test_the_likelier_of_two_boxes_of_one_thing_stays(self):
        one, nearly = Box(0, 0, 100, 100), Box(20, 0, 120, 100)
        assert self.of((one, 0.5), (nearly, 0.7)) == [nearly]
        assert self.of((one, 0.7), (nearly, 0.5)) == [one]

    def test_a_piece_goes_and_what_lies_around_a_likelier_one_stays(self):
        whole, piece = Box(0, 0, 100, 100), Box(10, 10, 40, 40)
        assert self.of((whole, 0.7), (piece, 0.5)) == [whole]
        assert self.of((whole, 0.5), (piece, 0.7)) == [piece, whole]

    def test_neighbours_stay(self):
        assert len(self.of((Box(0, 0, 50, 50), 0.5), (Box(40, 0, 90, 50), 0.5), (Box(200, 0, 250, 50), 0.9))) == 3


class Standing:
    """The weights of this machine, with a graph in the place of the shipped detector."""

    def __init__(self, graph: Path) -> None:
        self._all = WeightLibrary.discover()
        self._graph = WeightFile(name=DEFAULT_WEIGHTS, path=graph, sha256="0" * 64)

    def find(self, reference: str, *, stage: str = "") -> WeightFile | None:
        return self._graph if reference == DEFAULT_WEIGHTS else self._all.find(reference, stage=stage)

    def how_to_get(self, reference: str, *, stage: str = "") -> str:
        return self._all.how_to_get(reference, stage=stage)


class TestDetector:
    """On a graph that gives the same answer to every picture, in the place of the shipped weights."""

    ROWS = ([64, 64, 128, 128, 0.9, 1], [300, 20, 360, 60, 0.25, 0], [10, 10, 30, 30, 0.1, 0])

    @pytest.fixture
    def library(self, tmp_path: Path) -> WeightSource:
        return Standing(Path(write_graph(tmp_path / "shipped.onnx", self.ROWS)))

    def found(self, library: WeightSource, judge: Path | None = None, **options: object) -> list[Region]:
        chosen = YoloOptions(judge="" if judge is None else str(judge), **options)  # type: ignore[arg-type]
        stage = YoloDetector.from_options(chosen, weights=library, runtime=RUNTIME)
        stage.load()
        (regions,) = stage.detect([picture(640, 640)])
        return regions

    def model(self, path: Path, intercept: float) -> Path:
        boxes = LogisticModel(intercept=intercept, coefficients={})
        path.write_text(MarkModel(fitted_on="", boxes=boxes).model_dump_json())
        return path

    def test_the_judge_decides_how_sure_it_is_from_a_low_score_on(self, library: WeightSource, tmp_path: Path):
        likely = self.found(library, self.model(tmp_path / "a.json", 2.0))
        assert [region.attributes["score"] for region in likely] == pytest.approx([0.9, 0.25])
        assert [region.confidence for region in likely] == pytest.approx([1 / (1 + np.exp(-2.0))] * 2)
        assert JUDGED_SCORE <= 0.25
        assert self.found(library, self.model(tmp_path / "b.json", -2.0)) == []

    def test_a_pattern_over_the_picture_is_left_to_others(self, tmp_path: Path):
        rows = [[0, 0, 100, 100, 0.9, 0], [200, 200, 400, 400, 0.8, 0], [300, 200, 500, 400, 0.7, 1]]
        library = Standing(Path(write_graph(tmp_path / "shipped.onnx", rows)))
        found = self.found(library, self.model(tmp_path / "a.json", 2.0), side_px=640)
        assert [(region.box.x0, region.attributes["label"]) for region in found] == [(0, "watermark"), (300, "logo")]

    @pytest.mark.parametrize("without", ["ink", "scene"])
    def test_without_one_of_the_networks_the_score_counts(self, library: WeightSource, tmp_path: Path, without: str):
        never = self.model(tmp_path / "a.json", -9.0)
        (region,) = self.found(library, never, **{without: ""})
        assert region.confidence == pytest.approx(0.9)

    def test_boxes_of_other_weights_are_not_judged(self, library: WeightSource, tmp_path: Path):
        other = write_graph(tmp_path / "other.onnx", self.ROWS)
        (region,) = self.found(library, self.model(tmp_path / "a.json", -9.0), weights=other)
        assert region.confidence == pytest.approx(0.9)

    def test_other_networks_that_are_missing_are_an_error(self, library: WeightSource):
        with pytest.raises(WeightsError):
            self.found(library, ink="no-such-weights")

    def test_large_pictures_are_looked_at_once_unless_asked(self, library: WeightSource, tmp_path: Path):
        likely = self.model(tmp_path / "a.json", 2.0)
        stage = YoloDetector.from_options(YoloOptions(judge=str(likely)), weights=library, runtime=RUNTIME)
        tiled = YoloDetector.from_options(
            YoloOptions(judge=str(likely), tile_above_px=1000), weights=library, runtime=RUNTIME
        )
        for each in (stage, tiled):
            each.load()
        large = picture(1600, 640)
        assert len(stage.detect([large])[0]) == 2 < len(tiled.detect([large])[0])

    def test_what_it_asks_belongs_to_what_it_finds(self, library: WeightSource):
        made = {
            YoloDetector.from_options(YoloOptions(**options), weights=library, runtime=RUNTIME).fingerprint
            for options in ({}, {"ink": ""}, {"scene": ""}, {"confidence": 0.5})
        }
        assert len(made) >= 3

    def test_the_shipped_weights_may_be_missing(self, tmp_path: Path):
        empty = WeightLibrary({}, cache_folder=tmp_path)
        stage = YoloDetector.from_options(YoloOptions(), weights=empty, runtime=RUNTIME)
        stage.load()
        assert stage.detect([picture()]) == [[]]
        (notice,) = stage.notices
        assert notice.code == "weights-missing"
        assert dataclasses.asdict(notice)["stage"] == "yolo"


class TestShipped:
    def test_it_boxes_a_code_and_nothing_on_the_landscape(self):
        stage = YoloDetector.from_options(YoloOptions(), weights=WeightLibrary.discover(), runtime=RUNTIME)
        stage.load()
        (found,) = stage.detect([stamped()])
        assert found[0].box.iou(CODE) > 0.6
        assert found[0].attributes["label"] == "code"
        assert found[0].confidence > 0.5
        assert all(CODE.intersection(region.box) is not None for region in found)

    def test_it_is_small(self):
        assert (
            YoloDetector.from_options(YoloOptions(), weights=WeightLibrary.discover(), runtime=RUNTIME)
            .weight_file.path.stat()
            .st_size
            <= 7_000_000
        )
