"""Hostile file names: every XML, JSON, TOML and YAML file of every export parses, and says the names that there are."""

import json
import os
import sys
import tomllib
from importlib.metadata import entry_points
from xml.etree import ElementTree

import pytest
import yaml
from export_cases import export, make_store
from fakes import red_on_grey
from PIL import Image

from automask.dataset.names import xml_name
from automask.errors import InputError
from automask.export.snippets import json_line, toml_string, yaml_string

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such names")

NAMES = [
    "esc\x1b[2K.png", "bell\x07.png", "line\nbreak.png", "tab\tand\r.png", "del\x7f.png", "c1\x9b and \x85.png",
    "\x01.png", "sep\u2028\u2029.png", "bom\ufeff.png", "no character\ufffe\uffff.png", "rtl\u202e.png",
    "emoji 😀\U000e0041.png",
    "quote\"s and 'more'.png", "back\\slash\\u0041.png", "<&>]]> &amp; <!--.png", "${x} {y} %s %1b.png",
    "- a: b # c.png", " blank .png", "'.png", "[a], {b}*&!|>?.png", "ünï.png",
]  # fmt: skip
EXPORTERS = sorted(point.name for point in entry_points(group="automask.exporters"))
FOLDER = "set \x1b\x7f\x9b\u2028\"'\\ {a}: #"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names") / FOLDER / "images"
    (folder / "sub\x1b\x7f").mkdir(parents=True)
    picture = Image.fromarray(red_on_grey())
    for name in NAMES:
        picture.save(folder / name, "PNG")
    picture.save(folder / "sub\x1b\x7f" / "in\x0b.png", "PNG")
    return folder


@pytest.fixture(scope="module")
def store(images):
    return make_store(images)


def parsed(path):
    data = path.read_bytes()
    match path.suffix:
        case ".xml":
            return [ElementTree.fromstring(data)]
        case ".json":
            return [json.loads(data)]
        case ".jsonl":
            return [json.loads(line) for line in data.decode("utf-8").splitlines()]
        case ".toml":
            return [tomllib.loads(data.decode("utf-8"))]
        case ".yaml":
            return [yaml.safe_load(data)]
    return []


def strings(value) -> set[str]:
    """Every string in a document."""
    if isinstance(value, dict):
        return {key for key in value if isinstance(key, str)}.union(*map(strings, value.values()), set())
    if isinstance(value, list):
        return set().union(*map(strings, value), set())
    if isinstance(value, ElementTree.Element):
        return {text for one in value.iter() for text in (*one.attrib.values(), one.text or "")}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_file_of_every_export_parses_and_its_names_are_those_of_files(store, images, exporter, tmp_path):
    output = tmp_path / FOLDER / exporter
    export(store, exporter, output=output)
    found = [path for path in output.rglob("*") if path.suffix in (".xml", ".json", ".jsonl", ".toml", ".yaml")]
    said = set()
    for path in found:
        documents = parsed(path)
        assert documents, path.name
        said |= set().union(*map(strings, documents))
    for text in said:
        if text.startswith(str(tmp_path)) and "cache" not in text:  # folders that are written into configurations
            assert os.path.exists(text), text  # noqa: PTH110
    bare = {text.removeprefix("images/") for text in said}
    if exporter == "coco":
        assert set(NAMES) <= bare
    if exporter in ("cvat", "huggingface"):
        files = {path.relative_to(output / "images").as_posix() for path in (output / "images").rglob("*.png")}
        assert len(files) == len(NAMES) + 1
        assert files <= bare, sorted(files - bare)


def test_what_cvat_was_given_comes_back(store, tmp_path):
    export(store, "cvat", output=tmp_path / "cvat")
    names = {one.get("name") for one in ElementTree.parse(tmp_path / "cvat" / "annotations.xml").iter("image")}
    assert names == {xml_name(name) for name in [*NAMES, "sub\x1b\x7f/in\x0b.png"]}
    found = read_back(store, tmp_path / "cvat")
    assert found == set()


def read_back(store, folder) -> set[str]:
    """The names that an import does not know."""
    from automask.importing.cvat import read_cvat

    return set(read_cvat(folder, [*NAMES, "sub\x1b\x7f/in\x0b.png"]).unmatched)


@pytest.mark.parametrize("code", [*range(1, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F600, 0xE0041, 0x10FFFF])
def test_every_character_survives_toml_yaml_and_json_lines(code):
    text = f"a{chr(code)}b"
    assert tomllib.loads(f"x = {toml_string(text)}\n") == {"x": text}
    assert yaml.safe_load(f"x: {yaml_string(text)}\n") == {"x": text}
    assert [json.loads(line) for line in json_line({"x": text}).splitlines()] == [{"x": text}]
    ElementTree.fromstring(ElementTree.tostring(ElementTree.Element("a", {"x": xml_name(text)})))


def test_what_is_not_utf_8_is_refused_in_words():
    for write in (toml_string, yaml_string):
        with pytest.raises(InputError, match="not UTF-8"):
            write("/a\udcff/b")
