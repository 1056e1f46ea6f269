"""What the tests import comes with what `.ci/run` installs: nothing arrives by the luck of another package's needs."""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from sys import stdlib_module_names

import pytest
from packaging.requirements import Requirement

TESTS = Path(__file__).parent
PROJECT = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"automask", "automask_api", "automask_models", "automask_training"}
FAST = ("dev",)
SLOW = ("all", "dev", "test-export")
"""The extras that `.ci/run` installs for either suite."""
BY_HAND = {"label_studio_sdk", "moto", "s3fs", "ray", "webdataset"}
"""The first pins OpenCV below what we are tested with; the others bring 400 MB that nothing else needs. Their tests run
in environments of their own and skip elsewhere."""


def listed(*extras: str) -> set[str]:
    """Names of the distributions that the project itself asks for, with those extras."""
    found: set[str] = set()
    pending = [*PROJECT["dependencies"]]
    for extra in extras:
        pending += PROJECT["optional-dependencies"][extra]
    while pending:
        name, inner = re.match(r"([\w.-]+)(?:\[([^]]*)\])?", pending.pop()).groups()
        if name == PROJECT["name"]:
            for extra in inner.split(","):
                pending += PROJECT["optional-dependencies"][extra.strip()]
        else:
            found.add(plain(name))
    return found


def pinned() -> dict[str, str]:
    """Versions of `.ci/constraints.txt` by distribution, those for this interpreter and system."""
    found = {}
    for line in (TESTS.parent / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate():
                (version,) = one.specifier
                found[plain(one.name)] = version.version
    return found


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def marked_slow(node: ast.AST) -> bool:
    """Whether a function is marked slow, or a module as a whole."""
    if isinstance(node, ast.Module):
        marks = [one.value for one in node.body if isinstance(one, ast.Assign) and "pytestmark" in ast.unparse(one)]
    else:
        marks = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    return any("mark.slow" in ast.unparse(mark) for mark in marks)


def helper_beside_slow_tests(node: ast.AST, module: ast.Module) -> bool:
    """Whether a function is no test of its own, in a file that has slow tests to call it."""
    is_helper = isinstance(node, ast.FunctionDef) and not node.name.startswith("test_")
    return is_helper and any(map(marked_slow, module.body))


def is_skip(node: ast.AST) -> bool:
    """Whether it is the function `pytest.importorskip`."""
    return isinstance(node, ast.Attribute) and node.attr == "importorskip"


def needs(node: ast.AST, module: ast.Module, *, slow: bool = False) -> Iterator[tuple[str, bool, int]]:
    """What a part of a test file imports or runs with `-m`; whether only the slow suite does; the line."""
    slow = slow or marked_slow(node) or helper_beside_slow_tests(node, module)
    if isinstance(node, ast.Import):
        yield from ((alias.name.partition(".")[0], slow, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0], slow, node.lineno
    elif isinstance(node, ast.List):
        words = [part.value if isinstance(part, ast.Constant) else None for part in node.elts]
        for flag, program in itertools.pairwise(words):
            if flag == "-m" and isinstance(program, str):
                yield program.partition(".")[0], slow, node.lineno
    elif isinstance(node, ast.Call) and is_skip(node.func):
        yield ast.literal_eval(node.args[0]).partition(".")[0], True, node.lineno
    skipped = False
    for child in ast.iter_child_nodes(node):
        yield from needs(child, module, slow=slow or skipped)
        skipped = skipped or (isinstance(child, ast.Expr | ast.Assign) and any(map(is_skip, ast.walk(child))))


def gaps(*extras: str, slow: bool) -> list[str]:
    known = listed(*extras)
    beside = {path.stem for path in TESTS.glob("*.py")} | {path.parent.name for path in TESTS.glob("*/__init__.py")}
    local = beside | {TESTS.name} | OURS | BY_HAND | set(stdlib_module_names)
    owners = packages_distributions()
    found = []
    for path in sorted([*TESTS.glob("*.py"), *TESTS.glob("measuring/*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, needed_slowly, line in needs(tree, tree):
            distributions = {plain(owner) for owner in owners.get(name, [name])}
            if name not in local and (slow or not needed_slowly) and not distributions & known:
                found.append(f"{path.name}:{line} needs {name} ({', '.join(sorted(distributions))})")
    return found


def test_a_gap_is_seen():
    source = "@pytest.mark.slow\ndef test():\n    import torch\n"
    source += 'run(["python", "-m", "schemathesis.cli"])\nimport onnx\n'
    source += 'def test_more():\n    pytest.importorskip("timm")\n    import safetensors\n'
    tree = ast.parse(source)
    found = {(name, slowly) for name, slowly, _ in needs(tree, tree)}
    assert found == {("torch", True), ("schemathesis", False), ("onnx", False), ("timm", True), ("safetensors", True)}
    assert {"fastapi", "httpx", "prometheus-client", "schemathesis"} <= listed("dev")
    assert "torch" not in listed("dev")


def test_the_fast_suite_needs_only_the_development_extra():
    assert gaps(*FAST, slow=False) == []


def test_the_gate_installs_versions_that_the_project_allows():
    pins = pinned()
    asked = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]
    for one in map(Requirement, asked):
        if one.name != PROJECT["name"]:
            version = pins.get(plain(one.name))
            assert version, f"`poe lock`: {one.name} is not in .ci/constraints.txt"
            assert one.specifier.contains(version), f"`poe lock`: {one} is asked for, {version} installed"


@pytest.mark.slow
def test_the_slow_suite_needs_only_the_extras_that_it_is_run_with():
    assert gaps(*SLOW, slow=True) == []
