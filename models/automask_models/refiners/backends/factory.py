"""Opens whatever segment-anything weights a path holds."""

from __future__ import annotations

from pathlib import Path

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask_models.refiners.backends.protocol import SamBackend


def open_backend(path: Path, *, runtime: RuntimeConfig, allow_unsafe_pickle: bool = False) -> SamBackend:
    """Load weights, by what they are: an ONNX pair, a Hugging Face folder, or Meta's `.pth`.

    Args:
        path: A file or folder.
        runtime: Device (torch only) and threads.
        allow_unsafe_pickle: Load pickles that may run code.

    Raises:
        PluginError: The extra that these weights need is not installed.
        WeightsError: They are damaged, unsafe, or of a kind that is not known.
        ConfigError: The device does not exist.
    """
    if path.suffix == ".onnx" or (path.is_dir() and list(path.glob("*.onnx"))):
        from automask_models.refiners.backends.onnx import open_onnx_pair

        return open_onnx_pair(path, runtime=runtime)
    if path.is_dir() and not (path / "config.json").is_file():
        path = _only_checkpoint(path)
    if path.is_dir():
        from automask_models.refiners.backends.transformers import open_transformers

        return open_transformers(path, runtime=runtime, allow_unsafe_pickle=allow_unsafe_pickle)
    if path.suffix in {".pth", ".pt"}:
        from automask_models.refiners.backends.meta import open_meta

        return open_meta(path, runtime=runtime, allow_unsafe_pickle=allow_unsafe_pickle)
    raise WeightsError(
        f"{path} is no kind of weights that the sam refiner knows.",
        advice="Give NAME.encoder.onnx, a Hugging Face folder, or Meta's .pth file.",
        code="weights-layout",
    )


def _only_checkpoint(folder: Path) -> Path:
    """The one checkpoint in Meta's format of a folder that is not in the Hugging Face layout; else the folder."""
    files = sorted(file for file in folder.iterdir() if file.suffix in {".pth", ".pt"})
    return files[0] if len(files) == 1 else folder
