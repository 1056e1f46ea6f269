"""The guides say what the program does: every option, command, exit code, error code and weight is in them."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_process import automask, draw_images, environment, masks_of
from PIL import Image

from automask import errors
from automask.config import PipelineConfig
from automask.dataset.codes import Refusal, Remark, SkipReason
from automask.plugins import COMMANDS, DETECTORS, REFINERS, available, load_plugin

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCES = [*(ROOT / "automask").rglob("*.py"), *(ROOT / "models" / "automask_models").rglob("*.py")]
SOURCES += (ROOT / "api" / "automask_api").rglob("*.py")
SOURCES = [path for path in SOURCES if "training" not in path.parts]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def make_reference():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_tables_are_up_to_date():
    reference = make_reference()
    for path, parts in reference.documents().items():
        text = path.read_text(encoding="utf-8")
        assert reference.with_parts(text, parts) == text, f"run python docs/make_reference.py, {path.name} is old"


def test_every_stage_and_command_is_documented():
    configuration, commands = read("docs/configuration.md"), read("docs/cli.md")
    for group in (DETECTORS, REFINERS):
        for name in available(group):
            assert f"[options.{name}]" in configuration
    for name in ("run", "render", "show", "report", "status", "bench", "demo"):
        assert f"### `automask {name}" in commands
    for name in available(COMMANDS):
        assert f"automask {name}" in commands


def error_classes() -> list[type[errors.AutomaskError]]:
    pending, found = [errors.AutomaskError], []
    while pending:
        found.append(pending.pop())
        pending += found[-1].__subclasses__()
    return [cls for cls in found if cls.__module__ == errors.__name__]


def test_exit_codes_match_the_table():
    rows = re.findall(r"^\| (\d+) \| (\d*) ?\| (?:`(\w+)`)? ?\|", read("docs/errors.md"), re.MULTILINE)
    documented = {name: (int(code), int(status)) for code, status, name in rows if name}
    assert documented == {cls.__name__: (cls.exit_code, cls.http_status) for cls in error_classes()}
    plain = {int(code) for code, _, name in rows if not name}
    assert plain == {errors.EXIT_OK, errors.EXIT_SOME_FAILED, errors.EXIT_INTERRUPTED}


def codes_in_the_source() -> dict[str, str]:
    """Codes that are written as constants: `code="..."`, `default_code = "..."`, the second word of an `Issue`."""
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value = None
            if isinstance(node, ast.keyword) and node.arg == "code":
                value = node.value
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if ast.unparse(target) in ("default_code", "STALE_CORRECTION_CODE"):
                    value = node.value
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("Issue", "Problem"):
                position = 1 if ast.unparse(node.func) == "Issue" else 0
                value = node.args[position] if len(node.args) > position else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[value.value] = path.relative_to(ROOT).as_posix()
    return found


def documented_codes() -> set[str]:
    return set(re.findall(r"^\| `([a-z][a-z0-9-]+)` \|", read("docs/errors.md"), re.MULTILINE))


def test_every_code_is_documented():
    codes = codes_in_the_source()
    assert len(codes) > 40
    missing = {code: path for code, path in codes.items() if code not in documented_codes()}
    assert missing == {}


@pytest.mark.parametrize("codes", [Refusal, Remark, SkipReason])
def test_every_code_of_the_dataset_layer_is_documented(codes):
    assert {str(code) for code in codes} <= documented_codes()


def test_no_documented_code_is_made_up():
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert [code for code in sorted(documented_codes()) if f'"{code}"' not in source] == []


def test_exit_codes_of_error_codes_match_their_class():
    """In the table of error codes, a default code has the exit code of its class."""
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", read("docs/errors.md"), re.MULTILINE))
    for cls in error_classes():
        if cls is not errors.ImageError:  # its code is listed with the issues
            assert int(rows[cls.default_code]) == cls.exit_code, cls.default_code


def test_every_weight_that_we_ship_has_a_card_and_is_in_the_licence_table():
    readme = read("README.md")
    for name, weight in tomllib.loads(read("models/automask_models/weights.toml")).items():
        if "url" not in weight and "hub" not in weight:
            assert (ROOT / "models" / "cards" / f"{name}.md").is_file(), name
            assert name in readme, f"{name} is not in the README's licence table"


def test_links_between_documents_lead_somewhere():
    documents = [
        ROOT / "README.md",
        *DOCS.glob("*.md"),
        *(DOCS / "decisions").glob("*.md"),
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "automask" / "examples" / "README.md",
    ]
    for path in documents:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_examples_are_all_named_with_their_licence():
    text = read("automask/examples/README.md")
    folder = ROOT / "automask" / "examples"
    images = [path for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".webp")]
    assert len(images) == 8
    assert sum(path.stat().st_size for path in images) < 1_500_000
    for path in images:
        assert f"| {path.relative_to(folder).as_posix()} |" in text


def test_the_plugin_guide_works_as_written(tmp_path):
    guide = read("docs/plugins.md")
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL).group(1)
    entry_points = tomllib.loads(re.search(r"```toml\n(.*?)```", guide, re.DOTALL).group(1))["project"]["entry-points"]
    package = tmp_path / "site"
    info = package / "corner_mark-1.0.dist-info"
    info.mkdir(parents=True)
    (package / "corner_mark.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: corner-mark\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in names.items()) for group, names in entry_points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    folder = draw_images(tmp_path / "set", 1)
    stamped = Image.new("RGB", (200, 100), "navy")
    stamped.paste("white", (168, 68, 200, 100))
    stamped.save(folder / "stamped.png")
    done = automask(
        "run",
        folder,
        "--detectors",
        "edges,corner-mark",
        "--option",
        "corner-mark.side_px=32",
        env=environment(package),
    )
    assert done.returncode == 0, done.stderr
    assert "stamped.png" in masks_of(tmp_path / "set-masks")
    with Image.open(tmp_path / "set-masks" / "masks" / "stamped.png") as mask:
        assert mask.getpixel((190, 90)) == 0
        assert mask.getpixel((40, 30)) == 255
    checked = subprocess.run(
        [sys.executable, "-m", "compileall", "-q", package], capture_output=True, check=False, env=environment()
    )
    assert checked.returncode == 0


def test_the_example_configuration_is_valid():
    example = tomllib.loads(re.search(r"```toml\n(.*?)```", read("docs/configuration.md"), re.DOTALL).group(1))
    config = PipelineConfig.model_validate(example)
    for name, values in config.options.items():
        group = DETECTORS if name in available(DETECTORS) else REFINERS
        assert load_plugin(group, name).Options.model_validate(values)
