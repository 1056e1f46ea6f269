"""Meta's own SAM checkpoints (`sam_vit_{b,l,h}_*.pth`). The one place that imports segment_anything."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import PluginError, WeightsError
from automask_models.device import import_torch, torch_placement
from automask_models.onnx_session import thread_count
from automask_models.refiners.backends.frame import SquareFrame, normalised_square
from automask_models.refiners.backends.protocol import NO_POINT, Embedding, FrameTraits, Prompts, Proposals
from automask_models.refiners.backends.torch_backend import TorchBackend

_MODEL_OF_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_NOT_A_POINT = -1


class MetaBackend(TorchBackend):
    """A `segment_anything.Sam`."""

    def encode(self, pixels: NDArray[np.uint8]) -> Embedding:
        """See `SamBackend`."""
        frame = SquareFrame(self.traits.side_px, pixels.shape[1], pixels.shape[0], fit="pad")
        with self._inference():
            tensor = self._model.image_encoder(self._on_device(normalised_square(frame, pixels)))
        return Embedding(frame=frame, tensors=(tensor,))

    def _decode_batch(self, embedding: Embedding, prompts: Prompts) -> Proposals:
        points = None
        if prompts.points is not None and prompts.labels is not None:
            labels = np.where(prompts.labels == NO_POINT, _NOT_A_POINT, prompts.labels)
            points = (self._on_device(embedding.frame.points(prompts.points)), self._on_device(labels))
        boxes = None if prompts.boxes is None else self._on_device(embedding.frame.points(prompts.boxes))
        masks = None if prompts.masks is None else self._on_device(prompts.masks[:, None])
        with self._inference():
            sparse, dense = self._model.prompt_encoder(points=points, boxes=boxes, masks=masks)
            logits, ious = self._model.mask_decoder(
                image_embeddings=embedding.tensors[0],
                image_pe=self._model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=True,
            )
        return self._proposals(logits, ious)


def open_meta(path: Path, *, runtime: RuntimeConfig, allow_unsafe_pickle: bool) -> MetaBackend:
    """Load a `.pth` file.

    Raises:
        PluginError: segment-anything is not installed.
        WeightsError: It is not a SAM checkpoint, or would run code when loaded.
    """
    torch = import_torch("The sam refiner")
    placement = torch_placement(runtime.device)
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise PluginError(
            "Checkpoints in Meta's format need segment-anything, which is not installed.",
            advice="Install the extra `sam`.",
        ) from error
    state = load_state_dict(path, allow_unsafe_pickle=allow_unsafe_pickle)
    # Built without storage: filling three quarters of a gigabyte with random numbers first takes seconds for vit_h.
    with torch.device("meta"):
        model = sam_model_registry[model_of(state, path)]()
    try:
        model.load_state_dict(dict(state), assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{path} does not fit segment-anything's model: {str(error).splitlines()[0]}",
            advice="Use Meta's sam_vit_b, _l or _h checkpoint; other variants as a folder in the Hugging Face layout.",
            code="weights-layout",
        ) from error
    for part in (model.image_encoder, model.prompt_encoder, model.mask_decoder):
        part.float().to(placement.device).eval()
    return MetaBackend(
        model,
        FrameTraits.segment_anything(int(model.image_encoder.img_size)),
        mask_side_px=int(model.prompt_encoder.mask_input_size[0]),
        placement=placement,
        threads=thread_count(runtime),
    )


def model_of(state: Mapping[str, Any], path: Path) -> str:
    """vit_b, vit_l or vit_h, from the width of the position embedding.

    Raises:
        WeightsError: The shapes are of none of them.
    """
    embedding = state.get("image_encoder.pos_embed")
    width = int(embedding.shape[-1]) if embedding is not None else None
    if width not in _MODEL_OF_WIDTH:
        raise WeightsError(
            f"{path} is not one of Meta's SAM checkpoints (vit_b, vit_l, vit_h).",
            advice="Give other variants (SAM 2, HQ, EdgeTAM) as a folder in the Hugging Face layout.",
            code="weights-layout",
        )
    return _MODEL_OF_WIDTH[width]


def load_state_dict(path: Path, *, allow_unsafe_pickle: bool) -> Mapping[str, Any]:
    """Read tensors from a pickle without letting it run code, unless that is allowed.

    Raises:
        WeightsError: The file is damaged, holds no tensors by name, or needs to run code.
    """
    torch = import_torch("The sam refiner")
    try:
        state = torch.load(path, map_location="cpu", weights_only=not allow_unsafe_pickle)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors: loading it could run code.",
            advice="Set the option allow_unsafe_pickle = true only if you trust its author.",
            code="weights-unsafe",
        ) from error
    except Exception as error:  # torch raises RuntimeError, EOFError and others for damaged files
        raise WeightsError(
            f"torch cannot read {path}: {error}.", advice="Fetch the file again.", code="weights-unreadable"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise WeightsError(
            f"{path} holds no tensors by name.", advice="Give a checkpoint of weights.", code="weights-layout"
        )
    return state
