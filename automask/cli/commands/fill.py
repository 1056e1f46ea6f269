"""`automask fill`: images with the masked parts painted over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from automask.cli import options
from automask.errors import ConfigError


def fill(
    store: options.StoreFolder,
    fill: Annotated[
        str,
        typer.Option("--fill", metavar="none|mean|blur|noise|inpaint", help="What takes the place of masked parts."),
    ] = "inpaint",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="New folder [IMAGES-filled beside the images].")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write copies of all images with masked parts painted over, for trainers that read no masks.

    A mask is better where the trainer takes one: it says "do not learn this", while a filled image says "learn this
    instead", and what was painted (smears, flat patches, noise) is learned like everything else. Fill large areas with
    crop or leave the image out. The images themselves are not touched; captions are copied along.
    """
    from automask.cli.making import show_making, working
    from automask.fill.folder import MadeFolder
    from automask.fill.making import Outcome, copy_captions, fill_images
    from automask.fill.methods import Fill
    from automask.fill.source import StoreSource

    try:
        method = Fill(fill)
    except ValueError as error:
        raise ConfigError(f"--fill {fill} is unknown.", advice=f"One of: {', '.join(Fill)}.") from error
    with StoreSource.open(store) as source:
        root = output or source.input_root.with_name(f"{source.input_root.name}-filled")
        folder = MadeFolder.prepare(root, maker="fill", keep_out=(source.input_root, store))
        with working("fill", quiet=quiet) as (stop, progress):
            making = fill_images(source, folder, method, stop=stop, progress=progress)
        captions = copy_captions(source, folder, making)
    if as_json:
        content = {
            "output": str(folder.root),
            "fill": method.value,
            **{
                outcome.value: making.count(outcome)
                for outcome in (Outcome.CHANGED, Outcome.UNCHANGED, Outcome.EXCLUDED, Outcome.FAILED)
            },
            "captions": captions,
            "issues": [{"image": one.image_id, "code": one.issue.code} for one in making.images if one.issue],
        }
        typer.echo(json.dumps(content, ensure_ascii=False))
    elif not quiet:
        typer.echo(
            f"{folder.root}: {making.count(Outcome.CHANGED)} images filled ({method}), "
            f"{making.count(Outcome.UNCHANGED)} copied as they are, {captions} captions copied"
        )
        typer.echo("Masks are better where your trainer reads them: what was painted in is learned.")
    show_making(making)
