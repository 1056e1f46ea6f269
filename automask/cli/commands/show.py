"""`automask show`: one image with its mask and regions."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Annotated

import typer

from automask.cli import options
from automask.errors import InputError


def show(
    store: options.StoreFolder,
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="Its name in the report, such as sub/a.jpg.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PNG", help="Where to write [IMAGE-mask.png here].")
    ] = None,
) -> None:
    """Draw an image, full size, with its mask in red and its regions outlined, to a PNG."""
    from PIL import Image as PillowImage

    from automask.config import DecodeConfig
    from automask.dataset.decode import decode
    from automask.dataset.stored import file_of_row
    from automask.files.atomic import write_atomic
    from automask.report.overlay import outline, tint
    from automask.report.source import ReportSource

    with ReportSource.open(store) as source:
        row = source.store.lookup(image)
        if row is None:
            raise InputError(
                f"{store} has no image {image!r}.",
                advice="Names are paths below the input folder, as the report shows them.",
                code="image-unknown",
            )
        file = file_of_row(row, source.image_path(row))
        pixels = decode(file, DecodeConfig()).image.pixels
        levels = source.levels(row)
        if levels is not None and levels.shape != pixels.shape[:2]:
            raise InputError(
                f"{file.path} has changed its size since its mask was made.",
                advice="Run `automask run` on its folder first.",
                code="image-changed",
            )
        picture = PillowImage.fromarray(tint(pixels, levels))
        outline(picture, source.marks(row))
    target = output or Path(re.sub(r"[/\\]", "-", str(Path(image).with_suffix(""))) + "-mask.png")
    data = io.BytesIO()
    picture.save(data, "PNG")
    write_atomic(target, data.getvalue())
    typer.echo(str(target))
