"""The ultralytics detector of marks as ONNX, and its trainable weights as safetensors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from automask_training.onnx_files import Graph, check_graph, export_graph
from automask_training.ultralytics_boundary import detections, prepare_export

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "automask-watermark-ultralytics"
_HALF_TOLERANCE = 0.05


class EndToEnd(nn.Module):  # type: ignore[misc, unused-ignore]
    """pixels (B, 3, H, W) float32 RGB 0..1 -> detections (B, 300, 6): xyxy px, score, class."""

    def __init__(self, model: nn.Module) -> None:
        """Take a model that `prepare_export` has made ready."""
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Detect."""
        return detections(self.model, images, one_to_one=True)


def export_ultralytics(model: nn.Module, folder: Path) -> dict[str, float]:
    """Write `NAME.onnx` and `NAME.safetensors` (float16, all heads, for further training) to `folder`.

    Returns the largest relative difference of the graph's scores from torch's.

    Raises:
        ExportError: the graph does not agree with torch.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state: Mapping[str, Tensor] = model.state_dict()
    halves = {k: v.half().contiguous() if v.dtype.is_floating_point else v.contiguous() for k, v in state.items()}
    save_file(halves, folder / f"{NAME}.safetensors")
    ready: Any = copy.deepcopy(model).eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    prepare_export(ready)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((1, 3, 320, 416), generator=generator)
    dynamic = {"images": {0: "batch", 2: "height", 3: "width"}, "detections": {0: "batch"}}
    graph = Graph(module=EndToEnd(ready), inputs={"images": images}, outputs=("detections",), dynamic=dynamic)
    path = folder / f"{NAME}.onnx"
    export_graph(graph, path)
    trials = [{"images": torch.rand((n, 3, h, w), generator=generator)} for n, h, w in ((1, 640, 640), (2, 256, 384))]
    # Rows of nearly equal score may swap places, so the sorted scores are compared.
    return {path.name: check_graph(graph, path, trials, tolerance=_HALF_TOLERANCE, view=lambda rows: rows[..., 4])}
