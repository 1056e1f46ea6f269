"""Runs checkpoints of ultralytics (AGPL-3.0; extra `yolo`), and undoes what the library does to the process.

Importing it limits OpenMP to one thread through the environment, sets print options of torch and numpy, replaces
`torch.save`, stops OpenCV's threads, adds warning filters, asks DNS whether there is a network, and writes a settings
file; used through its own predictor it also prints to stdout, sends usage data and installs packages. Here it only
reads a checkpoint's network class; preparation, forward pass and suppression are ours.
"""

from __future__ import annotations

import atexit
import os
import pickle
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import PluginError, WeightsError
from automask.values.placement import Placement
from automask_models.device import import_torch, torch_placement, torch_threads
from automask_models.onnx_session import thread_count

_TASKS = ("detect", "segment")


class UltralyticsYolo:
    """A detection or segmentation checkpoint of ultralytics, run by torch."""

    def __init__(self, model: Any, *, names: Mapping[int, str], placement: Placement, threads: int) -> None:  # noqa: ANN401
        self._model = model
        self._names = dict(names)
        self.placement = placement
        self._threads = threads

    @property
    def names(self) -> Mapping[int, str]:
        """See `YoloNetwork`."""
        return self._names

    @property
    def canvas_shape(self) -> tuple[int, int] | None:
        """Any multiple of 32."""
        return None

    def predict(self, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """See `YoloNetwork`."""
        torch = import_torch("A .pt file of ultralytics", extra="yolo")
        values = torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])).to(self.placement.device)
        with torch.inference_mode(), torch_threads(self._threads):
            arrays = list(_tensors(self._model(values.float() / 255.0)))
        prediction = next(value for value in arrays if value.ndim == 3)
        prototypes = next((value for value in arrays if value.ndim == 4), None)
        return (
            prediction[0].float().cpu().numpy(),
            None if prototypes is None else prototypes[0].float().cpu().numpy(),
        )


def open_checkpoint(path: Path, *, runtime: RuntimeConfig, allow_unsafe_pickle: bool) -> UltralyticsYolo:
    """Load a `.pt` file.

    Only tensors and ultralytics' and torch's own network classes are read from it, unless `allow_unsafe_pickle`.

    Raises:
        PluginError: ultralytics is not installed.
        WeightsError: The file is damaged, of another task, or would run code when loaded.
    """
    import_torch("A .pt file of ultralytics", extra="yolo")
    placement = torch_placement(runtime.device)
    with quiet_ultralytics():
        try:
            from ultralytics.nn.tasks import torch_safe_load
        except ImportError as error:
            raise PluginError(
                "A .pt file of ultralytics needs ultralytics, which is not installed.",
                advice="Export to ONNX, or install the extra `yolo` (its licence is AGPL-3.0).",
            ) from error
        try:
            checkpoint, _ = torch_safe_load(str(path), safe_only=not allow_unsafe_pickle)
            model = checkpoint.get("ema") or checkpoint["model"]
            task, names = str(model.task), dict(model.names)
        except (pickle.UnpicklingError, ModuleNotFoundError, TypeError) as error:
            raise WeightsError(
                f"{path} is no plain ultralytics checkpoint: {_first_line(error)}",
                advice="If it holds classes of its own and you trust its author, set the option "
                "allow_unsafe_pickle = true; loading it then runs their code.",
                code="weights-unsafe",
            ) from error
        except Exception as error:  # damaged archives raise RuntimeError, EOFError, KeyError and others
            raise WeightsError(
                f"ultralytics cannot read {path}: {_first_line(error)}",
                advice="Fetch the file again.",
                code="weights-unreadable",
            ) from error
        if task not in _TASKS:
            raise WeightsError(
                f"{path} is trained for {task!r}.",
                advice="Give detection or segmentation weights.",
                code="weights-layout",
            )
        model = model.float().to(placement.device).eval()
    return UltralyticsYolo(model, names=names, placement=placement, threads=thread_count(runtime))


@contextmanager
def quiet_ultralytics(user: str = "A .pt file of ultralytics") -> Iterator[None]:
    """Import and use ultralytics inside; afterwards the process is as it was.

    Args:
        user: What needs it, for the message.

    Raises:
        PluginError: torch is not installed.
    """
    import cv2

    torch = import_torch(user, extra="yolo")
    first_import = "ultralytics" not in sys.modules
    environment = dict(os.environ)
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    numpy_format, save = np.get_printoptions(), torch.save
    torch_format = {name: getattr(torch._tensor_str.PRINT_OPTS, name) for name in _TORCH_FORMAT}
    if first_import:
        os.environ.update(
            {
                "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(threads),
                "YOLO_OFFLINE": "true",
                "YOLO_AUTOINSTALL": "false",
                "YOLO_VERBOSE": "false",
                "ULTRALYTICS_SAFE_LOAD": "true",
                "YOLO_CONFIG_DIR": _settings_folder(),
            }
        )
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
        setattr(torch, "save", save)  # noqa: B010 - mypy knows no attributes of a module object
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)
        np.set_printoptions(**numpy_format)
        torch.set_printoptions(**torch_format)


_TORCH_FORMAT = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")


def _settings_folder() -> str:
    """A folder for the settings file that ultralytics insists on; it lives as long as the process."""
    folder = tempfile.mkdtemp(prefix="automask-ultralytics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _tensors(output: Any) -> Iterator[Any]:  # noqa: ANN401 - heads return nested tuples, lists and dicts
    """The tensors of a head's output, the final prediction first.

    Heads return (prediction, training outputs), with the prototypes inside a tuple beside the prediction; the training
    outputs hold tensors of the same ranks, but come later.
    """
    if isinstance(output, (tuple, list)):
        for item in output:
            yield from _tensors(item)
    elif hasattr(output, "ndim"):
        yield output


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".") + "."
