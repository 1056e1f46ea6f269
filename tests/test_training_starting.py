"""What goes wrong in the developers' commands is told in a line that says what to do, and ends with an exit code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import automask_training
from automask.errors import InputError
from automask_training.starting import start
from automask_training.tables import RecipeError

PACKAGE = Path(automask_training.__file__).parent


def test_every_module_that_is_run_goes_through_it():
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
                found.append(path)
                assert [ast.unparse(line) for line in node.body] == ["start(main)"], path
    assert len(found) > 12


@pytest.mark.parametrize(("given", "code"), [(None, 0), (0, 0), (3, 3)])
def test_the_exit_code_is_that_of_main(given, code):
    with pytest.raises(SystemExit) as ended:
        start(lambda: given)
    assert ended.value.code == code


def fail(error):
    def main():
        raise error

    return main


class OwnError(Exception):
    """As networks and states have theirs, in modules that need torch."""

    __module__ = "automask_training.checkpoint"


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("No.", advice="Do this."), InputError.exit_code, "error: No. Do this.\n"),
        (RecipeError("SamRecipe has no x"), 2, "error: SamRecipe has no x.\n"),
        (OwnError("it is of another task"), 2, "error: it is of another task.\n"),
        (FileNotFoundError(2, "No such file", "a.toml"), 2, "error: a.toml does not exist.\n"),
    ],
)
def test_what_can_be_mended_is_one_line(capsys, error, code, told):
    with pytest.raises(SystemExit) as ended:
        start(fail(error))
    assert (ended.value.code, capsys.readouterr().err) == (code, told)


def test_a_defect_keeps_its_trace():
    with pytest.raises(ZeroDivisionError):
        start(lambda: 1 // 0)


def test_a_command_that_is_given_what_is_not_there(tmp_path):
    words = [sys.executable, "-m", "automask_training", "evaluate", str(tmp_path / "no.toml")]
    ended = subprocess.run(
        [*words, "--materials", str(tmp_path), "--out", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, f"error: {tmp_path / 'no.toml'} does not exist.\n")


def test_an_export_of_nothing_is_refused(tmp_path):
    words = ["export", str(tmp_path / "ink.toml"), "--out", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "automask_training", *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "give --weights, --state or both" in ended.stderr
