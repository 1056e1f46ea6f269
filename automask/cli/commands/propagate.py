"""`automask propagate`: what was put right on one image, on all that show the same mark."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from automask.propagate.operations import Mode
    from automask.store import Store


def propagate(
    store: options.StoreFolder,
    source: Annotated[
        str | None, typer.Option("--from", metavar="IMAGE", help="The corrected image, as the store names it.")
    ] = None,
    box: Annotated[
        str | None, typer.Option("--box", metavar="X0,Y0,X1,Y1", help="Only what was corrected in these pixels.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", metavar="add|remove", help="Only what was masked, or only what was unmasked."),
    ] = None,
    least_score: Annotated[
        float | None, typer.Option("--least-score", min=0.0, max=1.0, help="How alike both places must look [0.5].")
    ] = None,
    undo: Annotated[
        str | None, typer.Option("--undo", metavar="OPERATION", help="Take an earlier propagation back.")
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Who, for the history \\[you].")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the images and change nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Apply what a person corrected on one image to the other images of a store that show the same mark.

    `--dry-run` lists them first. One `--undo` takes all of it back; what people corrected afterwards stays.
    """
    from automask.errors import ConfigError
    from automask.store import Store

    if (source is None) == (undo is None):
        raise ConfigError("Either --from or --undo is needed.", advice="Name the corrected image: --from IMAGE.")
    name = author or getpass.getuser()
    with Store.open(store, read_only=dry_run) as opened:
        if undo is not None:
            told = _undone(opened, undo, author=name, is_dry=dry_run)
        else:
            told = _spread(
                opened, source or "", box=box, mode=mode, least_score=least_score, author=name, is_dry=dry_run
            )
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else _for_people(told, store))


def _spread(
    store: Store,
    image_id: str,
    *,
    box: str | None,
    mode: str | None,
    least_score: float | None,
    author: str,
    is_dry: bool,
) -> dict[str, Any]:
    from automask.propagate.propagation import LEAST_SCORE, apply, propose

    artefact, chosen = _corrected(store, image_id, box=box, mode=mode)
    found = propose(store, image_id, artefact, least_score=LEAST_SCORE if least_score is None else least_score)
    operation = None
    row = store.lookup(image_id)
    if found and not is_dry and row is not None and row.content_sha256 is not None:
        operation = apply(store, found, mode=chosen, author=author, source_sha256=row.content_sha256)
    images = [{"image": each.image_id, "score": round(each.score, 4), "box": each.box.xyxy} for each in found]
    return {"from": image_id, "mode": chosen, "images": images, "operation": operation}


def _undone(store: Store, operation: str, *, author: str, is_dry: bool) -> dict[str, Any]:
    from automask.errors import ConfigError
    from automask.propagate.propagation import undo

    if is_dry:
        raise ConfigError("--undo has no dry run.", advice="`automask propagate --from` can be repeated afterwards.")
    undone = undo(store, operation, author=author)
    return {"undone": operation, "reverted": len(undone.reverted), "adjusted": len(undone.adjusted)}


def _corrected(store: Store, image_id: str, *, box: str | None, mode: str | None) -> tuple[NDArray[np.bool_], Mode]:
    """The pixels that a person masked or unmasked on an image.

    Raises:
        ConfigError: `mode` or `box` is wrong, or both kinds are there and none was chosen.
        InputError: Nobody corrected the image there, or its whole mask was replaced.
    """
    from automask.errors import ConfigError, InputError

    if mode not in (None, "add", "remove"):
        raise ConfigError(f"--mode {mode} is not known.", advice="Known: add, remove.")
    row = store.lookup(image_id)
    newest = store.correction(row.content_sha256) if row is not None and row.content_sha256 is not None else None
    layers = newest.layers if newest is not None else None
    found: dict[Mode, NDArray[np.bool_]] = {}
    if layers is not None:
        window = _window(box)
        modes: tuple[Mode, ...] = ("add", "remove")
        for each in modes:
            layer: NDArray[np.bool_] | None = getattr(layers, each)
            if layer is None or mode not in (None, each):
                continue
            part = layer.copy()
            if window is not None:
                part[:] = False
                part[window] = layer[window]
            if part.any():
                found[each] = part
    if len(found) > 1:
        raise ConfigError(
            f"{image_id} has pixels that were masked and others that were unmasked.",
            advice="Choose with --mode add or --mode remove, or name a --box.",
        )
    for chosen, part in found.items():
        return part, chosen
    if (
        layers is not None
        and layers.replaces
        and not any(layer is not None and layer.any() for layer in (layers.add, layers.remove))
    ):
        raise InputError(
            f"The correction of {image_id} replaces its whole mask, as an imported mask does, and does not tell what "
            "was put right: it cannot be propagated.",
            advice="Mark the pixels on it in `automask review` and propagate those, or use `automask import` with "
            "masks of the other images too.",
        )
    raise InputError(
        f"Nobody corrected {image_id} there.",
        advice="Correct it in `automask review` first; names are those of `automask status` and of the masks.",
    )


def _window(box: str | None) -> tuple[slice, slice] | None:
    from automask.errors import ConfigError

    if box is None:
        return None
    try:
        x0, y0, x1, y1 = (int(part) for part in box.split(","))
    except ValueError as error:
        raise ConfigError(f"--box {box} is not a box.", advice="Write X0,Y0,X1,Y1 in pixels.") from error
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        raise ConfigError(f"--box {box} is empty.", advice="Write X0,Y0,X1,Y1 in pixels, X0 < X1 and Y0 < Y1.")
    return slice(y0, y1), slice(x0, x1)


def _for_people(told: dict[str, Any], store: Path) -> str:
    if "undone" in told:
        adjusted = f"; {told['adjusted']} corrected since keep the rest" if told["adjusted"] else ""
        return f"{told['reverted']} images are as they were before{adjusted}."
    lines = [f"{one['score']:.2f}  {one['image']}" for one in told["images"]]
    if not lines:
        return "No other image shows the same mark."
    if told["operation"] is None:
        return "\n".join([*lines, f"{len(lines)} images show the same mark; nothing was changed (--dry-run)."])
    back = f"To take it back: automask propagate {store} --undo {told['operation']}"
    return "\n".join([*lines, f"Corrected {len(lines)} images.", back])
