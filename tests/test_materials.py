"""What is collected for training, and what is held out from it."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from automask.bench.manifest import read_manifest
from automask_training.synth import materials
from automask_training.synth.dhash import NeverTrain
from automask_training.synth.materials import DEFAULT_RECIPE, Collector, collect, letters_in

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300">{}</svg>'


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages that lie on the disk already, of which one is held out."""
    for name in ("seen", "unseen"):
        folder = tmp_path / name / "pictures"
        folder.mkdir(parents=True)
        Image.effect_noise((300, 260), 60).convert("RGB").save(folder / "noise.png")
    monkeypatch.setattr(materials, "download_debian", lambda name, cache: tmp_path / name)
    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    monkeypatch.setattr(Collector, "add_icons", lambda *given, **named: None)
    monkeypatch.setattr(materials, "download_npm", lambda name, cache: tmp_path)
    path = tmp_path / "recipe.toml"
    path.write_text(
        """
long_side_px = 400
python_files = []
held_out = { packages = ["unseen"], marks = ["two"] }
fonts = {}
icons = { npm = "icons", licence = "CC0-1.0", side_px = 64 }
packages = [{ names = ["seen", "unseen"], licence = "CC0-1.0", backgrounds = ["*/pictures/*"] }]
"""
    )
    return path


def _collected(recipe: Path, out: Path, *, held_out: bool) -> materials.MaterialIndex:
    marks = recipe.parent / "artwork"
    marks.mkdir(exist_ok=True)
    for name in ("one", "two"):
        Image.new("L", (40, 20), 255).save(marks / f"{name}.png")
    never = NeverTrain([])
    return collect(out, recipe=recipe, never_train=never, marks=marks, frames=None, held_out=held_out)


def test_what_is_held_out_is_collected_alone_or_not_at_all(recipe: Path, tmp_path: Path):
    index = _collected(recipe, tmp_path / "training", held_out=False)
    assert [each.source for each in index.backgrounds] == ["seen"]
    assert [each.file for each in index.marks] == ["marks/one.png"]
    assert not (tmp_path / "training" / "manifest.json").exists()

    rest = _collected(recipe, tmp_path / "figures", held_out=True)
    assert [each.source for each in rest.backgrounds] == ["unseen"]
    assert [each.file for each in rest.marks] == ["marks/two.png"]
    (entry,) = read_manifest(tmp_path / "figures" / "manifest.json").entries
    assert (entry.kind, entry.source, entry.truth, entry.mask) == ("clean", "unseen", "nothing", None)


def test_what_the_recipe_holds_out_is_in_it():
    spec = tomllib.loads(DEFAULT_RECIPE.read_text(encoding="utf-8"))
    named = {entry.get("prefix", "") + name for entry in spec["packages"] for name in entry.get("names", ())}
    named |= {entry["name"] for entry in spec["packages"] if "name" in entry}
    named |= {entry["package"] for entry in spec["python_files"]}
    assert set(spec["held_out"]["packages"]) <= named
    fonts = {name for entry in spec["fonts"].values() for name in entry["packages"]}
    assert set(spec["held_out"]["fonts"]) < fonts
    layout = tomllib.loads((Path(__file__).parent.parent / "models/training/layout.toml").read_text(encoding="utf-8"))
    assert set(layout["render"]["held_out"]) == set(spec["held_out"]["packages"])


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ('<path d="M0 0h9v9z"/>', False),
        ('<text x="1">Sale</text>', True),
        ("<flowRoot>Sale</flowRoot>", True),
        ("<g><tspan>x</tspan></g>", True),
        ("<textPathless/>", False),
    ],
)
def test_drawings_with_letters_in_them_are_known(inner: str, expected: bool, tmp_path: Path):
    path = tmp_path / "drawing.svg"
    path.write_text(DRAWING.format(inner))
    assert letters_in(path) is expected


def test_a_drawing_that_cannot_be_drawn_is_left_out(tmp_path: Path):
    path = tmp_path / "broken.svg"
    path.write_text("<svg")
    collector = Collector(tmp_path / "out", never_train=NeverTrain([]), long_side_px=300)
    if shutil.which("rsvg-convert") is None:
        pytest.skip("needs rsvg-convert")
    collector.add_picture(path, "s", "CC0-1.0", sprite=True)
    assert collector.write_index().sprites == ()


def test_materials_list_what_they_hold(recipe: Path, tmp_path: Path):
    index = _collected(recipe, tmp_path / "training", held_out=False)
    listed = json.loads((tmp_path / "training" / "materials.json").read_text())
    assert [each["file"] for each in listed["backgrounds"]] == [each.file for each in index.backgrounds]
