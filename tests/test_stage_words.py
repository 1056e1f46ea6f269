"""`NAME:WEIGHTS` on the command line, in files, in the environment and for a server; and nowhere in a request."""

import json
import tomllib

import pytest
from cli_process import automask
from typer.testing import CliRunner

from automask.cli.app import build_app
from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import ConfigError, WeightsError
from automask.http.request import MaskOptions
from automask.plugins import build_detector, build_refiner, load_config
from automask.values.kinds import Kind
from automask.values.stage_words import is_file_reference, is_hub_id, split_word, words_split
from automask.values.templates import DatasetTemplate
from automask.weights import DeclaredFile, WeightLibrary, WeightSpec


@pytest.mark.parametrize(
    ("word", "name", "reference"),
    [
        ("sam2", "sam2", None),
        ("sam2:tiny", "sam2", "tiny"),
        ("sam:ORG/NAME", "sam", "ORG/NAME"),
        (r"yolo:C:\marks\best.pt", "yolo", r"C:\marks\best.pt"),
        ("yolo:./a:b.onnx", "yolo", "./a:b.onnx"),
    ],
)
def test_a_word_is_split_at_its_first_colon(word, name, reference):
    assert split_word(word) == (name, reference)


@pytest.mark.parametrize(
    ("reference", "is_file", "is_hub"),
    [
        ("./tiny", True, False),
        ("../tiny", True, False),
        ("/weights/tiny", True, False),
        ("~/tiny", True, False),
        (r"C:\tiny", True, False),
        ("d:/tiny", True, False),
        ("best.onnx", True, False),
        ("runs/best.PT", True, False),
        ("x.pth", True, False),
        ("ORG/model.safetensors", True, False),
        ("tiny", False, False),
        ("sam2-tiny", False, False),
        ("facebook/sam2.1-hiera-tiny", False, True),
        ("a/b/c", False, False),
        ("a/..", False, False),
        ("a/.hidden", False, False),
    ],
)
def test_what_a_reference_means(reference, is_file, is_hub):
    assert (is_file_reference(reference), is_hub_id(reference)) == (is_file, is_hub)


def test_a_reference_is_the_option_weights():
    config = PipelineConfig(detectors=("edges", "yolo:marks.onnx"), refiner="sam2:tiny")
    assert (config.detectors, config.refiner) == (("edges", "yolo"), "sam2")
    assert config.options == {"yolo": {"weights": "marks.onnx"}, "sam2": {"weights": "tiny"}}
    again = PipelineConfig.model_validate(json.loads(config.model_dump_json()))
    assert again == config


def test_other_options_of_the_stage_stay():
    config = PipelineConfig(refiner="sam:x.pth", options={"sam": {"min_iou": 0.7}, "ink": {"weights": "y"}})
    assert config.options == {"sam": {"min_iou": 0.7, "weights": "x.pth"}, "ink": {"weights": "y"}}


@pytest.mark.parametrize(
    "layer",
    [
        {"detectors": ("yolo:a.onnx", "yolo:b.onnx")},
        {"detectors": ("ink:a.onnx",), "refiner": "ink:b.onnx"},
        {"refiner": "sam:a.pth", "options": {"sam": {"weights": "b.pth"}}},
    ],
)
def test_two_sets_of_weights_for_one_stage_are_refused(layer):
    with pytest.raises(ConfigError, match="two sets of weights"):
        words_split(layer)
    with pytest.raises(ConfigError, match="two sets of weights"):
        PipelineConfig.model_validate(layer)


@pytest.mark.parametrize("word", ["sam:", "sam: "])
def test_a_colon_with_nothing_after_it_is_refused(word):
    with pytest.raises(ConfigError, match="after the colon"):
        PipelineConfig(refiner=word)


@pytest.mark.parametrize("layer", [{"refiner": "Sam:x"}, {"refiner": ":x"}, {"detectors": [1, "a b:c"]}])
def test_what_is_no_name_stays_an_error(tmp_path, layer):
    with pytest.raises(ConfigError, match=r"pattern|valid string"):
        load_config(flags=layer)


def test_layers_win_in_their_order(tmp_path, monkeypatch):
    file = tmp_path / "a.toml"
    file.write_text('refiner = "sam:file.pth"\n[options.sam]\nmin_iou = 0.7\n')
    assert load_config(file).options == {"sam": {"min_iou": 0.7, "weights": "file.pth"}}
    # A later layer may say it in either way, and what it says wins.
    flags = {"options": {"sam": {"weights": "flag.pth"}}}
    assert load_config(file, flags=flags).options == {"sam": {"min_iou": 0.7, "weights": "flag.pth"}}
    config = load_config(file, flags={"refiner": "sam2:tiny"})
    assert (config.refiner, config.options["sam2"]) == ("sam2", {"weights": "tiny"})
    monkeypatch.setenv("AUTOMASK_REFINER", "sam:environment.pth")
    monkeypatch.setenv("AUTOMASK_DETECTORS", '["yolo:environment.onnx"]')
    config = load_config(file)
    assert config.options["sam"] == {"min_iou": 0.7, "weights": "environment.pth"}
    assert (config.detectors, config.options["yolo"]) == (("yolo",), {"weights": "environment.onnx"})
    assert load_config(file, flags={"refiner": "sam:flag.pth"}).options["sam"]["weights"] == "flag.pth"


def printed(*arguments: str) -> dict:
    done = CliRunner().invoke(build_app(), ["run", "--print-config", *arguments])
    assert done.exit_code == 0, done.output + str(done.exception)
    return tomllib.loads(done.stdout)


def test_the_command_line_takes_words_and_repeats(monkeypatch):
    monkeypatch.delenv("AUTOMASK_REFINER", raising=False)
    flags = ("--detectors", "rapidocr,edges", "--detectors", "yolo:ORG/NAME", "--refiner", "sam-hq:base")
    config = printed(*flags)
    assert config["detectors"] == ["rapidocr", "edges", "yolo"]
    assert (config["refiner"], config["options"]["sam-hq"]["weights"]) == ("sam-hq", "base")
    assert config["options"]["yolo"]["weights"] == "ORG/NAME"
    assert printed("--detectors", "none")["detectors"] == []
    assert printed("--refiner", "sam2")["options"]["sam2"]["weights"] == "sam2-small"


def test_weights_of_a_stage_without_any_are_refused():
    done = automask("run", "--print-config", "--detectors", "tiling:x.onnx")
    assert done.returncode == 2
    assert "options.tiling.weights" in done.stderr


def library(tmp_path, *names, **facts) -> WeightLibrary:
    specs = {
        name: WeightSpec(
            name=name, task="refine", licence="CC0-1.0", about="", url="https://localhost/", shipped=None,
            files=(DeclaredFile(file=f"{name}.pth", sha256="0" * 64, size_bytes=3),), **facts,
        )
        for name in names
    }  # fmt: skip
    return WeightLibrary(specs, cache_folder=tmp_path / "cache", hub_folder=tmp_path / "hub")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("sam2", "`automask models pull sam2-small`"),
        ("sam2:tiny", "`automask models pull sam2-tiny`"),
        ("sam:sam2-tiny", "`automask models pull sam2-tiny`"),
        ("sam2:facebook/sam2.1-hiera-large", "`automask models pull facebook/sam2.1-hiera-large`"),
        ("sam2:smal", "sam2-small"),
        ("sam:./nowhere", "there is no such file"),
        ("sam:nowhere.pth", "there is no such file"),
    ],
)
def test_missing_weights_print_the_line_to_run(tmp_path, monkeypatch, word, line):
    monkeypatch.chdir(tmp_path)
    config = PipelineConfig(refiner=word)
    with pytest.raises(WeightsError, match="not on this machine") as caught:
        build_refiner(
            config.refiner,
            options=config.options.get(config.refiner, {}),
            weights=library(tmp_path, "sam2-small", "sam2-tiny"),
            runtime=RuntimeConfig(),
        )
    assert line in caught.value.advice


def test_weights_that_must_be_asked_for_say_where(tmp_path):
    weights = library(tmp_path, "sam3", page="https://example.org/sam3", asks_access=True)
    advice = weights.how_to_get("sam3", stage="sam3")
    assert "https://example.org/sam3" in advice
    assert "`automask models pull sam3`" in advice


def test_a_name_of_the_catalogue_wins_over_a_file_of_that_name_and_a_path_says_it_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "sam2-tiny"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    weights = library(tmp_path, "sam2-tiny")
    assert weights.find("tiny", stage="sam2") is None
    found = weights.find("./tiny", stage="sam2")
    assert found is not None
    assert (found.path, found.is_from_hub) == (tmp_path / "tiny", False)


def test_a_hub_id_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "name" / "config.json").write_text("{}")
    snapshot = tmp_path / "hub" / "models--org--name"
    for file, text in (("refs/main", "c0ffee"), ("snapshots/c0ffee/config.json", "{ }")):
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).write_text(text)
    found = library(tmp_path).find("org/name")
    assert found is not None
    assert (found.path, found.is_from_hub) == (snapshot / "snapshots" / "c0ffee", True)
    (snapshot / "refs" / "main").unlink()
    found = library(tmp_path).find("org/name")
    assert found is not None
    assert (found.path, found.is_from_hub) == (tmp_path / "org" / "name", False)


@pytest.mark.parametrize("kind", ["yolo", "sam"])
def test_nothing_of_a_hub_is_run_even_where_the_option_asks_for_it(tmp_path, kind):
    snapshot = tmp_path / "hub" / "models--org--name"
    for file, text in (("refs/main", "c0ffee"), ("snapshots/c0ffee/best.pt", "x")):
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / file).write_text(text)
    build = build_detector if kind == "yolo" else build_refiner
    options = {"weights": "org/name", "allow_unsafe_pickle": True}
    stage = build(kind, options=options, weights=library(tmp_path), runtime=RuntimeConfig())
    with pytest.raises(WeightsError, match="comes from a hub") as caught:
        stage.load()
    assert caught.value.code == "weights-unsafe"


@pytest.mark.parametrize("field", [{"refiner": "sam2:tiny"}, {"detectors": ["edges", "yolo:/etc/x.onnx"]}])
def test_a_request_names_no_weights(field):
    with pytest.raises(ValueError, match="who runs the server names the weights"):
        MaskOptions.model_validate(field)


def test_a_saved_template_names_no_weights():
    facts = {"id": "0" * 16, "kind": Kind.OVERLAY, "content": b"", "picture_png": b"", "anchor": "", "support": 1.0}
    facts |= {"images": 3, "confidence": 1.0, "area_share": 0.1, "needs_review": False}
    DatasetTemplate(detector="overlay", **facts)
    with pytest.raises(ValueError, match="without weights"):
        DatasetTemplate(detector="overlay:/etc/x.onnx", **facts)
