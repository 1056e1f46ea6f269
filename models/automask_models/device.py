"""Devices of torch-backed stages. Only `cpu` has been run by us so far: `cuda` and `mps` are not yet tested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from automask.errors import ConfigError, PluginError
from automask.values.placement import DEVICES, Placement

_TORCH = "torch"


_SAME_CARD = {"tensorrt": "cuda", "coreml": "mps"}
"""Providers of ONNX Runtime, and what torch calls the hardware that they run on."""
_ONNX_ONLY = ("directml", "openvino")


def torch_placement(name: str) -> Placement:
    """Where torch runs for a `--device` value: `auto` takes cuda, then mps, then cpu.

    What only ONNX Runtime knows means the same card where torch has it, else the CPU with the reason.

    Raises:
        ConfigError: The device was asked for by name, but this machine (or this build of torch) does not have it.
        PluginError: torch is not installed.
    """
    torch = import_torch("A device")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return Placement(next(device for device in ("cuda", "mps", "cpu") if present[device]), _TORCH)
    if name in _ONNX_ONLY:
        return Placement("cpu", _TORCH, reason=f"torch has no {name}, which is for stages that run on ONNX Runtime")
    if name in _SAME_CARD:
        card = _SAME_CARD[name]
        if present[card]:
            return Placement(card, _TORCH)
        return Placement("cpu", _TORCH, reason=f"for {name} torch would take {card}, which this build does not see")
    if name not in present:
        raise ConfigError(
            f"There is no device {name!r}.",
            advice=f"Use {', '.join(DEVICES[:-1])} or {DEVICES[-1]}.",
            code="device-unavailable",
        )
    if not present[name]:
        raise ConfigError(
            f"The device {name!r} is not usable: this build of torch does not see one.",
            advice="Use --device cpu, or install a build of torch for that device.",
            code="device-unavailable",
        )
    return Placement(name, _TORCH)


def import_torch(user: str, *, extra: str = "sam") -> ModuleType:
    """Import torch.

    Args:
        user: What needs it, for the message.
        extra: The extra of automask that brings it there.

    Raises:
        PluginError: It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise PluginError(
            f"{user} needs torch, which is not installed.",
            advice=f"Install the extra `{extra}`.",
        ) from error
    module: ModuleType = torch
    return module


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run a model call with this many torch threads and put the process's own number back."""
    torch = import_torch("A thread limit")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
