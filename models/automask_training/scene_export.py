"""The scene network as one ONNX file, backbone and all."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from automask_training.onnx_files import Graph, check_graph, export_graph
from automask_training.scene_model import SceneNet

NAME = "automask-scene"
_TOLERANCE = 0.02


class SceneAnswer(nn.Module):  # type: ignore[misc, unused-ignore]
    """pixels (B, 3, H, W) float32 RGB 0..255 -> lettering (B, 1, H/8, W/8) float32 probabilities."""

    def __init__(self, model: SceneNet) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities of a batch."""
        # Not by way of `features`, whose memory format is that of a training.
        answer: Tensor = self.model.head(self.model.backbone(pixels)).sigmoid()
        return answer


def export_scene(model: SceneNet, folder: Path) -> dict[str, float]:
    """Write `NAME.onnx` below `folder`; returns its largest difference from torch.

    Raises:
        ExportError: The file does not agree with torch.
    """
    model = model.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    generator = torch.Generator().manual_seed(0)
    trials = [torch.rand(shape, generator=generator) * 255 for shape in ((1, 3, 128, 192), (2, 3, 384, 256))]
    sides = {0: "batch", 2: "height", 3: "width"}
    graph = Graph(
        module=SceneAnswer(model),
        inputs={"pixels": trials[0]},
        outputs=("lettering",),
        dynamic={"pixels": sides, "lettering": {0: "batch", 2: "rows", 3: "columns"}},
    )
    path = folder / f"{NAME}.onnx"
    export_graph(graph, path)
    return {path.name: check_graph(graph, path, [{"pixels": trial} for trial in trials], tolerance=_TOLERANCE)}
