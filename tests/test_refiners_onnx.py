"""ONNX pairs of all layouts, as hand-made graphs that give the mask prompt back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sam_pairs import write_ours, write_sam2, write_samexporter_sam2, write_segment_anything

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.plugins import build_refiner
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.refiners.backends.factory import open_backend
from automask_models.refiners.backends.onnx import find_pair
from automask_models.refiners.backends.protocol import NO_POINT, WANTED, Prompts

RUNTIME = RuntimeConfig(threads=1)


WRITERS = {
    "ours": (write_ours, 256, 64),
    "segment-anything": (write_segment_anything, 1024, 256),
    "sam2": (write_sam2, 1024, 256),
    "samexporter-sam2": (write_samexporter_sam2, 1024, 256),
}


@pytest.fixture(params=WRITERS)
def pair(request, tmp_path):
    write, side_px, mask_side_px = WRITERS[request.param]
    return write(tmp_path), side_px, mask_side_px


def test_every_sort_of_prompt_is_answered(pair):
    path, side_px, mask_side_px = pair
    backend = open_backend(path, runtime=RUNTIME)
    assert (backend.traits.side_px, backend.mask_side_px) == (side_px, mask_side_px)
    embedding = backend.encode(np.zeros((90, 160, 3), dtype=np.uint8))
    boxes = np.array([[10, 10, 60, 40]] * 20, dtype=np.float32)
    points = np.zeros((20, 2, 2), dtype=np.float32)
    labels = np.array([[WANTED, NO_POINT]] * 20, dtype=np.int64)
    masks = np.random.default_rng(0).normal(size=(20, mask_side_px, mask_side_px)).astype(np.float32)
    for prompts in (
        Prompts(boxes=boxes),
        Prompts(points=points, labels=labels),
        Prompts(boxes=boxes, points=points, labels=labels, masks=masks),
    ):
        answer = backend.decode(embedding, prompts)
        assert answer.logits.shape == (20, 1, mask_side_px, mask_side_px)
        assert answer.ious.shape == (20, 1)
    np.testing.assert_array_equal(answer.logits[:, 0], masks)


def test_the_refiner_gets_the_prompted_shape_back(pair, tmp_path):
    path, _, _ = pair
    refiner = build_refiner(
        "sam",
        options={"weights": str(path)},
        weights=WeightLibrary({}, cache_folder=tmp_path / "cache"),
        runtime=RUNTIME,
    )
    image = Image(id="x", pixels=np.full((300, 500, 3), 128, dtype=np.uint8))
    polygon = ((100.0, 100.0), (400.0, 60.0), (410.0, 120.0), (110.0, 160.0))
    region = Region(kind=Kind.TEXT, box=Box(100, 60, 410, 160), confidence=0.9, source="t", polygon=polygon)
    (patch,) = refiner.refine(image, [region])
    assert (patch.refiner, patch.note) == ("sam", "")
    from automask.values.geometry import rasterise_polygon

    drawn, truth = np.zeros((300, 500), dtype=bool), rasterise_polygon(polygon, image.box)
    drawn[patch.box.slices] = patch.artefact
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.9


def test_a_pair_is_found_by_its_encoder_or_its_folder(tmp_path):
    encoder = write_ours(tmp_path)
    assert find_pair(encoder) == find_pair(tmp_path) == (encoder, tmp_path / "net.decoder.onnx")
    (tmp_path / "net.decoder.onnx").unlink()
    for path in (encoder, tmp_path):
        with pytest.raises(WeightsError, match="one decoder"):
            find_pair(path)


def test_several_pairs_in_a_folder_are_ambiguous(tmp_path):
    write_ours(tmp_path)
    write_ours(tmp_path, name="other")
    with pytest.raises(WeightsError, match="one decoder"):
        find_pair(tmp_path)


def test_other_graphs_are_refused(tmp_path):
    write_ours(tmp_path)
    (tmp_path / "net.decoder.onnx").write_bytes((tmp_path / "net.encoder.onnx").read_bytes())
    with pytest.raises(WeightsError, match="no known layout"):
        open_backend(tmp_path, runtime=RUNTIME)
    (tmp_path / "net.encoder.onnx").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot load"):
        open_backend(tmp_path, runtime=RUNTIME)
    (tmp_path / "x.txt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no kind of weights"):
        open_backend(tmp_path / "x.txt", runtime=RUNTIME)


def test_onnx_needs_no_torch(tmp_path):
    encoder = write_ours(tmp_path)
    code = f"""
import sys, numpy as np
from pathlib import Path
from automask.config import RuntimeConfig
from automask.values.geometry import Box
from automask.plugins import build_refiner
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
refiner = build_refiner("sam", options={{"weights": {str(encoder)!r}}},
    weights=WeightLibrary({{}}, cache_folder=Path({str(tmp_path)!r})), runtime=RuntimeConfig())
assert not {{"onnxruntime", "cv2"}} & set(sys.modules)
refiner.load()
region = Region(kind=Kind.TEXT, box=Box(2, 2, 30, 20), confidence=0.9, source="t")
assert len(refiner.refine(Image(id="x", pixels=np.zeros((40, 40, 3), np.uint8)), [region])) == 1
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
