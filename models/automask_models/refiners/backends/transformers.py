"""Checkpoints in the Hugging Face layout: Sam, Sam2, SamHQ, EdgeTam, Sam3. The one place that imports transformers."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import PluginError, WeightsError
from automask.values.placement import Placement
from automask_models.device import import_torch, torch_placement
from automask_models.onnx_session import thread_count
from automask_models.refiners.backends.frame import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Fit,
    SquareFrame,
    normalised_square,
)
from automask_models.refiners.backends.protocol import NO_POINT, Embedding, FrameTraits, Prompts, Proposals
from automask_models.refiners.backends.torch_backend import TorchBackend

_CLASSES = {
    "sam": "SamModel",
    "sam_hq": "SamHQModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",  # Meta publishes its SAM 2 checkpoints as video models; the image part is the same
    "edgetam": "EdgeTamModel",
    "edgetam_video": "EdgeTamModel",
    "sam3_tracker": "Sam3TrackerModel",
    "sam3_tracker_video": "Sam3TrackerModel",
    "sam3_video": "Sam3TrackerModel",  # what Meta publishes: detector and tracker, of which this is the image part
}
_PADDED = {"sam", "sam_hq"}


class TransformersBackend(TorchBackend):
    """A `transformers` model of one of the families, from a local folder."""

    def __init__(self, model: Any, *, family: str, folder: Path, placement: Placement, threads: int) -> None:  # noqa: ANN401
        prompt_encoder = model.config.prompt_encoder_config
        side_px, patch_px = _side(prompt_encoder.image_size), _side(prompt_encoder.patch_size)
        self._multimask = model.config.mask_decoder_config.num_multimask_outputs > 1
        self._fit: Fit = "pad" if family in _PADDED else "stretch"
        traits = FrameTraits.segment_anything(side_px, fast="edgetam" in family)
        if not self._multimask:  # one mask token is our own recipe
            self._fit = "repeat"
            traits = FrameTraits.automask(side_px)
            # In eval mode it would replace an unstable single mask by the best of several that this model lacks.
            model.mask_decoder.dynamic_multimask_via_stability = False
        super().__init__(model, traits, mask_side_px=4 * (side_px // patch_px), placement=placement, threads=threads)
        self._family = family
        self._mean, self._std = _normalisation(folder, family)

    def encode(self, pixels: NDArray[np.uint8]) -> Embedding:
        """See `SamBackend`."""
        frame = SquareFrame(self.traits.side_px, pixels.shape[1], pixels.shape[0], fit=self._fit)
        values = normalised_square(frame, pixels, mean=self._mean, std=self._std)
        with self._inference():
            found = self._model.get_image_embeddings(self._on_device(values))
        # Sam: one tensor. SamHQ: a pair (embedding, list of intermediate ones). Sam2 and EdgeTam: a list of levels.
        return Embedding(frame=frame, tensors=tuple(found) if isinstance(found, (tuple, list)) else (found,))

    def _decode_batch(self, embedding: Embedding, prompts: Prompts) -> Proposals:
        count = len(prompts)
        if not self._multimask:
            prompts = _with_fixed_tokens(prompts)
        # Prompts go along the batch axis, one each: the models add a mask prompt per image, not per prompt.
        arguments: dict[str, Any] = {"multimask_output": self._multimask}
        if self._family == "sam_hq":
            arguments["image_embeddings"] = _repeated(embedding.tensors[0], count)
            arguments["intermediate_embeddings"] = _repeated(embedding.tensors[1], count)
        elif self._family == "sam":
            arguments["image_embeddings"] = _repeated(embedding.tensors[0], count)
        else:
            arguments["image_embeddings"] = _repeated(list(embedding.tensors), count)
        if prompts.boxes is not None:
            arguments["input_boxes"] = self._on_device(embedding.frame.points(prompts.boxes)[:, None])
        if prompts.points is not None and prompts.labels is not None:
            arguments["input_points"] = self._on_device(embedding.frame.points(prompts.points)[:, None])
            arguments["input_labels"] = self._on_device(prompts.labels[:, None])
        if prompts.masks is not None:
            arguments["input_masks"] = self._on_device(prompts.masks[:, None])
        with self._inference():
            output = self._model(**arguments)
        return self._proposals(output.pred_masks[:, 0], output.iou_scores[:, 0])


def open_transformers(folder: Path, *, runtime: RuntimeConfig, allow_unsafe_pickle: bool) -> TransformersBackend:
    """Load a folder with `config.json` and weights.

    Raises:
        PluginError: transformers (or timm, for EdgeTam) is not installed.
        WeightsError: The folder is of another family, is damaged, or would run code when loaded.
    """
    family = read_family(folder)
    import_torch("The sam refiner")
    placement = torch_placement(runtime.device)
    try:
        import transformers
    except ImportError as error:
        raise PluginError(
            "The sam refiner needs transformers, which is not installed.",
            advice="Install the extra `sam`.",
        ) from error
    model_class = getattr(transformers, _CLASSES[family], None)
    if model_class is None:
        raise PluginError(
            f"This transformers ({transformers.__version__}) has no {_CLASSES[family]}.",
            advice="Upgrade the package `transformers`.",
        )
    with _quiet(transformers):
        try:
            model, report = model_class.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                weights_only=not allow_unsafe_pickle,
                output_loading_info=True,
            )
        except ImportError as error:
            raise PluginError(
                f"{folder} needs another package: {str(error).strip().splitlines()[0]}",
                advice="Install the extra `sam`.",
            ) from error
        except pickle.UnpicklingError as error:
            raise WeightsError(
                f"The weights in {folder} hold more than tensors: loading them could run code.",
                advice="Use a safetensors copy, or set the option allow_unsafe_pickle = true if you trust its author.",
                code="weights-unsafe",
            ) from error
        except Exception as error:  # transformers, safetensors and torch each raise their own
            raise WeightsError(
                f"transformers cannot load {folder}: {error}.",
                advice="Fetch the folder again; config.json and the weights must belong together.",
                code="weights-unreadable",
            ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise WeightsError(
            f"{folder} lacks {len(missing)} tensors of {_CLASSES[family]}, such as {missing[0]}.",
            advice="Fetch the folder again; config.json and the weights must belong together.",
            code="weights-unreadable",
        )
    return TransformersBackend(
        model.to(placement.device).eval(),
        family=family.removesuffix("_video"),
        folder=folder,
        placement=placement,
        threads=thread_count(runtime),
    )


def read_family(folder: Path) -> str:
    """The `model_type` of a folder.

    Raises:
        WeightsError: No readable config.json, or a family that the refiner does not know.
    """
    try:
        family = str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{folder} has no readable config.json with a model_type.",
            advice="Point to a model folder in the Hugging Face layout.",
            code="weights-layout",
        ) from error
    if family not in _CLASSES:
        raise WeightsError(
            f"{folder} is a {family!r} model, which the sam refiner does not know.",
            advice=f"Known families: {', '.join(sorted(_CLASSES))}.",
            code="weights-layout",
        )
    return family


def _with_fixed_tokens(prompts: Prompts) -> Prompts:
    """The same prompts with padding where there is no click or no box.

    Our recipe trains with one token per click (at least one) and two per box, padded where there is none, because
    attention over a different number of tokens gives different masks.
    """
    count = len(prompts)
    points, labels = prompts.points, prompts.labels
    if points is None or labels is None:
        points = np.zeros((count, 1, 2), dtype=np.float32)
        labels = np.full((count, 1), NO_POINT, dtype=np.int64)
    if prompts.boxes is None:
        points = np.concatenate([points, np.zeros((count, 2, 2), dtype=np.float32)], axis=1)
        labels = np.concatenate([labels, np.full((count, 2), NO_POINT, dtype=np.int64)], axis=1)
    return Prompts(boxes=prompts.boxes, points=points, labels=labels, masks=prompts.masks)


def _repeated(value: Any, count: int) -> Any:  # noqa: ANN401 - torch tensors
    if isinstance(value, (list, tuple)):
        return [_repeated(item, count) for item in value]
    return value.expand(count, *value.shape[1:])


def _side(value: Any) -> int:  # noqa: ANN401 - an int, or a pair in some configurations
    return int(value[0] if isinstance(value, (list, tuple)) else value)


def _normalisation(folder: Path, family: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found = found.get("image_processor", found)
        if "image_mean" in found and "image_std" in found:
            return np.array(found["image_mean"], dtype=np.float32), np.array(found["image_std"], dtype=np.float32)
    if family.startswith("sam3"):  # as Sam3ImageProcessor has it
        half = np.full(3, 0.5, dtype=np.float32)
        return half, half
    return IMAGENET_MEAN, IMAGENET_STD


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:  # noqa: ANN401 - a module
    """No progress bars or advice on the terminal while loading; the settings are put back."""
    settings = transformers.utils.logging
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity(logging.ERROR)
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()
