"""Annotation formats are read back by the packages that they are for."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from export_cases import artefact_of, export, make_dataset, make_store
from PIL import Image, ImageOps

pytestmark = pytest.mark.slow

NAMES = ("clean.png", "long.png", "small.png", "square.png", "tall.webp", "turned.jpg", "wide.jpg")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("roundtrip") / "images")


@pytest.fixture(scope="module")
def store(images):
    return make_store(images)


def iou(one, other):
    union = (one | other).sum()
    return 1.0 if union == 0 else (one & other).sum() / union


@pytest.mark.parametrize(("file", "least"), [("annotations-rle.json", 1.0), ("annotations-polygons.json", 0.8)])
def test_pycocotools_reads_coco(file, least, store, tmp_path):
    """Polygons have no holes: letters with closed bowls lose a little."""
    coco_module = pytest.importorskip("pycocotools.coco")
    export(store, "coco", output=tmp_path)
    coco = coco_module.COCO(str(tmp_path / file))
    assert {category["name"] for category in coco.loadCats(coco.getCatIds())} >= {"text", "frame", "watermark"}
    by_name = {image["file_name"]: image for image in coco.loadImgs(coco.getImgIds())}
    assert set(by_name) == set(NAMES)
    for name, image in by_name.items():
        artefact = artefact_of(store, name)
        assert (image["height"], image["width"]) == artefact.shape
        found = np.zeros_like(artefact)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            mask = coco.annToMask(annotation).astype(bool)
            found |= mask
            x, y, width, height = annotation["bbox"]
            if file == "annotations-rle.json":
                rows, columns = np.nonzero(mask)
                assert (columns.min(), rows.min()) == (x, y)
                assert (columns.max() + 1, rows.max() + 1) == (x + width, y + height)
                assert annotation["area"] == mask.sum()
        assert iou(found, artefact) >= least, name
        assert name != "clean.png" or not found.any()


YOLO = """
import json, sys
import numpy as np
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, polygons2masks
data = check_det_dataset(sys.argv[1], autodownload=False)
dataset = YOLODataset(data["train"], data=data, task="segment", augment=False, imgsz=640)
out = {}
for label in dataset.get_labels():
    height, width = label["shape"]
    polygons = [segment * (width, height) for segment in label["segments"]]
    mask = np.zeros((height, width), bool)
    for polygon in polygons:
        mask |= polygons2masks((height, width), [polygon.reshape(-1)], color=1)[0].astype(bool)
    rows, columns = np.nonzero(mask)
    out[label["im_file"].rpartition("/")[2]] = {
        "shape": [height, width], "classes": sorted({int(c) for c in label["cls"].ravel()}),
        "ones": np.flatnonzero(mask).tolist(),
    }
print("RESULT" + json.dumps({"names": data["names"], "images": out}))
"""


def test_ultralytics_reads_yolo_seg(store, tmp_path):
    pytest.importorskip("ultralytics")
    export(store, "yolo-seg", output=tmp_path / "yolo")
    environment = {
        **os.environ, "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", YOLO, str(tmp_path / "yolo" / "data.yaml")],
        capture_output=True, text=True, check=False, timeout=300, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.rpartition("RESULT")[2])
    assert result["names"]["0"] == "text"
    assert set(result["images"]) == set(NAMES)
    for name, found in result["images"].items():
        artefact = artefact_of(store, name)
        assert tuple(found["shape"]) == artefact.shape, name
        mask = np.zeros(artefact.size, dtype=bool)
        mask[found["ones"]] = True
        if name == "clean.png":
            assert not mask.any()
        else:
            assert found["classes"] == [0]
            assert iou(mask.reshape(artefact.shape), artefact) >= 0.6, "OpenCV draws outlines on whole pixels"


def test_labelme_reads_its_own_format(store, tmp_path):
    label_file = pytest.importorskip("labelme").LabelFile
    from labelme import utils

    export(store, "labelme", output=tmp_path)
    for path in sorted((tmp_path / "images").glob("*.json")):
        read = label_file(str(path))
        name = read.image_path if hasattr(read, "image_path") else read.imagePath
        shapes = [shape if isinstance(shape, dict) else vars(shape) for shape in read.shapes]
        artefact = artefact_of(store, str(name))
        content = json.loads(path.read_text())
        assert (content["imageHeight"], content["imageWidth"]) == artefact.shape
        with Image.open(path.parent / str(name)) as picture:
            assert ImageOps.exif_transpose(picture).size == artefact.shape[::-1]
        found = np.zeros_like(artefact)
        for shape in shapes:
            assert shape["shape_type"] == "polygon"
            assert shape["label"] == "text"
            found |= utils.shape_to_mask(artefact.shape, shape["points"], shape_type="polygon")
        assert iou(found, artefact) >= 0.6, "labelme draws outlines on whole pixels"
        assert str(name) != "clean.png" or not shapes


def test_datasets_reads_the_image_folder(store, images, tmp_path):
    datasets = pytest.importorskip("datasets")
    (images / "wide.txt").write_text("a rocket")
    export(store, "huggingface", output=tmp_path / "hf")
    table = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "hf"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert table.num_rows == len(NAMES)
    assert set(table.column_names) == {"image", "mask", "text"}
    by_text = {row["text"]: row for row in table}
    assert by_text["a rocket"]["image"].size == (1500, 1000)
    sizes = []
    for row in table:
        assert row["image"].size == row["mask"].size
        levels = np.asarray(row["mask"].convert("L"))
        sizes.append((levels == 0).mean())
    assert sorted(sizes)[0] == 0.0
    assert sorted(sizes)[1] > 0.01
