"""Sessions of ONNX Runtime with our thread rules, on the device that was asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
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
Answers = dict[str, Array]
_WARNINGS_OFF = 3
_AS_REQUESTED = 1
"""How an arena grows: by what is asked for, instead of to the next power of two."""
_TOLERANCE = 0.02
"""Of an output's range. Devices that work in float32 differ by 1e-4 of it at most, OpenVINO's wrong answer by .94."""
_SMALLEST = 1e-3
"""Differences that change nothing, be the range ever so small: of a picture without letters, all is near 0."""
_AXES_OF_LISTS = 3
_SHARE_APART = 0.01
"""Of an output's values that may differ by more: sorted lists of boxes swap rows that are nearly equal."""


class OnnxSession:
    """One loaded ONNX graph, and where it runs. One instance serves one thread.

    Threads sleep between calls instead of spinning, so that several stages in one process do not fight for cores.

    Attributes:
        placement: Where it runs; that changes where another device than the CPU is found to answer wrongly.
    """

    def __init__(self, session: Any, placement: Placement, *, on_cpu: Callable[[], Any] | None = None) -> None:  # noqa: ANN401 - onnxruntime ships no types
        """Take a session; `on_cpu` makes one of the same graph on the CPU, to hold its answers against."""
        self._session = session
        self._on_cpu = on_cpu
        self._calls = 0
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
                on_cpu = functools.partial(_session, path, onnx_device("cpu"), runtime, fixed)
                return cls(_session(path, device, runtime, fixed), device.placement, on_cpu=on_cpu)
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

    def run(self, feeds: Mapping[str, Array]) -> Answers:
        """Evaluate the graph: inputs by name in, all outputs by name out.

        On another device than the CPU, calls number 1, 2, 4, 8 and so on are made on the CPU as well: a device may
        take a graph and answer wrongly, at some sizes only. Where one does, or fails, the CPU takes over.
        """
        self._calls += 1
        if self._on_cpu is None or self._calls & (self._calls - 1):
            return self._answers(self._session, feeds)
        cpu = self._on_cpu()
        right = self._answers(cpu, feeds)
        try:
            found = self._answers(self._session, feeds)
            wrong = [name for name, values in found.items() if not agree(values, right[name])]
            if not wrong:
                return found
            reason = f"answers {', '.join(wrong)} otherwise than the CPU"
        except Exception as error:  # onnxruntime raises its own classes, RuntimeError and others
            reason = f"fails: {first_line(error)}"
        told = f"{self.placement.provider} {reason} (call {self._calls})"
        self._session, self._on_cpu = cpu, None
        self.placement = replace(onnx_device("cpu").placement, reason=told)
        return right

    def _answers(self, session: Any, feeds: Mapping[str, Array]) -> Answers:  # noqa: ANN401 - onnxruntime ships no types
        return dict(zip(self.outputs, session.run(None, dict(feeds)), strict=True))


def agree(one: Array, other: Array) -> bool:
    """Whether two devices gave the same answer, but for rounding.

    Args:
        one: Numbers of any shape; of three axes, the second is a list whose order does not count.
        other: The answer to trust.
    """
    if one.shape != other.shape:
        return False
    found, right = (values.astype(np.float64) for values in (one, other))
    return _alike(found, right) or (
        found.ndim == _AXES_OF_LISTS and _alike(np.sort(found, axis=1), np.sort(right, axis=1))
    )


def _alike(found: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    if not right.size:
        return True
    allowed = _TOLERANCE * (right.max() - right.min()) + _SMALLEST
    apart = ~(np.abs(found - right) <= allowed)  # what is not a number is apart
    return bool(apart.mean() <= _SHARE_APART)


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
