"""`automask gather`: images of a sharded run into a store, for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options

if TYPE_CHECKING:
    from automask.run.shards.gathering import GatherSummary

_SHOWN = 10


def gather(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Output of a sharded run, a folder or a URL.", show_default=False)
    ],
    into: Annotated[
        Path, typer.Option("--into", metavar="STORE", help="Store to bring the images into; made where there is none.")
    ],
    doubtful: Annotated[
        int | None,
        typer.Option("--doubtful", metavar="N", min=1, help="The N images to review that are the least confident."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="Instead: the images of a file, a key or name of an image a line."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="SOURCE", help="Where the images are now, if they were moved since the run."),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Bring images of a sharded run into a store that `automask review` opens; no model runs.

    The images come into a folder beside the store. `automask scatter STORE` takes back what was changed.
    """
    from automask.cli.making import ended, working
    from automask.dataset.lists import text_entries
    from automask.run.shards.gathering import gather as gathered

    if (doubtful is None) == (keys is None):
        raise typer.BadParameter("give one of --doubtful and --keys", param_hint="--doubtful")
    names = set(text_entries(keys, option="--keys")) if keys is not None else set()
    with working("gather", quiet=quiet) as (stop, progress):
        summary = gathered(target, into, doubtful=doubtful, names=names, source=source, progress=progress, stop=stop)
    ended(
        summary,
        is_whole=not summary.refused and not summary.unknown,
        interrupted=summary.interrupted,
        as_json=as_json,
        show=None if quiet else lambda: _show(summary),
    )


def _show(summary: GatherSummary) -> None:
    from automask.cli.making import told_of

    there = f", {summary.present} were there" if summary.present else ""
    typer.echo(f"{summary.gathered} of {summary.selected} images came into {summary.store}{there}")
    for line in told_of([f"left out: {image}: {why}" for image, why in summary.refused.items()], of_all="left out"):
        typer.echo(line)
    if summary.refused:
        typer.echo("where the images were moved since the run, --source says where they are now")
    if summary.older:
        some = ", ".join(summary.older[:_SHOWN]) + (", ..." if len(summary.older) > _SHOWN else "")
        typer.echo(
            f"otherwise in the target by now, and kept in the store as they were: {len(summary.older)} ({some}); "
            "gather into a new STORE to have them as they are"
        )
    nowhere = "not in the target, or without a result"
    for line in told_of([f"{nowhere}: {name}" for name in summary.unknown], of_all=nowhere):
        typer.echo(line)
    for count, why in (
        (summary.unfinished, "are not done yet"),
        (
            summary.outdated,
            "are of another configuration than the newest; the same `automask run` brings them up to date",
        ),
    ):
        if count:
            typer.echo(f"passed over: {count} shards {why}")
    if summary.interrupted:
        typer.echo("Stopped before the end: the same command goes on.")
    elif summary.gathered or summary.present:
        typer.echo(f"review them: automask review {summary.store}")
        typer.echo(f"take the changes back: automask scatter {summary.store}")
