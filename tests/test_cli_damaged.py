"""A store whose database broke: every command that opens it says so, with the documented code."""

import shutil
from pathlib import Path

import pytest
from cli_process import CHEAP, automask, draw_images

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[1] / "models" / "training" / "watermark.toml"  # no part of what is installed
COMMANDS = {
    "run": ("run", "{images}", *CHEAP, "--output", "{store}"),
    "render": ("render", "{store}", "--growth-cells", "2"),
    "show": ("show", "{store}", "001.jpg", "--output", "{out}.png"),
    "report": ("report", "{store}"),
    "export": ("export", "{store}", "--to", "onetrainer", "--output", "{out}"),
    "import": ("import", "{store}", "--from", "{masks}"),
    "propagate": ("propagate", "{store}", "--from", "001.jpg"),
    "status": ("status", "{store}"),
    "verify": ("status", "{store}", "--verify"),
    "captions": ("captions", "{store}", "--output", "{out}"),
    "fill": ("fill", "{store}", "--output", "{out}"),
    "crop": ("crop", "{store}", "--write", "--output", "{out}"),
    "overlays": ("overlays", "list", "{store}"),
    "forget": ("overlays", "forget", "{store}", "0123456789ab"),
    "review": ("review", "{store}", "--port", "0", "--no-browser"),
    "train": ("train", str(RECIPE), "--data", "{store}", "--out", "{out}", "--from-nothing"),
}


def cut(data: bytes) -> bytes:
    return data[: len(data) // 3]


def header(data: bytes) -> bytes:
    return data[:16] + b"\xff" * 5000


def pages(data: bytes) -> bytes:
    """It opens, and the tables are not there."""
    return data[:4096] + b"\xff" * (len(data) - 4096)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = draw_images(tmp_path_factory.mktemp("damaged") / "set", 2)
    assert automask("run", folder, *CHEAP, "--no-report").returncode == 0
    return folder


@pytest.mark.parametrize("damage", [cut, header, pages], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_names_a_damaged_database(made, tmp_path, name, damage):
    store = shutil.copytree(made.with_name("set-masks"), tmp_path / "store")
    database = store / "automask.sqlite"
    broken = damage(database.read_bytes())
    database.write_bytes(broken)
    for leftover in ("-wal", "-shm"):
        (store / f"automask.sqlite{leftover}").unlink(missing_ok=True)
    masks = {path: path.read_bytes() for path in (store / "masks").rglob("*.png")}
    places = {"images": made, "store": store, "masks": made.with_name("set-masks") / "masks", "out": tmp_path / "out"}
    done = automask(*(word.format(**places) for word in COMMANDS[name]))
    assert (done.returncode, "[store-corrupt]" in done.stderr) == (5, True), (done.stdout[-500:], done.stderr)
    assert "Traceback" not in done.stderr
    assert database.read_bytes() == broken, "what may still be saved of it is left alone"
    assert {path: path.read_bytes() for path in (store / "masks").rglob("*.png")} == masks
