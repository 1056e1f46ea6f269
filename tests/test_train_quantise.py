"""Int8 versions of ONNX files. Needs onnx, which the extra `train` brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_data_cases import draw_pictures

from automask.errors import InputError, WeightsError

onnx = pytest.importorskip("onnx", reason="the extra `train` brings onnx; the slow suite runs this")
pytestmark = pytest.mark.slow


def write_network(path: Path, *, inputs: tuple[str, ...] = ("pixels",)) -> Path:
    """Two convolutions with float16 weights behind a Cast, as exports of ours store them."""
    from onnx import TensorProto, helper, numpy_helper

    from automask_training.onnx_files import halve_weights

    rng = np.random.default_rng(0)
    kernels = [rng.normal(0, 0.05, shape).astype(np.float32) for shape in ((16, 3, 5, 5), (8, 16, 5, 5))]
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["small"], name="scale"),
        helper.make_node("Conv", ["small", "k0"], ["a"], name="first", pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "k1"], ["ink"], name="head", pads=[2, 2, 2, 2]),
    ]
    values = [numpy_helper.from_array(kernel, f"k{at}") for at, kernel in enumerate(kernels)]
    values.append(numpy_helper.from_array(np.float32(1 / 64), "scale"))
    axes: list[Any] = ["batch", 3, "height", "width"]
    fed = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name in inputs]
    out = helper.make_tensor_value_info("ink", TensorProto.FLOAT, ["batch", 8, "height", "width"])
    model = helper.make_model(
        helper.make_graph(nodes, "net", fed, [out], values), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    halve_weights(model)
    assert any(node.op_type == "Cast" for node in model.graph.node)
    path.write_bytes(model.SerializeToString())
    return path


def ops_of(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def test_an_int8_file_is_close_and_its_figures_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from automask_training.__main__ import main

    draw_pictures(tmp_path / "images", 6)
    source, target = write_network(tmp_path / "net.onnx"), tmp_path / "out" / "int8.onnx"
    assert main(["quantise", str(source), str(target), "--images", str(tmp_path / "images"), "--side-px", "96"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == 3
    assert figures["size_bytes"] == [source.stat().st_size, target.stat().st_size]
    assert min(figures["seconds"]) > 0
    assert 0 < figures["differences"]["ink"]["mean"] < 0.05
    assert figures["differences"]["ink"]["largest"] < 1
    weights = onnx.load(str(target)).graph.initializer
    assert sum(tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4 for tensor in weights) == 2
    assert "QuantizeLinear" in ops_of(target)


def test_named_nodes_stay_in_float(tmp_path: Path) -> None:
    from automask_training.quantise import quantise

    pictures = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for seed in range(4)]
    source = write_network(tmp_path / "net.onnx")
    whole = quantise(source, tmp_path / "whole.onnx", pictures)
    part = quantise(source, tmp_path / "part.onnx", pictures, keep=["head"])
    assert part.differences["ink"].mean < whole.differences["ink"].mean


def test_what_cannot_be_quantised_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    from automask_training.quantise import pictures_in, quantise

    pictures = [np.zeros((64, 64, 3), np.uint8)] * 2
    two = write_network(tmp_path / "two.onnx", inputs=("pixels", "boxes"))
    with pytest.raises(WeightsError, match="pixels, boxes"):
        quantise(two, tmp_path / "out.onnx", pictures)
    with pytest.raises(InputError, match="two pictures"):
        quantise(two, tmp_path / "out.onnx", pictures[:1])
    with pytest.raises(InputError, match="no image"):
        pictures_in(tmp_path, side_px=64, count=3)
    assert not (tmp_path / "out.onnx").exists()
