"""Real checkpoints of every segment-anything family, written by the real libraries, loaded and run by the refiner."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from sam_checkpoints import WRITERS, write_sam

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.plugins import build_refiner
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.refiners.backends.factory import open_backend
from automask_models.refiners.backends.frame import normalised_square
from automask_models.refiners.backends.protocol import NO_POINT, WANTED, Prompts

pytestmark = pytest.mark.slow

RUNTIME = RuntimeConfig(device="cpu", threads=1)


@pytest.fixture(scope="module", params=WRITERS)
def checkpoint(request, tmp_path_factory):
    import torch

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / request.param
    WRITERS[request.param][0](folder)
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Loading and running ask for no connection and no name, not even one whose failure is swallowed."""
    asked = []

    def refuse(*args, **options):
        asked.append(args)
        raise OSError("the network is off in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert asked == []


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)


def boxes(count):
    return np.array([[10, 10, 60, 40], [70, 20, 140, 80], [5, 50, 50, 85]], dtype=np.float32)[:count]


def test_encode_once_and_ask_in_every_way(checkpoint, pixels, capfd):
    alternatives = WRITERS[checkpoint.name][1]
    backend = open_backend(checkpoint, runtime=RUNTIME)
    assert backend.traits.side_px == 128
    assert backend.mask_side_px == 32
    embedding = backend.encode(pixels)
    frame, side = embedding.frame, backend.mask_side_px
    masks = np.stack(
        [
            frame.prompt_mask(np.ones((30, 50), np.bool_), Box(10, 10, 60, 40), side_px=side, logit=6.0),
            np.full((side, side), -6.0, np.float32),
        ]
    )
    points = np.array([[[20, 20], [30, 30]], [[80, 40], [0, 0]]], dtype=np.float32)
    labels = np.array([[WANTED, WANTED], [WANTED, NO_POINT]], dtype=np.int64)
    for prompts in (
        Prompts(boxes=boxes(2)),
        Prompts(points=points, labels=labels),
        Prompts(boxes=boxes(2), masks=masks),
        Prompts(boxes=boxes(2), points=points, labels=labels, masks=masks),
    ):
        answer = backend.decode(embedding, prompts)
        assert answer.logits.shape == (2, alternatives, side, side)
        assert answer.ious.shape == (2, alternatives)
        assert np.isfinite(answer.logits).all()
        again = backend.decode(embedding, prompts)
        assert np.array_equal(again.logits, answer.logits)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_prompt_is_answered_alike_alone_and_in_a_batch(checkpoint, pixels):
    backend = open_backend(checkpoint, runtime=RUNTIME)
    embedding = backend.encode(pixels)
    masks = np.random.default_rng(1).normal(size=(3, backend.mask_side_px, backend.mask_side_px)).astype(np.float32)
    together = backend.decode(embedding, Prompts(boxes=boxes(3), masks=masks))
    for i in range(3):
        alone = backend.decode(embedding, Prompts(boxes=boxes(3)[i : i + 1], masks=masks[i : i + 1]))
        np.testing.assert_allclose(alone.logits[0], together.logits[i], atol=1e-4)
    other = backend.decode(embedding, Prompts(boxes=boxes(3), masks=masks[::-1].copy()))
    assert np.abs(other.logits[0] - together.logits[0]).max() > 1e-4, "the mask prompt has no effect"


def reference(checkpoint, pixels):
    """The library's own processor and forward pass for one box."""
    import torch
    import transformers

    family = checkpoint.name.removesuffix("_video")
    name = {"sam": "Sam", "sam_hq": "SamHQ", "sam2": "Sam2", "edgetam": "EdgeTam"}.get(family, "Sam3Tracker")
    model = getattr(transformers, f"{name}Model").from_pretrained(checkpoint).eval()
    square = {"height": 128, "width": 128}
    if family in {"sam2", "edgetam"}:  # EdgeTam has no processor of its own
        processor = transformers.Sam2Processor(transformers.Sam2ImageProcessor(size=square))
    elif name == "Sam3Tracker":
        processor = transformers.Sam3TrackerProcessor(transformers.Sam3ImageProcessor(size=square))
    else:
        images = transformers.SamImageProcessor(
            size={"longest_edge": 128}, pad_size=square, mask_size={"longest_edge": 32}
        )
        processor = getattr(transformers, f"{name}Processor")(images)
    inputs = processor(images=pixels, input_boxes=[boxes(1).tolist()], return_tensors="pt")
    arguments = {"pixel_values": inputs["pixel_values"], "input_boxes": inputs["input_boxes"].float()}
    with torch.inference_mode():
        output = model(**arguments, multimask_output=True)
    return output.pred_masks[:, 0].numpy()


@pytest.mark.parametrize("checkpoint", [name for name in WRITERS if name != "edgetam-one-mask"], indirect=True)
def test_our_preparation_matches_the_library(checkpoint, pixels):
    smooth = np.kron(pixels[::15, ::15], np.ones((15, 15, 1), dtype=np.uint8))  # resizing filters differ on noise
    backend = open_backend(checkpoint, runtime=RUNTIME)
    ours = backend.decode(backend.encode(smooth), Prompts(boxes=boxes(1))).logits
    theirs = reference(checkpoint, smooth)
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    assert correlation > 0.98


def test_the_refiner_runs_it(checkpoint, pixels, tmp_path):
    refiner = build_refiner(
        "sam",
        options={"weights": str(checkpoint)},
        weights=WeightLibrary({}, cache_folder=tmp_path),
        runtime=RUNTIME,
    )
    refiner.load()
    image = Image(id="x", pixels=pixels)
    regions = [
        Region(kind=Kind.TEXT, box=Box(10, 10, 60, 40), confidence=0.9, source="t"),
        Region(kind=Kind.WATERMARK, box=Box(100, 60, 104, 63), confidence=0.9, source="t"),
    ]
    patches = refiner.refine(image, regions)
    assert len(patches) == 2
    for patch in patches:
        assert image.box.contains(patch.box)
        assert patch.refiner in {"sam", "polygon"}
        assert bool(patch.note) == (patch.refiner == "polygon")


def _refined_in_a_new_process(weights: str, cache: str) -> list[tuple[str, int]]:
    refiner = build_refiner(
        "sam",
        options={"weights": weights, "min_iou": 0.0},
        weights=WeightLibrary({}, cache_folder=Path(cache)),
        runtime=RUNTIME,
    )
    refiner.load()
    image = Image(id="x", pixels=np.zeros((60, 80, 3), dtype=np.uint8))
    region = Region(kind=Kind.TEXT, box=Box(5, 5, 40, 30), confidence=0.9, source="t")
    return [(patch.refiner, os.getpid()) for patch in refiner.refine(image, [region])]


def test_spawned_workers_build_their_own(tmp_path):
    folder = tmp_path / "sam"
    write_sam(folder)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        answers = [
            future.result()
            for future in [
                pool.submit(_refined_in_a_new_process, str(folder), str(tmp_path / "cache")) for _ in range(2)
            ]
        ]
    assert all(pid != os.getpid() for answer in answers for _, pid in answer)
    assert len({name for answer in answers for name, _ in answer}) == 1


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "sam"
    write_sam(folder)
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("mask_decoder.iou_token.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="iou_token"):
        open_backend(folder, runtime=RUNTIME)


def pickled(folder: Path) -> Path:
    """A checkpoint as older ones are, with a pickle instead of safetensors; the tensors by name."""
    import torch
    from safetensors.torch import load_file

    write_sam(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_pickle_of_tensors_is_read_by_the_loader_that_runs_no_code(tmp_path):
    assert open_backend(pickled(tmp_path / "sam"), runtime=RUNTIME).traits.side_px == 128


def test_a_pickle_with_code_in_a_folder_is_refused(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    folder = pickled(tmp_path / "sam")
    torch.save({"vision_encoder.pos_embed": _Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError) as caught:
        open_backend(folder, runtime=RUNTIME)
    assert caught.value.code == "weights-unsafe"
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize("content", [None, "{", '{"model_type": "bert"}'])
def test_a_folder_of_something_else_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(WeightsError):
        open_backend(tmp_path, runtime=RUNTIME)


class _Evil:
    def __reduce__(self):
        return (os.system, ("touch evil-was-here",))


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"image_encoder.pos_embed": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="allow_unsafe_pickle"):
        open_backend(tmp_path / "evil.pth", runtime=RUNTIME)
    assert not (tmp_path / "evil-was-here").exists()


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(WeightsError):
        open_backend(tmp_path / "broken.pth", runtime=RUNTIME)


def test_metas_own_format(tmp_path):
    import torch
    from segment_anything import SamPredictor, sam_model_registry

    torch.manual_seed(0)
    model = sam_model_registry["vit_b"]().eval()
    path = tmp_path / "sam_vit_b_random.pth"
    torch.save(model.state_dict(), path)
    backend = open_backend(path, runtime=RuntimeConfig(device="cpu", threads=2))
    picture = np.full((240, 320, 3), 200, dtype=np.uint8)
    picture[100:140, 100:220] = 30
    embedding = backend.encode(picture)
    box = np.array([[90, 90, 230, 150]], dtype=np.float32)
    points = np.array([[[160, 120]]], dtype=np.float32)
    answer = backend.decode(embedding, Prompts(boxes=box, points=points, labels=np.array([[WANTED]])))
    assert answer.logits.shape == (1, 3, 256, 256)

    predictor = SamPredictor(model)
    theirs = predictor.transform.apply_image(picture)
    theirs = model.preprocess(torch.from_numpy(theirs).permute(2, 0, 1)[None].float()).numpy()
    assert np.abs(normalised_square(embedding.frame, picture) - theirs).mean() < 0.01
    # Encoding takes ViT-B many seconds: the library's own decoder gets the embedding that ours made.
    predictor.features, predictor.is_image_set = embedding.tensors[0], True
    predictor.original_size, predictor.input_size = (240, 320), (768, 1024)
    _, ious, low = predictor.predict(point_coords=points[0], point_labels=np.array([1]), box=box[0])
    np.testing.assert_allclose(answer.ious[0], ious, atol=1e-3)
    np.testing.assert_allclose(answer.logits[0], low, atol=1e-3)


def test_the_one_checkpoint_of_a_folder_is_taken(tmp_path):
    """A repository of a hub may hold nothing but a file in Meta's format."""
    import torch

    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 100)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"x\.pth is not one of Meta's"):
        open_backend(tmp_path, runtime=RUNTIME)
    (tmp_path / "y.pth").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"no readable config\.json"):
        open_backend(tmp_path, runtime=RUNTIME)


def test_metas_format_with_a_strange_width(tmp_path):
    import torch

    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 100)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="vit_b"):
        open_backend(tmp_path / "x.pth", runtime=RUNTIME)
