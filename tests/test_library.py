"""The library's face: ten names, imported when they are asked for; the examples of docs/library.md as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import automask
from automask.store import Store

GUIDE = (Path(__file__).parent.parent / "docs" / "library.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (.*?)$.*?```python\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE))


def run(title: str) -> None:
    exec(compile(EXAMPLES[title], f"docs/library.md, {title}", "exec"), {"__name__": "example"})


def card(path: Path) -> None:
    """Soft hills in a black frame."""
    rows, columns = np.mgrid[0:240, 0:320]
    grey = 110 + 40 * np.sin(rows / 61.0) + 30 * np.sin((columns + rows) / 83.0)
    pixels = np.zeros((320, 400, 3), dtype=np.uint8)
    pixels[40:280, 40:360] = np.stack([grey, grey * 0.9, grey * 0.7], axis=2)
    PillowImage.fromarray(pixels).save(path)


def test_importing_it_imports_nothing_else():
    code = (
        "import sys, automask; assert automask.__version__; print(sorted({n.partition('.')[0] for n in sys.modules} &"
        " {'numpy', 'pydantic', 'pydantic_settings', 'PIL', 'cv2', 'onnxruntime'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_ten_names_are_there():
    assert len(automask.__all__) == 10
    for name in automask.__all__:
        assert getattr(automask, name).__name__ == name
        assert name in dir(automask)
        assert re.search(rf"^\| [^|]*`{name}`", GUIDE, re.MULTILINE), f"docs/library.md does not list {name}"
    with pytest.raises(AttributeError, match="NoSuchName"):
        automask.NoSuchName  # noqa: B018


def test_what_is_typed_is_what_is_imported():
    """Type checkers read one list of names, Python the other."""
    source = Path(automask.__file__).read_text(encoding="utf-8")
    typed = {name: module for module, name in re.findall(r"from (automask[\w.]*) import (\w+) as \2", source)}
    assert typed == automask._HOMES


def test_the_example_of_one_image(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    card(tmp_path / "photo.jpg")
    run("One image")
    with PillowImage.open(tmp_path / "photo-mask.png") as mask:
        levels = np.asarray(mask)
    assert levels.shape == (320, 400)
    assert (levels[10, 200], levels[160, 200]) == (0, 255)
    said = capsys.readouterr().out
    assert re.search(r"\d+% masked, confidence 0\.\d\d, verdict (auto|review)", said)
    assert re.search(r"^frame \(0, 0, 400, 320\)", said, re.MULTILINE)


def test_the_example_of_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataset").mkdir()
    card(tmp_path / "dataset" / "card.png")
    (tmp_path / "dataset" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    run("A folder")
    said = capsys.readouterr().out
    assert "1 masks drawn, 0 up to date, 1 images failed" in said
    assert re.search(r"^broken\.png \['image-[a-z]+'\]$", said, re.MULTILINE)
    assert re.search(r"^card\.png (auto|review) 0\.\d+ .*card\.png$", said, re.MULTILINE)
    with Store.open(tmp_path / "dataset-masks") as store:
        assert store.counts().done == 1
    monkeypatch.setitem(EXAMPLES, "again", EXAMPLES["A folder"].replace('Path("dataset")', 'Path("nowhere")'))
    with pytest.raises(SystemExit, match=r"input-not-a-folder: .*nowhere does not exist"):
        run("again")


def test_the_example_of_known_regions():
    run("What you know already")


def test_every_example_is_run():
    assert set(EXAMPLES) == {"One image", "A folder", "What you know already"}
    assert GUIDE.count("```python") == 3
