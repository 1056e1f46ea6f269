"""What only measures automask is run from a clone; a wheel holds nothing of it."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_process import environment

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path for path in (ROOT / "tests" / "measuring").glob("*.py") if path.name != "__init__.py")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
INCLUDED = [ROOT / path for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]]
PACKAGED = [path for path in INCLUDED if path.is_dir()]
STARTED = {
    "automask/__main__.py",  # the command line
    "automask_api/uploads/child.py",  # by the server, for what strangers send
}
TRAINING = "automask_training"
"""Its modules make weights and figures of one's own: docs/training.md."""


def is_started(path: Path) -> bool:
    """Whether a module does something when it is run with `python -m`."""
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


def test_a_wheel_holds_no_measuring_script():
    assert (ROOT / "tests") not in [folder.parent for folder in PACKAGED] + PACKAGED
    names = {script.name for script in SCRIPTS if is_started(script)}
    assert {"hostile.py", "load.py", "clicking.py", "stress.py"} <= names
    modules = [path for folder in PACKAGED for path in folder.rglob("*.py")]
    assert len(modules) > 300
    assert [str(path) for path in modules if path.name in {*names, "bombs.py"}] == []
    started = {
        path.relative_to(folder.parent).as_posix() for folder in PACKAGED for path in folder.rglob("*.py")
        if folder.name != TRAINING and is_started(path)
    }  # fmt: skip
    assert started == STARTED, "what a user runs is a command of `automask`"


@pytest.mark.parametrize("script", [script for script in SCRIPTS if is_started(script)], ids=lambda path: path.stem)
def test_each_says_how_it_is_run(script):
    command = f"tests.measuring.{script.stem}"
    assert f"python -m {command}" in script.read_text(encoding="utf-8")
    assert any(command in page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
