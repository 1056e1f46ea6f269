"""The small SAM as an ONNX encoder and decoder."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from automask_training.onnx_files import Graph, check_graph, export_graph
from automask_training.sam_model import Features, PromptBatch, SmallSam

NAME = "automask-sam-tiny"
_HALF_TOLERANCE = 0.05


class SamEncoder(nn.Module):  # type: ignore[misc, unused-ignore]
    """pixels (B, 3, S, S) float32 RGB 0..255 -> image_embeddings, high_res_s1, high_res_s0."""

    def __init__(self, model: SmallSam) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode crops."""
        features = self.model.encode(pixels)
        return features.image_embeddings, features.high_res_s1, features.high_res_s0


class SamDecoder(nn.Module):  # type: ignore[misc, unused-ignore]
    """N prompts on one crop -> mask_logits (1, N, 1, C, C), iou (1, N, 1), object_score (1, N, 1)."""

    def __init__(self, model: SmallSam) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model
        config = model.config
        self.click_bar, self.box_bar = (logit(each) for each in (config.click_answers_from, config.box_answers_from))

    def forward(
        self,
        image_embeddings: Tensor,
        high_res_s1: Tensor,
        high_res_s0: Tensor,
        points: Tensor,
        labels: Tensor,
        boxes: Tensor,
        masks: Tensor,
        has_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Answer the prompts."""
        prompts = PromptBatch(points=points, labels=labels, boxes=boxes, masks=masks.squeeze(2), has_mask=has_mask)
        decoded = self.model.decode(Features(image_embeddings, high_res_s1, high_res_s0), prompts)
        has_box = (boxes[..., 2] > boxes[..., 0]).float()
        bar = self.click_bar + (self.box_bar - self.click_bar) * has_box
        logits = decoded.mask_logits.unsqueeze(2) - bar[..., None, None, None]
        return logits, decoded.iou.unsqueeze(-1), decoded.object_logits.unsqueeze(-1)


def logit(chance: float) -> float:
    """Log odds of a chance within 0..1."""
    return math.log(chance / (1 - chance))


def export_sam(model: SmallSam, folder: Path) -> dict[str, float]:
    """Write `NAME.encoder.onnx` and `NAME.decoder.onnx` below `folder`.

    Returns the largest relative difference of each file from torch.

    Raises:
        ExportError: a file does not agree with torch.
    """
    model = model.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    generator = torch.Generator().manual_seed(0)
    encoder, crops = encoder_graph(model, generator)
    encoder_path = folder / f"{NAME}.encoder.onnx"
    export_graph(encoder, encoder_path)
    with torch.no_grad():
        features = model.encode(crops[:1])
    decoder = Graph(
        module=SamDecoder(model),
        inputs=decoder_inputs(model, features, prompts=3, points=2, generator=generator),
        outputs=("mask_logits", "iou", "object_score"),
        dynamic={
            "points": {1: "prompts", 2: "points"},
            "labels": {1: "prompts", 2: "points"},
            "boxes": {1: "prompts"},
            "masks": {1: "prompts"},
            "has_mask": {1: "prompts"},
            "mask_logits": {1: "prompts"},
            "iou": {1: "prompts"},
            "object_score": {1: "prompts"},
        },
    )
    decoder_path = folder / f"{NAME}.decoder.onnx"
    export_graph(decoder, decoder_path)
    trials = [
        decoder_inputs(model, features, prompts=n, points=p, generator=generator) for n, p in ((1, 1), (5, 3), (2, 1))
    ]
    differences = {
        encoder_path.name: check_graph(encoder, encoder_path, [{"pixels": crops}], tolerance=_HALF_TOLERANCE),
        decoder_path.name: check_graph(decoder, decoder_path, trials, tolerance=_HALF_TOLERANCE),
    }
    return differences


def encoder_graph(model: SmallSam, generator: torch.Generator) -> tuple[Graph, Tensor]:
    """The encoder and two random crops to try it on."""
    size = model.config.size_px
    crops = torch.rand((2, 3, size, size), generator=generator) * 255
    names = ("image_embeddings", "high_res_s1", "high_res_s0")
    dynamic = {name: {0: "batch"} for name in ("pixels", *names)}
    return Graph(module=SamEncoder(model), inputs={"pixels": crops}, outputs=names, dynamic=dynamic), crops


def decoder_inputs(
    model: SmallSam, features: Features, *, prompts: int, points: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Random prompts on encoded crops, by the names of the decoder's inputs: boxes, clicks and masks."""
    size, cells = model.config.size_px, model.config.size_px // 4
    corners = torch.rand((1, prompts, 2, 2), generator=generator) * size
    boxes = torch.cat([corners.amin(2), corners.amax(2)], dim=-1)
    boxes[:, -1] = 0 if prompts > 1 else boxes[:, -1]
    return {
        "image_embeddings": features.image_embeddings,
        "high_res_s1": features.high_res_s1,
        "high_res_s0": features.high_res_s0,
        "points": torch.rand((1, prompts, points, 2), generator=generator) * size,
        "labels": torch.randint(0, 2, (1, prompts, points), generator=generator),
        "boxes": boxes,
        "masks": torch.randn((1, prompts, 1, cells, cells), generator=generator) * 3,
        "has_mask": torch.randint(0, 2, (1, prompts), generator=generator).float(),
    }
