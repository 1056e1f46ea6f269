"""The PP-OCR networks that the `rapidocr` package bundles, run with ONNX Runtime: the boundary to both packages.

The networks are run here and not through `rapidocr.RapidOCR`, because the evidence that tells text from texture needs
the detector's probability map, because its per-call options change the shared instance, and because its stage errors
end as a log line and an empty result. `rapidocr` itself is never imported, so nothing can be downloaded or logged.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.protocols import WeightFile
from automask.values.placement import Placement, joined
from automask.weights import file_sha256
from automask_models.onnx_session import OnnxSession
from automask_models.text.regions import Recognition

DETECTION_FILE = "PP-OCRv6_det_small.onnx"
RECOGNITION_FILE = "PP-OCRv6_rec_small.onnx"

RECOGNITION_HEIGHT_PX = 48
_RECOGNITION_MARGIN_PX = 32
_RECOGNITION_STEP_PX = 32
"""A line is padded by a letter's width at least, since what stands at the rim is read differently, and then to whole
steps, so that lines of like width share a batch. With PP-OCR's own 320 it reads the same in what is lettering."""
_RECOGNITION_MAX_WIDTH_PX = 48 * 40  # longer lines are squeezed
_RECOGNITION_BATCH = 6


def bundled_model(file_name: str) -> WeightFile:
    """A model file inside the installed `rapidocr` package, with the hash of what is there: versions of it differ.

    Raises:
        WeightsError: The package or the file is not installed.
    """
    spec = find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError("The package rapidocr is not installed.", advice="Install the package `rapidocr>=3.10,<4`.")
    path = Path(next(iter(spec.submodule_search_locations))) / "models" / file_name
    if not path.is_file():
        raise WeightsError(
            f"The installed rapidocr has no {file_name}.", advice="Install rapidocr 3.10, which bundles PP-OCRv6 small."
        )
    return WeightFile(name=file_name, path=path, sha256=_sha256_of(path))


@functools.cache
def _sha256_of(path: Path) -> str:
    return file_sha256(path)


class Recogniser:
    """PP-OCR recognition. One instance serves one thread."""

    def __init__(self, network: Path, *, runtime: RuntimeConfig) -> None:
        """Read the network.

        Args:
            network: ONNX file of the CTC recogniser with its dictionary in the metadata.
            runtime: Says how many threads a call may use.

        Raises:
            WeightsError: The file does not load.
        """
        self._session = OnnxSession.open(network, runtime=runtime)
        lines = self._session.metadata.get("character", "").splitlines()
        if not lines:
            raise WeightsError(f"{network} carries no dictionary.", advice="Use a recogniser exported for RapidOCR.")
        self._characters: tuple[str, ...] = ("", *lines, " ")  # 0 is CTC's blank

    @property
    def placement(self) -> Placement:
        """See `automask.protocols.PlacedStage`."""
        return self._session.placement

    def recognise(self, crops: Sequence[NDArray[np.uint8]]) -> list[Recognition]:
        """Read upright line crops.

        Args:
            crops: (H, W, 3) uint8 RGB each, text running left to right.

        Raises:
            StageError: ONNX Runtime refuses the input.
        """
        import cv2

        widths_px = [
            min(_RECOGNITION_MAX_WIDTH_PX, max(1, round(crop.shape[1] * RECOGNITION_HEIGHT_PX / crop.shape[0])))
            for crop in crops
        ]
        read: list[Recognition] = [Recognition("", 0.0)] * len(crops)
        for width_px, batch in _batches(widths_px):
            tensor = np.zeros((len(batch), 3, RECOGNITION_HEIGHT_PX, width_px), dtype=np.float32)
            for row, i in enumerate(batch):
                line = cv2.resize(crops[i], (widths_px[i], RECOGNITION_HEIGHT_PX))
                tensor[row, :, :, : widths_px[i]] = line[:, :, ::-1].transpose(2, 0, 1) / np.float32(127.5) - 1
            for row, probabilities in enumerate(_run(self._session, tensor)):
                read[batch[row]] = self._decode(probabilities)
        return read

    def _decode(self, probabilities: NDArray[np.float32]) -> Recognition:
        """Greedy CTC: merge repeats, drop blanks."""
        best = probabilities.argmax(axis=1)
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        if not kept.any():
            return Recognition("", 0.0)
        text = "".join(self._characters[i] for i in best[kept])
        return Recognition(text, float(probabilities.max(axis=1)[kept].mean()))


def _batches(widths_px: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Padded width and indices of lines that are read together: a line's width alone decides what it is padded to."""
    alike: dict[int, list[int]] = {}
    for i, width_px in enumerate(widths_px):
        steps = math.ceil((width_px + _RECOGNITION_MARGIN_PX) / _RECOGNITION_STEP_PX)
        alike.setdefault(steps * _RECOGNITION_STEP_PX, []).append(i)
    for padded_px, indices in alike.items():
        for start in range(0, len(indices), _RECOGNITION_BATCH):
            yield padded_px, indices[start : start + _RECOGNITION_BATCH]


class PpOcr:
    """PP-OCR detection and recognition. One instance serves one thread."""

    def __init__(self, *, detection: Path, recognition: Path, runtime: RuntimeConfig) -> None:
        """Read both networks.

        Args:
            detection: ONNX file of the DB detector.
            recognition: See `Recogniser`.
            runtime: Says how many threads a call may use.

        Raises:
            WeightsError: A file does not load.
        """
        self._detection = OnnxSession.open(detection, runtime=runtime)
        self._recogniser = Recogniser(recognition, runtime=runtime)
        self.recognise = self._recogniser.recognise

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return joined([self._detection.placement, self._recogniser.placement])

    def probability_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How likely each pixel belongs to the (shrunk) core of a text line.

        Args:
            pixels: (H, W, 3) uint8 RGB; H and W are multiples of 32.

        Returns:
            (H, W) float32, 0..1.

        Raises:
            StageError: ONNX Runtime refuses the input.
        """
        tensor = np.ascontiguousarray(pixels[None, :, :, ::-1].transpose(0, 3, 1, 2), dtype=np.float32)
        tensor *= 1 / 127.5
        tensor -= 1
        probability: NDArray[np.float32] = _run(self._detection, tensor)[0, 0]
        return probability


def _run(session: OnnxSession, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        outputs = session.run({next(iter(session.inputs)): tensor})
    except Exception as error:  # onnxruntime's own exception classes share no public base
        raise StageError(f"A text network failed on an input of shape {tensor.shape}: {error}") from error
    return np.asarray(next(iter(outputs.values())), dtype=np.float32)
