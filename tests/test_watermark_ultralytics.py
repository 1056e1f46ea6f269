"""Real ultralytics networks, as .pt and as ONNX, through the yolo detector; and what importing the library leaves."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.plugins import build_detector
from automask.values.types import Image
from automask.weights import WeightLibrary

pytestmark = pytest.mark.slow

NETWORKS = {"yolo26n": False, "yolo11n": False, "yolo11n-seg": True}


def enliven(network):
    """Give a new network answers that differ from place to place; at first they are all alike, and all near zero."""
    import torch

    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for module in norms:
        module.momentum = None  # average over what follows
    network.train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(2, 3, 128, 160).round())
        for name, parameter in network.named_parameters():
            if "cv3" in name and parameter.shape[:1] == (80,):
                parameter.normal_(0, 0.1)  # more would saturate: equal scores in no order
    network.eval()


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory):
    """(path of the .pt, path of the .onnx) of a network with random weights and lively scores."""
    from automask_models.watermark.ultralytics_boundary import quiet_ultralytics

    folder = tmp_path_factory.mktemp("yolo")
    with quiet_ultralytics():
        import torch
        from ultralytics import YOLO

        torch.manual_seed(0)
        model = YOLO(f"{request.param}.yaml", verbose=False)
        enliven(model.model)
        model.model.names = {i: f"class{i}" for i in range(80)}
        model.save(folder / "random.pt")
        saved = YOLO(folder / "random.pt")
        saved.export(format="onnx", imgsz=128, dynamic=True, opset=18, simplify=False, verbose=False)
    return request.param, folder / "random.pt", folder / "random.onnx"


def detector(path, tmp_path, **options):
    return build_detector(
        "yolo",
        options={"weights": str(path), "side_px": 128, "tile_above_px": 0, **options},
        weights=WeightLibrary({}, cache_folder=tmp_path),
        runtime=RuntimeConfig(device="cpu", threads=2),
    )


def test_both_formats_find_the_same(exported, tmp_path):
    name, pt, onnx = exported
    pixels = np.random.default_rng(0).integers(0, 256, (100, 160, 3), dtype=np.uint8)
    image = Image(id="x", pixels=np.kron(pixels[::10, ::10], np.ones((10, 10, 1), dtype=np.uint8)))
    scores = [0.9, 0.7, 0.5, 0.4, 0.3, 0.27, 0.2, 0.1, 0.05, 0.01, 0.001]
    threshold = next(
        score for score in scores if len(detector(onnx, tmp_path, confidence=score).detect([image])[0]) >= 3
    )
    (from_onnx,) = detector(onnx, tmp_path, confidence=threshold).detect([image])
    (from_pt,) = detector(pt, tmp_path, confidence=threshold).detect([image])
    assert len(from_onnx) >= 3
    assert len(from_pt) == len(from_onnx)
    for ours in from_pt:  # random networks are equally sure of several classes at one place: order is no evidence
        alike = [theirs for theirs in from_onnx if abs(ours.confidence - theirs.confidence) <= 1e-3]
        same_place = [t for t in alike if np.abs(np.subtract(ours.box.xyxy, t.box.xyxy)).max() <= 1]
        assert ours.attributes["label"] in {theirs.attributes["label"] for theirs in same_place}
    if NETWORKS[name]:
        assert any(region.artefact is not None for region in from_onnx)


class _Evil:
    def __reduce__(self):
        return (os.system, ("touch evil-was-here",))


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"model": _Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="allow_unsafe_pickle"):
        detector(tmp_path / "evil.pt", tmp_path).load()
    assert not (tmp_path / "evil-was-here").exists()


def test_damaged_and_foreign_files_are_refused(tmp_path):
    import torch

    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 nothing")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "foreign.pt")
    for name in ("broken.pt", "foreign.pt"):
        with pytest.raises(WeightsError):
            detector(tmp_path / name, tmp_path).load()


def test_the_process_is_as_it_was(exported, tmp_path):
    _, pt, _ = exported
    code = f"""
import os, sys, socket, logging
from pathlib import Path
def refuse(*args, **kwargs):
    raise AssertionError(f"network used: {{args}}")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
import cv2, numpy as np, torch, warnings
from automask.config import RuntimeConfig
from automask.plugins import build_detector
from automask.values.types import Image
from automask.weights import WeightLibrary
def state():
    import subprocess
    return (dict(os.environ), torch.get_num_threads(), cv2.getNumThreads(), np.get_printoptions(),
            str(torch.rand(3, generator=torch.Generator().manual_seed(0))), list(warnings.filters), torch.save)
before = state()
detector = build_detector("yolo", options={{"weights": {str(pt)!r}, "confidence": 0.01}},
    weights=WeightLibrary({{}}, cache_folder=Path({str(tmp_path)!r})), runtime=RuntimeConfig(device="cpu"))
detector.load()
detector.detect([Image(id="x", pixels=np.zeros((64, 64, 3), np.uint8))])
after = state()
for old, new in zip(before, after):
    assert old == new, (old, new)
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "YOLO", "OMP"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**environment, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")},
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
    assert not any("ltralytics" in path.name for path in home.rglob("*"))
