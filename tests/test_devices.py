"""`--device`: every stage on ONNX Runtime goes through one function, follows what is asked for and says where it is."""

from __future__ import annotations

import ast
import json
import shlex
import sys
from importlib.metadata import Distribution
from pathlib import Path

import numpy as np
import pytest
from cli_process import automask
from PIL import Image as Picture
from typer.testing import CliRunner

from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import ConfigError, WeightsError
from automask.extras import commands_for
from automask.plugins import DATASET_DETECTORS, DETECTORS, REFINERS, build_stage
from automask.run.pipeline import MaskPipeline
from automask.values.placement import DEVICES, Placement, joined
from automask.weights import WeightLibrary
from automask_models import commands, onnx_builds, onnx_devices, onnx_session
from automask_models.ink.network import InkNetwork
from automask_models.layout.network import LayoutNetwork
from automask_models.onnx_builds import Build, check_one_build, installed_builds
from automask_models.onnx_devices import PROVIDERS, NotStarted, onnx_device
from automask_models.scene.network import SceneNetwork
from automask_models.watermark.network import OnnxYolo

ROOT = Path(__file__).parents[1]
SHIPPED = ("automask-layout", "automask-ink", "automask-scene", "automask-watermark")
OF_MAPS = {"automask-layout": LayoutNetwork, "automask-ink": InkNetwork, "automask-scene": SceneNetwork}
WITH_WEIGHTS = {
    (DETECTORS, "rapidocr"),
    (DETECTORS, "edges"),
    (DETECTORS, "ink"),
    (DETECTORS, "ground"),
    (DETECTORS, "yolo"),
    (DATASET_DETECTORS, "overlay"),
    (REFINERS, "ink"),
    (REFINERS, "sam"),
}
"""Stages of a default install that run networks."""


@pytest.fixture(autouse=True)
def fresh():
    onnx_device.cache_clear()
    yield
    onnx_device.cache_clear()


@pytest.fixture
def offered(monkeypatch):
    """Make ONNX Runtime say that it has these providers; they are not there, so that starting them fails."""
    import onnxruntime

    def offer(*names):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*names, "CPUExecutionProvider"])
        onnx_device.cache_clear()

    return offer


@pytest.fixture
def startable(monkeypatch):
    """Let devices start that are not here: their sessions are the CPU's, under the name of the other."""

    def start(*names):
        def fake(provider):
            if provider.device not in names:
                raise NotStarted("it has no card", advice="Buy one.")
            return onnx_devices.OnnxDevice(Placement(provider.device, provider.name))

        monkeypatch.setattr(onnx_devices, "is_offered", lambda provider: True)
        monkeypatch.setattr(onnx_devices, "started", fake)
        onnx_device.cache_clear()

    return start


def calls_of(name: str, folder: str) -> list[str]:
    """Where the code below a folder mentions a name: `path:function`."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                words = {part.attr for part in ast.walk(function) if isinstance(part, ast.Attribute)}
                words |= {part.id for part in ast.walk(function) if isinstance(part, ast.Name)}
                found += [f"{path.relative_to(ROOT).as_posix()}:{function.name}"] if name in words else []
    return found


def test_sessions_are_made_in_one_function():
    folders = ("automask", "api", "models/automask_models")
    made = [place for folder in folders for place in calls_of("InferenceSession", folder)]
    assert made == ["models/automask_models/onnx_devices.py:session"]


def test_training_compares_on_the_cpu_only():
    """Exports are checked where they were made; those sessions are no stage's."""
    assert calls_of("InferenceSession", "models/automask_training") == [
        "models/automask_training/onnx_files.py:check_graph",
        "models/automask_training/quantise.py:_session",
    ]


@pytest.mark.parametrize(("group", "name"), sorted(WITH_WEIGHTS))
def test_every_stage_with_a_network_opens_it_there_and_tells_its_place(group, name, monkeypatch):
    """The device is another one by name, so that a stage with a session of its own, or a fixed device, stands out."""
    asked = []

    def elsewhere(device):
        asked.append(device)
        return onnx_devices.OnnxDevice(Placement("openvino", "CPUExecutionProvider"))

    monkeypatch.setattr(onnx_session, "onnx_device", elsewhere)
    runtime = RuntimeConfig(device="openvino", threads=1)
    stage = build_stage(group, name, options={}, weights=WeightLibrary.discover(), runtime=runtime)
    assert stage.placement is None, "nothing is known before it is loaded"
    stage.load()
    assert set(asked) == {"openvino"}
    assert stage.placement == Placement("openvino", "CPUExecutionProvider")


def test_no_stage_of_the_default_was_forgotten():
    config = PipelineConfig()
    pipeline = MaskPipeline.from_config(config)
    pipeline.load()
    assert set(pipeline.placements) == {name for _, name in WITH_WEIGHTS} - {"ground"}
    assert {str(place) for place in pipeline.placements.values()} == {"cpu (CPUExecutionProvider)"}


def test_names_are_the_same_in_configuration_flag_and_table():
    names = DEVICES
    assert set(names) == {"auto", "cpu", "mps", *(provider.device for provider in PROVIDERS)}
    table = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    assert [name for name in names if f"| `{name}` |" not in table] == []
    assert f"`--device` `{'|'.join(names)}`" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_cpu_answers_the_probe_and_is_what_auto_takes_here():
    assert onnx_devices._tried(onnx_device("cpu")).placement == Placement("cpu", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("there", "auto"),
    [
        (["cuda", "directml", "openvino"], "cuda"),
        (["directml", "openvino"], "directml"),
        (["tensorrt", "coreml", "openvino"], "cpu"),
        ([], "cpu"),
    ],
)
def test_auto_takes_the_first_that_starts(startable, there, auto):
    startable(*there)
    placement = onnx_device("auto").placement
    assert placement.device == auto
    assert placement.reason == "" or auto == "cpu"
    if not there:
        assert "cuda is installed, but: it has no card" in placement.reason


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "openvino"])
def test_a_device_by_name_that_is_not_installed_says_how_to_get_it(offered, device, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(onnx_devices, "find_spec", lambda name: None)
    offered()
    with pytest.raises(ConfigError) as caught:
        onnx_device(device)
    assert caught.value.code == "device-unavailable"
    told = commands_for(caught.value.advice)
    if device == "cuda":
        assert [shlex.split(line)[3:] for line in told] == [
            ["uninstall", "--yes", "onnxruntime"],
            ["install", "onnxruntime-gpu"],
        ]
    else:
        (line,) = told
        assert f"[{device}]" in line


@pytest.mark.parametrize(("platform", "device"), [("linux", "directml"), ("linux", "coreml"), ("darwin", "cuda")])
def test_one_that_does_not_exist_for_this_system_is_not_offered_for_sale(offered, platform, device, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    offered()
    with pytest.raises(ConfigError, match=f"there is none for {platform}") as caught:
        onnx_device(device)
    assert commands_for(caught.value.advice) == ()


def test_one_that_is_built_in_but_does_not_start_is_an_error_by_name_and_a_reason_under_auto(offered, monkeypatch):
    """A build for CUDA on a machine without a card: ONNX Runtime would go on with the CPU and say nothing."""
    monkeypatch.setattr(sys, "platform", "linux")
    offered("CUDAExecutionProvider")
    with pytest.raises(ConfigError, match="CUDAExecutionProvider") as caught:
        onnx_device("cuda")
    assert "onnxruntime-gpu[cuda,cudnn]" in caught.value.advice
    placement = onnx_device("auto").placement
    assert placement.device == "cpu"
    assert placement.reason.startswith("cuda is installed, but: ")


def test_mps_is_torchs_and_onnx_stages_say_so():
    placement = onnx_device("mps").placement
    assert placement.device == "cpu"
    assert "coreml" in placement.reason


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="no device 'tpu'"):
        onnx_device("tpu")


class Refusing(onnx_devices.OnnxDevice):
    """A device that takes no graph."""

    def session(self, model, options, *, threads):
        raise RuntimeError("Unsupported operator.\nat line 3")


def test_a_graph_that_a_device_does_not_take_runs_on_the_cpu_and_says_so(monkeypatch, tmp_path):
    cpu = onnx_device("cpu")
    refusing = Refusing(Placement("openvino", "OpenVINOExecutionProvider"), PROVIDERS[-1])
    monkeypatch.setattr(onnx_session, "onnx_device", lambda name: cpu if name == "cpu" else refusing)
    path = WeightLibrary.discover().find(SHIPPED[0]).path
    session = onnx_session.OnnxSession.open(path, runtime=RuntimeConfig(device="openvino", threads=1))
    assert session.placement.device == "cpu"
    assert session.placement.reason == f"OpenVINOExecutionProvider does not take {path.name}: Unsupported operator"
    (tmp_path / "damaged.onnx").write_bytes(b"none")
    with pytest.raises(WeightsError):
        onnx_session.OnnxSession.open(tmp_path / "damaged.onnx", runtime=RuntimeConfig(device="openvino"))


class Borrowed(onnx_devices.OnnxDevice):
    """Another device by name, whose sessions are the CPU's."""

    def session(self, model, options, *, threads):
        return onnx_device("cpu").session(model, options, threads=threads)


@pytest.mark.parametrize("name", SHIPPED)
def test_another_device_is_told_that_pictures_come_one_at_a_time(monkeypatch, name):
    """With the size left open, OpenVINO answered the layout network wrongly and said nothing."""
    borrowed = Borrowed(Placement("openvino", "CPUExecutionProvider"), PROVIDERS[-1])
    monkeypatch.setattr(onnx_session, "onnx_device", lambda name: borrowed)
    opened = []
    made = onnx_session.OnnxSession.open.__func__

    def spy(cls, *arguments, **options):
        opened.append(made(cls, *arguments, **options))
        return opened[-1]

    monkeypatch.setattr(onnx_session.OnnxSession, "open", classmethod(spy))
    runtime, weights = RuntimeConfig(device="openvino", threads=1), WeightLibrary.discover().find(name)
    if name == "automask-watermark":
        OnnxYolo.open(weights.path, runtime=runtime)
    else:
        OF_MAPS[name].open(weights, runtime=runtime)
    (shape,) = opened[0].inputs.values()
    assert shape[0] == 1


def test_of_several_networks_the_one_that_is_elsewhere_counts():
    here, elsewhere = Placement("openvino", "X"), Placement("cpu", "Y", reason="too large")
    assert joined([None, here, elsewhere]) == elsewhere
    assert joined([here, here]) == here
    assert joined([None]) is None


def test_a_run_says_where_networks_ran_and_which_do_not_follow(tmp_path):
    (tmp_path / "in").mkdir()
    Picture.fromarray(np.full((64, 96, 3), 200, np.uint8)).save(tmp_path / "in" / "a.png")
    run = ["run", tmp_path / "in", "--output", tmp_path / "out", "--no-report"]
    done = automask(*run, "--device", "mps", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["devices"]) == {"rapidocr", "edges", "ink", "yolo", "sam", "overlay"}
    assert told["devices"]["ink"] == {"device": "cpu", "provider": "CPUExecutionProvider"}
    (notice,) = [notice for notice in told["notices"] if notice["code"] == "device-other"]
    assert notice["message"].startswith("rapidocr, edges, ink, yolo, overlay, sam run on cpu")
    told = json.loads(automask(*run, "--device", "cpu", "--json").stdout)
    assert (told["reused"], told["written"]) == (1, {}), "a mask does not go stale because another device would run"
    assert told["devices"] == {}, "nothing was loaded"
    Picture.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(tmp_path / "in" / "a.png")
    assert "  devices   cpu (CPUExecutionProvider)\n" in automask(*run).stdout


@pytest.mark.skipif(sys.platform == "darwin", reason="CoreML is there")
def test_a_device_by_name_that_is_missing_ends_a_run_without_a_mask(tmp_path):
    (tmp_path / "in").mkdir()
    Picture.fromarray(np.full((64, 96, 3), 200, np.uint8)).save(tmp_path / "in" / "a.png")
    done = automask("run", tmp_path / "in", "-o", tmp_path / "out", "--no-report", "--device", "coreml")
    assert done.returncode == 2
    assert "[device-unavailable]" in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))


def install(folder: Path, name: str, version: str, *files: str) -> None:
    """A distribution as pip leaves it."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_two_builds_side_by_side_are_seen_and_mended(tmp_path, monkeypatch):
    module = "onnxruntime/__init__.py"
    install(tmp_path, "onnxruntime", "1.31.0", module)
    install(tmp_path, "onnxruntime-gpu", "1.31.0", module)
    install(tmp_path, "onnxruntime-ep-openvino", "1.8.1", "onnxruntime_ep_openvino/__init__.py")
    install(tmp_path, "onnxruntime-extensions", "0.15.2", "onnxruntime_extensions/__init__.py")
    monkeypatch.setattr(onnx_builds, "distributions", lambda: Distribution.discover(path=[str(tmp_path)]))
    builds = installed_builds()
    assert builds == [Build("onnxruntime", "1.31.0"), Build("onnxruntime-gpu", "1.31.0")]
    with pytest.raises(ConfigError) as caught:
        check_one_build(builds)
    assert caught.value.code == "onnxruntime-twice"
    assert [shlex.split(line)[3:] for line in commands_for(caught.value.advice)] == [
        ["uninstall", "--yes", "onnxruntime", "onnxruntime-gpu"],
        ["install", "onnxruntime-gpu"],
    ]
    done = CliRunner().invoke(commands.app, ["doctor"])
    assert isinstance(done.exception, ConfigError)


def test_the_doctor_tells_of_every_device():
    done = CliRunner().invoke(commands.app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert len(told["builds"]) == 1
    states = {state["device"]: state for state in told["devices"]}
    assert states["cpu"]["onnx"] == {"device": "cpu", "provider": "CPUExecutionProvider", "reason": ""}
    assert states["auto"]["onnx"] is not None
    for state in states.values():
        assert state["problem"] or (state["onnx"] and state["torch"])
    text = CliRunner().invoke(commands.app, ["doctor"]).stdout
    assert "--device cpu       ONNX stages: cpu (CPUExecutionProvider)" in text
