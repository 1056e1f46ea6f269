"""The watermark detector as one ONNX file, ink network and all."""

from __future__ import annotations

from pathlib import Path

import torch

from automask_training.onnx_files import Graph, check_graph, export_graph
from automask_training.watermark_model import Detector, MarkNet
from automask_training.watermark_truth import CLASSES

NAME = "automask-watermark"
_HALF_TOLERANCE = 0.05


def export_watermark(model: MarkNet, folder: Path) -> dict[str, float]:
    """Write `NAME.onnx` to `folder`: `images` float32 (B, 3, H, W) RGB 0..1 to `detections` (B, 300, 6).

    Returns the largest relative difference of the graph's best scores from torch's.

    Raises:
        ExportError: The graph does not agree with torch.
    """
    ready = Detector(model).eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((1, 3, 320, 416), generator=generator)
    dynamic = {"images": {0: "batch", 2: "height", 3: "width"}, "detections": {0: "batch"}}
    graph = Graph(module=ready, inputs={"images": images}, outputs=("detections",), dynamic=dynamic)
    path = folder / f"{NAME}.onnx"
    export_graph(graph, path)
    _name_classes(path)
    trials = [{"images": torch.rand((n, 3, h, w), generator=generator)} for n, h, w in ((1, 640, 640), (2, 256, 384))]
    # Rounding decides if a box goes that overlaps a better one by about as much as is suppressed; the best one stays.
    return {path.name: check_graph(graph, path, trials, tolerance=_HALF_TOLERANCE, view=lambda rows: rows[:, 0, 4])}


def _name_classes(path: Path) -> None:
    """Write the names into the file as ultralytics does, for whoever reads it."""
    import onnx

    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = "names", repr(dict(enumerate(CLASSES)))
    path.write_bytes(model.SerializeToString())
