"""The packages depend on each other in one direction only, import nothing heavy at module level, and stay readable."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "automask": ROOT / "automask",
    "automask_models": ROOT / "models" / "automask_models",
    "automask_training": ROOT / "models" / "automask_training",
    "automask_api": ROOT / "api" / "automask_api",
}
FORBIDDEN = {
    "automask": {
        "automask_models", "automask_training", "automask_api", "torch", "torchvision", "transformers", "ultralytics",
        "fastapi",
    },
    "automask_models": {"automask_training", "automask_api", "fastapi"},
    "automask_training": {"automask_api", "fastapi"},
    "automask_api": {"automask_training"},
}  # fmt: skip
LAYERS = (
    ("version", "errors"),
    ("values", "extras"),
    ("config",),
    ("protocols", "files", "mask"),
    ("plugins", "store"),
    ("weights", "dataset"),
    ("run", "training", "trainers"),
    ("propagate", "report", "fill", "http", "export"),
    ("importing", "captions", "check", "bench", "client"),
    ("cli",),
)
"""Modules and packages of `automask`, lowest first. One imports those of lower layers only, and nothing beside it."""
MOST_MODULES = 26
STAGES = {
    name
    for group in ("automask.detectors", "automask.dataset_detectors", "automask.refiners")
    for name in entry_points(group=group).names
}
OTHER_MEANINGS = {"polygon", "overlay", "ground", "rapidocr"}
"""Words that are also a shape, kinds of regions and a file system, and a package whose version is told."""
FACE = ("__init__", "__main__", "examples")
"""What a user imports or starts, and data: no part of a layer, and nothing inside imports it."""
HEAVY = {
    "torch", "torchvision", "transformers", "ultralytics", "easyocr", "rapidocr", "onnxruntime", "cv2", "timm",
    "segment_anything", "pillow_heif", "skimage", "scipy", "shapely", "onnx", "fastapi", "uvicorn", "httpx",
}  # fmt: skip
WEB = {"fastapi", "uvicorn"}
WITHOUT_WEB = (
    "api/automask_api/__init__.py", "api/automask_api/commands.py", "api/automask_api/settings.py",
    "api/automask_api/review/__init__.py", "api/automask_api/review/command.py",
)  # fmt: skip
"""What the command line imports before it knows that a server is wanted; the rest of the package is the server."""
HEAVY_BY_DESIGN = ("automask/training.py", "models/automask_training/")
"""Torch helpers for training loops; nothing else imports them (checked below)."""
MAX_LINES = 400
LONGER_FILES: dict[str, int] = {}
"""Files above the limit with the most lines they may have. May shrink, never grow."""


def _modules() -> dict[str, Path]:
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found[name] = path
    return found


MODULES = _modules()


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(module: str, path: Path, *, module_level_only: bool) -> Iterator[str]:
    """Full names that a module imports, relative ones resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if module_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if path.name == "__init__.py" else module.rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                base = f"{package}.{base}".strip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in MODULES else base
        pending.extend(ast.iter_child_nodes(node))


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _top(name: str) -> str:
    return name.partition(".")[0]


def test_every_package_is_looked_at():
    assert len(MODULES) > 30
    assert "automask.cli.app" in MODULES
    assert "automask_models.text.rapidocr" in MODULES


@pytest.mark.parametrize("package", PACKAGES)
def test_dependence_has_one_direction(package):
    broken = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if _top(module) == package and not _relative(path).startswith(HEAVY_BY_DESIGN)
        for name in _imports(module, path, module_level_only=False)
        if _top(name) in FORBIDDEN[package]
        and not (package == "automask_models" and _top(name) in HEAVY)  # models may use their own libraries, lazily
    ]
    assert broken == []


def _part(module: str) -> str:
    """The module or package right under `automask` that a module belongs to; the face is named by itself."""
    return module.split(".")[1] if "." in module else "__init__"


def _lines_between_parts() -> set[tuple[str, str]]:
    """Which part of `automask` imports which, imports inside functions included."""
    return {
        (_part(module), _part(name))
        for module, path in MODULES.items()
        if _top(module) == "automask" and _part(module) not in FACE
        for name in _imports(module, path, module_level_only=False)
        if _top(name) == "automask" and _part(name) != _part(module)
    }


def test_parts_of_the_core_import_lower_layers_only(capsys):
    height = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    parts = {_part(module) for module in MODULES if _top(module) == "automask"} - set(FACE)
    assert parts == set(height), "every part has its layer"
    assert len(parts) <= MOST_MODULES
    lines = _lines_between_parts()
    with capsys.disabled():  # the map, for whoever runs this file by itself
        _print_layers(lines)
    upwards = sorted(f"{part} imports {other}" for part, other in lines if height.get(other, 99) >= height[part])
    assert upwards == []


def test_nothing_inside_imports_the_face():
    """`from automask import Store` is for users: inside, every import says which module it needs."""
    inside = [
        f"{module} imports automask"
        for module, path in MODULES.items()
        if "automask" in _imports(module, path, module_level_only=False)
    ]
    assert inside == []


def _print_layers(lines: set[tuple[str, str]]) -> None:
    for number, layer in reversed(list(enumerate(LAYERS, start=1))):
        for part in layer:
            used = sorted(other for importer, other in lines if importer == part)
            sys.stdout.write(f"\n{number:>3}  {part:<10} {' '.join(used)}")
    sys.stdout.write("\n")


def test_the_core_knows_no_stage_of_another_package():
    """Names of stages come from entry points; the configuration's defaults are the one list of them."""
    naming = [
        f"{_relative(path)}:{node.lineno} {node.value}"
        for module, path in MODULES.items()
        if _top(module) == "automask" and module != "automask.config"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in STAGES - OTHER_MEANINGS
    ]
    assert naming == [], "a new stage takes a name that is no word of the core; else see OTHER_MEANINGS"


def test_heavy_packages_are_imported_inside_functions():
    broken = [
        f"{_relative(path)}: {name}"
        for module, path in MODULES.items()
        if not _relative(path).startswith(HEAVY_BY_DESIGN)
        for name in _imports(module, path, module_level_only=True)
        if _top(name) in HEAVY and not (_top(name) in WEB and _is_server(path))
    ]
    assert broken == []


def _is_server(path: Path) -> bool:
    return _relative(path).startswith("api/") and _relative(path) not in WITHOUT_WEB


def test_nothing_imports_the_training_helpers_when_it_is_imported():
    helpers = ("automask.training", "automask_training")
    broken = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if not module.startswith(helpers)
        for name in _imports(module, path, module_level_only=True)
        if name.startswith(helpers)
    ]
    assert broken == []


def test_modules_do_not_import_each_other_in_circles():
    """Imports inside functions count: they hide a circle, they do not break it."""
    graph = {
        module: {name for name in _imports(module, path, module_level_only=False) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    done: set[str] = set()
    trail: list[str] = []

    def visit(module: str) -> None:
        if module in done:
            return
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        trail.append(module)
        for name in sorted(graph[module]):
            visit(name)
        trail.pop()
        done.add(module)

    for module in graph:
        visit(module)
    assert len(done) == len(MODULES)


def test_files_stay_short():
    too_long = {}
    for folder in (*PACKAGES.values(), ROOT / "tests", ROOT / "docs"):
        for path in (*folder.rglob("*.py"), *folder.rglob("*.js")):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LONGER_FILES.get(_relative(path), MAX_LINES):
                too_long[_relative(path)] = lines
    assert too_long == {}


def test_tests_share_helpers_and_never_each_other():
    importing = [
        f"{path.name}:{node.lineno} {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (getattr(node, "module", None), *(alias.name for alias in node.names))
        if re.match(r"(.*\.)?test_", name or "")
    ]
    assert importing == []


def test_the_list_of_longer_files_only_shrinks():
    for name, allowed in LONGER_FILES.items():
        lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
        assert MAX_LINES < lines <= allowed, f"{name} has {lines} lines: lower its entry or drop it"


def test_our_code_does_not_print():
    printing = [
        f"{_relative(path)}:{node.lineno}"
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []
