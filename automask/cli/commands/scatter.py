"""`automask scatter`: what people did in a gathered store, back into the sharded run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options

if TYPE_CHECKING:
    from automask.run.shards.scattering import ScatterSummary


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
    from automask.cli.making import ended, working
    from automask.run.shards.scattering import scatter as scattered

    with working("scatter", quiet=quiet) as (stop, progress):
        summary = scattered(store, address=target, progress=progress, stop=stop)
    ended(
        summary,
        is_whole=not summary.refused and not summary.busy and not summary.later,
        interrupted=summary.interrupted,
        as_json=as_json,
        show=None if quiet else lambda: _show(summary),
    )


def _show(summary: ScatterSummary) -> None:
    for line in _head_lines(summary):
        typer.echo(line)
    _tell("left alone", summary.refused)
    _tell("note", summary.notes)
    _tell("kept, and drawn by the next `automask run`: shard", summary.later)
    _tell("left for now, since others work on it; scatter again later: shard", summary.busy)
    if summary.interrupted:
        typer.echo("Stopped before the end: the same command goes on.")


def _head_lines(summary: ScatterSummary) -> Iterator[str]:
    """What became of the images, each kind only where there are such."""
    from automask.cli.summary import count_of

    of_all = f"of {count_of(summary.images, 'image')}"
    drawn = count_of(summary.shards, "shard")
    if summary.changed:
        yield f"{summary.changed} {of_all} taken over, {drawn} drawn again"
    elif summary.shards:
        yield f"{drawn} drawn again with what the target had been told already; nothing else is new"
    else:
        is_whole = not (summary.refused or summary.later or summary.busy)
        yield "nothing is new" if is_whole else "nothing was taken over"
    for number, what in (
        (summary.unchanged, f"as {summary.target} has them"),
        (summary.newer, "changed later by another store, which counts; gather into a new store to see that"),
        (summary.stale, "with a correction that does not apply any more, since the image changed"),
    ):
        if number:
            yield f"{what}: {number} {of_all}"


def _tell(title: str, reasons: Mapping[str, str]) -> None:
    from automask.cli.making import told_of

    for line in told_of([f"{title} {where}: {why}" for where, why in reasons.items()], of_all=title):
        typer.echo(line)
