"""Detectors, dataset detectors, refiners, exporters and commands by entry-point name, imported when first asked for."""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from automask.config import FrozenModel, PipelineConfig, RuntimeConfig, close_name, config_error, layered_config
from automask.errors import ConfigError, PluginError
from automask.protocols import DatasetDetector, Detector, Refiner, Stage, WeightSource
from automask.version import __version__

DETECTORS = "automask.detectors"
DATASET_DETECTORS = "automask.dataset_detectors"
REFINERS = "automask.refiners"
EXPORTERS = "automask.exporters"
ENGINES = "automask.engines"
COMMANDS = "automask.commands"
WEIGHT_CATALOGUES = "automask.weight_catalogues"

STAGE_GROUPS = (DETECTORS, DATASET_DETECTORS, REFINERS)
REINSTALL = "reinstall it with `pip install --force-reinstall --no-deps automask`, in a source tree `pip install -e .`"


def available(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name. Nothing is imported.

    Raises:
        PluginError: Two packages claim the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in _installed(tuple(sys.path)).get(group, ()):
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise PluginError(
                f"Two packages offer a plug-in named {entry.name!r}: {other.value} and {entry.value}.",
                advice="Uninstall one of them.",
                code="plugin-ambiguous",
            )
        found[entry.name] = entry
    return found


@functools.lru_cache(maxsize=1)
def _installed(search_path: tuple[str, ...]) -> dict[str, EntryPoints]:
    # Once: to look is to read a file of every installed package, 0.03 s, and building a run looks six times.
    everything = entry_points()
    return {group: everything.select(group=group) for group in everything.groups if group.startswith("automask.")}


def load_plugin(group: str, name: str) -> Any:  # noqa: ANN401 - what a group holds is known to its caller
    """Import the object behind a name.

    Raises:
        PluginError: The name is unknown, or its package does not import.
    """
    entries = available(group)
    if name not in entries:
        advice = f"Known names: {', '.join(sorted(entries)) or 'none'}."
        if name in _default_stages().get(group, ()):  # the list of names is written when automask is installed
            advice = f"automask {__version__} has it, but its installation is older or damaged: {REINSTALL}."
        raise PluginError(f"There is no plug-in {name!r} in {group}.", advice=advice, code="plugin-unknown")
    try:
        return entries[name].load()
    except ImportError as error:
        raise PluginError(
            f"The plug-in {name!r} does not import: {error}.",
            advice="Install the package or the automask extra that brings it.",
        ) from error


def _default_stages() -> dict[str, frozenset[str]]:
    """Stages that every complete installation of this version has: those that run when nothing is asked for."""
    default = PipelineConfig()
    return {
        DETECTORS: frozenset(default.detectors),
        DATASET_DETECTORS: frozenset(default.dataset_detectors),
        REFINERS: frozenset({default.refiner}),
    }


def load_config(path: Path | None = None, *, flags: Mapping[str, Any] | None = None) -> PipelineConfig:
    """The configuration through its layers, with options for stages that are installed here; see `layered_config`.

    Raises:
        ConfigError: As `layered_config`, or a stage under `options` is unknown.
    """
    config = layered_config(path, flags=flags)
    check_stage_names(config)
    return config


def check_stage_names(config: PipelineConfig, *, elsewhere: Collection[str] = ()) -> None:
    """Refuse options of a stage that is nobody's; those of installed stages that do not run are fine.

    Args:
        config: Its stages are known too: whoever builds them says best what is wrong with one that is not installed.
        elsewhere: Names of stages that a server runs.

    Raises:
        ConfigError: A name under `options` is unknown.
    """
    if not config.options:
        return
    named = {*config.detectors, *config.dataset_detectors, config.refiner, *elsewhere}
    known = named.union(*_default_stages().values(), *(available(group) for group in STAGE_GROUPS))
    unknown = sorted(set(config.options) - known)
    if not unknown:
        return
    meant = [name for name in (close_name(one, known) for one in unknown) if name is not None]
    guess = f"Did you mean {', '.join(dict.fromkeys(meant))}? " if meant else ""
    raise ConfigError(
        "There is no detector or refiner of the name: " + ", ".join(f"options.{name}" for name in unknown) + ".",
        advice=f"{guess}Known names: {', '.join(sorted(known))}.",
    )


def stage_options(group: str, name: str, options: Mapping[str, Any]) -> FrozenModel:
    """The checked options of one stage, from a table that a stage of another group may share with it by name.

    Raises:
        PluginError: No such plug-in.
        ConfigError: An option is unknown to all stages of this name, or out of range.
    """
    own: type[FrozenModel] = load_plugin(group, name).Options
    mine = dict(options)
    try:
        for other in STAGE_GROUPS:
            if set(mine) <= set(own.model_fields):
                break
            if other != group and name in available(other):
                theirs: type[FrozenModel] = load_plugin(other, name).Options
                foreign = {
                    key: mine.pop(key) for key in theirs.model_fields if key in mine and key not in own.model_fields
                }
                theirs.model_validate(foreign)
        return own.model_validate(mine)
    except ValidationError as error:
        raise config_error(error, section=f"options.{name}") from error


def build_stage(
    group: str, name: str, *, options: dict[str, Any], weights: WeightSource, runtime: RuntimeConfig
) -> Stage:
    """Build one stage from its plain options.

    Raises:
        PluginError: No such plug-in.
        ConfigError: An option is unknown or out of range.
        WeightsError: Weights that the stage cannot do without are missing.
    """
    stage_class: type[Stage] = load_plugin(group, name)
    return stage_class.from_options(stage_options(group, name, options), weights=weights, runtime=runtime)


def build_detector(name: str, *, options: dict[str, Any], weights: WeightSource, runtime: RuntimeConfig) -> Detector:
    """Build a detector by name; see `build_stage`."""
    stage = build_stage(DETECTORS, name, options=options, weights=weights, runtime=runtime)
    if not isinstance(stage, Detector):
        raise PluginError(f"{name!r} is not a detector: it has no detect().", code="plugin-contract")
    return stage


def build_dataset_detector(
    name: str, *, options: dict[str, Any], weights: WeightSource, runtime: RuntimeConfig
) -> DatasetDetector:
    """Build a dataset detector by name; see `build_stage`."""
    stage = build_stage(DATASET_DETECTORS, name, options=options, weights=weights, runtime=runtime)
    if not isinstance(stage, DatasetDetector):
        raise PluginError(f"{name!r} is not a dataset detector: it has no estimate().", code="plugin-contract")
    return stage


def build_refiner(name: str, *, options: dict[str, Any], weights: WeightSource, runtime: RuntimeConfig) -> Refiner:
    """Build a refiner by name; see `build_stage`."""
    stage = build_stage(REFINERS, name, options=options, weights=weights, runtime=runtime)
    if not isinstance(stage, Refiner):
        raise PluginError(f"{name!r} is not a refiner: it has no refine().", code="plugin-contract")
    return stage
