"""`automask report`: pages that show every image with its mask."""

from __future__ import annotations

import json

import typer

from automask.cli import options


def report(
    store: options.StoreFolder,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write STORE/report/index.html again, most doubtful images first. Runs no model."""
    from rich.progress import Progress

    from automask.cli.console import error_console
    from automask.cli.interrupt import stop_on_interrupt
    from automask.errors import EXIT_INTERRUPTED
    from automask.report.pages import write_report

    console = error_console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("report", total=None)
        with stop_on_interrupt(lambda _: bar.stop()) as stop:
            page = write_report(
                store, stop=stop, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    if stop.is_set():
        raise typer.Exit(EXIT_INTERRUPTED)
    if as_json:
        typer.echo(json.dumps({"report": str(page)}))
    elif not quiet:
        typer.echo(str(page))
