"""What detectors and refiners promise, and what the pipeline promises them.

A stage runs in one process and on one thread at a time; it may use threads of its own inside a call (at most
`RuntimeConfig.threads`), must not change the images it is given, and must not print, reach for the network, install
anything or change process-wide settings. `from_options` and `__init__` only check and remember; weights are read and
heavy packages imported in `load()`, which the pipeline calls once per process before the first call. Stages must
survive pickling by configuration: a worker process builds its own from the same options.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

from automask.config import FrozenModel, RuntimeConfig
from automask.types import Image, Issue, Patch, Region


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file on this machine.

    Attributes:
        name: Name in `weights.toml`, or the path that the user gave.
        path: File, or folder in the Hugging Face layout.
        sha256: Hash of the file (of the sorted file hashes for a folder).
    """

    name: str
    path: Path
    sha256: str


class WeightSource(Protocol):
    """Finds weights without the network."""

    def find(self, name_or_path: str) -> WeightFile | None:
        """The file, or None where this machine does not have it.

        Raises:
            WeightsError: It is there, but its hash is not the declared one.
        """
        ...


@runtime_checkable
class Stage(Protocol):
    """Common part of detectors and refiners."""

    name: ClassVar[str]
    """Its entry-point name."""
    Options: ClassVar[type[FrozenModel]]
    """Its options, with defaults for all of them."""

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the stage. Checks, loads nothing.

        Raises:
            WeightsError: Weights that it cannot do without are missing.
        """
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that its results depend on: algorithm version, options, weights. See `stage_fingerprint`."""
        ...

    @property
    def notices(self) -> Sequence[Issue]:
        """What the user should be told once per run, such as missing optional weights."""
        ...

    def load(self) -> None:
        """Import heavy packages and read weights.

        Raises:
            PluginError: A package of an extra is not installed.
            WeightsError: A weight file is missing, wrong or unsafe.
        """
        ...


@runtime_checkable
class Detector(Stage, Protocol):
    """Finds unwanted regions in single images."""

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Regions per image: same length, same order, every box inside its image."""
        ...


@runtime_checkable
class Refiner(Stage, Protocol):
    """Turns the regions of one image into pixels."""

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        """One ungrown patch per region, same order, inside the image.

        A region that carries its own `artefact` (a frame's shape) may be returned as it is. A patch may be larger or
        smaller than its region's box, and may be empty of artefact pixels.
        """
        ...


def stage_fingerprint(
    name: str, *, algorithm_version: int, options: FrozenModel | None = None, weights_sha256: Sequence[str] = ()
) -> str:
    """Hash of what a stage's results depend on, 16 hex digits.

    Raise `algorithm_version` with every change that can alter results.
    """
    content = {
        "name": name,
        "version": algorithm_version,
        "options": options.model_dump(mode="json") if options is not None else {},
        "weights": sorted(weights_sha256),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
