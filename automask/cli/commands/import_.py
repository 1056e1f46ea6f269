"""`automask import`: masks that were drawn elsewhere become corrections."""

from __future__ import annotations

import dataclasses
import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options

if TYPE_CHECKING:
    from automask.importing.planning import ImportSummary

_SHOWN = 5


def import_(
    store: options.StoreFolder,
    source: Annotated[
        Path, typer.Option("--from", metavar="PATH", help="Folder or file with the masks.", show_default=False)
    ],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="masks (any folder with the images' names), a trainer as for export, rgba, coco, labelme, "
            "labelstudio or cvat.",
        ),
    ] = "masks",
    invert: Annotated[bool, typer.Option("--invert", help="White marks what is unwanted in these masks.")] = False,
    keep_polarity: Annotated[
        bool, typer.Option("--keep-polarity", help="Take masks that look inverted as they are.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where somebody corrected the image before; history is kept.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Also empty masks that mask something now; else those images stay.")
    ] = False,
    line_width: Annotated[
        float, typer.Option("--line-width", metavar="PX", min=0.1, help="Width of lines that have none of their own.")
    ] = 10.0,
    author: Annotated[str | None, typer.Option("--author", help="Who drew them \\[you].")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would happen and change nothing.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Take masks from a folder, a trainer's layout or an annotation program as corrections.

    Finished masks are used as they are; outlines grow like everything else. Everything is read first and kept in one
    go. Nothing is guessed: what matches no image, has another shape than its image, holds a shape that cannot be drawn,
    or would leave nothing masked is listed and left alone; so is what no person submitted, and what automask drew.
    """
    from automask.cli.making import working
    from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED
    from automask.importing.planning import ImportOptions
    from automask.importing.run import import_masks

    chosen = ImportOptions(
        format=format_,
        author=author or getpass.getuser(),
        inverts=invert,
        keeps_polarity=keep_polarity,
        replaces=replace,
        allows_empty=allow_empty,
        line_width_px=line_width,
        is_dry=dry_run,
    )
    with working("import", quiet=quiet) as (stop, progress):
        summary = import_masks(store, source, chosen, progress=progress, stop=stop)
    is_whole = not summary.unusable and not summary.would_empty
    exit_code = EXIT_INTERRUPTED if stop.is_set() else EXIT_OK if is_whole else EXIT_SOME_FAILED
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(summary), "exit_code": exit_code}, ensure_ascii=False))
    elif not quiet:
        _show(summary, is_dry=dry_run)
    raise typer.Exit(exit_code)


def _show(summary: ImportSummary, *, is_dry: bool) -> None:
    word = "would become corrections" if is_dry else "are corrections now"
    typer.echo(f"{len(summary.imported)} masks {word}, {len(summary.unchanged)} say what is there already")
    for title, names in (
        ("resized to their image", summary.resized),
        ("matched without the prefix of an upload", summary.prefixed),
        ("with the values 0 and 1, read as 0 and 255", summary.binary),
        ("corrected before and left alone, see --replace", summary.kept),
        ("of no image in the store", list(summary.unmatched)),
        ("would mask nothing any more and are left alone, see --allow-empty", summary.would_empty),
    ):
        if names:
            rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            typer.echo(f"{len(names)} {title}: {', '.join(names[:_SHOWN])}{rest}")
    for title, reasons in (("left alone", summary.left_alone), ("note", summary.notes)):
        for where, reason in list(reasons.items())[:_SHOWN]:
            typer.echo(f"{title}: {where}: {reason}")
        if len(reasons) > _SHOWN:
            typer.echo(f"{title}: {len(reasons) - _SHOWN} more")
    for where, reason in summary.unusable.items():
        typer.echo(f"unusable: {where}: {reason}")
    if summary.without:
        typer.echo(f"{summary.without} images of the store have no mask there")
    if summary.masking_nothing or summary.emptied:
        would = " would" if is_dry else ""
        own = f", {len(summary.emptied)} of them{would} by this import" if summary.emptied else ""
        typer.echo(f"{summary.masking_nothing} images of the store mask nothing now{own}")
