"""Which builds of ONNX Runtime are installed, and what to install for another one.

All builds bring the same package `onnxruntime`: of two that are installed side by side, the files of the later one lie
over those of the first, and which providers work is left to chance. pip does not mind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions

from automask.errors import ConfigError

CPU_BUILD = "onnxruntime"
_MODULE_FILE = "onnxruntime/__init__.py"


@dataclass(frozen=True, slots=True)
class Build:
    """An installed distribution that brings the package `onnxruntime`.

    Attributes:
        name: As pip knows it.
        version: Its version.
    """

    name: str
    version: str


def installed_builds() -> list[Build]:
    """Builds of ONNX Runtime in this environment, by name; plug-ins of it and what merely needs it are none."""
    found: dict[str, Build] = {}
    for one in distributions():
        name = str(one.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith(CPU_BUILD) and any(file.as_posix() == _MODULE_FILE for file in one.files or ()):
            found.setdefault(name, Build(name, one.version))  # the first on the search path is what Python imports
    return [found[name] for name in sorted(found)]


def replacement_advice(wanted: str, *, installed: Sequence[Build]) -> str:
    """How to get from what is installed to one build, as `commands_for` understands it."""
    others = " and ".join(f"`{build.name}`" for build in installed)
    return f"Install the package `{wanted}`" + (f" in place of {others}." if others else ".")


def check_one_build(builds: Sequence[Build]) -> None:
    """Refuse an environment with several builds.

    Raises:
        ConfigError: There are several; the advice keeps the one that is not the default's, since somebody chose it.
    """
    if len(builds) < 2:
        return
    chosen = next(build for build in builds if build.name != CPU_BUILD)
    raise ConfigError(
        f"{len(builds)} builds of ONNX Runtime are installed over each other: "
        f"{', '.join(f'{build.name} {build.version}' for build in builds)}.",
        advice=replacement_advice(chosen.name, installed=builds),
        code="onnxruntime-twice",
    )
