"""What a person is told to install when a package is missing."""

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_process import automask, environment

from automask import extras
from automask.errors import PluginError

ROOT = Path(__file__).parent.parent


class Installed:
    """What the metadata of an installation says about where it came from."""

    def __init__(self, origin):
        self.origin = origin

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.origin


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, ["automask[api]"]),  # from a package index
        ("", ["automask[api]"]),
        ("{", ["automask[api]"]),
        ("[]", ["automask[api]"]),
        ({"url": ROOT.as_uri(), "dir_info": {}}, [f"{ROOT}[api]"]),
        ({"url": ROOT.as_uri(), "dir_info": {"editable": True}}, ["-e", f"{ROOT}[api]"]),
        ({"url": "file:///nowhere/now", "dir_info": {}}, ["automask[api]"]),
        ({"url": "file:///d/automask-1.whl", "archive_info": {}}, ["automask[api] @ file:///d/automask-1.whl"]),
        (
            {"url": "https://host/automask.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}},
            ["automask[api] @ git+https://host/automask.git@ab12"],
        ),
    ],
)
def test_an_extra_is_installed_from_where_automask_came(monkeypatch, origin, expected):
    text = json.dumps(origin) if isinstance(origin, dict) else origin
    monkeypatch.setattr(extras, "distribution", lambda name: Installed(text))
    assert list(extras.requirement_of("api")) == expected


def test_a_path_with_blanks_is_one_word_for_the_shell(monkeypatch, tmp_path):
    clone = tmp_path / "my clone (2)"
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    origin = json.dumps({"url": clone.as_uri(), "dir_info": {}})
    monkeypatch.setattr(extras, "distribution", lambda name: Installed(origin))
    assert shlex.split(extras.install_command("api"))[-1] == f"{clone}[api]"


def test_a_clone_that_was_never_installed(monkeypatch):
    def missing(name):
        raise extras.PackageNotFoundError

    monkeypatch.setattr(extras, "distribution", missing)
    monkeypatch.setattr(extras.version, "__file__", str(ROOT / "automask" / "version.py"))
    assert extras.requirement_of("sam") == (f"{ROOT}[sam]",)


def test_an_environment_without_pip(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert shlex.split(extras.pip_command("x"))[:5] == ["uv", "pip", "install", "--python", sys.executable]


@pytest.mark.parametrize("arguments", [("review", "store"), ("serve",)])
def test_commands_without_their_packages_say_what_to_type(tmp_path, arguments):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError(\"No module named 'fastapi'\", name='fastapi')")
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')")
    done = automask(*arguments, env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    told = " ".join(done.stderr.split()).replace(" ", "")
    assert extras.install_command("api").replace(" ", "") in told


@pytest.mark.slow
def test_the_command_works_as_it_is_typed(tmp_path):
    """A copy of this clone in an environment of its own: pip takes the path, and looks for nothing of our name."""
    told = shlex.split(extras.install_command("api"))
    report = tmp_path / "report.json"  # what pip prints depends on its configuration and on PIP_QUIET
    command = [*told[:4], "--dry-run", "--ignore-installed", "--no-deps", "--report", str(report), *told[4:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    assert [(each["metadata"]["name"], each["requested_extras"]) for each in installed] == [("automask", ["api"])]


def test_the_client_says_it_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    from automask.client.calls import connection

    with pytest.raises(PluginError) as caught:
        connection("http://127.0.0.1:1", api_key=None, timeout_s=1)
    assert extras.commands_for(caught.value.advice) == (extras.install_command("client"),)


@pytest.mark.parametrize(
    ("advice", "expected"),
    [
        ("Install the extra `api`.", [extras.install_command("api")]),
        ("Install the package `rapidocr>=3`.", [extras.pip_command("rapidocr>=3")]),
        ("Upgrade the package `transformers`.", [extras.pip_command("-U", "transformers")]),
        (
            "Install the package `b` in place of `a` and `b`.",
            [extras.uninstall_command("a", "b"), extras.pip_command("b")],
        ),
        ("Convert it to PNG or JPEG.", []),
        ("Name a folder in the option `weights`.", []),
    ],
)
def test_what_an_advice_names_becomes_commands(advice, expected):
    assert list(extras.commands_for(advice)) == expected


def strings_of(path):
    """The strings of a module, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.body[0].value) for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
            and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    return [node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs]  # fmt: skip


def test_advice_names_extras_that_exist_and_no_index():
    """An index may not know us; and advice goes over the wire, where no path of this machine belongs."""
    known = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    paths = [path for folder in ("automask", "api", "models") for path in (ROOT / folder).rglob("*.py")]
    told = [(path.name, text) for path in paths for text in strings_of(path)]
    assert [where for where in told if "pip install 'automask" in where[1]] == []
    named = {name for _, text in told for name in re.findall(r"the extra `([^`]+)`", text)}
    assert {"api", "client", "heif", "sam", "train", "yolo"} <= named <= known
    users = {path.relative_to(ROOT).as_posix() for path in paths if "automask.extras" in path.read_text("utf-8")}
    commands = {"automask/cli/console.py", "automask/cli/summary.py", "automask/cli/commands/check.py"}
    assert users == commands | {"models/automask_models/installation.py"}, "who prints to a terminal"
