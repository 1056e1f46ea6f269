"""`automask crop`: images without their frames and bars."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.cli import options

if TYPE_CHECKING:
    from automask.fill.crops import Reason

SHOWN = 20


def crop(
    store: options.StoreFolder,
    write: Annotated[bool, typer.Option("--write", help="Make the crops; otherwise they are only listed.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="New folder [IMAGES-cropped beside the images]."),
    ] = None,
    most_lost: Annotated[
        float,
        typer.Option("--max-loss", min=0.0, max=1.0, help="Keep images whole that would lose more of their content."),
    ] = 0.25,
    least_side_px: Annotated[
        int, typer.Option("--min-side-px", min=1, help="Keep images whole whose crop would have a shorter side.")
    ] = 512,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Propose (and with --write make) crops that drop frames and bars, with the loss of content stated.

    A mask is better where the trainer takes one: a crop loses whatever lies beside it (rounded and crooked frames,
    things that reach into the border), changes the composition, and does nothing about text and watermarks inside. It
    is right for plain bars and borders. The images themselves are not touched; captions are copied along.
    """
    from automask.cli.making import show_making, working
    from automask.fill.folder import MadeFolder
    from automask.fill.making import MadeImage, Outcome, copy_captions, crop_images
    from automask.fill.source import StoreSource

    with StoreSource.open(store) as source:
        folder = None
        if write:
            root = output or source.input_root.with_name(f"{source.input_root.name}-cropped")
            folder = MadeFolder.prepare(root, maker="crop", keep_out=(source.input_root, store))
        with working("crop", quiet=quiet) as (stop, progress):
            making = crop_images(
                source,
                folder,
                most_content_lost=most_lost,
                least_side_px=least_side_px,
                stop=stop,
                progress=progress,
            )
        captions = copy_captions(source, folder, making) if folder is not None else 0

    def facts(image: MadeImage) -> dict[str, Any]:
        found = image.crop
        return {
            "image": image.image_id,
            "outcome": image.outcome.value,
            "box_xyxy": found.box.xyxy if found else None,
            "area_lost": round(found.area_lost, 4) if found else 0.0,
            "content_lost": round(found.content_lost, 4) if found else 0.0,
            "other_masked_things_left": image.text_left,
        }

    why = partial(_why, most_lost=most_lost, least_side_px=least_side_px)
    listed = [image for image in making.images if image.crop is not None]
    if as_json:
        content = {
            "output": str(folder.root) if folder is not None else None,
            **{outcome.value: making.count(outcome) for outcome in Outcome},
            "captions": captions,
            "crops": [facts(image) for image in listed],
            "whole": [
                {"image": image.image_id, "reason": image.reason.value, "why": why(image.reason)}
                for image in making.images
                if image.reason is not None
            ],
        }
        typer.echo(json.dumps(content, ensure_ascii=False))
    elif not quiet:
        for image in listed[:SHOWN]:
            kept = f" - kept whole: {why(image.reason)}" if image.reason is not None else ""
            typer.echo(_line(image.image_id, facts(image)) + kept)
        if len(listed) > SHOWN:
            typer.echo(f"... and {len(listed) - SHOWN} more; --json lists all")
        did = f"made in {folder.root}" if folder is not None else "proposed; --write makes them"
        typer.echo(f"{making.count(Outcome.CHANGED)} crops {did}")
        told_below = (Outcome.EXCLUDED, Outcome.FAILED)
        for reason, count in Counter(
            image.reason for image in making.images if image.outcome not in told_below
        ).items():
            if reason is not None:
                typer.echo(f"{count} not cropped: {why(reason)}")
    show_making(making)


def _line(image_id: str, facts: dict[str, Any]) -> str:
    x0, y0, x1, y1 = facts["box_xyxy"]
    text = (
        f"{image_id}: {x1 - x0} x {y1 - y0} px at ({x0}, {y0}), loses {facts['content_lost']:.1%} of the content "
        f"({facts['area_lost']:.1%} of the area)"
    )
    if facts["other_masked_things_left"]:
        text += ", text or marks stay inside"
    return text


def _why(reason: Reason, *, most_lost: float, least_side_px: int) -> str:
    from automask.fill.crops import Reason

    return {
        Reason.NOTHING_MASKED: "nothing is masked",
        Reason.NO_FRAME: "what is masked is no frame, and a crop would not drop it",
        Reason.ALL_FRAME: "all of it is masked as frame",
        Reason.SMALL_ALREADY: f"the image itself has a side under {least_side_px} px (--min-side-px)",
        Reason.TOO_SMALL: f"the crop would have a side under {least_side_px} px (--min-side-px)",
        Reason.CONTENT_LOST: f"the crop would lose over {most_lost:.0%} of the picture (--max-loss)",
        Reason.EXCLUDED: "left out in review, so there is no copy of it either",
        Reason.UNREADABLE: "the image cannot be used, see its error",
    }[reason]
