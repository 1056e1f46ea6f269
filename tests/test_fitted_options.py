"""Options that name a file with another fit: of stages, and of the confidence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from cli_process import automask
from fakes import RedDetector, pipeline, red_on_grey
from frame_cases import bordered, scene
from ink_cases import lettered, map_of
from PIL import Image as PillowImage
from watermark_cases import stamped

from automask.config import PipelineConfig, ReviewConfig, RuntimeConfig
from automask.errors import ConfigError
from automask.mask.confidence.model import ConfidenceModel, bundled_model
from automask.mask.drawing import fuse_fingerprint
from automask.plugins import DETECTORS, available, build_detector, load_plugin
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.store import Store
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region, Verdict
from automask.weights import WeightLibrary
from automask_models.frames.judging import PROPOSAL_FEATURES, TRACE_FEATURES, Evidence, FrameJudge
from automask_models.frames.tracing import TraceEvidence
from automask_models.ink.confidence import (
    GROUP_FEATURES,
    LARGE_GROUP_FEATURES,
    LINE_FEATURES,
    READ_GROUP_FEATURES,
    InkModel,
    group_features,
    large_group_features,
    line_features,
)
from automask_models.ink.groups import groups_of
from automask_models.scene.opinion import SceneModel
from automask_models.stages import WeightedStage
from automask_models.text.regions import Recognition
from automask_models.watermark.judging import MarkModel

STAGES = [
    ("edges", "judge", FrameJudge),
    ("ink", "models", InkModel),
    ("ink", "scene_models", SceneModel),
    ("rapidocr", "ink_models", InkModel),
    ("rapidocr", "scene_models", SceneModel),
    ("yolo", "judge", MarkModel),
]
SHIPPED = {(name, option): model.bundled() for name, option, model in STAGES}
NEVER = -30.0
"""An intercept under which nothing is likely."""
CONFIGURED = [pytest.param(name, option, id=f"{name}.{option}") for name, option, _ in STAGES]


def built(name: str, option: str, value: str):
    options = {option: value} if value else {}
    return build_detector(name, options=options, weights=WeightLibrary.discover(), runtime=RuntimeConfig(threads=1))


def unlikely(plain: object) -> object:
    """A model as plain values with all intercepts so low that nothing is likely."""
    if not isinstance(plain, dict):
        return plain
    return {name: NEVER if name == "intercept" else unlikely(value) for name, value in plain.items()}


def written(path: Path, plain: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain))
    return str(path)


@pytest.mark.parametrize(("name", "option"), CONFIGURED)
class TestStages:
    def test_the_fingerprint_follows_the_numbers_and_not_the_file(self, tmp_path: Path, name: str, option: str):
        plain = SHIPPED[name, option].model_dump()
        same = [written(tmp_path / folder / "m.json", {**plain, "fitted_on": folder}) for folder in ("a", "b")]
        other = written(tmp_path / "c.json", unlikely(plain))
        shipped = built(name, option, "").fingerprint
        assert {built(name, option, path).fingerprint for path in same} == {shipped}
        assert built(name, option, other).fingerprint != shipped

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, "cannot read"),
            (b"\xff\xfe\x00", "not a text"),
            (b"{", "holds no such model"),
            (b"{}", "Field required"),
            (b"coefficient", "is not measured"),
            (b"nan", "finite number"),
        ],
    )
    def test_a_bad_file_is_told_before_anything_runs(
        self, tmp_path: Path, name: str, option: str, text: bytes | None, said: str
    ):
        path = tmp_path / "bad.json"
        plain = SHIPPED[name, option].model_dump()
        model = {"edges": "proposed", "yolo": "boxes"}.get(name, "lines")
        if text == b"coefficient":
            plain[model]["coefficients"]["colour_of_the_sky"] = 1.0
            text = json.dumps(plain).encode()
        elif text == b"nan":
            plain[model]["intercept"] = math.nan
            text = json.dumps(plain).encode()
        if text is not None:
            path.write_bytes(text)
        with pytest.raises(ConfigError) as caught:
            MaskPipeline.from_config(PipelineConfig(options={name: {option: str(path)}}))
        assert f"options.{name}.{option}: " in caught.value.message
        assert str(path) in caught.value.message
        assert said in caught.value.message
        assert caught.value.advice

    def test_it_decides_what_is_found(self, tmp_path: Path, name: str, option: str):
        if name == "edges":
            image = Image("mat", bordered(scene(), (60, 60, 60, 60), (250, 250, 246))[0])
        elif name == "yolo":
            image = stamped()
        else:
            image = lettered("Harbour", size_px=150, at=(60, 200), opacity=1.0)[0]
        other = written(tmp_path / "m.json", unlikely(SHIPPED[name, option].model_dump()))
        confidence = {}
        for value in ("", other):
            stage = built(name, option, value)
            stage.load()
            (regions,) = stage.detect([image])
            confidence[value] = max((region.confidence for region in regions), default=0.0)
        assert confidence[""] > 0.5
        assert confidence[other] < 0.5


def test_options_that_name_models_are_empty_by_default_and_not_hashed_as_paths():
    found = {}
    for name in available(DETECTORS):
        stage = load_plugin(DETECTORS, name)
        if isinstance(stage, type) and issubclass(stage, WeightedStage):
            found[name] = stage.model_options
            assert all(stage.Options.model_fields[option].default == "" for option in stage.model_options)
    assert {name: options for name, options in found.items() if options} == {
        "edges": ("judge",),
        "ink": ("models", "scene_models"),
        "yolo": ("judge",),
    }


def test_the_names_that_models_may_weigh_are_what_is_measured():
    evidence = Evidence(geometry=0.5, inside=0.5, otherwise=0.1, beyond=0.1, share=0.2, depth_cells=3)
    assert tuple(evidence.features) == PROPOSAL_FEATURES
    assert tuple(TraceEvidence(evidence, 0.5).features) == TRACE_FEATURES
    cells = np.zeros((40, 40))
    cells[5:20, 5:20] = 0.9
    group, reading = next(groups_of(map_of(cells))), Recognition("harbour", 0.9)
    assert tuple(group_features(group)) == GROUP_FEATURES
    assert tuple(group_features(group, reading)) == READ_GROUP_FEATURES
    assert tuple(large_group_features(group, reading)) == LARGE_GROUP_FEATURES
    line = Region(Kind.TEXT, Box(0, 0, 20, 10), 0.9, "t")
    assert tuple(line_features([line], [0.9], picture_px=400)[0]) == LINE_FEATURES


def confidence_file(path: Path, intercept: float) -> str:
    return written(path, bundled_model().model_copy(update={"intercept": intercept}).model_dump())


class TestConfidence:
    def test_the_fingerprint_follows_the_numbers_and_not_the_file(self, tmp_path: Path):
        shipped = bundled_model().intercept
        paths = [confidence_file(tmp_path / name, shipped) for name in ("a/m.json", "b/m.json")]
        configs = [PipelineConfig(review=ReviewConfig(model=path)) for path in ("", *paths)]
        assert len({fuse_fingerprint(config, "refine") for config in configs}) == 1
        other = PipelineConfig(review=ReviewConfig(model=confidence_file(tmp_path / "c.json", NEVER)))
        assert fuse_fingerprint(other, "refine") != fuse_fingerprint(configs[0], "refine")

    def test_a_file_that_was_written_again_counts_as_it_is_now(self, tmp_path: Path):
        path = tmp_path / "m.json"
        config = PipelineConfig(review=ReviewConfig(model=confidence_file(path, 1.0)))
        before = fuse_fingerprint(config, "refine")
        confidence_file(path, 2.0)
        assert fuse_fingerprint(config, "refine") != before

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, "cannot read"),
            ("{", "holds no such model"),
            ("{}", "Field required"),
            ('{"fitted_on": "", "intercept": 0, "features": {}}', "at least 1 item"),
            (
                '{"fitted_on": "", "intercept": 0, "features": {"size": {"log_odds": 1, "lowest": 0, "highest": 1}}}',
                "weighs size, which is not measured",
            ),
        ],
    )
    def test_a_bad_file_ends_a_run_before_it_begins(self, tmp_path: Path, text: str | None, said: str):
        path, folder = tmp_path / "bad.json", tmp_path / "set"
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigError, match=said) as caught:
            MaskPipeline.from_config(PipelineConfig(review=ReviewConfig(model=str(path))))
        assert caught.value.message.startswith("review.model: ")
        folder.mkdir()
        PillowImage.fromarray(red_on_grey()).save(folder / "a.png")
        config = tmp_path / "automask.toml"
        config.write_text(f'[review]\nmodel = "{path}"\n')
        ended = automask("run", folder, "--output", tmp_path / "out", "--config", config)
        assert ended.returncode == ConfigError.exit_code
        assert "review.model: " in ended.stderr
        assert not list((tmp_path / "out").rglob("*.png"))

    def test_another_model_gives_other_verdicts_and_no_detector_runs(self, tmp_path: Path):
        folder, output = tmp_path / "set", tmp_path / "out"
        folder.mkdir()
        PillowImage.fromarray(red_on_grey()).save(folder / "a.png")
        plain = PipelineConfig(review=ReviewConfig(audit=0.0))
        doubting = plain.review.model_copy(update={"model": confidence_file(tmp_path / "m.json", NEVER)})
        seen = {}
        for name, config in (("shipped", plain), ("other", plain.model_copy(update={"review": doubting}))):
            red = RedDetector()
            summary = run_dataset(folder, output, config, pipeline=pipeline(red, config=config))
            with Store.open(output, read_only=True) as store:
                row = store.lookup("a.png")
            assert row is not None
            seen[name] = row.verdict, row.confidence, summary.written
        assert seen["shipped"][0] is Verdict.AUTO
        assert seen["other"][0] is Verdict.REVIEW
        assert seen["other"][1] < 0.01 < seen["shipped"][1]
        assert seen["other"][2] == {"rendered": 1}


def test_a_model_from_a_file_is_the_model_that_was_written(tmp_path: Path):
    text = bundled_model().model_dump_json(indent=2)
    assert ConfidenceModel.model_validate_json(text) == bundled_model()
