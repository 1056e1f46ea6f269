"""`automask export`: masks of a store in the form that a trainer reads."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from automask.export.summary import ExportSummary
    from automask.export.unfinished import Unfinished

_NAMED = 3


def export(
    store: Annotated[
        Path | None, typer.Argument(metavar="STORE", help="Output folder of an earlier run.", show_default=False)
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="FORMAT", help="Trainer or format; see --list.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where to [STORE/exports/FORMAT].")
    ] = None,
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="none|link|copy", help="What to do with images and captions \\[by format]."),
    ] = None,
    fully_masked: Annotated[
        str | None,
        typer.Option(
            "--fully-masked",
            metavar="exclude|error",
            help="Images without anything to train: leave out, or refuse \\[exclude where images are left out].",
        ),
    ] = None,
    accepted_only: Annotated[
        bool, typer.Option("--accepted-only", help="Leave out images that a person should still look at.")
    ] = False,
    flatten: Annotated[bool, typer.Option("--flatten", help="All images in one folder, under unique names.")] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Write masks beside your images, for formats that want them there.")
    ] = False,
    training_px: options.TrainingPx = None,
    cell_px: options.CellPx = None,
    growth_cells: options.GrowthCells = None,
    listing: Annotated[bool, typer.Option("--list", help="List the formats and stop.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the masks as a trainer reads them, and say what to put into its configuration. Runs no model.

    Run it again and only what changed is written again. Your images are not touched, except with --in-place.
    """
    if listing:
        _print_formats()
        return
    if store is None or to is None:
        raise typer.BadParameter("give STORE and --to FORMAT", param_hint="STORE")
    from rich.progress import Progress

    from automask.cli.console import error_console, result_console
    from automask.cli.interrupt import stop_on_interrupt
    from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED
    from automask.export.run import build_exporter, export_store
    from automask.export.selection import FAILED, FILE_MISSING

    given: dict[str, Any] = {
        "images": images,
        "fully_masked": fully_masked,
        "accepted_only": accepted_only,
        "flatten": flatten,
        "in_place": in_place,
        "training_px": training_px,
        "cell_px": cell_px,
        "growth_cells": growth_cells,
    }
    exporter = build_exporter(to, options={key: value for key, value in given.items() if value is not None})
    console = error_console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(f"export to {to}", total=None)
        with stop_on_interrupt(lambda _: bar.stop()) as stop:
            summary = export_store(
                store,
                exporter,
                output=output,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                stop=stop,
            )
    if summary.interrupted:
        exit_code = EXIT_INTERRUPTED
    else:
        exit_code = EXIT_SOME_FAILED if {FAILED, FILE_MISSING} & summary.left_out.keys() else EXIT_OK
    if summary.unfinished is not None and not quiet:
        console.print(_incomplete(summary.unfinished, store), style="yellow", markup=False)
    if as_json:
        typer.echo(json.dumps(_as_json(summary, exit_code=exit_code)))
    elif not quiet:
        results = result_console()
        for line in _lines(summary):
            results.print(line)
    raise typer.Exit(exit_code)


def _print_formats() -> None:
    from automask.plugins import EXPORTERS, available, load_plugin

    for name in sorted(available(EXPORTERS)):
        typer.echo(f"{name:<16} {load_plugin(EXPORTERS, name).about}")


def _as_json(summary: ExportSummary, *, exit_code: int) -> dict[str, Any]:
    """Plain values; keys are part of the public interface, see docs/trainers/README.md."""
    snippet = summary.snippet
    return {
        "format": summary.exporter,
        "output": str(summary.output),
        "polarity": "white = train",
        "images": summary.images,
        "written": summary.written,
        "unchanged": summary.unchanged,
        "removed": summary.removed,
        "kept": summary.kept,
        "unreviewed": list(summary.unreviewed),
        "left_out": {reason: list(ids) for reason, ids in summary.left_out.items()},
        "much_masked": list(summary.much_masked),
        "without_mask": summary.unfinished.without_mask if summary.unfinished is not None else 0,
        "last_run": summary.unfinished.status if summary.unfinished is not None else "done",
        "snippet": str(summary.output / snippet.name) if snippet is not None else None,
        "snippet_text": snippet.text if snippet is not None else None,
        "commands": list(snippet.command) if snippet is not None else [],
        "clear": summary.cache,
        "seconds": round(summary.seconds, 3),
        "interrupted": summary.interrupted,
        "exit_code": exit_code,
    }


def _incomplete(unfinished: Unfinished, store: Path) -> str:
    """What is missing because the last run did not end, and what to do."""
    if unfinished.owner is not None:
        state = f"is still at work (process {unfinished.owner.pid} on {unfinished.owner.host})"
        advice = "Wait until it ends and export again"
    else:
        state = "failed" if unfinished.status == "failed" else "was interrupted"
        command = shlex.join(["automask", "run", str(unfinished.input_root), "--output", str(store)])
        advice = f"`{command}`, with the options of that run, finishes; then export again"
    lack = "masks may lack what repeats across the images"
    if unfinished.without_mask:
        what = "1 image" if unfinished.without_mask == 1 else f"{unfinished.without_mask} images"
        have = "has" if unfinished.without_mask == 1 else "have"
        lack = f"{what} of {unfinished.input_root} {have} no mask yet, and trainers stop or train them whole"
    return f"warning: the last run on {store} {state}: {lack}. {advice}."


def _lines(summary: ExportSummary) -> Iterator[Text]:
    from rich.text import Text

    from automask.export.selection import NOT_READ

    yield Text(f"{summary.images} images for {summary.exporter} in {summary.output}", style="bold")
    counts = f"{summary.written} written, {summary.unchanged} up to date, {summary.removed} old ones removed"
    yield _row("files", counts)
    if summary.kept:
        yield _row("kept", f"{summary.kept} old files that were changed by somebody", style="yellow")
    for reason, ids in summary.left_out.items():
        yield _row("left out", f"{reason} x {len(ids)}: {_named(ids)}", style="yellow")
        if reason == NOT_READ:
            yield _row("advice", f"convert or rename them; {summary.exporter} reads {summary.reads}", style="yellow")
    if summary.unreviewed:
        text = f"{len(summary.unreviewed)} masks that nobody has looked at yet take part: {_named(summary.unreviewed)}"
        yield _row("review", text, style="yellow")
    if summary.much_masked:
        text = f"{len(summary.much_masked)} images masked over more than half: {_named(summary.much_masked)}"
        yield _row("warning", text, style="yellow")
    if summary.snippet is not None:
        if not summary.snippet_stands:
            yield _row(
                "note", f"{summary.snippet.name} was changed by you and left alone; it would be:", style="yellow"
            )
        else:
            yield _row("settings", f"{summary.output / summary.snippet.name}:")
        yield Text("")
        for line in summary.snippet.text.splitlines():
            yield Text(f"    {line}")
        yield Text("")
        for command in summary.snippet.command:
            yield _row("then", command)
    if summary.cache:
        yield _row("clear", summary.cache)
    if summary.interrupted:
        yield Text("Stopped before the end; the same command goes on.", style="yellow")


def _named(ids: tuple[str, ...]) -> str:
    rest = len(ids) - _NAMED
    return ", ".join(ids[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _row(title: str, text: str, *, style: str = "") -> Text:
    from rich.text import Text

    return Text.assemble((f"  {title:<9} ", style or "dim"), text)
