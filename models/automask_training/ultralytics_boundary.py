"""The one place of the training code that imports ultralytics (AGPL-3.0), with its side effects switched off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from automask_models.watermark.ultralytics_boundary import quiet_ultralytics

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE = "yolo26n.yaml"
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


def build_detector(classes: int) -> nn.Module:
    """New detector of `ARCHITECTURE` with random weights and dual (one-to-many, one-to-one) heads."""
    with quiet_ultralytics("Training the watermark detector"):
        from ultralytics.nn.tasks import DetectionModel

        model: Any = DetectionModel(ARCHITECTURE, ch=3, nc=classes, verbose=False)
    # The loss reads its gains here; `epochs` steers a fade that `set_one_to_one_share` replaces.
    model.args = SimpleNamespace(**GAINS, epochs=2)
    model.criterion = model.init_criterion()
    result: nn.Module = model
    return result


def set_one_to_one_share(model: nn.Module, share: float) -> None:
    """Set how much of the loss goes to the one-to-one head (0..1), which needs a trained backbone to learn from.

    ultralytics moves it once per epoch; here it is a function of samples, so that a resumed run agrees.
    """
    model.criterion.o2m, model.criterion.o2o = 1 - share, share


def detector_loss(
    model: nn.Module, pixels: Tensor, *, image: Tensor, classes: Tensor, boxes: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Loss of pixels (B, 3, H, W) 0..1 against M boxes.

    image (M,) float index into the batch; classes (M, 1) float; boxes (M, 4) centre x, y, width, height as shares of
    the image.
    """
    total, parts = model.loss({"img": pixels, "batch_idx": image, "cls": classes, "bboxes": boxes})
    return total.sum() / len(pixels), {name.removesuffix("_loss"): float(value) for name, value in parts.items()}


def detections(model: nn.Module, pixels: Tensor, *, one_to_one: bool) -> Tensor:
    """Raw detections of pixels (B, 3, H, W) 0..1.

    With `one_to_one` (B, 300, 6) xyxy px, score, class; without (B, 4 + classes, anchors) centre boxes that still need
    non-maximum suppression.
    """
    model.end2end = one_to_one
    output = model(pixels)
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def prepare_export(model: nn.Module) -> None:
    """Make `model` (in evaluation mode) a pure function from pixels to one-to-one detections, for tracing."""
    model.end2end = True
    model.fuse()
    head = model.model[-1]
    head.export, head.dynamic, head.format = True, True, "onnx"
