"""On which device a network really runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Device = Literal["auto", "cpu", "cuda", "tensorrt", "directml", "coreml", "openvino", "mps"]
"""A value of `--device`."""
DEVICES: tuple[str, ...] = get_args(Device)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a loaded network runs.

    Attributes:
        device: What `--device` calls it; never `auto`.
        provider: What runs it there: the name of an execution provider of ONNX Runtime, or `torch`.
        reason: Why it is not where it was asked to be; empty where it is.
    """

    device: str
    provider: str
    reason: str = ""

    def __str__(self) -> str:
        """For people."""
        return f"{self.device} ({self.provider})"


def joined(placements: Iterable[Placement | None]) -> Placement | None:
    """One for several networks of a stage: the first that is not where it should be, else the first."""
    known = [one for one in placements if one is not None]
    return next((one for one in known if one.reason), known[0] if known else None)
