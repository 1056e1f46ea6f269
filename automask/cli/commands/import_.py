"""`automask import`: masks that were drawn elsewhere become corrections."""

from __future__ import annotations

import dataclasses
import getpass
import json
from pathlib import Path
from typing import Annotated

import typer

from automask.cli import options

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
    author: Annotated[str | None, typer.Option("--author", help="Who drew them [you].")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would happen and change nothing.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Take masks from a folder, a trainer's layout or an annotation program as corrections.

    Finished masks are used as they are; outlines grow like everything else. Nothing is guessed: what matches no image,
    or has another shape than its image, is listed and left alone.
    """
    from automask.cli.making import working
    from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED
    from automask.importing.run import ImportOptions, import_masks

    chosen = ImportOptions(
        format=format_,
        author=author or getpass.getuser(),
        inverts=invert,
        keeps_polarity=keep_polarity,
        replaces=replace,
        is_dry=dry_run,
    )
    with working("import", quiet=quiet) as (stop, progress):
        summary = import_masks(store, source, chosen, progress=progress, stop=stop)
    exit_code = EXIT_INTERRUPTED if stop.is_set() else EXIT_SOME_FAILED if summary.unusable else EXIT_OK
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(summary), "exit_code": exit_code}, ensure_ascii=False))
    elif not quiet:
        word = "would become corrections" if dry_run else "are corrections now"
        typer.echo(f"{len(summary.imported)} masks {word}, {len(summary.unchanged)} were already")
        for title, names in (
            ("resized to their image", summary.resized),
            ("corrected before and left alone, see --replace", summary.kept),
            ("of no image in the store", list(summary.unmatched)),
        ):
            if names:
                rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                typer.echo(f"{len(names)} {title}: {', '.join(names[:_SHOWN])}{rest}")
        for where, reason in summary.unusable.items():
            typer.echo(f"unusable: {where}: {reason}")
        if summary.without:
            typer.echo(f"{summary.without} images of the store have no mask there")
    raise typer.Exit(exit_code)
