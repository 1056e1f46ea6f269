"""ONNX pairs of all layouts, as hand-made graphs that give the mask prompt back."""

from __future__ import annotations

import numpy as np
from onnx_writer import INT64, node, port, write_model


def write_ours(folder, *, name="net"):
    """Logits = the mask prompt; predicted IoU = has_mask - 0.1, or the mean of the points without a mask prompt."""
    write_model(
        folder / f"{name}.encoder.onnx",
        nodes=[
            node("ReduceMean", ["pixels"], ["image_embeddings"], keepdims=1),
            node("Identity", ["image_embeddings"], ["high_res_s1"]),
            node("Identity", ["image_embeddings"], ["high_res_s0"]),
        ],
        inputs=[port("pixels", ["B", 3, 256, 256])],
        outputs=[port(name, [1, 1, 1, 1]) for name in ("image_embeddings", "high_res_s1", "high_res_s0")],
    )
    write_model(
        folder / f"{name}.decoder.onnx",
        nodes=[
            node("Identity", ["masks"], ["mask_logits"]),
            node("Sub", ["has_mask", "tenth"], ["less"]),
            node("Unsqueeze", ["less", "last"], ["iou"]),
            node("ReduceMean", ["boxes", "last"], ["box_mean"], keepdims=1),
            node("Identity", ["box_mean"], ["object_score"]),
        ],
        inputs=[
            port("image_embeddings", [1, 1, 1, 1]),
            port("high_res_s1", [1, 1, 1, 1]),
            port("high_res_s0", [1, 1, 1, 1]),
            port("points", [1, "N", "P", 2]),
            port("labels", [1, "N", "P"], INT64),
            port("boxes", [1, "N", 4]),
            port("masks", [1, "N", 1, 64, 64]),
            port("has_mask", [1, "N"]),
        ],
        outputs=[
            port("mask_logits", [1, "N", 1, 64, 64]),
            port("iou", [1, "N", 1]),
            port("object_score", [1, "N", 1]),
        ],
        constants={"tenth": np.float32(0.1).reshape(1), "last": np.array([-1])},
    )
    return folder / f"{name}.encoder.onnx"


def write_segment_anything(folder):
    """The layout of segment-anything's export: logits = the mask prompt, IoU = has_mask."""
    write_model(
        folder / "vit.encoder.onnx",
        nodes=[node("ReduceMean", ["x"], ["embeddings"], keepdims=1)],
        inputs=[port("x", [1, 3, 1024, 1024])],
        outputs=[port("embeddings", [1, 1, 1, 1])],
    )
    write_model(
        folder / "vit.decoder.onnx",
        nodes=[
            node("Identity", ["mask_input"], ["low_res_masks"]),
            node("Identity", ["mask_input"], ["masks"]),
            node("Unsqueeze", ["has_mask_input", "last"], ["iou_predictions"]),
        ],
        inputs=[
            port("image_embeddings", [1, 1, 1, 1]),
            port("point_coords", [1, "P", 2]),
            port("point_labels", [1, "P"]),
            port("mask_input", [1, 1, 256, 256]),
            port("has_mask_input", [1]),
            port("orig_im_size", [2]),
        ],
        outputs=[
            port("masks", [1, 1, 256, 256]),
            port("iou_predictions", [1, 1]),
            port("low_res_masks", [1, 1, 256, 256]),
        ],
        constants={"last": np.array([-1])},
    )
    return folder / "vit.encoder.onnx"


def write_sam2(folder):
    """The layout of the SAM 2.1 pairs of osam: the same with finer features, logits in the third output."""
    names = ("image_embeddings", "high_res_features1", "high_res_features2")
    write_model(
        folder / "sam2.encoder.onnx",
        nodes=[
            node("ReduceMean", ["input"], ["one"], keepdims=1),
            node("Identity", ["one"], ["two"]),
            node("Identity", ["one"], ["three"]),
        ],
        inputs=[port("input", [1, 3, 1024, 1024])],
        outputs=[port(name, [1, 1, 1, 1]) for name in ("one", "two", "three")],
    )
    write_model(
        folder / "sam2.decoder.onnx",
        nodes=[
            node("Identity", ["mask_input"], ["masks"]),
            node("Unsqueeze", ["has_mask_input", "last"], ["iou_predictions"]),
            node("Identity", ["mask_input"], ["low_res_masks"]),
        ],
        inputs=[
            *(port(name, [1, 1, 1, 1]) for name in names),
            port("point_coords", [1, "P", 2]),
            port("point_labels", [1, "P"]),
            port("mask_input", [1, 1, 256, 256]),
            port("has_mask_input", [1]),
            port("orig_im_size", [2], INT64),
        ],
        outputs=[
            port("masks", [1, 1, 256, 256]),
            port("iou_predictions", [1, 1]),
            port("low_res_masks", [1, 1, 256, 256]),
        ],
        constants={"last": np.array([-1])},
    )
    return folder / "sam2.encoder.onnx"


def write_samexporter_sam2(folder):
    """The layout of samexporter's pairs of SAM 2: features in another order, no size, only small masks."""
    names = ("high_res_feats_0", "high_res_feats_1", "image_embed")
    write_model(
        folder / "anylabeling.encoder.onnx",
        nodes=[
            node("ReduceMean", ["image"], [names[0]], keepdims=1),
            *(node("Identity", [names[0]], [name]) for name in names[1:]),
        ],
        inputs=[port("image", [1, 3, 1024, 1024])],
        outputs=[port(name, [1, 1, 1, 1]) for name in names],
    )
    write_model(
        folder / "anylabeling.decoder.onnx",
        nodes=[
            node("Identity", ["mask_input"], ["masks"]),
            node("Unsqueeze", ["has_mask_input", "last"], ["iou_predictions"]),
        ],
        inputs=[
            *(port(name, [1, 1, 1, 1]) for name in names),
            port("point_coords", ["N", "P", 2]),
            port("point_labels", ["N", "P"]),
            port("mask_input", ["N", 1, 256, 256]),
            port("has_mask_input", ["N"]),
        ],
        outputs=[port("masks", ["N", 1, 256, 256]), port("iou_predictions", ["N", 1])],
        constants={"last": np.array([-1])},
    )
    return folder / "anylabeling.encoder.onnx"
