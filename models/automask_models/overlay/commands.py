"""The command `automask overlays`: what repeats across a dataset, and one decision about it for all images."""

from __future__ import annotations

import getpass
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from automask.errors import EXIT_SOME_FAILED, InputError
from automask.plugins import build_dataset_detector
from automask.propagate.answers import answer
from automask.protocols import DatasetDetector
from automask.run.redraw import stored_config
from automask.run.shards.target import is_sharded
from automask.store import Store, write_atomic
from automask.values.templates import SHORT_ID, StoredTemplate, TemplateDecision, template_state
from automask.values.types import Image
from automask_models.overlay import sharded

app = typer.Typer(
    help="Show, apply, forget and save what repeats across a dataset.", no_args_is_help=True, add_completion=False
)

StoreFolder = Annotated[
    str, typer.Argument(metavar="STORE", help="Output of an earlier run: a folder, or a URL where it has shards.")
]
TemplateId = Annotated[str, typer.Argument(metavar="ID", help="The id from `overlays list`, or how it begins.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]
IMAGES_SHOWN = 10


@app.command("list")
def list_templates(store: StoreFolder, *, as_json: JsonFlag = False) -> None:
    """Show every mark and frame that repeats, in how many images, and what is done about it."""
    if is_sharded(store):
        sharded.list_templates(store, as_json=as_json)
        return
    with Store.open(Path(store), read_only=True) as opened:
        known = opened.templates.all()
    if as_json:
        sys.stdout.write(json.dumps([_row(each) for each in known], indent=2) + "\n")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    target = sharded.gathered_from(Path(store))
    if target is not None:
        typer.echo(f"What repeats is decided about for the whole run: automask overlays list {target}")
    if not known:
        if target is None:
            console.print("Nothing repeats across these images.")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("id", "kind", "where", "images", "area", "confidence", "state"):
        is_number = heading in ("images", "area", "confidence")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=heading == "id")
    for each in known:
        template = each.template
        table.add_row(
            template.id,
            template.kind.value,
            template.anchor,
            f"{each.matches:,}",
            f"{template.area_share:.1%}",
            f"{template.confidence:.2f}",
            template_state(each),
        )
    console.print(table)
    if any(each.waits_for_decision for each in known):
        console.print(f"To decide for all images: automask overlays apply {store} ID, or forget {store} ID.")


@app.command("show")
def show_template(
    store: StoreFolder,
    template_id: TemplateId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PNG", help="Where its picture goes [ID.png here].")
    ] = None,
) -> None:
    """Write a template's picture to a PNG, and name images that show it."""
    if is_sharded(store):
        sharded.show_template(store, template_id, output)
        return
    with Store.open(Path(store), read_only=True) as opened:
        found = opened.templates.find(template_id)
        images = opened.templates.images_of(found.template.id, limit=IMAGES_SHOWN)
    target = output or Path(f"{found.template.id}.png")
    write_atomic(target, found.template.picture_png)
    for key, value in _row(found).items():
        typer.echo(f"{key:<12} {value}")
    more = f" and {found.matches - len(images)} more" if found.matches > len(images) else ""
    typer.echo(f"{'shown by':<12} {', '.join(images) or 'no image'}{more}")
    typer.echo(f"{'picture':<12} {target}")


@app.command("apply")
def apply_template(store: StoreFolder, template_id: TemplateId) -> None:
    """Mask a template in every image that shows it, now and in later runs."""
    _decide(store, template_id, TemplateDecision.APPLY)


@app.command("forget")
def forget_template(store: StoreFolder, template_id: TemplateId) -> None:
    """Leave a template alone in every image, now and in later runs."""
    _decide(store, template_id, TemplateDecision.FORGET)


@app.command("take-back")
def take_back(store: StoreFolder, template_id: TemplateId) -> None:
    """Take back what was decided about a template: its masks are as they were before."""
    _decide(store, template_id, None)


@app.command("save")
def save_template(
    store: StoreFolder,
    template_id: TemplateId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it [ID.template here].")
    ] = None,
) -> None:
    """Write a template to a file, for other datasets and for single images (`run --templates FILE`)."""
    if is_sharded(store):
        sharded.save_template(store, template_id, output)
        return
    root = Path(store)
    with Store.open(root, read_only=True) as opened:
        found = opened.templates.find(template_id)
        template = found.template
    if found.decision is TemplateDecision.APPLY:
        template = _detector(root, template.detector).confirmed(template)
    target = output or Path(f"{template.id}.template")
    write_atomic(target, template.content)
    typer.echo(str(target))


@app.command("make")
def make_template(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image that shows the mark or frame.")],
    mask: Annotated[
        Path, typer.Argument(metavar="MASK", help="PNG of the same size: black where the mark or frame is, else white.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it [IMAGE.template here].")
    ] = None,
) -> None:
    """Make a template from one image and a mask drawn by hand (`run --templates FILE` finds it in others)."""
    from PIL import Image as PillowImage

    from automask_models.overlay.detector import OverlayDetector
    from automask_models.overlay.options import OverlayOptions

    decoded = _decoded(image)
    try:
        with PillowImage.open(mask, formats=("PNG",)) as picture:
            levels = np.asarray(picture.convert("L"))
    except (OSError, ValueError) as error:
        raise _unusable(f"Cannot read the mask {mask}: {error}.", advice="Give a PNG.") from error
    if levels.shape != decoded.pixels.shape[:2]:
        size, expected = f"{levels.shape[1]} x {levels.shape[0]} px", f"{decoded.width_px} x {decoded.height_px} px"
        raise _unusable(
            f"{mask} is {size}, {image} is {expected}.", advice="Draw the mask at the size of the upright image."
        )
    try:
        template = OverlayDetector(OverlayOptions()).template_of_mask(decoded, levels < 128)
    except ValueError as error:
        raise _unusable(f"{mask} gives no template: {error}.", advice="Black is what is masked.") from error
    target = output or Path(f"{image.stem}.template")
    write_atomic(target, template.content)
    typer.echo(str(target))


def _decide(address: str, template_id: str, decision: TemplateDecision | None) -> None:
    if is_sharded(address):
        sharded.decide(address, template_id, decision)
        return
    root = Path(address)
    with Store.open(root) as store, store.lock():
        done = answer(store, template_id, decision, author=_author(), config=stored_config(root))
        state = template_state(store.templates.find(done.template_id))
    typer.echo(f"{done.template_id}: {state}. {len(done.drawn)} masks drawn again.")
    if decision is not None:
        typer.echo(
            f"To take it back: automask overlays take-back {shlex.quote(str(root))} {done.template_id[:SHORT_ID]}"
        )
    if done.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _unusable(message: str, *, advice: str) -> InputError:
    return InputError(message, advice=advice, code="mask-unusable")


def _detector(root: Path, name: str) -> DatasetDetector:
    from automask.weights import WeightLibrary

    config = stored_config(root)
    return build_dataset_detector(
        name, options=config.options.get(name, {}), weights=WeightLibrary.discover(), runtime=config.runtime
    )


def _author() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user, as in containers
        return "unknown"


def _decoded(path: Path) -> Image:
    from automask.config import DecodeConfig
    from automask.dataset.decode import decode_bytes

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.", advice="Check the path.") from error
    return decode_bytes(data, image_id=path.name, config=DecodeConfig()).image


def _row(each: StoredTemplate) -> dict[str, object]:
    template = each.template
    return {
        "id": template.id,
        "kind": template.kind.value,
        "where": template.anchor,
        "origin": each.origin.value,
        "images": each.matches,
        "compared": template.images,
        "support": round(template.support, 4),
        "confidence": template.confidence,
        "area": round(template.area_share, 4),
        "needs_review": template.needs_review,
        "active": each.is_active,
        "decision": each.decision.value if each.decision is not None else None,
        "decided_by": each.author,
        "state": template_state(each),
    }
