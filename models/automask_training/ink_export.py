"""The ink network as one ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from automask_training.ink_model import InkNet
from automask_training.onnx_files import Graph, check_graph, export_graph

NAME = "automask-ink"
_TOLERANCE = 0.02


class InkAnswer(nn.Module):  # type: ignore[misc, unused-ignore]
    """pixels (B, 3, H, W) float32 RGB 0..255 -> ink (B, 2, H/4, W/4) float32 probabilities of `CHANNELS`."""

    def __init__(self, model: InkNet) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities of a batch."""
        answer: Tensor = self.model(pixels).sigmoid()
        return answer


def export_ink(model: InkNet, folder: Path) -> dict[str, float]:
    """Write `NAME.onnx` below `folder`; returns its largest difference from torch.

    Raises:
        ExportError: The file does not agree with torch.
    """
    model = model.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    generator = torch.Generator().manual_seed(0)
    trials = [torch.rand((1, 3, *size), generator=generator) * 255 for size in ((64, 96), (160, 128))]
    axes = {0: "batch", 2: "height", 3: "width"}
    graph = Graph(
        module=InkAnswer(model),
        inputs={"pixels": trials[0]},
        outputs=("ink",),
        dynamic={"pixels": axes, "ink": axes},
    )
    path = folder / f"{NAME}.onnx"
    export_graph(graph, path)
    return {path.name: check_graph(graph, path, [{"pixels": trial} for trial in trials], tolerance=_TOLERANCE)}
