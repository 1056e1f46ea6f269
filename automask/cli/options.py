"""Options that several commands share, and how flags become configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.errors import ConfigError
from automask.values.assignments import split_pair
from automask.values.placement import DEVICES

if TYPE_CHECKING:
    from automask.config import PipelineConfig

_RENDER, _STAGES = "Rendering", "Detectors and refiner"

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="TOML", help="Configuration file; docs/configuration.md lists all keys."),
]
TrainingPx = Annotated[
    int | None, typer.Option("--training-px", help="Training resolution in px [1024].", rich_help_panel=_RENDER)
]
CellPx = Annotated[
    int | None,
    typer.Option("--cell-px", help="Latent cell in training px, mostly 8, 16 or 32 [8].", rich_help_panel=_RENDER),
]
GrowthCells = Annotated[
    float | None, typer.Option("--growth-cells", help="Growth of masked areas in cells [1].", rich_help_panel=_RENDER)
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy", metavar="KIND=ACTION", help="mask, keep or review one kind; repeatable.", rich_help_panel=_RENDER
    ),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weight", metavar="KIND=0..1", help="Training weight of one kind [0]; repeatable.", rich_help_panel=_RENDER
    ),
]
Accepts = Annotated[
    list[str] | None,
    typer.Option(
        "--accept", metavar="KIND=0..1", help="Draw from this confidence on [0.5]; repeatable.", rich_help_panel=_RENDER
    ),
]
ReviewBelow = Annotated[
    float | None,
    typer.Option(
        "--review-below",
        metavar="P",
        min=0.0,
        max=1.0,
        help="Send images with a lower probability of a fine mask to review [0.85]; whatever it is, so are those with "
        "a proposal that only a person can decide.",
        rich_help_panel=_RENDER,
    ),
]
ReviewBudget = Annotated[
    str | None,
    typer.Option(
        "--review-budget",
        metavar="SHARE",
        help="Instead: send this share of all images, the least probable ones, to review, such as 10%.",
        rich_help_panel=_RENDER,
    ),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option(
        "--detectors",
        metavar="A,B|none",
        help="Detectors to run, each NAME or NAME:WEIGHTS, such as yolo:marks.onnx; repeatable.",
        rich_help_panel=_STAGES,
    ),
]
DatasetDetectors = Annotated[
    str | None,
    typer.Option(
        "--dataset-detectors",
        metavar="A,B|none",
        help="Detectors of what repeats across the folder \\[overlay].",
        rich_help_panel=_STAGES,
    ),
]
Templates = Annotated[
    list[Path] | None,
    typer.Option(
        "--templates",
        metavar="FILE",
        help="Look for a template that `automask overlays save` wrote; repeatable.",
        rich_help_panel=_STAGES,
    ),
]
Refiner = Annotated[
    str | None,
    typer.Option(
        "--refiner",
        metavar="NAME[:WEIGHTS]",
        help="Refiner that outlines regions; WEIGHTS is a file, a name such as sam2:tiny, or ORG/NAME of a hub.",
        rich_help_panel=_STAGES,
    ),
]
StageOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="STAGE.KEY=VALUE",
        help="Option of a detector or refiner, value as in TOML; repeatable.",
        rich_help_panel=_STAGES,
    ),
]
NoText = Annotated[
    bool, typer.Option("--no-text", help="Do not keep recognised strings in the store.", rich_help_panel=_STAGES)
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="|".join(DEVICES),
        help="Device of the networks.",
        rich_help_panel=_STAGES,
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", help="Threads per model call; 0 = all cores.", rich_help_panel=_STAGES)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
LogFile = Annotated[Path | None, typer.Option("--log-file", metavar="FILE", help="Append a log to this file.")]
StoreFolder = Annotated[
    Path, typer.Argument(metavar="STORE", help="Output folder of an earlier run.", show_default=False)
]


def review_flags(*, below: float | None, budget: str | None) -> dict[str, dict[str, Any]]:
    """The `review` section for the flags that were given.

    Raises:
        ConfigError: Both were given, or the budget is neither a share nor a percentage.
    """
    if below is not None and budget is not None:
        raise ConfigError("--review-below and --review-budget exclude each other.", advice="Give one of them.")
    if budget is None:
        return _section("review", {"below": below})
    number, percent, rest = budget.strip().partition("%")
    try:
        share = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        share = -1.0
    if rest or not 0.0 <= share <= 1.0:
        raise ConfigError(f"--review-budget {budget} is no share.", advice="Write e.g. --review-budget 10%.")
    return _section("review", {"budget": share})


def render_flags(
    *, training_px: int | None, cell_px: int | None, growth_cells: float | None
) -> dict[str, dict[str, Any]]:
    """The `render` section for the flags that were given."""
    given = {"training_px": training_px, "cell_px": cell_px, "growth_cells": growth_cells}
    return _section("render", given)


def stage_flags(
    *,
    detectors: Sequence[str] | None,
    refiner: str | None,
    stage_options: Sequence[str] | None,
    keeps_text: bool,
) -> dict[str, Any]:
    """The top-level keys for the flags that choose and set up stages.

    Raises:
        ConfigError: An `--option` is not `STAGE.KEY=VALUE` with a TOML value.
    """
    flags: dict[str, Any] = {}
    if detectors:
        flags["detectors"] = _names(",".join(detectors))
    if refiner is not None:
        flags["refiner"] = refiner
    if not keeps_text:
        flags["store_text"] = False
    options: dict[str, dict[str, Any]] = {}
    for assignment in stage_options or ():
        left, value = split_pair(assignment, flag="--option", example="rapidocr.key=0.4")
        stage, dot, key = left.partition(".")
        if not dot or not stage or not key:
            raise ConfigError(
                f"--option {assignment}: the name is not STAGE.KEY.", advice="Write e.g. rapidocr.key=0.4."
            )
        options.setdefault(stage, {})[key] = _toml_value(value)
    if options:
        flags["options"] = options
    return flags


def overlay_flags(*, dataset_detectors: str | None, templates: Sequence[Path] | None) -> dict[str, Any]:
    """The top-level keys for the flags about what repeats across a dataset."""
    flags: dict[str, Any] = {}
    if dataset_detectors is not None:
        flags["dataset_detectors"] = _names(dataset_detectors)
    if templates:
        flags["templates"] = tuple(str(path.absolute()) for path in templates)
    return flags


def runtime_flags(*, device: str | None, threads: int | None) -> dict[str, dict[str, Any]]:
    """The `runtime` section for the flags that were given."""
    return _section("runtime", {"device": device, "threads": threads})


def load(config_file: Path | None, *sections: dict[str, Any], stages_elsewhere: bool = False) -> PipelineConfig:
    """Layer the flags over the environment, the file and the defaults; see `load_config`."""
    from automask.config import layered_config
    from automask.plugins import load_config

    flags: dict[str, Any] = {}
    for section in sections:
        flags.update(section)
    return layered_config(config_file, flags=flags) if stages_elsewhere else load_config(config_file, flags=flags)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if names == ("none",) else names


def _section(name: str, given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    present = {key: value for key, value in given.items() if value is not None}
    return {name: present} if present else {}


def _toml_value(text: str) -> Any:  # noqa: ANN401 - whatever TOML can say
    """A TOML value; a bare word is taken as a string so that shells need no double quoting."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
