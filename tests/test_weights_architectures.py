"""Every entry of the catalogue has a test of its loading path: which one, and those that have no file of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sam_checkpoints import WRITERS
from sam_pairs import write_sam2, write_samexporter_sam2, write_segment_anything

from automask.config import RuntimeConfig
from automask.plugins import build_detector, build_refiner
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary

RUNTIME = RuntimeConfig(device="cpu", threads=1)
TESTS = {
    "automask-ink": "tests/test_ink.py",
    "automask-layout": "tests/test_layout_network.py",
    "automask-sam": "tests/test_sam_tiny.py",
    "automask-scene": "tests/test_scene.py",
    "automask-watermark": "tests/test_watermark_judging.py",
    "segment-anything": "tests/test_refiners_families.py",
    "sam2_video": "tests/test_refiners_families.py",
    "sam_hq": "tests/test_refiners_families.py",
    "edgetam_video": "tests/test_refiners_families.py",
    "sam3_video": "tests/test_refiners_families.py",
    "onnx-segment-anything": "tests/test_refiners_onnx.py",
    "onnx-sam2": "tests/test_refiners_onnx.py",
    "onnx-samexporter-sam2": "tests/test_refiners_onnx.py",
    "ultralytics-detect": "tests/test_watermark_ultralytics.py",
}
"""Architecture: where a network of it is written and run."""
PAIRS = {
    "onnx-segment-anything": write_segment_anything,
    "onnx-sam2": write_sam2,
    "onnx-samexporter-sam2": write_samexporter_sam2,
}
SPECS = WeightLibrary.discover().specs


@pytest.mark.parametrize("name", SPECS)
def test_every_entry_has_a_test_of_its_architecture(name):
    architecture = SPECS[name].architecture
    assert (Path(__file__).parents[1] / TESTS[architecture]).is_file()
    if architecture in WRITERS or TESTS[architecture].endswith("families.py"):
        assert architecture in {*WRITERS, "segment-anything"}


def regions() -> list[Region]:
    return [Region(kind=Kind.TEXT, box=Box(10, 10, 60, 40), confidence=0.9, source="t")]


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.architecture.startswith("onnx-")])
def test_an_onnx_pair_is_opened_under_the_names_of_its_entry(tmp_path, name):
    """From the files as `pull` names them, by the word that people write."""
    spec = SPECS[name]
    written = PAIRS[spec.architecture](tmp_path)
    for declared, role in zip(spec.files, ("encoder", "decoder"), strict=True):
        shutil.move(written.with_name(written.name.replace("encoder", role)), tmp_path / declared.file)
    assert not list(tmp_path.glob(f"{written.name.partition('.')[0]}.*"))
    family, _, rest = name.partition("-")
    refiner = build_refiner(
        family, options={"weights": f"./{spec.entry_name}"}, weights=_Here(tmp_path), runtime=RUNTIME
    )
    refiner.load()
    (patch,) = refiner.refine(Image("x", np.zeros((90, 150, 3), np.uint8)), regions())
    assert patch.refiner == family
    assert rest


class _Here:
    """A library that finds files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._library = folder, WeightLibrary({}, cache_folder=folder / "cache")

    def find(self, reference, *, stage=""):
        return self._library.find(str(self._folder / reference), stage=stage)

    def how_to_get(self, reference, *, stage=""):
        return ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.architecture in WRITERS])
def test_a_transformers_entry_is_found_by_its_word_and_runs(tmp_path, name):
    """A small checkpoint of its architecture in the user's own folder, where the entry has its files."""
    spec = SPECS[name]
    WRITERS[spec.architecture][0](tmp_path / spec.entry_name)
    assert {(tmp_path / each.file).is_file() or each.optional for each in spec.files} == {True}
    family = next(word for word in ("sam2", "sam-hq", "edgetam", "sam3") if name.startswith(word))
    library = WeightLibrary(SPECS, user_folder=tmp_path, cache_folder=tmp_path / "cache")
    options = {"weights": name.removeprefix(family).strip("-") or name, "min_iou": 0.0}
    refiner = build_refiner(family, options=options, weights=library, runtime=RUNTIME)
    refiner.load()
    (patch,) = refiner.refine(Image("x", np.zeros((90, 150, 3), np.uint8)), regions())
    assert patch.refiner in {family, "polygon"}


@pytest.mark.slow
def test_a_yolo_of_a_hub_is_found_by_its_word_and_runs(tmp_path):
    from automask_models.watermark.ultralytics_boundary import quiet_ultralytics

    for name, file in (("yolo-mnemic", "watermarks_s_yolov8_v1.pt"), ("yolo-qfisch", "best.pt")):
        assert SPECS[name].files[0].file == f"{name}/{file}"
        (tmp_path / name).mkdir()
        with quiet_ultralytics():
            from ultralytics import YOLO

            YOLO("yolov8n.yaml", verbose=False).save(tmp_path / name / file)
        library = WeightLibrary(SPECS, user_folder=tmp_path, cache_folder=tmp_path / "cache")
        options = {"weights": name.removeprefix("yolo-")}
        detector = build_detector("yolo", options=options, weights=library, runtime=RUNTIME)
        detector.load()
        (found,) = detector.detect([Image("x", np.zeros((90, 150, 3), np.uint8))])
        assert isinstance(found, list)


@pytest.mark.slow
def test_what_the_script_of_segment_anything_exports_is_understood(tmp_path):
    """A small SAM, exported with the library's own class for it: what the quantised pairs of labelme were made from."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    from segment_anything.utils.onnx import SamOnnxModel

    torch.manual_seed(0)
    model = Sam(
        ImageEncoderViT(img_size=128, patch_size=16, embed_dim=32, depth=1, num_heads=2, out_chans=32),
        PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=4),
        MaskDecoder(
            transformer_dim=32,
            transformer=TwoWayTransformer(depth=1, embedding_dim=32, mlp_dim=32, num_heads=2),
            num_multimask_outputs=3, iou_head_depth=2, iou_head_hidden_dim=16,
        ),
    ).eval()  # fmt: skip
    torch.onnx.export(
        model.image_encoder, (torch.zeros(1, 3, 128, 128),), tmp_path / "s.encoder.onnx", dynamo=False,
        input_names=["x"], output_names=["image_embeddings"],
    )  # fmt: skip
    given = {
        "image_embeddings": torch.zeros(1, 32, 8, 8),
        "point_coords": torch.zeros(1, 5, 2),
        "point_labels": torch.zeros(1, 5),
        "mask_input": torch.zeros(1, 1, 32, 32),
        "has_mask_input": torch.ones(1),
        "orig_im_size": torch.tensor([90.0, 150.0]),
    }
    torch.onnx.export(
        SamOnnxModel(model, return_single_mask=False), tuple(given.values()), tmp_path / "s.decoder.onnx",
        dynamo=False, input_names=list(given), output_names=["masks", "iou_predictions", "low_res_masks"],
        dynamic_axes={"point_coords": {1: "points"}, "point_labels": {1: "points"}},
    )  # fmt: skip
    from automask_models.refiners.backends.factory import open_backend
    from automask_models.refiners.backends.protocol import Prompts

    backend = open_backend(tmp_path / "s.encoder.onnx", runtime=RUNTIME)
    pixels = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    embedding = backend.encode(pixels)
    box = np.array([[10, 10, 60, 40]], dtype=np.float32)
    answer = backend.decode(embedding, Prompts(boxes=box))
    assert answer.logits.shape == (1, 4, 32, 32)
    with torch.inference_mode():
        tensor = torch.from_numpy(embedding.tensors[0])
        sparse, dense = model.prompt_encoder(points=None, boxes=torch.from_numpy(box * 128 / 150), masks=None)
        theirs, _ = model.mask_decoder(
            image_embeddings=tensor, image_pe=model.prompt_encoder.get_dense_pe(), sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense, multimask_output=True,
        )  # fmt: skip
    np.testing.assert_allclose(answer.logits[0, 1:], theirs[0].numpy(), atol=1e-3)
