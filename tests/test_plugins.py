"""Names of stages: what is ours and missing is a broken installation, what is nobody's is a slip."""

import tomllib
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest
from cli_process import install_detector

from automask import plugins
from automask.config import PipelineConfig
from automask.errors import PluginError
from automask.run.pipeline import MaskPipeline

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_what_runs_by_default_is_declared():
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]
    for group, names in plugins._default_stages().items():
        assert names
        assert names <= set(declared[group])


def test_what_is_declared_is_installed():
    """Tests of all stages and formats run what is installed: a stale installation would leave a new one out."""
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]
    wanted = {(group, name, value) for group, names in declared.items() for name, value in names.items()}
    entries = distribution("automask").entry_points
    installed = {(entry.group, entry.name, entry.value) for entry in entries if entry.group in declared}
    assert installed ^ wanted == set(), "run pip install -e . again: pyproject.toml has changed since"


@pytest.mark.parametrize(("group", "name"), [(plugins.DETECTORS, "ink"), (plugins.REFINERS, "sam")])
def test_a_stale_installation_is_told_to_install_again(monkeypatch, group, name):
    monkeypatch.setattr(plugins, "_installed", lambda search_path: {})
    with pytest.raises(PluginError) as caught:
        plugins.load_plugin(group, name)
    assert caught.value.code == "plugin-unknown"
    assert "pip install --force-reinstall" in caught.value.advice
    with pytest.raises(PluginError) as caught:
        plugins.load_plugin(group, "nosuch")
    assert caught.value.advice == "Known names: none."


def test_installed_packages_are_read_once_and_again_where_others_are_found(monkeypatch, tmp_path):
    looks = []
    monkeypatch.setattr(plugins, "entry_points", lambda: (looks.append(1), entry_points())[1])
    plugins._installed.cache_clear()
    MaskPipeline.from_config(PipelineConfig())
    assert len(looks) == 1
    monkeypatch.syspath_prepend(install_detector(tmp_path, "later", "return []"))
    assert plugins.available(plugins.DETECTORS)["later"].value == "fake_later:Fake"
    monkeypatch.undo()
    assert "later" not in plugins.available(plugins.DETECTORS)
