"""Shapes that annotation programs write: what is known is drawn, anything else makes its entry unusable."""

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from import_cases import SIZE_PX, added, make_import_store, percent, run, state_of
from PIL import Image

from automask.store import Store
from automask.values.brush import encode_brush
from automask.values.types import Kind

WIDE, HIGH = SIZE_PX
BOX = (20, 10, 60, 40)
NAME = "a.png"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_import_store(tmp_path_factory.mktemp("shapes"))


@pytest.fixture
def store(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "store"))


def filled(box=BOX):
    out = np.zeros((HIGH, WIDE), dtype=np.bool_)
    out[box[1] : box[3], box[0] : box[2]] = True
    return out


def round_one(centre=(40, 25), radii=(20, 15), turn=0.0):
    y, x = np.mgrid[:HIGH, :WIDE] + 0.5
    dx, dy, angle = x - centre[0], y - centre[1], np.radians(turn)
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1


def agree(one, other):
    return (one & other).sum() / (one | other).sum()


def png(artefact):
    out = io.BytesIO()
    Image.fromarray(artefact).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def corners(box=BOX):
    return [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]]


def task(*results, name=NAME, **rest):
    return {"id": 1, "data": {"image": f"/data/local-files/?d={name}"}, "annotations": [{"result": results}], **rest}


def result(kind, value, label="text", **rest):
    return {"id": "x", "type": f"{kind}labels", "value": {**value, f"{kind}labels": [label]}, **rest}


def ls_box(box=BOX, **rest):
    return {**dict(zip(("x", "y", "width", "height"), percent(box), strict=True)), **rest}


def labelstudio(folder, *results):
    (folder / "in.json").write_text(json.dumps([task(*results)]))
    return folder / "in.json", "labelstudio"


def labelme(folder, *shapes):
    content = {"shapes": shapes, "imageHeight": HIGH, "imageWidth": WIDE, "imagePath": NAME}
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "a.json").write_text(json.dumps(content))
    return folder / "in", "labelme"


def shape(kind, points, **rest):
    return {"label": "text", "shape_type": kind, "points": points, **rest}


def cvat(folder, *elements):
    image = f'<image id="0" name="{NAME}" width="{WIDE}" height="{HIGH}">{"".join(elements)}</image>'
    (folder / "in.xml").write_text(f"<annotations>{image}</annotations>")
    return folder / "in.xml", "cvat"


def coco(folder, *things, image_id=7, of=7):
    content = {
        "images": [{"id": image_id, "file_name": NAME, "width": WIDE, "height": HIGH}],
        "categories": [{"id": 2, "name": "Watermark"}],
        "annotations": [{"image_id": of, **thing} for thing in things],
    }
    (folder / "in.json").write_text(json.dumps(content))
    return folder / "in.json", "coco"


def coco_rle(artefact):
    from automask.values.rle import coco_counts

    return {"segmentation": {"counts": coco_counts(artefact), "size": [HIGH, WIDE]}}


FLAT = [value for corner in corners() for value in corner]
TURNED = np.zeros((HIGH, WIDE), dtype=np.bool_)
TURNED[5:45, 25:55] = True  # BOX, turned by a right angle around its centre
AROUND_CORNER = np.zeros((HIGH, WIDE), dtype=np.bool_)
AROUND_CORNER[10:50, 30:60] = True  # the same around its first corner, which is at 60, 10
ELLIPSE = {"x": 40 / WIDE * 100, "y": 25 / HIGH * 100, "radiusX": 20 / WIDE * 100, "radiusY": 15 / HIGH * 100}
LINE = filled((10, 25, 80, 35))
BRUSH = {"format": "rle", "rle": encode_brush(filled())}
RUNS = "0, 1200"

DRAWN = {
    "labelstudio rectangle": (labelstudio, [result("rectangle", ls_box())], filled()),
    "labelstudio turned rectangle": (
        labelstudio, [result("rectangle", ls_box((60, 10, 100, 40), rotation=90))], AROUND_CORNER,
    ),
    "labelstudio ellipse": (labelstudio, [result("ellipse", ELLIPSE)], round_one()),
    "labelstudio turned ellipse": (labelstudio, [result("ellipse", {**ELLIPSE, "rotation": 30})], round_one(turn=30)),
    "labelstudio polygon": (
        labelstudio, [result("polygon", {"points": [[x / WIDE * 100, y / HIGH * 100] for x, y in corners()]})],
        filled(),
    ),
    "labelstudio brush": (labelstudio, [result("brush", BRUSH)], filled()),
    "labelstudio without a label": (labelstudio, [{"id": "x", "type": "rectangle", "value": ls_box()}], filled()),
    "labelstudio choices beside": (
        labelstudio, [{"id": "c", "type": "choices", "value": {"choices": ["ok"]}}, result("rectangle", ls_box())],
        filled(),
    ),
    "labelme polygon": (labelme, [shape("polygon", corners())], filled()),
    "labelme without a type": (labelme, [{"label": "text", "points": corners()}], filled()),
    "labelme rectangle": (labelme, [shape("rectangle", [[60, 40], [20, 10]])], filled()),
    "labelme four corners": (labelme, [shape("rectangle", corners())], filled()),
    "x-anylabeling rotation": (labelme, [shape("rotation", corners(), direction=6.2)], filled()),
    "labelme oriented rectangle": (labelme, [shape("oriented_rectangle", corners())], filled()),
    "labelme circle": (labelme, [shape("circle", [[40, 25], [55, 25]])], round_one(radii=(15, 15))),
    "labelme mask": (labelme, [shape("mask", [[20, 10], [59, 39]], mask=png(np.ones((30, 40), dtype=bool)))], filled()),
    "labelme line": (labelme, [shape("line", [[10, 30], [80, 30]])], LINE),
    "labelme linestrip": (labelme, [shape("linestrip", [[10, 30], [30, 30], [80, 30]])], LINE),
    "labelme stray point": (labelme, [shape("point", [[3, 3]]), shape("polygon", corners())], filled()),
    "cvat box": (cvat, ['<box label="text" xtl="20" ytl="10" xbr="60" ybr="40"/>'], filled()),
    "cvat turned box": (cvat, ['<box label="text" xtl="20" ytl="10" xbr="60" ybr="40" rotation="90"/>'], TURNED),
    "cvat polygon": (cvat, ['<polygon label="text" points="20,10;60,10;60,40;20,40"/>'], filled()),
    "cvat ellipse": (cvat, ['<ellipse label="text" cx="40" cy="25" rx="20" ry="15"/>'], round_one()),
    "cvat turned ellipse": (
        cvat, ['<ellipse label="text" cx="40" cy="25" rx="20" ry="15" rotation="30"/>'], round_one(turn=30),
    ),
    "cvat mask": (
        cvat, [f'<mask label="text" rle="{RUNS}" left="20" top="10" width="40" height="30"/>'], filled(),
    ),
    "cvat polyline": (cvat, ['<polyline label="text" points="10,30;80,30"/>'], LINE),
    "cvat polyline with a width": (
        cvat, ['<polyline label="text" points="10,30;80,30"><attribute name="width">10</attribute></polyline>'],
        LINE,
    ),
    "coco polygon": (coco, [{"segmentation": [FLAT], "category_id": 2}], filled()),
    "coco runs": (coco, [coco_rle(filled())], filled()),
    "coco box": (coco, [{"bbox": [20, 10, 40, 30]}], filled()),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_known_shapes_are_drawn(store, tmp_path, name):
    write, shapes, wanted = DRAWN[name]
    source, format_ = write(tmp_path, *shapes)
    summary = run(store, source, format_)
    assert summary.imported == [NAME], summary
    assert agree(added(store, NAME), wanted) > 0.8
    assert (summary.notes != {}) == (("point" in name or "line" in name) and "width" not in name)


def test_lines_without_a_width_are_as_wide_as_the_user_says(store, tmp_path):
    run(store, *labelme(tmp_path, shape("line", [[10, 30], [10, 30], [80, 30]])), line_width_px=4)
    assert agree(added(store, NAME), filled((10, 28, 80, 32))) > 0.75


REFUSED = {
    "labelstudio keypoint": (labelstudio, [result("keypoint", {"x": 3, "y": 3, "width": 1})], "keypointlabels"),
    "labelstudio vector": (labelstudio, [result("vector", {"vertices": []})], "vectorlabels"),
    "labelstudio choices only": (
        labelstudio, [{"id": "c", "type": "choices", "value": {"choices": ["ok"]}}], "no shapes",
    ),
    "labelstudio label alone": (labelstudio, [result("", ls_box()), result("rectangle", ls_box(), id="y")], "no shape"),
    "labelstudio turned image": (labelstudio, [result("rectangle", ls_box(), image_rotation=90)], "turned"),
    "labelstudio sizes": (
        labelstudio,
        [result("rectangle", ls_box(), original_width=WIDE, original_height=HIGH),
         result("rectangle", ls_box(), original_width=HIGH, original_height=WIDE)], "different sizes",
    ),
    "labelstudio brush of another size": (
        labelstudio, [result("brush", {"rle": encode_brush(np.ones((3, 3), bool))})], "px",
    ),
    "labelstudio null": (labelstudio, [None], "nothing"),
    "labelstudio no value": (labelstudio, [{"id": "x", "type": "rectangle"}], "value"),
    "labelme type": (labelme, [shape("cuboid", corners())], "cuboid"),
    "labelme list of types": (labelme, [shape(["polygon"], corners())], "shape_type"),
    "labelme two points": (labelme, [shape("polygon", corners()[:2])], "2 points"),
    "labelme no points": (labelme, [{"shape_type": "polygon"}], "points"),
    "labelme line of one point": (labelme, [shape("line", [[3, 3]])], "no length"),
    "labelme line without a length": (labelme, [shape("line", [[3, 3], [3, 3]])], "no length"),
    "cvat wide": (cvat, ['<polyline points="3,3;9,9" width="1e9"/>'], "more than its image"),
    "labelme three corners": (labelme, [shape("rectangle", corners()[:3])], "3 points"),
    "labelme mask of text": (labelme, [shape("mask", [[20, 10], [59, 39]], mask="zebra")], "no picture"),
    "labelme mask elsewhere": (
        labelme, [shape("mask", [[80, 10], [119, 39]], mask=png(np.ones((30, 40), dtype=bool)))], "outside",
    ),
    "labelme nan": (labelme, [shape("polygon", [[float("nan"), 1], [2, 2], [3, 1]])], "finite"),
    "labelme far": (labelme, [shape("polygon", [[1e12, 1], [2, 2], [3, 1]])], "far outside"),
    "labelme null": (labelme, [None], "nothing"),
    "cvat points": (cvat, ['<points label="text" points="3,3"/>'], "points"),
    "cvat skeleton": (cvat, ['<skeleton label="text"><points points="3,3"/></skeleton>'], "skeleton"),
    "cvat cuboid": (cvat, ['<cuboid label="text" xtl1="3"/>'], "cuboid"),
    "cvat tag": (cvat, ['<box label="text" xtl="20" ytl="10" xbr="60" ybr="40"/>', '<tag label="good"/>'], "tag"),
    "cvat unknown": (cvat, ["<zebra/>"], "zebra"),
    "cvat no corner": (cvat, ['<box label="text" xtl="20" ytl="10" xbr="60"/>'], "ybr"),
    "cvat runs": (cvat, ['<mask rle="0, 7" left="20" top="10" width="40" height="30"/>'], "fill its box"),
    "coco nothing": (coco, [{"id": 1}], "bbox"),
    "coco turned box": (coco, [{"bbox": [20, 10, 40, 30, 45]}], "5 numbers"),
    "coco odd": (coco, [{"segmentation": [FLAT[:7]]}], "pairs"),
    "coco size": (coco, [{"segmentation": {"counts": [6144], "size": [WIDE, HIGH]}}], "size"),
    "coco packed": (coco, [{"segmentation": {"counts": "zebra\u0000", "size": [HIGH, WIDE]}}], "run lengths"),
    "cvat long runs": (cvat, ['<mask rle="1e308, 1e308" left="20" top="10" width="40" height="30"/>'], "fill its box"),
    "coco keypoints": (coco, [{"keypoints": [3, 3, 2], "num_keypoints": 1}], "bbox"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_drawn_makes_the_entry_unusable(store, tmp_path, name):
    write, shapes, reason = REFUSED[name]
    before = state_of(store)
    source, format_ = write(tmp_path, *shapes)
    summary = run(store, source, format_, allows_empty=True)
    assert summary.imported == []
    assert reason in next(iter(summary.unusable.values()))
    assert state_of(store) == before


def test_the_label_of_a_shape_stands_in_another_result(store, tmp_path):
    parts = [
        {"id": "q", "type": "rectangle", "value": ls_box((14, 14, 50, 34))},
        {"id": "q", "type": "labels", "value": {**ls_box((14, 14, 50, 34)), "labels": ["overlay"]}},
    ]
    assert run(store, *labelstudio(tmp_path, *parts)).imported == [NAME]
    with Store.open(store) as opened:
        layers = opened.correction(opened.lookup(NAME).content_sha256).layers
        assert set(layers.kinds.values()) == {Kind.OVERLAY}
        assert opened.lookup(NAME).kinds == (Kind.OVERLAY,)


@pytest.mark.parametrize(("image_id", "of"), [(7, "7"), ("7", 7), (7.0, 7), ("a", "a")])
def test_ids_of_coco_images_are_compared_as_texts(store, tmp_path, image_id, of):
    source, format_ = coco(tmp_path, {"bbox": [20, 10, 40, 30]}, image_id=image_id, of=of)
    assert run(store, source, format_).imported == [NAME]
    assert agree(added(store, NAME), filled()) > 0.9, "it was imported as nothing to mask"


@pytest.mark.parametrize("side", [0, -1, 0.5, 1e300, None, "zebra", float("inf"), [], True])
def test_sizes_that_cannot_be(store, tmp_path, side):
    content = {"shapes": [shape("polygon", corners())], "imageHeight": side, "imageWidth": WIDE}
    (tmp_path / "a.json").write_text(json.dumps(content))
    summary = run(store, tmp_path, "labelme")
    assert (summary.imported, len(summary.unusable)) == ([], 1)


def test_annotations_of_no_listed_image_are_told(store, tmp_path):
    source, format_ = coco(tmp_path, {"bbox": [20, 10, 40, 30]}, of=8)
    summary = run(store, source, format_)
    assert summary.would_empty == [NAME]
    assert "not listed" in summary.unusable[f"{source}: image_id 8"]


def test_packed_run_lengths(store, tmp_path):
    mask = pytest.importorskip("pycocotools.mask")
    packed = mask.encode(np.asfortranarray(filled().astype(np.uint8)))
    segmentation = {"counts": packed["counts"].decode(), "size": [HIGH, WIDE]}
    assert run(store, *coco(tmp_path, {"segmentation": segmentation})).imported == [NAME]
    assert np.array_equal(added(store, NAME), filled())


def test_shapes_drawn_on_a_smaller_picture_are_scaled(store, tmp_path):
    value = {**ls_box(), "rectanglelabels": ["text"]}
    small = {"id": "x", "type": "rectanglelabels", "value": value, "original_width": 48, "original_height": 32}
    brush = np.zeros((32, 48), dtype=np.bool_)
    brush[5:20, 10:30] = True
    runs = {"id": "y", "type": "brushlabels", "value": {"rle": encode_brush(brush)}}
    summary = run(store, *labelstudio(tmp_path, small, runs))
    assert (summary.imported, summary.resized) == ([NAME], [NAME])
    assert agree(added(store, NAME), filled()) > 0.9


class TestLabelStudioTasks:
    def source(self, tmp_path, *tasks):
        (tmp_path / "in.json").write_text(json.dumps(tasks))
        return tmp_path / "in.json"

    def test_an_empty_second_annotator_wipes_nothing(self, store, tmp_path):
        one = task(result("rectangle", ls_box()))
        one["annotations"].append({"result": [], "was_cancelled": False})
        summary = run(store, self.source(tmp_path, one), "labelstudio")
        assert summary.imported == [NAME]
        assert "empty" in next(iter(summary.notes.values()))
        assert agree(added(store, NAME), filled()) > 0.9

    def test_the_newest_annotation_counts(self, store, tmp_path):
        one = task(result("rectangle", ls_box()))
        one["annotations"][0]["updated_at"] = "2026-02-01T00:00:00Z"
        older = {"result": [result("rectangle", ls_box((0, 0, 9, 9)))], "updated_at": "2026-01-01T00:00:00Z"}
        one["annotations"].append(older)
        run(store, self.source(tmp_path, one), "labelstudio")
        assert agree(added(store, NAME), filled()) > 0.9

    @pytest.mark.parametrize("annotations", [[], None, [{"was_cancelled": True, "result": []}]])
    def test_predictions_are_left_alone(self, store, tmp_path, annotations):
        one = task(annotations=annotations, predictions=[{"result": [result("rectangle", ls_box())]}])
        before = state_of(store)
        summary = run(store, self.source(tmp_path, one), "labelstudio", replaces=True, allows_empty=True)
        assert (summary.imported, summary.unusable) == ([], {})
        assert "predictions" in next(iter(summary.left_alone.values()))
        assert state_of(store) == before

    def test_old_exports_call_annotations_completions(self, store, tmp_path):
        one = task(result("rectangle", ls_box()))
        one["completions"] = one.pop("annotations")
        assert run(store, self.source(tmp_path, one), "labelstudio").imported == [NAME]

    def test_uploads_are_matched_without_their_prefix(self, store, tmp_path):
        one = task(result("rectangle", ls_box()), name="ignored", file_upload="7d56f811-c.png")
        one["data"] = {"image": "/data/upload/3/7d56f811-c.png"}
        summary = run(store, self.source(tmp_path, one), "labelstudio", replaces=True)
        assert (summary.imported, summary.prefixed) == (["sub/c.png"], ["sub/c.png"])

    def test_two_tasks_of_one_image_are_unusable(self, store, tmp_path):
        one = task(result("rectangle", ls_box()))
        summary = run(store, self.source(tmp_path, one, one), "labelstudio")
        assert summary.imported == []
        assert "more than one" in next(iter(summary.unusable.values()))

    @pytest.mark.parametrize("bad", [None, 7, [], {}, {"data": None}, {"data": {"image": 3}}, {"data": {"image": ""}}])
    def test_tasks_that_name_no_image(self, store, tmp_path, bad):
        summary = run(store, self.source(tmp_path, bad, task(result("rectangle", ls_box()))), "labelstudio")
        assert (summary.imported, len(summary.unusable)) == ([NAME], 1)
