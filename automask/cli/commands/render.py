"""`automask render`: the masks of a store again, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.cli import options
from automask.values.assignments import policy_flags

if TYPE_CHECKING:
    from automask.config import PipelineConfig

_SECTIONS = ("render", "policy", "review")


def render(
    store: options.StoreFolder,
    config_file: options.ConfigFile = None,
    training_px: options.TrainingPx = None,
    cell_px: options.CellPx = None,
    growth_cells: options.GrowthCells = None,
    policies: options.Policies = None,
    weights: options.Weights = None,
    accepts: options.Accepts = None,
    review_below: options.ReviewBelow = None,
    review_budget: options.ReviewBudget = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Do not write the report at the end.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    log_file: options.LogFile = None,
) -> None:
    """Draw all masks again for another training size, cell, growth or policy. Runs no model, reads no image.

    What no option names stays as in the last run. A later `automask run` needs the same options to keep these masks.
    """
    from automask.cli.running import end_of_run, narrated
    from automask.run.redraw import redraw_store, stored_config

    config = _changed(
        stored_config(store),
        config_file,
        {
            **options.render_flags(training_px=training_px, cell_px=cell_px, growth_cells=growth_cells),
            **policy_flags(policies=policies, weights=weights, accepts=accepts),
            **options.review_flags(below=review_below, budget=review_budget),
        },
    )
    with narrated(quiet=quiet, log_file=log_file) as (narrator, stop):
        summary = redraw_store(store, config, events=narrator, stop=stop)
        end = end_of_run(summary, narrator, writes_report=not no_report, stop=stop)
    end.tell(as_json=as_json, quiet=quiet)
    raise typer.Exit(end.exit_code)


def _changed(last: PipelineConfig, config_file: Path | None, flags: dict[str, Any]) -> PipelineConfig:
    """The last configuration with what the file or the flags say about rendering."""
    if config_file is not None:
        given = options.load(config_file, flags)
        return last.model_copy(update={name: getattr(given, name) for name in _SECTIONS})
    base = last.model_dump(include=set(_SECTIONS))
    given = options.load(None, {name: _merged(base[name], flags.get(name, {})) for name in _SECTIONS})
    return last.model_copy(update={name: getattr(given, name) for name in _SECTIONS})


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merged(merged[key], value) if isinstance(merged.get(key), dict) else value
    return merged
