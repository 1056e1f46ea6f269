"""The layout network as one ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from automask_training.layout_model import LayoutNet
from automask_training.onnx_files import Graph, check_graph, export_graph
from automask_training.synth.layout.synthesizer import SIDE_PX

NAME = "automask-layout"
_TOLERANCE = 0.02


class LayoutAnswer(nn.Module):  # type: ignore[misc, unused-ignore]
    """pixels (B, 3, 256, 256) float32 RGB 0..255 -> layout (B, 4, 64, 64) float32 probabilities of `CHANNELS`."""

    def __init__(self, model: LayoutNet) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities of a batch."""
        answer: Tensor = self.model(pixels).sigmoid()
        return answer


def export_layout(model: LayoutNet, folder: Path) -> dict[str, float]:
    """Write `NAME.onnx` below `folder`; returns its largest difference from torch.

    Raises:
        ExportError: The file does not agree with torch.
    """
    model = model.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    generator = torch.Generator().manual_seed(0)
    trials = [torch.rand((batch, 3, SIDE_PX, SIDE_PX), generator=generator) * 255 for batch in (1, 2)]
    graph = Graph(
        module=LayoutAnswer(model),
        inputs={"pixels": trials[0]},
        outputs=("layout",),
        dynamic={"pixels": {0: "batch"}, "layout": {0: "batch"}},
    )
    path = folder / f"{NAME}.onnx"
    export_graph(graph, path)
    return {path.name: check_graph(graph, path, [{"pixels": trial} for trial in trials], tolerance=_TOLERANCE)}
