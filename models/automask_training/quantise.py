"""An ONNX file with weights and activations in int8, compared with the one that it was made from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from automask.errors import InputError, WeightsError
from automask_models.watermark.letterbox import FILL

if TYPE_CHECKING:
    import onnx

Mode = Literal["static", "dynamic"]
_UNIT_INPUTS = ("images",)
"""Inputs of these names take 0..1 (as ultralytics exports them), all others 0..255."""
_ROUNDS = 3


@dataclass(frozen=True)
class OutputDifference:
    """How far one output is from that of the original, relative to the original's spread (its standard deviation).

    Attributes:
        mean: Mean absolute difference.
        largest: Largest absolute difference.
    """

    mean: float
    largest: float


@dataclass(frozen=True)
class Quantised:
    """What quantising cost and brought.

    Attributes:
        size_bytes: Of the files before and after.
        seconds: Median of one run before and after, on one thread, one picture at a time.
        differences: By output.
        images: Pictures that were compared.
    """

    size_bytes: tuple[int, int]
    seconds: tuple[float, float]
    differences: dict[str, OutputDifference]
    images: int


def quantise(
    source: Path,
    target: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    mode: Mode = "static",
    keep: Sequence[str] = (),
) -> Quantised:
    """Write `target`, an int8 version of `source`, and compare the two on the last half of the pictures.

    Args:
        source: A graph with one input (B, 3, H, W), RGB.
        target: Where to write.
        pictures: (H, W, 3) uint8 RGB of the sizes that the graph takes; the first half sets the ranges of activations.
        mode: static (weights and activations, of convolutions too) or dynamic (ranges are found at run time).
        keep: Parts of names of nodes that stay in float.

    Raises:
        InputError: Fewer than two pictures.
        WeightsError: The graph has more than one input, or ONNX Runtime cannot quantise it.
    """
    import onnx

    if len(pictures) < 2:
        raise InputError("Quantising needs at least two pictures.", advice="Name a folder with more of them.")
    model = onnx.load(str(source))
    widen_weights(model)
    fed = [node.name for node in model.graph.input]
    if len(fed) != 1:
        raise WeightsError(
            f"{source} has the inputs {', '.join(fed)}.", advice="Only graphs from one picture can be quantised."
        )
    half = len(pictures) // 2
    feeds = [{fed[0]: _input(picture, name=fed[0])} for picture in pictures]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        onnx.save(model, str(plain))
        fresh = Path(folder) / "int8.onnx"
        kept = [node.name for node in model.graph.node if any(part in node.name for part in keep)]
        try:
            _write(plain, fresh, feeds[:half], mode=mode, kept=kept)
        except Exception as error:  # the quantiser raises ValueError, RuntimeError and onnx's own classes
            raise WeightsError(
                f"ONNX Runtime cannot quantise {source}: {error}.", advice="Try the other mode, or --keep some nodes."
            ) from error
        temporary = target.with_suffix(".tmp")
        temporary.write_bytes(fresh.read_bytes())
        temporary.replace(target)
    return _compared(source, target, feeds[half:])


def widen_weights(model: onnx.ModelProto) -> None:
    """Undo `onnx_files.halve_weights`: the quantiser does not look for weights behind a Cast."""
    from onnx import TensorProto, numpy_helper

    halves = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    left = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in halves:
            tensor = halves[node.input[0]]
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
        else:
            left.append(node)
    del model.graph.node[:]
    model.graph.node.extend(left)


def pictures_in(folder: Path, *, side_px: int, count: int) -> list[NDArray[np.uint8]]:
    """The first `count` images of a folder, shrunk into squares of `side_px` with grey beside them.

    Raises:
        InputError: The folder holds no image.
    """
    import cv2

    from automask.dataset.image_file import ImageFile
    from automask.dataset.walk import walk
    from automask.errors import ImageError
    from automask_training.own.images import decode_file

    found: list[NDArray[np.uint8]] = []
    for file in walk(folder):
        if len(found) == count:
            break
        if not isinstance(file, ImageFile):
            continue
        try:
            pixels = decode_file(file.path).image.pixels
        except ImageError:
            continue
        scale = side_px / max(pixels.shape[:2])
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        canvas = np.full((side_px, side_px, 3), FILL, np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        found.append(canvas)
    if not found:
        raise InputError(f"{folder} holds no image.", advice="Name a folder of pictures like those of your users.")
    return found


def _input(picture: NDArray[np.uint8], *, name: str) -> NDArray[np.float32]:
    values = np.ascontiguousarray(picture.transpose(2, 0, 1)[None]).astype(np.float32)
    return values / np.float32(255) if name in _UNIT_INPUTS else values


class _Reader:
    """What the quantiser draws its calibration pictures from."""

    def __init__(self, feeds: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = iter(feeds)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next picture, or None."""
        return next(self._feeds, None)


def _write(
    plain: Path, fresh: Path, feeds: Sequence[dict[str, NDArray[np.float32]]], *, mode: Mode, kept: list[str]
) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready = plain.with_name("ready.onnx")
    quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
    if mode == "dynamic":
        quantize_dynamic(str(ready), str(fresh), per_channel=True, weight_type=QuantType.QInt8, nodes_to_exclude=kept)
        return
    quantize_static(
        str(ready),
        str(fresh),
        _Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        nodes_to_exclude=kept,
    )


def _compared(source: Path, target: Path, feeds: Sequence[dict[str, NDArray[np.float32]]]) -> Quantised:
    sessions = [_session(path) for path in (source, target)]
    names = [node.name for node in sessions[0].get_outputs()]
    answers: list[list[list[NDArray[Any]]]] = []
    seconds = []
    for session in sessions:
        session.run(names, feeds[0])
        times, found = [], []
        for feed in feeds:
            for _ in range(_ROUNDS):
                started = time.perf_counter()
                answer = session.run(names, feed)
                times.append(time.perf_counter() - started)
            found.append(answer)
        answers.append(found)
        seconds.append(median(times))
    differences = {}
    for at, name in enumerate(names):
        ours = np.concatenate([answer[at].ravel() for answer in answers[0]]).astype(np.float64)
        theirs = np.concatenate([answer[at].ravel() for answer in answers[1]]).astype(np.float64)
        apart, spread = np.abs(ours - theirs), float(ours.std()) or 1.0
        differences[name] = OutputDifference(mean=float(apart.mean()) / spread, largest=float(apart.max()) / spread)
    return Quantised(
        size_bytes=(source.stat().st_size, target.stat().st_size),
        seconds=(seconds[0], seconds[1]),
        differences=differences,
        images=len(feeds),
    )


def _session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
