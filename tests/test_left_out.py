"""Every source judged by fits without it: which fits are made again, and the figures beside the shipped ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from bench_cases import table_rows
from fit_cases import groups_of_source, images_of, judged_by_the_map, lines_of_source, pictures_of, seen_of_source
from frame_cases import bordered, scene
from ink_cases import landscape, lettered
from PIL import Image as PillowImage

from automask.bench.manifest import read_manifest
from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import ConfigError, InputError
from automask.mask.confidence.model import bundled_model
from automask.run.pipeline import MaskPipeline
from automask.store import Store
from automask.values.types import Image
from automask_models.frames.judging import FrameJudge
from automask_models.ink.confidence import InkModel
from automask_models.scene.opinion import SceneModel
from automask_training import ink_large_groups, left_out, line_judge
from automask_training.confidence_data import entries_by_source, fill_stores
from automask_training.confidence_fit import Rows, fit_confidence
from automask_training.frame_judge import fitted_judge
from automask_training.ink_confidence import fit as fit_groups
from automask_training.left_out import LEFT_OUT, LeftOutRun, main, measure, shared_sources, told
from automask_training.left_out_fits import FitData, Fits, FitsRecipe, differences, gather, read_recipe
from automask_training.scene_judge import KINDS, fitted

ROOT = Path(__file__).parent.parent
SHIPPED_RECIPE = ROOT / "models" / "training" / "left_out.toml"
CONFIG = PipelineConfig(runtime=RuntimeConfig(threads=1))
RECIPE = FitsRecipe.model_validate(
    {
        "frames": {"recipe": "layout.toml", "per_source": 4, "synthesized": 2, "report_only": ["plain"]},
        "large_groups": {"per_source": 4, "free": 2, "odds": 2.0, "report_only": ["plain", "words"]},
        "lines": {"per_source": 4, "free": 2, "written": 0, "odds": 3.0, "report_only": ["plain", "other"]},
        "scene": {
            "per_source": 4,
            "free": 2,
            "written": 0,
            "odds": 2.0,
            "group_odds": 1.0,
            "report_only": ["plain", "words", "other"],
        },
        "confidence": {"per_source": 4, "report_only": ["plain"]},
    }
)


def fit_data(*, contradicted: str = "") -> FitData:
    """Of four sources: `plain` is in no fit, `words` not in that of groups; others than the contradicted one say that
    what the map shows is no frame."""
    sources = ("mats", "words", "other", "plain")
    pictures = [each for name in sources for each in pictures_of(name)]
    if contradicted:  # which counts for more than all others
        pictures = [
            each
            for name in sources
            for each in judged_by_the_map(
                name, shown_is_frame=name == contradicted, count=600 if name == contradicted else 6
            )
        ]
    return FitData(
        RECIPE,
        pictures,
        [each for name in sources for each in groups_of_source(name)],
        [each for name in sources for each in lines_of_source(name)],
        {kind: [each for name in (*sources, "mats too") for each in seen_of_source(name)] for kind in KINDS},
        [each for name in sources for each in images_of(f"frame-{name}")],
    )


class TestFits:
    def test_each_is_what_it_would_be_had_the_source_never_been_there(self):
        data = fit_data()
        fits = data.fits(without=["mats"])
        assert fits.judge == fitted_judge([each for each in data.pictures if each.source in ("words", "other")])
        model, _ = fit_groups([each for each in data.groups if each.source == "other"], prior_odds=2.0)
        assert fits.ink is not None
        assert fits.ink.large_groups == model
        assert fits.ink.model_copy(update={"large_groups": None}) == InkModel.bundled().model_copy(
            update={"large_groups": None}
        )
        assert fits.lines is not None
        of_words = [each for each in data.lines if each.source == "words"]
        assert fits.lines.lines == line_judge.fit(of_words, prior_odds=3.0)
        assert fits.lines.large_groups == InkModel.bundled().large_groups
        assert fits.scene is not None
        too = {kind: [each for each in data.scene[kind] if each.source == "mats too"] for kind in KINDS}
        made = fitted(too, odds={"lines": 2.0, "groups": 1.0})
        assert (fits.scene.lines, fits.scene.groups) == (made["lines"], made["groups"])
        rows = Rows.of([each for each in data.images if each.source in ("frame-words", "frame-other")])
        assert fits.confidence is not None
        assert fits.confidence.features == fit_confidence(rows, fitted_on="").model.features
        assert "without mats" in fits.confidence.fitted_on

    def test_only_fits_that_a_source_takes_part_in_are_made_again(self):
        data = fit_data()
        assert data.fits(without=["mats"]).names == ("frames", "large groups", "lines", "scene", "confidence")
        assert data.fits(without=["words"]).names == ("frames", "lines", "confidence")
        assert data.fits(without=["other"]).names == ("frames", "large groups", "confidence")
        assert data.fits(without=["plain"]) == Fits(None, None, None, None, None)
        assert data.fits(without=["plain", "words"]).names == ("frames", "lines", "confidence")

    def test_nothing_left_to_fit_on_is_said(self):
        data = FitData(RECIPE, pictures_of("mats"), [], [], {}, [])
        with pytest.raises(InputError, match="one class"):
            data.fits(without=["mats"])

    def test_they_are_compared_with_the_shipped_ones(self):
        judge, confidence = FrameJudge.bundled(), bundled_model()
        assert differences(Fits(judge, InkModel.bundled(), InkModel.bundled(), SceneModel.bundled(), confidence)) == {
            "frames": 0, "large groups": 0, "lines": 0, "scene": 0, "confidence": 0,
        }  # fmt: skip
        traced = judge.traced.model_copy(update={"intercept": judge.traced.intercept + 0.5})
        other = Fits(judge.model_copy(update={"traced": traced}), None, None, None, None)
        assert differences(other) == {"frames": pytest.approx(0.5)}
        assert all(value > 0 for value in differences(fit_data().fits()).values())

    def test_a_pipeline_takes_them_from_files_and_keeps_its_other_options(self, tmp_path: Path):
        config = CONFIG.model_copy(update={"options": {"ink": {"min_confidence": 0.2}}})
        fits = fit_data().fits(without=["mats"])
        own = fits.written(tmp_path / "fits", config)
        assert own.options["ink"]["min_confidence"] == 0.2
        assert config.options == {"ink": {"min_confidence": 0.2}}
        pipeline, shipped = MaskPipeline.from_config(own), MaskPipeline.from_config(config)
        changed = [
            one.name
            for one, two in zip(pipeline.detectors, shipped.detectors, strict=True)
            if one.fingerprint != two.fingerprint
        ]
        assert changed == ["rapidocr", "edges", "ink"]
        assert FrameJudge.chosen(own.options["edges"]["judge"], option="") == fits.judge
        assert Fits(None, None, None, None, None).written(tmp_path / "none", config) == config


def test_sources_that_share_an_image_are_left_out_together(tmp_path: Path):
    for name, value in (("a", 1), ("b", 2), ("c", 1)):
        PillowImage.new("RGB", (8, 8), (value, 0, 0)).save(tmp_path / f"{name}.png")
    for name, images in (("one", ("a", "b")), ("two", ("c",))):
        entries = [
            {"kind": "clean", "source": f"{name}-{image}", "image": f"{image}.png", "truth": "nothing"}
            for image in images
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps(entries))
    found = shared_sources(read_manifest(tmp_path / f"{name}.json") for name in ("one", "two"))
    assert found == {"one-a": {"one-a", "two-c"}, "one-b": {"one-b"}, "two-c": {"one-a", "two-c"}}


def test_the_recipe_is_that_of_the_commands_which_made_the_shipped_fits():
    recipe = read_recipe(SHIPPED_RECIPE)
    readme = (ROOT / "models" / "training" / "README.md").read_text(encoding="utf-8")
    card = (ROOT / "models" / "cards" / "automask-ink.md").read_text(encoding="utf-8")
    scene_card = (ROOT / "models" / "cards" / "automask-scene.md").read_text(encoding="utf-8")
    stated = (
        (readme, "frame_judge", recipe.frames, {"per-source": "per_source", "synthesized": "synthesized"}),
        (card, "ink_large_groups", recipe.large_groups, {"per-source": "per_source", "free": "free", "odds": "odds"}),
        (
            card,
            "line_judge",
            recipe.lines,
            {"per-source": "per_source", "free": "free", "written": "written", "odds": "odds"},
        ),
        (
            scene_card,
            "scene_judge",
            recipe.scene,
            {name.replace("_", "-"): name for name in ("per_source", "free", "written", "odds", "group_odds")},
        ),
        (readme, "confidence", recipe.confidence, {}),
    )
    for text, command, own, options in stated:
        found = re.search(rf"python -m automask_training\.{command} .*?--out", text, re.DOTALL)
        assert found is not None
        assert re.findall(r"--report-only (\S+)", found[0]) == list(own.report_only)
        for option, name in options.items():
            value = re.search(rf"--{option} (\S+)", found[0])
            assert value is not None
            assert float(value[1]) == getattr(own, name)
    assert (SHIPPED_RECIPE.parent / recipe.frames.recipe).is_file()


@pytest.mark.parametrize("text", ["[frames]\nper_source = 'many'", "[", "[frames]\nnope = 1"])
def test_a_wrong_recipe_is_said(tmp_path: Path, text: str):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError):
        read_recipe(tmp_path / "r.toml")
    with pytest.raises(ConfigError, match="Cannot read the recipe"):
        read_recipe(tmp_path / "nosuch.toml")


def write_manifest(folder: Path) -> Path:
    """Two pictures in a mat (source `mats`), and two without anything (source `plain`)."""
    folder.mkdir(parents=True)
    entries = []
    for index in range(2):
        picture = scene(240, 320, seed=index + 1)
        smooth = np.asarray(landscape(320 + 16 * index, 240))
        framed, truth = bordered(picture, (40, 40, 40, 40), (250, 250, 246))
        for name, pixels in ((f"mat-{index}", framed), (f"truth-{index}", truth), (f"plain-{index}", smooth)):
            PillowImage.fromarray(pixels).save(folder / f"{name}.png")
        mat = {"image": f"mat-{index}.png", "mask": f"truth-{index}.png", "truth": "pixels"}
        entries.append({"kind": "frame", "source": "mats", **mat})
        entries.append({"kind": "clean", "source": "plain", "image": f"plain-{index}.png", "truth": "nothing"})
    path = folder / "real.json"
    path.write_text(json.dumps(entries))
    return path


def write_recipe(folder: Path) -> Path:
    path = folder / "left_out.toml"
    path.write_text(
        "\n".join(
            f"[{section}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
            for section, table in RECIPE.model_dump(mode="json").items()
        )
    )
    return path


class TestMeasuring:
    @pytest.fixture
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Measures; without `mats`, what the map shows is no frame. Returns the figures and the folders that ran."""
        ran: list[str] = []
        real = left_out.run_dataset

        def counted(folder: Path, output: Path, *args: object, **options: object):
            summary = real(folder, output, *args, **options)  # type: ignore[arg-type]
            ran.append(f"{output.name} {summary.written}")
            return summary

        monkeypatch.setattr(left_out, "run_dataset", counted)
        monkeypatch.setattr(left_out, "gather", lambda *args, **options: fit_data(contradicted="mats"))
        manifest, recipe = write_manifest(tmp_path / "data"), write_recipe(tmp_path)

        def measured(*, only: tuple[str, ...] = ()) -> tuple[LeftOutRun, list[str]]:
            ran.clear()
            work = tmp_path / "work"
            found = measure(recipe, [manifest], [], materials=tmp_path, work=work, only=only, config=CONFIG)
            return found, list(ran)

        return measured

    def test_a_source_is_judged_by_fits_without_it_and_nothing_is_done_twice(self, run, tmp_path: Path):
        found, ran = run()
        assert ran == ["frame-mats {'analysed': 2}"], "plain is in no fit"
        rows = {row["source"]: row for row in table_rows(told(found), "in the fits of")}
        assert rows["frame/mats"]["in the fits of"] == "frames, large groups, lines, scene, confidence"
        assert rows["frame/mats"]["fine, in sample"] == "1.000 (2)"
        assert rows["frame/mats"]["fine, left out"] == "0.000 (0)"
        assert rows["clean/plain"]["in the fits of"] == "none"
        assert rows["clean/plain"]["fine, in sample"] == rows["clean/plain"]["fine, left out"] == "1.000 (2)"
        assert rows["all"]["n"] == "4"
        assert rows["all"]["fine, left out"] == rows["of those, in a fit"]["fine, left out"].replace(
            "0.000 (0)", "0.500 (2)"
        )
        assert rows["of those, in no fit"]["fine, left out"] == "1.000 (2)"
        assert "frames: differs from one fitted now" in told(found)
        (mats,) = (each for each in found.sources if each.source == "mats")
        assert {figures.pipeline for figures in mats.left_out} == {LEFT_OUT}
        work = tmp_path / "work" / "real"
        with Store.open(work / "left-out" / "frame-mats", read_only=True) as store:
            fits = fit_data(contradicted="mats").fits(without=["mats"])
            own = fits.written(work / "left-out" / "frame-mats.fits", CONFIG)
            assert store.lookup("mat-0.png").fingerprints.detect == MaskPipeline.from_config(own).fingerprints.detect
        again, ran = run()
        assert ran == ["frame-mats {}"]
        assert again.sources == found.sources

    def test_what_was_interrupted_goes_on(self, run, monkeypatch: pytest.MonkeyPatch):
        analyse, analysed = MaskPipeline.analyse, []

        def interrupted(pipeline: MaskPipeline, images: list[Image]):
            if pipeline.config.review.model:  # left out
                analysed.extend(images)
                if len(analysed) > 1:
                    raise KeyboardInterrupt
            return analyse(pipeline, images)

        monkeypatch.setattr(MaskPipeline, "analyse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
        monkeypatch.setattr(MaskPipeline, "analyse", analyse)
        found, ran = run(only=("mats",))
        assert ran == ["frame-mats {'analysed': 1}"], "one of two was done before"
        assert len(found.sources[0].left_out) == 2
        assert [each.source for each in found.sources] == ["mats"]

    def test_a_source_that_is_not_there_is_refused_before_anything_runs(self, run, tmp_path: Path):
        with pytest.raises(InputError, match="nosuch"):
            run(only=("nosuch",))
        assert not (tmp_path / "work").exists()


def test_the_command_refuses_manifests_of_one_name_and_says_what_is_wrong(tmp_path: Path, capsys, caplog):
    given = ["--materials", str(tmp_path), "--work", str(tmp_path / "work")]
    with pytest.raises(SystemExit):
        main(["r.toml", str(tmp_path / "a" / "m.json"), "--with", str(tmp_path / "b" / "m.json"), *given])
    assert "names of their own" in capsys.readouterr().err
    assert main([str(tmp_path / "r.toml"), str(tmp_path / "m.json"), *given]) == ConfigError.exit_code
    assert "Cannot read the recipe" in caplog.text


def test_large_groups_are_looked_for_once_in_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image, letters = lettered("Harbour", size_px=150, at=(60, 200), opacity=1.0)
    picture = ink_large_groups.Picture(image, letters.astype(np.uint8) * 255, "a")
    cache = tmp_path / "groups"
    found = ink_large_groups.collect([picture], cache=cache, threads=1)
    assert found
    assert ink_large_groups.collect([picture], threads=1) == found
    monkeypatch.setattr(ink_large_groups, "_large_groups", lambda *args: pytest.fail("looked again"))
    assert ink_large_groups.collect([picture], cache=cache, threads=1) == found
    other = ink_large_groups.Picture(image, None, "a")
    with pytest.raises(pytest.fail.Exception, match="looked again"):
        ink_large_groups.collect([other], cache=cache, threads=1)


def test_gathered_is_what_the_commands_of_the_fits_see(tmp_path: Path):
    """Real networks, real stores, and materials of a few pictures."""
    manifest = write_manifest(tmp_path / "data")
    (tmp_path / "backgrounds").mkdir()
    listed: dict[str, list[dict[str, str]]] = {"backgrounds": [], "sprites": []}
    for number in range(3):
        PillowImage.fromarray(scene(240, 320, seed=20 + number)).save(tmp_path / "backgrounds" / f"{number}.png")
        listed["backgrounds"].append({"file": f"backgrounds/{number}.png", "source": "far", "licence": "CC0"})
    (tmp_path / "materials.json").write_text(json.dumps(listed))
    (tmp_path / "layout.toml").write_text('task = "layout"\n[render]\nheld_out = ["far"]\n')
    manifests = {manifest: read_manifest(manifest)}
    fill_stores(entries_by_source(manifests[manifest], most=4), tmp_path / "work" / "real", CONFIG)
    layout_recipe = tmp_path / "layout.toml"
    data = gather(
        RECIPE, manifests, layout_recipe=layout_recipe, materials=tmp_path, work=tmp_path / "work", config=CONFIG
    )
    assert [each.source for each in data.pictures].count("mats") == 2
    assert {each.source for each in data.pictures} == {"mats", "synthesized"}, "plain is in no fit of frames"
    assert {each.source for each in data.images} == {"frame-mats", "clean-plain"}
    assert all(each.source in ("mats", "background") for each in data.groups)
    kept = {path.name for path in (tmp_path / "work" / "groups").iterdir()}
    assert len(kept) == 4, "two mats and two free pictures"
    assert [each.source for each in data.lines] == ["mats"] * 2 + ["background"] * 2
    assert len(list((tmp_path / "work" / "lines").iterdir())) == 4
