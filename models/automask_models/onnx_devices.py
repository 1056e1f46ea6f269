"""Devices of stages that run on ONNX Runtime: which there are, which `--device` takes, and sessions there.

`OnnxDevice.session` is the one place that makes a session of ONNX Runtime for a stage. Only `cpu` and `openvino` (on
the processor) have been run by us; the others are set up as ONNX Runtime documents them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from automask.errors import ConfigError
from automask.values.placement import DEVICES, Placement
from automask_models.onnx_builds import CPU_BUILD, installed_builds, replacement_advice

_CPU = "CPUExecutionProvider"
_FATAL_ONLY = 4
_PROBE = b64decode(
    "CAg6hwEKDwoBeAoBdxIBeSIEQ29udhIFZ3JhcGgqMwgBCAEIAwgDEAFCAXdKJAAAAAAAAIA/AAAAQAAAQEAAAIBAAACgQAAAwEAAAOBAAAAAQVob"
    "CgF4EhYKFAgBEhAKAggBCgIIAQoCCAMKAggDYhsKAXkSFgoUCAESEAoCCAEKAggBCgIIAQoCCAFCBAoAEBI="
)
"""An ONNX graph: x (1, 1, 3, 3) convolved with 0..8. A convolution, since that is what needs cuDNN and its like."""
_PROBE_ANSWER = 36.0
"""Of nine ones."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider of ONNX Runtime.

    Attributes:
        device: What `--device` calls it.
        name: Its name where it is built into ONNX Runtime.
        build: The distribution that has it built in.
        platforms: Values of `sys.platform` that it exists for.
        plugin: The module of the plug-in that sits beside the CPU's build; empty where there is none.
        extra: The extra of automask that brings the plug-in.
        hardware: What a plug-in's devices must say of themselves.
        behind: Providers that take what it does not, before the CPU.
        settings: Its options, from the number of threads.
    """

    device: str
    name: str
    build: str
    platforms: tuple[str, ...]
    plugin: str = ""
    extra: str = ""
    hardware: tuple[tuple[str, str], ...] = ()
    behind: tuple[str, ...] = ()
    settings: Callable[[int], Mapping[str, str]] = lambda threads: {}


def _of_cuda(threads: int) -> Mapping[str, str]:
    # Every picture has a size of its own: an exhaustive search of algorithms per size takes longer than the picture.
    # TF32 rounds to 10 bits, with which masks would differ from the CPU's.
    return {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"}


def _of_tensorrt(threads: int) -> Mapping[str, str]:
    from automask.weights import user_cache_folder

    folder = user_cache_folder() / "tensorrt"  # an engine takes minutes to build
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }


def _of_openvino(threads: int) -> Mapping[str, str]:
    # Where a processor has bfloat16, OpenVINO would take that by default, with which masks would differ.
    of_cpu = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(threads)}
    return {"load_config": json.dumps({"CPU": of_cpu})}


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        device="cuda",
        name="CUDAExecutionProvider",
        build="onnxruntime-gpu",
        platforms=("linux", "win32"),
        settings=_of_cuda,
    ),
    Provider(
        device="tensorrt",
        name="TensorrtExecutionProvider",
        build="onnxruntime-gpu",
        platforms=("linux", "win32"),
        plugin="onnxruntime_ep_nv_tensorrt_rtx",
        extra="tensorrt",
        behind=("CUDAExecutionProvider",),
        settings=_of_tensorrt,
    ),
    Provider(device="directml", name="DmlExecutionProvider", build="onnxruntime-directml", platforms=("win32",)),
    Provider(
        device="coreml",
        name="CoreMLExecutionProvider",
        build=CPU_BUILD,
        platforms=("darwin",),
        settings=lambda threads: {"ModelFormat": "MLProgram"},
    ),
    Provider(
        device="openvino",
        name="OpenVINOExecutionProvider",
        build="onnxruntime-openvino",
        platforms=("linux", "win32"),
        plugin="onnxruntime_ep_openvino",
        extra="openvino",
        hardware=(("ov_device", "CPU"),),
        settings=_of_openvino,
    ),
)

AUTO = ("cuda", "directml")
"""What `auto` tries, in this order, before the CPU.

Not OpenVINO, which answered one of our own graphs wrongly without a word until a size in it was fixed (`_FIXED` in
map_network.py); not TensorRT, which would build an engine for minutes first; and not CoreML, which every build for
macOS has, but which compiles anew for each size of picture. Who wants those names them.
"""


class NotStarted(Exception):
    """A provider is not there or does not start; the message says why, and `advice` what to do."""

    def __init__(self, reason: str, *, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


@dataclass(frozen=True, slots=True, eq=False)
class OnnxDevice:
    """A device that ONNX Runtime runs on.

    Attributes:
        placement: Its name, and why it is not another one.
        provider: Its provider; None for the CPU's.
        hardware: Devices of a plug-in (`OrtEpDevice`); empty where the provider is built in.
    """

    placement: Placement
    provider: Provider | None = None
    hardware: tuple[Any, ...] = ()

    def session(self, model: str | bytes, options: Any, *, threads: int) -> Any:  # noqa: ANN401 - onnxruntime is untyped
        """A session of ONNX Runtime for a graph: the one place that makes one for a stage.

        Args:
            model: Path or bytes of the graph.
            options: `SessionOptions` of this session alone: providers are added to them.
            threads: Of one call.

        Raises:
            Exception: Whatever ONNX Runtime raises where it cannot load the graph there.
        """
        import onnxruntime

        names: list[Any] | None = [_CPU]
        if self.provider is not None:
            settings = dict(self.provider.settings(threads))
            if self.hardware:
                options.add_provider_for_devices(list(self.hardware), settings)
                names = None
            else:
                names = [(self.provider.name, settings), *self.provider.behind, _CPU]
        # It would otherwise print, and go on with the CPU without another word.
        made = onnxruntime.InferenceSession(model, options, providers=names, enable_fallback=0)
        if self.placement.provider not in made.get_providers():
            raise RuntimeError(f"{self.placement.provider} did not start, its libraries or its device are missing")
        return made


@functools.cache
def onnx_device(name: str) -> OnnxDevice:
    """The device of ONNX Runtime for a `--device` value; it was tried with a graph of one convolution.

    `auto` takes the first of `AUTO` that starts, else the CPU. `mps` is torch's alone: that is the CPU, and says why.

    Raises:
        ConfigError: The device was asked for by name and is not there, or does not start.
    """
    if name == "cpu":
        return OnnxDevice(Placement("cpu", _CPU))
    if name == "mps":
        return _cpu_because("mps is a device of torch, and Apple's of ONNX Runtime is coreml")
    if name == "auto":
        return _best_there_is()
    found = [provider for provider in PROVIDERS if provider.device == name]
    if not found:
        raise ConfigError(
            f"There is no device {name!r}.", advice=f"Use one of {', '.join(DEVICES)}.", code="device-unavailable"
        )
    try:
        return started(found[0])
    except NotStarted as error:
        raise ConfigError(
            f"The device {name!r} is not usable: {error}.", advice=error.advice, code="device-unavailable"
        ) from error


def is_offered(provider: Provider) -> bool:
    """Whether a provider is installed, be it that it starts or not."""
    import onnxruntime

    return provider.name in onnxruntime.get_available_providers() or _has_plugin(provider)


def started(provider: Provider) -> OnnxDevice:
    """A provider's device that gave the right answer to a graph of one convolution.

    Raises:
        NotStarted: It is not installed, or does not start.
    """
    import onnxruntime

    advice = _install_advice(provider)
    if sys.platform not in provider.platforms:
        raise NotStarted(f"there is none for {sys.platform}", advice="Use --device auto or --device cpu.")
    reasons = []
    if _has_plugin(provider):
        try:
            return _tried(_of_plugin(provider))
        except Exception as error:  # onnxruntime's own classes, those of the plug-in's module, OSError
            reasons.append(f"the plug-in {provider.plugin}: {first_line(error)}")
            build = replacement_advice(provider.build, installed=installed_builds())
            advice = f"Check its driver. Or do without the plug-in: {build[0].lower()}{build[1:]}"
    if provider.name in onnxruntime.get_available_providers():
        try:
            if "CUDAExecutionProvider" in (provider.name, *provider.behind):
                _preload_cuda()
            return _tried(OnnxDevice(Placement(provider.device, provider.name), provider))
        except Exception as error:
            reasons.append(first_line(error))
            advice = f"Check its driver and libraries. {_LIBRARIES.get(provider.build, '')}".rstrip()
    if not reasons:
        reasons = [f"this ONNX Runtime ({_build_names()}) has no {provider.name}"]
    raise NotStarted("; ".join(reasons), advice=advice)


_LIBRARIES = {
    "onnxruntime-gpu": "Those of CUDA and cuDNN come with the package `onnxruntime-gpu[cuda,cudnn]`.",
}


def first_line(error: Exception) -> str:
    """What an exception says, short, without a stop at the end."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _best_there_is() -> OnnxDevice:
    reasons = []
    for provider in sorted((one for one in PROVIDERS if one.device in AUTO), key=lambda one: AUTO.index(one.device)):
        if is_offered(provider):
            try:
                return started(provider)
            except NotStarted as error:
                reasons.append(f"{provider.device} is installed, but: {error}")
    return _cpu_because("; ".join(reasons))


def _cpu_because(reason: str) -> OnnxDevice:
    cpu = onnx_device("cpu")
    return replace(cpu, placement=replace(cpu.placement, reason=reason))


def _has_plugin(provider: Provider) -> bool:
    return bool(provider.plugin) and find_spec(provider.plugin) is not None


def _of_plugin(provider: Provider) -> OnnxDevice:
    name, devices = _registered(provider.plugin)
    wanted = dict(provider.hardware).items()
    chosen = tuple(device for device in devices if wanted <= dict(device.ep_metadata).items())
    if not chosen:
        raise RuntimeError("it knows no device of this machine")
    # The options above are those of the provider that is built in; of the plug-ins, OpenVINO's takes the same.
    own = provider if provider.device == "openvino" else replace(provider, settings=lambda threads: {})
    return OnnxDevice(Placement(provider.device, name), own, hardware=chosen[:1])


@functools.cache
def _registered(plugin: str) -> tuple[str, list[Any]]:
    """The provider's name and devices of a plug-in that this process knows from now on."""
    import onnxruntime

    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise RuntimeError(f"ONNX Runtime {onnxruntime.__version__} is too old for plug-ins, which need 1.24")
    module = importlib.import_module(plugin)
    name = str(module.get_ep_name())
    onnxruntime.register_execution_provider_library(name, module.get_library_path())
    return name, [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]


def _tried(device: OnnxDevice) -> OnnxDevice:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY  # what goes wrong is told in words
    (answer,) = device.session(_PROBE, options, threads=1).run(None, {"x": np.ones((1, 1, 3, 3), dtype=np.float32)})
    if not np.allclose(answer, _PROBE_ANSWER, rtol=1e-2):  # 1 %: some devices calculate with 10 bits
        raise RuntimeError(f"it answers {float(np.ravel(answer)[0])} where {_PROBE_ANSWER} is right")
    return device


def _preload_cuda() -> None:
    """Load CUDA's libraries from the packages of pip that hold them, or from torch's."""
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()


def _install_advice(provider: Provider) -> str:
    if provider.build == CPU_BUILD:
        return "Install the package `onnxruntime` anew."
    if provider.extra:
        return f"Install the extra `{provider.extra}`, a plug-in beside the build for the CPU."
    return replacement_advice(provider.build, installed=installed_builds())


def _build_names() -> str:
    import onnxruntime

    names = ", ".join(build.name for build in installed_builds())
    return f"{onnxruntime.__version__} of {names or Path(onnxruntime.__file__).parent}"
