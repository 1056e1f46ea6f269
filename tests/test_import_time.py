"""The command line starts fast, and help needs no model library."""

import statistics
import subprocess
import sys

import pytest

BASELINE = "import typer, rich, pydantic"
LIMIT_S = 0.3
HEAVY = ("torch", "cv2", "onnxruntime", "rapidocr", "ultralytics", "easyocr", "transformers", "shapely", "scipy")


def _seconds(code: str) -> float:
    """Of a core, so that others who work on the machine count little."""
    timed = f"import time; t = time.process_time(); {code}; print(time.process_time() - t)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.parametrize("code", ["import automask.cli", "from automask.cli.app import build_app; build_app()"])
def test_the_command_line_imports_fast(code):
    # The best of several interleaved runs: what else the machine does can only add time.
    pairs = [(_seconds(BASELINE), _seconds(f"{BASELINE}; {code}")) for _ in range(5)]
    baseline, ours = (min(column) for column in zip(*pairs, strict=True))
    assert ours - baseline <= LIMIT_S, f"{ours:.2f} s against {baseline:.2f} s; medians {_medians(pairs)}"


def _medians(pairs: list[tuple[float, float]]) -> list[float]:
    return [round(statistics.median(column), 3) for column in zip(*pairs, strict=True)]


def test_help_lists_all_commands_without_heavy_packages():
    code = (
        "import sys\n"
        "from automask.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "assert 'automask_models.commands' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("run", "render", "show", "report", "status", "bench", "demo", "models"):
        assert f" {name} " in done.stdout


def test_the_command_table_is_made_without_running_any_plug_in():
    code = (
        "import sys\n"
        "from automask.cli.app import build_app\n"
        "build_app()\n"
        "loaded = [name for name in ('numpy', 'pydantic_settings', 'automask.config') if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


DECODING_PARTS = {"dataset", "errors", "values"}
"""Of automask, what takes part in decoding."""


def test_a_decoding_process_imports_only_what_decodes():
    """Each run, server and bad upload starts one: it must cost little more than numpy and Pillow."""
    code = "import sys; before = set(sys.modules); import automask_api.uploads.child; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"numpy", "PIL.Image", "automask.dataset.decode"} <= loaded
    packages = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert packages == {"numpy", "PIL", "automask", "automask_api"}
    assert {name.split(".")[1] for name in loaded if name.startswith("automask.")} <= DECODING_PARTS
    assert {name for name in loaded if name.startswith("automask_api.")} == {
        "automask_api.uploads",
        "automask_api.uploads.child",
    }
    assert not loaded & {"asyncio", "sqlite3", "importlib.metadata", "automask.dataset.walk"}


@pytest.mark.parametrize(
    "module", ["automask", "automask.store", "automask.dataset", "automask.report.pages", "automask_models"]
)
def test_importing_a_package_changes_nothing(module):
    code = (
        "import os, sys, warnings, numpy, pydantic_settings, typer\n"
        "from PIL import Image\n"
        "before = dict(os.environ), Image.MAX_IMAGE_PIXELS, list(warnings.filters), sys.stdout\n"
        f"import {module}\n"
        "assert before == (dict(os.environ), Image.MAX_IMAGE_PIXELS, list(warnings.filters), sys.stdout)\n"
        f"assert not [name for name in {HEAVY!r} if name in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
