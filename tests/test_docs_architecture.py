"""docs/architecture.md leads to code that is there."""

import ast
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from automask.store.schema import SCHEMA_VERSION

ROOT = Path(__file__).parent.parent
MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGE = ROOT / "api" / "automask_api" / "review" / "static"
PROSE = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")]


def steps(title: str) -> list[str]:
    """The code that each step of a way names."""
    section = MAP.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"\| `([^`]+)` \|$", section, re.MULTILINE)


def test_every_step_names_a_function_of_the_program():
    pytest.importorskip("fastapi", reason="needs the extra api")
    image, correction = steps("The way of one image"), steps("The way of one correction")
    assert len(image) >= 15
    assert len(correction) >= 15
    for name in image + correction:
        if ".js: " in name:
            file, function = name.split(": ")
            source = (PAGE / file).read_text(encoding="utf-8")
            called = re.escape(function)
            made = rf"^(?:export )?function {called}\(|^export const {called} = |^  (?:async )?{called}\(.*\{{$"
            assert re.search(made, source, re.MULTILINE), name
            continue
        parts = name.split(".")
        is_method = parts[-2][0].isupper()
        found = import_module(".".join(parts[: -2 if is_method else -1]))
        for part in parts[-2 if is_method else -1 :]:
            found = getattr(found, part)
        assert callable(found)
        assert found.__module__ == ".".join(parts[: -2 if is_method else -1]), f"{name} is only imported there"


def test_the_layers_are_those_that_are_checked():
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    (layers,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", MAP, re.MULTILINE)
    assert {int(number): tuple(re.findall(r"`(\w+)`", names)) for number, names in rows} == dict(enumerate(layers, 1))
    described = re.search(r"^\| module or package \|.*?\n\n", MAP, re.DOTALL | re.MULTILINE).group()
    assert re.findall(r"^\| `(\w+)` \|", described, re.MULTILINE) == [part for layer in layers for part in layer]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_files_that_guides_name_are_there(path):
    named = re.findall(
        r"`((?:automask|automask_api|automask_models|automask_training|api|models|tests|docs|docker|\.ci)/[\w./-]*\w)`",
        path.read_text(encoding="utf-8"),
    )
    for name in named:
        if not re.search(r"NAME|_vN", name):
            places = (ROOT / name, ROOT / "api" / name, ROOT / "models" / name)
            assert any(place.exists() for place in places), f"{path.name} names {name}"


def test_tasks_that_guides_name_are_there():
    tasks = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["poe"]["tasks"]
    for path in PROSE:
        named = re.findall(r"`poe (\w+)", path.read_text(encoding="utf-8"))
        assert set(named) <= set(tasks), path.name


def test_the_guide_to_the_store_tells_its_version():
    told = re.search(r"schema version, now (\d+)", (ROOT / "docs" / "store.md").read_text(encoding="utf-8"))
    assert int(told.group(1)) == SCHEMA_VERSION
