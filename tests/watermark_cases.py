"""Hand-made ONNX graphs of detectors, whose output a test decides, and a picture with a mark for the shipped one."""

from __future__ import annotations

import cv2
import numpy as np
from ink_cases import landscape
from onnx_writer import node, port, write_model

from automask.values.geometry import Box
from automask.values.types import Image
from automask_training.synth.codes import qr_modules

NAMES = {0: "watermark", 1: "logo", 2: "person"}


def write_graph(path, prediction, prototypes=None, *, names=NAMES, side=None):
    """A network that gives the same answer to every picture. prediction: (rows, columns) float."""
    answers = {
        name: np.asarray(value, dtype=np.float32)[None]
        for name, value in (("output0", prediction), ("output1", prototypes))
        if value is not None
    }
    nodes = [node("ReduceMean", ["images"], ["mean"], keepdims=0), node("Sub", ["mean", "mean"], ["zero"])]
    nodes += [node("Add", [f"{name}_value", "zero"], [name]) for name in answers]
    write_model(
        path,
        nodes=nodes,
        inputs=[port("images", [1, 3, side or "height", side or "width"])],
        outputs=[port(name, value.shape) for name, value in answers.items()],
        constants={f"{name}_value": value for name, value in answers.items()},
        metadata={} if names is None else {"names": str(names)},
    )
    return str(path)


CODE = Box(620, 440, 770, 590)


def stamped() -> Image:
    """A landscape with a QR code on white in its lower right corner, at `CODE`."""
    pixels = np.asarray(landscape(800, 600)).copy()
    modules = np.pad(qr_modules("https://example.org/prints"), 2)
    plate = np.where(modules > 0, 0, 255).astype(np.uint8)
    pixels[CODE.slices] = cv2.resize(plate, CODE.shape[::-1], interpolation=cv2.INTER_NEAREST)[..., None]
    return Image(id="stamped", pixels=pixels)
