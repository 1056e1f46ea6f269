"""What only measures automask is run from a clone; a wheel holds nothing of it."""

import ast
import re
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


def test_a_simulated_run_goes_on_where_it_was_killed(tmp_path):
    command = [sys.executable, "-m", "tests.measuring.simulated_run", str(tmp_path), "--images", "240"]
    done = subprocess.run(
        [*command, "--shard-images", "3"], cwd=ROOT, capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 0, done.stderr
    row = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("|").split("|")]
    finished, in_hand = map(int, row[6].split(" + "))
    assert (row[0], row[7]) == ("240", "0"), "none of the finished shards was done again"
    assert 40 <= finished < 80
    assert in_hand <= 1
    objects = dict(reversed(one.split(" ")) for one in row[9].split(" + "))
    assert {name: objects[name] for name in ("done", "masks", "regions")} == dict.fromkeys(
        ("done", "masks", "regions"), "80"
    )
    assert re.fullmatch(r"(\d+ / ){2}\d+", row[3])
