"""Flags, configuration as TOML, and commands of other packages, without starting a process where none is needed."""

import tomllib

import pytest
from cli_process import automask, environment
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from automask.cli import app, options
from automask.cli.toml_text import _value, config_toml
from automask.client.calls import API_KEY_VARIABLE
from automask.config import OTHER_VARIABLES, PipelineConfig
from automask.errors import ConfigError
from automask.plugins import COMMANDS, load_config
from automask.values.assignments import policy_flags
from automask.weights import WEIGHTS_VARIABLE

TEXT = st.text(st.characters(blacklist_categories=("Cs",)))
PLAIN = st.one_of(TEXT, st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.lists(TEXT))


@given(value=st.one_of(PLAIN, st.dictionaries(TEXT, PLAIN)))
def test_values_survive_toml(value):
    assert tomllib.loads(f"key = {_value(value)}")["key"] == value


def test_printed_configuration_is_the_configuration(tmp_path):
    config = load_config(
        flags={"detectors": ("edges",), "policy": {"text": {"weight": 0.125}}, "render": {"cell_px": 16}}
    )
    (tmp_path / "a.toml").write_text(config_toml(config))
    again = load_config(tmp_path / "a.toml")
    assert again.model_dump(exclude={"options"}) == config.model_dump(exclude={"options"})


def test_every_key_is_printed_with_its_description():
    text = config_toml(PipelineConfig(detectors=("edges",)))
    for name, field in PipelineConfig.model_fields.items():
        if name != "options":
            assert name in text
            assert (field.description or "") in text


def test_flags_that_are_not_given_leave_no_trace():
    assert options.render_flags(training_px=None, cell_px=None, growth_cells=None) == {}
    assert policy_flags(policies=None, weights=[], accepts=None) == {}
    assert options.stage_flags(detectors=None, refiner=None, stage_options=None, keeps_text=True) == {}
    assert options.runtime_flags(device=None, threads=None) == {}


def test_flags_become_sections():
    assert options.render_flags(training_px=512, cell_px=None, growth_cells=0.0) == {
        "render": {"training_px": 512, "growth_cells": 0.0}
    }
    assert policy_flags(policies=["text=keep", "frame=review"], weights=["text = 0.3"], accepts=["text=0.7"]) == {
        "policy": {"text": {"action": "keep", "weight": "0.3", "accept": "0.7"}, "frame": {"action": "review"}}
    }
    assert options.stage_flags(detectors=["a, b,"], refiner="c", stage_options=None, keeps_text=False) == {
        "detectors": ("a", "b"),
        "refiner": "c",
        "store_text": False,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("0.5", 0.5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"4"', "4"),
        ("/a/b.onnx", "/a/b.onnx"),
        ("a=b", "a=b"),
    ],
)
def test_stage_options_are_typed_by_toml_and_bare_words_are_strings(text, value):
    flags = options.stage_flags(detectors=None, refiner=None, stage_options=[f"sam.key={text}"], keeps_text=True)
    assert flags == {"options": {"sam": {"key": value}}}
    assert type(flags["options"]["sam"]["key"]) is type(value)


@pytest.mark.parametrize("assignment", ["sam", "sam.key", "sam=1", ".key=1", "sam.=1", "sam.key="])
def test_malformed_stage_options_are_refused(assignment):
    with pytest.raises(ConfigError, match="--option"):
        options.stage_flags(detectors=None, refiner=None, stage_options=[assignment], keeps_text=True)


def test_options_of_unknown_stages_are_refused_in_every_layer(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text("[options.rapidorc]\nmin_score = 0.9\n")
    with pytest.raises(ConfigError, match=r"options\.rapidorc\.") as caught:
        load_config(tmp_path / "a.toml")
    assert caught.value.advice.startswith("Did you mean rapidocr? Known names: ")
    flags = options.stage_flags(detectors=None, refiner=None, stage_options=["qqq.a=1"], keeps_text=True)
    with pytest.raises(ConfigError, match=r"options\.qqq\.") as caught:
        options.load(None, flags)
    assert caught.value.advice.startswith("Known names: ")
    monkeypatch.setenv("AUTOMASK_OPTIONS__RAPIDORC__MIN_SCORE", "0.9")
    with pytest.raises(ConfigError, match=r"options\.rapidorc\."):
        load_config()


def test_options_of_stages_that_do_not_run_are_fine(tmp_path):
    (tmp_path / "a.toml").write_text(
        'detectors = ["edges"]\n[options.yolo]\niou = 0.5\n[options.overlay]\nmin_images = 7\n'
    )
    assert set(load_config(tmp_path / "a.toml").options) == {"yolo", "overlay"}


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("AUTOMASK_TRAINING_PX", "AUTOMASK_RENDER__TRAINING_PX"),
        ("AUTOMASK_RENDER_TRAINING_PX", "AUTOMASK_RENDER__TRAINING_PX"),
        ("AUTOMASK_RENDR__TRAINING_PX", "AUTOMASK_RENDER__TRAINING_PX"),
        ("AUTOMASK_DETECTOR", "AUTOMASK_DETECTORS"),
        ("AUTOMASK_WEIGHT", "AUTOMASK_WEIGHTS"),
    ],
)
def test_unknown_variables_are_refused_with_what_was_meant(monkeypatch, variable, meant):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"{variable},") as caught:
        load_config()
    assert f"Did you mean {meant}?" in caught.value.advice


def test_unknown_variables_like_nothing_are_refused_too(monkeypatch):
    monkeypatch.setenv("AUTOMASK_QQQ", "1")
    with pytest.raises(ConfigError, match="AUTOMASK_QQQ,"):
        load_config()


def test_variables_that_others_read_are_left_alone(monkeypatch):
    assert {WEIGHTS_VARIABLE, API_KEY_VARIABLE} < OTHER_VARIABLES
    for name in (*OTHER_VARIABLES, "AUTOMASK_SERVE_PORT", "automask_weights"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("automask_render__training_px", "512")
    assert load_config().render.training_px == 512


def test_option_models_of_plugins_can_hold_anything_toml_can(tmp_path):
    class Options(PipelineConfig):
        where: str = Field('C:\\weights\n"x" \u00e9 \U0001f600 \x7f', description="A path.")

    assert tomllib.loads(f"a = {_value(Options().where)}")["a"] == Options().where


@pytest.fixture
def plugin(tmp_path):
    """A package that adds the command `extra`."""
    info = tmp_path / "extra_command-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-command\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{COMMANDS}]\nextra = extra_command:app\n")
    (tmp_path / "extra_command.py").write_text(
        '''"""Does something extra."""
import os, sys
import typer
from automask.errors import WeightsError
if os.environ.get("IMPORTED"):
    open(os.environ["IMPORTED"], "w").close()
app = typer.Typer()

@app.command()
def ok(name: str, loud: bool = False) -> None:
    typer.echo(name.upper() if loud else name)

@app.command()
def stop() -> None:
    raise typer.Exit(9)

@app.command()
def fail() -> None:
    raise WeightsError("No such weights.", advice="Get some.")
'''
    )
    return tmp_path


def test_commands_of_other_packages_are_listed_and_not_imported(plugin, tmp_path):
    assert app.COMMANDS_GROUP == COMMANDS
    env = environment(plugin, IMPORTED=str(tmp_path / "imported"))
    done = automask("--help", env=env)
    assert "extra" in done.stdout
    assert "Does something extra." in done.stdout
    assert not (tmp_path / "imported").exists()
    assert automask("extra", "ok", "word", env=env).stdout == "word\n"
    assert (tmp_path / "imported").exists()


def test_commands_of_other_packages_get_options_help_and_exit_codes(plugin):
    env = environment(plugin)
    assert automask("extra", "ok", "word", "--loud", env=env).stdout == "WORD\n"
    assert "Usage: automask extra ok" in automask("extra", "ok", "--help", env=env).stdout
    assert automask("extra", "stop", env=env).returncode == 9
    failed = automask("extra", "fail", env=env)
    assert (failed.returncode, failed.stdout) == (6, "")
    assert "[weights-unavailable] No such weights." in failed.stderr
    wrong = automask("extra", "ok", env=env)
    assert wrong.returncode == 2
    assert "Usage" in wrong.stderr


def test_a_broken_command_package_breaks_only_itself(plugin):
    (plugin / "extra_command.py").write_text("import nosuchpackage\n")
    env = environment(plugin)
    assert automask("--help", env=env).returncode == 0
    done = automask("extra", "ok", env=env)
    assert done.returncode == 2
    assert "[plugin-unavailable]" in done.stderr
