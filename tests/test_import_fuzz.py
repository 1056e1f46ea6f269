"""Arbitrary and damaged annotation files: no crash, and no mask that masks nothing afterwards."""

import contextlib
import copy
import io
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_cases import NAMES, ROUNDS, SIZE_PX, attempt, export_round, make_import_store
from PIL import Image

from automask.errors import InputError
from automask.importing.cvat import read_cvat
from automask.importing.found import Target
from automask.importing.pictures import alpha_levels, grey_levels
from automask.importing.run import READERS


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_import_store(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture
def store(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "store"))


@pytest.fixture(scope="module")
def exports(original, tmp_path_factory):
    """The files of each annotation format, with accepted predictions for Label Studio."""
    found = {}
    for name in ("coco-rle", "coco-polygons", "labelme", "labelstudio", "cvat"):
        source = export_round(original, ROUNDS[name], tmp_path_factory.mktemp(name) / "out")
        if name == "labelstudio":
            ROUNDS[name].touch(source, "a.png", (1, 1, 30, 30))
        found[name] = (source / "a.json" if source.is_dir() else source).read_text()
    return found


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just(10**400), st.just("\ud800"),
    st.sampled_from(["a.png", "polygon", "rectangle", "mask", "brushlabels", "a.json", 1e300, -1, 0, [], {}]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["images", "annotations", "id", "image_id", "file_name", "segmentation", "counts", "size", "bbox", "shapes",
     "points", "shape_type", "mask", "imageHeight", "imageWidth", "data", "image", "result", "type", "value", "rle"]
) | st.text(max_size=4)  # fmt: skip
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@st.composite
def damaged(draw, text):
    """A good file in which one to three values are gone or something else."""
    content = copy.deepcopy(json.loads(text))
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while isinstance(place, (dict, list)) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(min(len(place), 40))))
            if not isinstance(place[key], (dict, list)) or not place[key] or draw(st.integers(0, 3)) == 0:
                if draw(st.booleans()):
                    del place[key]
                else:
                    place[key] = draw(ANYTHING)
                break
            place = place[key]
    return content


FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", ["coco-rle", "labelme", "labelstudio"])
@FUZZ
@given(content=ANYTHING)
def test_arbitrary_json(store, tmp_path, name, content):
    attempt(store, tmp_path / "in", name, lambda file: file.write_text(json.dumps(content)))


@pytest.mark.parametrize("name", ["coco-rle", "coco-polygons", "labelme", "labelstudio"])
@FUZZ
@given(data=st.data())
def test_damaged_json(store, tmp_path, exports, name, data):
    content = data.draw(damaged(exports[name]))
    attempt(store, tmp_path / "in", name, lambda file: file.write_text(json.dumps(content)))


WRONG = [None, True, 0, -1, 0.5, 1e300, 10**400, float("nan"), "", "\ud800", "polygon", [], [[]], [None], {}, {"a": []}]


def places(content):
    """Every place of a JSON value, with the first two of a list for all of them."""
    inner = content.items() if isinstance(content, dict) else list(enumerate(content))[:2]
    for key, value in inner:
        yield content, key
        if isinstance(value, (dict, list)):
            yield from places(value)


@pytest.mark.parametrize("name", ["coco-rle", "coco-polygons", "labelme", "labelstudio"])
def test_every_place_with_every_wrong_value(tmp_path, exports, name):
    """Through the reader alone, which must say no in its own words."""
    file = tmp_path / "a.json"
    content = json.loads(exports[name])
    read = READERS[ROUNDS[name].format]
    count = 0
    for place, key in list(places(content)):
        good = place[key]
        for wrong in WRONG:
            place[key] = wrong
            file.write_text(json.dumps(content))
            with contextlib.suppress(InputError):
                found = read(tmp_path if name == "labelme" else file, NAMES)
                for mask in list(found.masks.values())[:2]:
                    with contextlib.suppress(ValueError):
                        mask.load(Target((SIZE_PX[1], SIZE_PX[0])))
            count += 1
        place[key] = good
    assert count > 300


@FUZZ
@given(data=st.data())
def test_damaged_xml(store, tmp_path, exports, data):
    tree = ElementTree.fromstring(exports["cvat"])
    for _ in range(data.draw(st.integers(1, 3))):
        one = data.draw(st.sampled_from(list(tree.iter())))
        one.tag = data.draw(st.sampled_from([one.tag] * 4 + ["polygon", "box", "ellipse", "polyline", "mask", "zebra"]))
        if one.attrib:
            key = data.draw(st.sampled_from(sorted(one.attrib)))
            value = data.draw(st.sampled_from(["", "nan", "-1", "1e300", "0", "9" * 30, "zebra", "3,3;;", "1,2", None]))
            one.attrib.pop(key)
            if value is not None:
                one.attrib[key] = value
    attempt(store, tmp_path / "in", "cvat", lambda file: file.write_bytes(ElementTree.tostring(tree)))


def test_every_attribute_of_xml_with_every_wrong_value(tmp_path, exports):
    tree = ElementTree.fromstring(exports["cvat"])
    image = tree.find("image")
    ElementTree.SubElement(image, "box", {"xtl": "1", "ytl": "1", "xbr": "9", "ybr": "9", "rotation": "3"})
    ElementTree.SubElement(image, "ellipse", {"cx": "9", "cy": "9", "rx": "3", "ry": "3", "rotation": "3"})
    ElementTree.SubElement(image, "polyline", {"points": "1,1;9,9", "width": "3"})
    ElementTree.SubElement(image, "polygon", {"points": "1,1;9,9;9,1"})
    file = tmp_path / "annotations.xml"
    for element in [image, *image]:
        for key, good in list(element.attrib.items()):
            for wrong in ["", " ", "nan", "inf", "-1", "0", "1e300", "9" * 400, "zebra", ";", ",", "1,2;", "1,2,3"]:
                element.attrib[key] = wrong
                file.write_bytes(ElementTree.tostring(tree))
                for mask in list(read_cvat(file, NAMES).masks.values())[:2]:
                    with contextlib.suppress(ValueError):
                        mask.load(Target((SIZE_PX[1], SIZE_PX[0])))
            element.attrib[key] = good


@pytest.mark.parametrize("format_", ["png", "tiff", "gif", "webp", "bmp", "jpeg"])
@FUZZ
@given(data=st.data())
def test_damaged_pictures(tmp_path, format_, data):
    good = io.BytesIO()
    Image.fromarray(np.eye(SIZE_PX[1], SIZE_PX[0], dtype=np.uint8) * np.uint8(255)).save(good, format_)
    content = bytearray(good.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.png"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    for read in (grey_levels, alpha_levels):
        with contextlib.suppress(ValueError, OSError):
            assert read(path).levels.dtype == np.uint8
