"""Devices of torch-backed stages. Only `cpu` has been run by us so far: `cuda` and `mps` are not yet tested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from automask.errors import ConfigError, PluginError


def select_device(name: str) -> str:
    """The torch device for a `--device` value: `auto` takes cuda, then mps, then cpu.

    Raises:
        ConfigError: The device was asked for by name, but this machine (or this build of torch) does not have it.
        PluginError: torch is not installed.
    """
    torch = import_torch("A device")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if present[device])
    if name not in present:
        raise ConfigError(
            f"There is no device {name!r}.", advice="Use auto, cpu, cuda or mps.", code="device-unavailable"
        )
    if not present[name]:
        raise ConfigError(
            f"The device {name!r} is not usable: this build of torch does not see one.",
            advice="Use --device cpu, or install a build of torch for that device.",
            code="device-unavailable",
        )
    return name


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
