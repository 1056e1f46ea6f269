"""Encoder and decoder as two ONNX graphs: our own export, that of segment-anything's script, and one of SAM 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.values.placement import Placement, joined
from automask_models.onnx_session import OnnxSession
from automask_models.refiners.backends.frame import Fit, SquareFrame, normalised_square
from automask_models.refiners.backends.protocol import (
    NO_POINT,
    Embedding,
    FrameTraits,
    Prompts,
    Proposals,
    SamBackend,
)

_OURS = {"image_embeddings", "high_res_s1", "high_res_s0", "points", "labels", "boxes", "masks", "has_mask"}
_SEGMENT_ANYTHING = {"image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size"}
_SAM2 = _SEGMENT_ANYTHING | {"high_res_features1", "high_res_features2"}
_SAMEXPORTER_SAM2 = {"image_embed", "high_res_feats_0", "high_res_feats_1"} | (
    _SEGMENT_ANYTHING - {"image_embeddings", "orig_im_size"}
)
_UNDERSTOOD = (
    "Understood are automask's own export, that of segment-anything's export_onnx_model.py, and the pairs of SAM 2 of "
    "osam and samexporter."
)
_BOX_CORNERS = (2, 3)
_NOT_A_POINT = -1


def open_onnx_pair(path: Path, *, runtime: RuntimeConfig) -> SamBackend:
    """Load an encoder with the decoder beside it.

    Args:
        path: The encoder (`*encoder*.onnx`, its decoder named alike), or a folder with one of each.
        runtime: Threads.

    Raises:
        WeightsError: One of the two is missing, or their inputs are of no known layout.
    """
    encoder_path, decoder_path = find_pair(path)
    encoder = OnnxSession.open(encoder_path, runtime=runtime)
    decoder = OnnxSession.open(decoder_path, runtime=runtime)
    side_px = _frame_side(encoder, encoder_path)
    if set(decoder.inputs) == _OURS:
        return AutomaskOnnxBackend(encoder, decoder, side_px=side_px)
    if set(decoder.inputs) == _SEGMENT_ANYTHING:
        return SegmentAnythingOnnxBackend(encoder, decoder, side_px=side_px)
    if set(decoder.inputs) == _SAM2 and len(encoder.outputs) == 3:
        return Sam2OnnxBackend(encoder, decoder, side_px=side_px)
    if set(decoder.inputs) == _SAMEXPORTER_SAM2 and len(encoder.outputs) == 3:
        return SamexporterSam2Backend(encoder, decoder, side_px=side_px)
    raise WeightsError(
        f"{decoder_path.name} is of no known layout: its inputs are {', '.join(sorted(decoder.inputs))}.",
        advice=_UNDERSTOOD,
        code="weights-layout",
    )


def find_pair(path: Path) -> tuple[Path, Path]:
    """The encoder and decoder files of a path.

    Raises:
        WeightsError: There is not exactly one of each.
    """
    if path.is_dir():
        decoders = sorted(path.glob("*decoder*.onnx"))
        encoders = sorted(file for file in path.glob("*encoder*.onnx") if file not in decoders)
    else:
        encoders = [path] if "encoder" in path.name else []
        sibling = path.with_name(path.name.replace("encoder", "decoder"))
        decoders = [sibling] if sibling.is_file() else []
    if len(encoders) != 1 or len(decoders) != 1:
        raise WeightsError(
            f"{path} does not give one ONNX encoder and one decoder.",
            advice="Point to NAME.encoder.onnx with NAME.decoder.onnx beside it, or to a folder with one of each.",
            code="weights-layout",
        )
    return encoders[0], decoders[0]


class OnnxPair(SamBackend):
    """An encoder and a decoder, each a graph."""

    def __init__(self, encoder: OnnxSession, decoder: OnnxSession, traits: FrameTraits, *, mask_side_px: int) -> None:
        super().__init__(traits, mask_side_px=mask_side_px)
        self._encoder = encoder
        self._decoder = decoder

    @property
    def placement(self) -> Placement:
        """See `SamBackend`."""
        return joined([self._encoder.placement, self._decoder.placement]) or self._encoder.placement


class AutomaskOnnxBackend(OnnxPair):
    """Our own export (models/training/README.md): normalises in the graph, takes N prompts of every sort at once."""

    def __init__(self, encoder: OnnxSession, decoder: OnnxSession, *, side_px: int) -> None:
        traits = FrameTraits.automask(side_px)
        super().__init__(encoder, decoder, traits, mask_side_px=cast("int", decoder.inputs["masks"][-1]))

    def encode(self, pixels: NDArray[np.uint8]) -> Embedding:
        """See `SamBackend`."""
        frame = SquareFrame(self.traits.side_px, pixels.shape[1], pixels.shape[0], fit="repeat")
        square = frame.square(frame.resized(pixels).astype(np.float32))
        outputs = self._encoder.run({"pixels": np.ascontiguousarray(square.transpose(2, 0, 1)[None])})
        names = ("image_embeddings", "high_res_s1", "high_res_s0")
        return Embedding(frame=frame, tensors=tuple(outputs[name] for name in names))

    def _decode_batch(self, embedding: Embedding, prompts: Prompts) -> Proposals:
        image_embeddings, high_res_s1, high_res_s0 = cast("tuple[NDArray[np.float32], ...]", embedding.tensors)
        count, side = len(prompts), self.mask_side_px
        if prompts.points is not None and prompts.labels is not None:
            points, labels = embedding.frame.points(prompts.points), prompts.labels
        else:
            points = np.zeros((count, 1, 2), dtype=np.float32)
            labels = np.full((count, 1), NO_POINT, dtype=np.int64)
        boxes = np.zeros((count, 4), dtype=np.float32)
        if prompts.boxes is not None:
            boxes = embedding.frame.points(prompts.boxes)
        masks = prompts.masks if prompts.masks is not None else np.zeros((count, side, side), dtype=np.float32)
        outputs = self._decoder.run(
            {
                "image_embeddings": image_embeddings,
                "high_res_s1": high_res_s1,
                "high_res_s0": high_res_s0,
                "points": points[None],
                "labels": labels[None],
                "boxes": boxes[None],
                "masks": masks[None, :, None],
                "has_mask": np.full((1, count), float(prompts.masks is not None), dtype=np.float32),
            }
        )
        return Proposals(
            logits=np.asarray(outputs["mask_logits"][0], dtype=np.float32),
            ious=np.asarray(outputs["iou"][0], dtype=np.float32),
        )


class SegmentAnythingOnnxBackend(OnnxPair):
    """The layout of segment-anything's `export_onnx_model.py`: one prompt per call, boxes as corner points."""

    fit: ClassVar[Fit] = "pad"
    embeddings: ClassVar[tuple[str, ...]] = ("image_embeddings",)
    """The decoder's names of what the encoder gives, in its order."""
    needs_padding: ClassVar[bool] = True
    """Whether points without a box are followed by one that is none, as in training."""
    masks: ClassVar[str] = "low_res_masks"
    """The output at the side of the mask prompt."""

    def __init__(self, encoder: OnnxSession, decoder: OnnxSession, *, side_px: int) -> None:
        traits = FrameTraits.segment_anything(side_px, batch=1)
        stated = decoder.inputs["mask_input"][-1]
        mask_side_px = stated if isinstance(stated, int) else side_px // 4
        super().__init__(encoder, decoder, traits, mask_side_px=mask_side_px)
        self._size: dict[str, NDArray[np.generic]] = {}
        if "orig_im_size" in decoder.inputs:
            whole = "int64" in decoder.input_types["orig_im_size"]
            # Only the low-resolution masks are used; this keeps the graph from enlarging them for nothing.
            size = np.array([self.mask_side_px] * 2, dtype=np.int64 if whole else np.float32)
            self._size = {"orig_im_size": size}

    def encode(self, pixels: NDArray[np.uint8]) -> Embedding:
        """See `SamBackend`."""
        frame = SquareFrame(self.traits.side_px, pixels.shape[1], pixels.shape[0], fit=self.fit)
        name = next(iter(self._encoder.inputs))
        values = self._encoder.run({name: normalised_square(frame, pixels)}).values()
        return Embedding(frame=frame, tensors=tuple(values))

    def _decode_batch(self, embedding: Embedding, prompts: Prompts) -> Proposals:
        coordinates, labels = [], []
        if prompts.points is not None and prompts.labels is not None:
            coordinates.append(embedding.frame.points(prompts.points[0]))
            labels.append(np.where(prompts.labels[0] == NO_POINT, _NOT_A_POINT, prompts.labels[0]))
        if prompts.boxes is not None:
            coordinates.append(embedding.frame.points(prompts.boxes[0]).reshape(2, 2))
            labels.append(np.array(_BOX_CORNERS))
        elif self.needs_padding:
            coordinates.append(np.zeros((1, 2), dtype=np.float32))
            labels.append(np.array([_NOT_A_POINT]))
        side = self.mask_side_px
        masks = prompts.masks if prompts.masks is not None else np.zeros((1, side, side), dtype=np.float32)
        tensors = cast("tuple[NDArray[np.float32], ...]", embedding.tensors)
        outputs = self._decoder.run(
            {
                **dict(zip(self.embeddings, tensors, strict=True)),
                "point_coords": np.concatenate(coordinates)[None].astype(np.float32),
                "point_labels": np.concatenate(labels)[None].astype(np.float32),
                "mask_input": masks[None],
                "has_mask_input": np.array([float(prompts.masks is not None)], dtype=np.float32),
                **self._size,
            }
        )
        return Proposals(
            logits=np.asarray(_low_resolution(outputs, self.masks, side), dtype=np.float32),
            ious=np.asarray(_scores(outputs), dtype=np.float32),
        )


class Sam2OnnxBackend(SegmentAnythingOnnxBackend):
    """The layout of the SAM 2.1 pairs that osam and labelme use: the same with two maps of finer features."""

    fit: ClassVar[Fit] = "stretch"
    embeddings: ClassVar[tuple[str, ...]] = ("image_embeddings", "high_res_features1", "high_res_features2")
    needs_padding: ClassVar[bool] = False


class SamexporterSam2Backend(Sam2OnnxBackend):
    """The layout of samexporter's pairs of SAM 2, which AnyLabeling uses; its only masks are the small ones."""

    embeddings: ClassVar[tuple[str, ...]] = ("high_res_feats_0", "high_res_feats_1", "image_embed")
    masks: ClassVar[str] = "masks"


def _low_resolution(outputs: Mapping[str, NDArray[np.generic]], name: str, side: int) -> NDArray[np.generic]:
    """The logits at the side of the mask prompt: by their name, else by their place after masks and scores.

    Raises:
        WeightsError: They are not there.
    """
    found = outputs.get(name)
    if found is None and len(outputs) == 3:
        found = list(outputs.values())[2]
    if found is None or found.ndim != 4 or found.shape[2:] != (side, side):
        raise WeightsError(
            f"The decoder gives no masks of {side} x {side}: its outputs are {', '.join(outputs)}.",
            advice=_UNDERSTOOD,
            code="weights-layout",
        )
    return found


def _scores(outputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.generic]:
    found = outputs.get("iou_predictions")
    return found if found is not None else list(outputs.values())[1]


def _frame_side(encoder: OnnxSession, path: Path) -> int:
    shape = next(iter(encoder.inputs.values()))
    if len(encoder.inputs) == 1 and len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]:
        side_px = shape[2]
        if isinstance(side_px, int):
            return side_px
    raise WeightsError(
        f"{path.name} does not take one picture of shape (1, 3, side, side): {encoder.inputs}.",
        advice=_UNDERSTOOD,
        code="weights-layout",
    )
