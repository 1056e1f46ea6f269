"""Sessions of ONNX Runtime with our thread rules, on the device that was asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.values.placement import Placement
from automask_models.onnx_devices import OnnxDevice, first_line, onnx_device

Array = NDArray[np.generic]
_WARNINGS_OFF = 3
_AS_REQUESTED = 1
"""How an arena grows: by what is asked for, instead of to the next power of two."""


class OnnxSession:
    """One loaded ONNX graph, and where it runs.

    Threads sleep between calls instead of spinning, so that several stages in one process do not fight for cores.
    """

    def __init__(self, session: Any, placement: Placement) -> None:  # noqa: ANN401 - onnxruntime ships no types
        self._session = session
        self.placement = placement
        self.inputs: dict[str, tuple[int | str | None, ...]] = {
            node.name: tuple(node.shape) for node in session.get_inputs()
        }
        self.input_types: dict[str, str] = {node.name: str(node.type) for node in session.get_inputs()}
        self.outputs: dict[str, tuple[int | str | None, ...]] = {
            node.name: tuple(node.shape) for node in session.get_outputs()
        }
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    @classmethod
    def open(cls, path: Path, *, runtime: RuntimeConfig, fixed: Mapping[str, int] | None = None) -> Self:
        """Load a graph on the device that `runtime` asks for; on the CPU where that device does not take the graph.

        Args:
            path: The graph.
            runtime: Device and threads.
            fixed: Sizes, by name, of dimensions that the graph leaves open and that are always the same here. Only
                other devices than the CPU are told.

        Raises:
            ConfigError: The device was asked for by name, and is not usable at all.
            WeightsError: The file is missing, or is not an ONNX graph that this ONNX Runtime can run.
        """
        device, reason = onnx_device(runtime.device), ""
        if device.provider is not None:
            try:
                return cls(_session(path, device, runtime, fixed), device.placement)
            except Exception as error:  # onnxruntime raises its own classes, RuntimeError and others
                reason = f"{device.placement.provider} does not take {path.name}: {first_line(error)}"
                device = onnx_device("cpu")
        try:
            session = _session(path, device, runtime, fixed)
        except Exception as error:
            raise WeightsError(
                f"ONNX Runtime cannot load {path}: {error}.",
                advice="Check that the file is complete and was exported for ONNX Runtime on the CPU.",
                code="weights-unreadable",
            ) from error
        return cls(session, replace(device.placement, reason=reason or device.placement.reason))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate the graph: inputs by name in, all outputs by name out."""
        values = self._session.run(None, dict(feeds))
        return dict(zip(self.outputs, values, strict=True))


def _session(path: Path, device: OnnxDevice, runtime: RuntimeConfig, fixed: Mapping[str, int] | None) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(runtime)
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS_OFF
    options.enable_mem_pattern = False  # a plan of the memory is worth it where all inputs are of one size
    if device.provider is None and _shares_memory():
        options.add_session_config_entry("session.use_env_allocators", "1")
    if device.provider is not None:
        for name, size in (fixed or {}).items():
            options.add_free_dimension_override_by_name(name, size)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return device.session(str(path), options, threads=thread_count(runtime))


@functools.cache
def _shares_memory() -> bool:
    """Have one arena for all networks of this process: each would keep the most that it ever needed."""
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    try:
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, _AS_REQUESTED, -1, -1))
    except Exception:  # the host program has its own allocator, or this ONNX Runtime knows none
        return False
    return True


def thread_count(runtime: RuntimeConfig) -> int:
    """Threads of one model call: as configured, or the cores that this process may use."""
    if runtime.threads > 0:
        return runtime.threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
