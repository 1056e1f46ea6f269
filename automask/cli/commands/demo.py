"""`automask demo`: the main job on the bundled images."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from automask.cli import options

EXAMPLE_SUFFIXES = frozenset({".png", ".jpg", ".webp"})


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where images and masks go.")] = Path(
        "automask-demo"
    ),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Copy eight bundled images to OUT/images and run on them. Needs no network."""
    from automask.cli.commands.run import run_and_report

    images = output / "images"
    copy_examples(images)
    run_and_report(
        images,
        None,
        options.load(None),
        image_list=None,
        server=None,
        writes_report=True,
        as_json=as_json,
        quiet=quiet,
        log_file=None,
    )


def copy_examples(target: Path) -> None:
    """Copy the bundled images below a folder; files that are there already keep their time stamps.

    Raises:
        OutputError: The folder cannot be written.
    """
    from automask.files.atomic import output_error

    with as_file(files("automask") / "examples") as examples:
        for source in sorted(examples.rglob("*")):
            copy = target / source.relative_to(examples)
            if source.suffix not in EXAMPLE_SUFFIXES:
                continue
            try:
                if copy.is_file() and copy.stat().st_size == source.stat().st_size:
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
            except OSError as error:
                raise output_error(error, copy) from error
