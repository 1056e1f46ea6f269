"""What `automask models doctor` says of the installation: builds of ONNX Runtime, and where networks would run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from automask.errors import AutomaskError
from automask.extras import commands_for
from automask.values.placement import DEVICES, Placement
from automask_models.device import torch_placement
from automask_models.onnx_builds import Build, installed_builds
from automask_models.onnx_devices import onnx_device


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a value of `--device` means on this machine.

    Attributes:
        device: The value.
        onnx: Where stages go that run on ONNX Runtime; None where a run would end with an error.
        torch: The same of stages that run on torch.
        problem: The errors of those that are None; why the others are elsewhere.
        install: What to type to get it; empty where nothing is known to help.
    """

    device: str
    onnx: Placement | None
    torch: Placement | None
    problem: str
    install: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installation:
    """Builds of ONNX Runtime, and every device; more than one build is a fault (`check_one_build`)."""

    builds: tuple[Build, ...]
    devices: tuple[DeviceState, ...]


def examine_installation() -> Installation:
    """Try every device with a small graph."""
    return Installation(tuple(installed_builds()), tuple(_state(device) for device in DEVICES))


def _state(device: str) -> DeviceState:
    asked: list[Callable[[str], Placement]] = [lambda name: onnx_device(name).placement, torch_placement]
    places: list[Placement | None] = []
    problems: list[str] = []
    install: tuple[str, ...] = ()
    for place in asked:
        try:
            found = place(device)
            places.append(found)
            problems += [found.reason] if found.reason else []
        except AutomaskError as error:
            places.append(None)
            problems.append(error.message)
            install = install or commands_for(error.advice)
    return DeviceState(device, onnx=places[0], torch=places[1], problem="; ".join(problems), install=install)
