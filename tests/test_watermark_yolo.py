"""The yolo detector on hand-made ONNX graphs, whose output a test decides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from watermark_cases import write_graph

from automask.config import RuntimeConfig
from automask.errors import ConfigError, PluginError, WeightsError
from automask.plugins import build_detector
from automask.values.geometry import Box
from automask.values.types import Image, Kind
from automask.weights import WeightLibrary
from automask_models.watermark.heads import Detections, read_head, suppressed
from automask_models.watermark.letterbox import letterbox, tiles, touches_cut

PHOTOS = Path(__file__).parent.parent / "automask" / "examples" / "photos"


@pytest.fixture
def detector(tmp_path):
    def build(weights, **options):
        return build_detector(
            "yolo",
            options={"weights": str(weights), **options},
            weights=WeightLibrary({}, cache_folder=tmp_path / "cache"),
            runtime=RuntimeConfig(threads=1),
        )

    return build


def image(width_px=800, height_px=400):
    return Image(id="x", pixels=np.zeros((height_px, width_px, 3), dtype=np.uint8))


END_TO_END = [
    [64, 32, 160, 64, 0.9, 1],
    [320, 160, 640, 320, 0.6, 0],
    [0, 0, 50, 50, 0.8, 2],
    [5, 5, 20, 20, 0.2, 0],
    [9, 9, 9, 9, 0.7, 0],
]


def test_an_end_to_end_head_is_read_in_image_pixels(tmp_path, detector):
    weights = write_graph(tmp_path / "x.onnx", END_TO_END)
    found = detector(weights, classes={"person": "ignore", "logo": "overlay"})
    (regions,) = found.detect([image()])
    assert [(region.kind, region.box.xyxy, region.source) for region in regions] == [
        (Kind.OVERLAY, (80, 40, 200, 80), "yolo"),
        (Kind.WATERMARK, (400, 200, 800, 400), "yolo"),
    ]
    assert [region.confidence for region in regions] == pytest.approx([0.9, 0.6])
    assert regions[0].attributes == {"label": "logo", "score": pytest.approx(0.9)}


def classic(rows):
    """Columns centre-x centre-y width height and three class scores, padded to 40 anchors."""
    out = np.zeros((7, 40), dtype=np.float32)
    out[:, : len(rows)] = np.array(rows, dtype=np.float32).T
    return out


def test_a_classic_head_is_suppressed(tmp_path, detector):
    rows = [
        [112, 48, 96, 32, 0.1, 0.9, 0],
        [114, 48, 96, 32, 0.1, 0.8, 0],
        [114, 48, 96, 32, 0.7, 0.1, 0],
        [480, 240, 320, 160, 0.6, 0, 0],
    ]
    weights = write_graph(tmp_path / "x.onnx", classic(rows))
    (regions,) = detector(weights).detect([image()])
    assert [(region.attributes["label"], region.box.xyxy) for region in regions] == [
        ("logo", (80, 40, 200, 80)),
        ("watermark", (82, 40, 203, 80)),
        ("watermark", (400, 200, 800, 400)),
    ]


def test_a_segmentation_head_gives_shapes(tmp_path, detector):
    prototypes = np.full((1, 80, 160), -1.0)
    prototypes[0, 10:20, 20:40] = 1.0
    rows = np.zeros((8, 40), dtype=np.float32)
    rows[:, 0] = [120, 60, 160, 80, 0.9, 0, 0, 1.0]
    weights = write_graph(tmp_path / "x.onnx", rows, prototypes)
    (regions,) = detector(weights).detect([image()])
    assert len(regions) == 1
    drawn = np.zeros((400, 800), dtype=bool)
    drawn[regions[0].box.slices] = regions[0].artefact
    truth = np.zeros_like(drawn)
    truth[50:100, 100:200] = True
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.9


def test_gates(tmp_path, detector):
    weights = write_graph(tmp_path / "x.onnx", END_TO_END)
    assert len(detector(weights, confidence=0.85).detect([image()])[0]) == 1
    assert len(detector(weights, confidence=0.1).detect([image()])[0]) == 4
    assert [r.attributes["label"] for r in detector(weights, max_area=0.02).detect([image()])[0]] == ["logo", "person"]
    assert [r.attributes["label"] for r in detector(weights, min_area=0.2).detect([image()])[0]] == ["watermark"]
    assert len(detector(weights, other_classes="ignore", classes={"logo": "text"}).detect([image()])[0]) == 1


def test_a_fixed_input_is_respected(tmp_path, detector):
    weights = write_graph(tmp_path / "x.onnx", END_TO_END, side=320)
    (regions,) = detector(weights, confidence=0.85).detect([image()])
    assert regions[0].box.xyxy == (160, 80, 400, 160)


def test_large_images_are_tiled_and_each_mark_is_reported_once(tmp_path, detector):
    weights = write_graph(tmp_path / "x.onnx", [[100, 100, 200, 150, 0.9, 0]])
    (plain,) = detector(weights, tile_above_px=0).detect([image(1600, 640)])
    (tiled,) = detector(weights).detect([image(1600, 640)])
    assert len(plain) == 1
    starts = [0, 480, 960]
    boxes = {region.box.xyxy for region in tiled}
    assert {(x + 100, 100, x + 200, 150) for x in starts} <= boxes
    assert len(tiled) == len(boxes) == 4


def test_it_keeps_length_and_order_and_accepts_tiny_images(tmp_path, detector):
    weights = write_graph(tmp_path / "x.onnx", END_TO_END)
    images = [image(1, 1), image(3, 700), image()]
    found = detector(weights).detect(images)
    assert len(found) == 3
    for picture, regions in zip(images, found, strict=True):
        assert all(picture.box.contains(region.box) for region in regions)
    assert detector(weights).detect([]) == []


def test_named_weights_must_exist(detector):
    with pytest.raises(WeightsError, match=r"nowhere\.onnx"):
        detector("nowhere.onnx")


def test_wrong_files_are_refused(tmp_path, detector):
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    (tmp_path / "x.bin").write_bytes(b"x")
    write_graph(tmp_path / "nameless.onnx", END_TO_END, names=None)
    for name in ("broken.onnx", "x.bin", "nameless.onnx"):
        with pytest.raises(WeightsError):
            detector(tmp_path / name).load()
    weights = write_graph(tmp_path / "other.onnx", np.zeros((9, 40)))
    with pytest.raises(WeightsError, match="no YOLO head"):
        detector(weights).detect([image()])


def test_options_are_checked(tmp_path, detector):
    with pytest.raises(ConfigError, match="classes"):
        detector(tmp_path, classes={"logo": "nonsense"})


def test_a_pt_file_needs_the_extra(tmp_path, detector, monkeypatch):
    (tmp_path / "x.pt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PluginError, match=r"extra `yolo`"):
        detector(tmp_path / "x.pt").load()


def test_letterbox_goes_back_to_where_it_came_from():
    rng = np.random.default_rng(0)
    for _ in range(50):
        width_px, height_px = (int(v) for v in rng.integers(1, 900, 2))
        pixels = np.zeros((height_px, width_px, 3), dtype=np.uint8)
        fitted = letterbox(pixels, Box(0, 0, width_px, height_px), side_px=320)
        assert fitted.canvas.shape[0] % 32 == fitted.canvas.shape[1] % 32 == 0
        assert max(fitted.scale) <= max(1.5, 1.5 + 1 / min(width_px, height_px))
        filled = np.array([[0, 0, width_px * fitted.scale[0], height_px * fitted.scale[1]]], dtype=np.float32)
        np.testing.assert_allclose(fitted.to_image(filled), [[0, 0, width_px, height_px]], atol=1e-3)


def test_tiles_cover_the_image():
    for size in [(1, 1), (640, 641), (1999, 700), (3000, 2000)]:
        whole = Box(0, 0, *size)
        covered = np.zeros(whole.shape, dtype=bool)
        for tile in tiles(whole, side_px=640):
            assert whole.contains(tile)
            covered[tile.slices] = True
        assert covered.all()


def test_boxes_at_inner_tile_edges_are_known_to_be_cut():
    boxes = np.array([[0, 0, 10, 10], [630, 5, 640, 20], [100, 100, 200, 200]], dtype=np.float32)
    cut = touches_cut(boxes, Box(0, 0, 640, 640), image=Box(0, 0, 1000, 640), margin_px=2)
    assert cut.tolist() == [False, True, False]


def test_suppression_keeps_the_best_of_each_class():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9.5], [50, 50, 60, 60]], dtype=np.float32)
    found = Detections(
        boxes, scores=np.array([0.5, 0.9, 0.8, 0.1], np.float32), classes=np.array([0, 0, 1, 0], np.int64)
    )
    assert suppressed(found, max_iou=0.5).tolist() == [1, 2, 3]
    assert suppressed(found, max_iou=0.5, across_classes=True).tolist() == [1, 3]


def test_an_empty_answer_is_no_boxes():
    empty = read_head(np.zeros((7, 40), np.float32), None, class_count=3, min_score=0.3, max_iou=0.5)
    assert len(empty) == 0


def test_fast_path_imports_no_torch(tmp_path):
    weights = write_graph(tmp_path / "x.onnx", END_TO_END)
    code = f"""
import sys, numpy as np
from automask.config import RuntimeConfig
from automask.plugins import build_detector
from automask.values.types import Image
from automask.weights import WeightLibrary
from pathlib import Path
detector = build_detector("yolo", options={{"weights": {weights!r}}},
    weights=WeightLibrary({{}}, cache_folder=Path({str(tmp_path)!r})), runtime=RuntimeConfig())
assert "onnxruntime" not in sys.modules and "cv2" not in sys.modules
assert detector.detect([Image(id="x", pixels=np.zeros((40, 40, 3), np.uint8))])[0]
assert "torch" not in sys.modules and "ultralytics" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_of_a_folder_the_one_network_is_taken(tmp_path, detector):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "README.md").write_text("nothing yet")
    with pytest.raises(WeightsError, match=r"neither an \.onnx nor a \.pt"):
        detector(tmp_path / "net").detect([image()])
    write_graph(tmp_path / "net" / "best.onnx", END_TO_END)
    (tmp_path / "net" / "best.pt").write_bytes(b"x")
    alone = detector(tmp_path / "net" / "best.onnx").detect([image()])
    assert [[one.box for one in found] for found in detector(tmp_path / "net").detect([image()])] == [
        [one.box for one in found] for found in alone
    ]
    write_graph(tmp_path / "net" / "last.onnx", END_TO_END)
    with pytest.raises(WeightsError, match=r"best\.onnx, last\.onnx"):
        detector(tmp_path / "net").detect([image()])
