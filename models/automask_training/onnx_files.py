"""ONNX files small enough to ship: traced, checked against torch, weights stored as float16."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray
    from torch import Tensor, nn

OPSET = 18
_HALVED_FROM_VALUES = 256


class ExportError(Exception):
    """The exported graph does not give what torch gives."""


@dataclass(frozen=True, eq=False)
class Graph:
    """What to export: `inputs` by name in the order of `forward`, `dynamic` as {input: {axis: name}}, named outputs."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]]


def export_graph(graph: Graph, path: Path, *, halve: bool = True) -> None:
    """Trace `graph` in evaluation mode and write it, with large weights as float16 when `halve`."""
    import onnx
    import torch

    graph.module.eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            graph.module,
            tuple(graph.inputs.values()),
            str(raw),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: dict(axes) for name, axes in graph.dynamic.items()},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(raw))
    if halve:
        halve_weights(model)
    onnx.checker.check_model(model)
    temporary = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(model.SerializeToString())
    temporary.replace(path)


def halve_weights(model: onnx.ModelProto) -> None:
    """Store large float32 initializers of a model as float16, with a Cast that runtimes fold on loading."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _HALVED_FROM_VALUES or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def check_graph(
    graph: Graph,
    path: Path,
    trials: Sequence[Mapping[str, Tensor]],
    *,
    tolerance: float,
    view: Callable[[NDArray[np.float32]], NDArray[np.float32]] = np.asarray,
) -> float:
    """Largest difference between the file and torch over `trials`, relative to each output's largest value.

    `view` picks what of an output is compared.

    Raises:
        ExportError: it is more than `tolerance`.
    """
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for trial in trials:
        with torch.no_grad():
            expected = graph.module(*trial.values())
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = session.run(list(graph.outputs), {name: value.numpy() for name, value in trial.items()})
        for name, ours, theirs in zip(graph.outputs, expected, found, strict=True):
            if tuple(ours.shape) != theirs.shape:
                raise ExportError(f"{path.name}: {name} is {theirs.shape}, torch gives {tuple(ours.shape)}")
            wanted, given = view(ours.numpy()), view(theirs)
            worst = max(worst, float(np.abs(wanted - given).max() / (np.abs(wanted).max() + 1e-3)))
    if worst > tolerance:
        raise ExportError(f"{path.name} differs from torch by {worst:.4f} of the outputs' spread")
    return worst
