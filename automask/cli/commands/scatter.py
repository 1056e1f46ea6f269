"""`automask scatter`: what people did in a gathered store, back into the sharded run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options

if TYPE_CHECKING:
    from automask.run.shards.scattering import ScatterSummary

_SHOWN = 10


def scatter(
    store: options.StoreFolder,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="TARGET", help="Where the sharded run is now, if it was moved since."),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Take corrections and decisions of a gathered store into the sharded run that its images are from.

    They are kept in the target, whatever is drawn or found there later; the shards that they touch are drawn again.
    """
    from automask.cli.making import working
    from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED
    from automask.run.shards.scattering import scatter as scattered

    with working("scatter", quiet=quiet) as (stop, progress):
        summary = scattered(store, address=target, progress=progress, stop=stop)
    is_whole = not summary.refused and not summary.busy and not summary.later
    exit_code = EXIT_INTERRUPTED if summary.interrupted else EXIT_OK if is_whole else EXIT_SOME_FAILED
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(summary), "exit_code": exit_code}, ensure_ascii=False))
    elif not quiet:
        _show(summary)
    raise typer.Exit(exit_code)


def _show(summary: ScatterSummary) -> None:
    if summary.changed or summary.shards:
        typer.echo(f"{summary.changed} of {summary.images} images taken over, {summary.shards} shards drawn again")
    else:
        typer.echo(f"nothing is new: {summary.unchanged} of {summary.images} images are as {summary.target} has them")
    _tell("left alone", summary.refused)
    _tell("note", summary.notes)
    _tell("kept, and drawn by the next `automask run`: shard", summary.later)
    _tell("left for now, since others work on it; scatter again later: shard", summary.busy)
    if summary.interrupted:
        typer.echo("Stopped before the end: the same command goes on.")


def _tell(title: str, reasons: Mapping[str, str]) -> None:
    for where, why in list(reasons.items())[:_SHOWN]:
        typer.echo(f"{title} {where}: {why}")
    if len(reasons) > _SHOWN:
        typer.echo(f"{title}: {len(reasons) - _SHOWN} more")
