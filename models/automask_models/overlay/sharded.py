"""`automask overlays` on a sharded target: what its sample showed, and decisions that hold for all of its shards."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from automask.errors import StoreError
from automask.run.shards.deciding import TargetTemplate, TargetTemplates, TemplateState
from automask.run.shards.gathered import GatheredFrom
from automask.store import write_atomic
from automask.values.templates import SHORT_ID, TemplateDecision

_WORDS: dict[TemplateState, str] = {
    "applied": "masked",
    "waiting": "waits for a decision",
    "forgotten": "left alone (somebody decided)",
}


def list_templates(address: str, *, as_json: bool) -> None:
    """Print the templates of a target."""
    known = TargetTemplates(address).all()
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(one) for one in known], indent=2) + "\n")
        return
    if not known:
        typer.echo("Nothing repeats in the sample.")
    for one in known:
        group = f"  of {one.group}" if one.group else ""
        typer.echo(f"{one.id}  {_WORDS[one.state]}{group}")
    if any(one.state == "waiting" for one in known):
        typer.echo(
            f"Look at it: automask overlays show {address} ID. To decide for all images: automask overlays apply "
            f"{address} ID, or forget {address} ID."
        )


def show_template(address: str, template_id: str, output: Path | None) -> None:
    """Write the picture of a template."""
    target = TargetTemplates(address)
    found = target.find(template_id)
    path = output or Path(f"{found[0].id}.png")
    write_atomic(path, target.read(found[0].picture))
    typer.echo(f"{'id':<12} {found[0].id}")
    typer.echo(f"{'state':<12} {_state(found)}")
    if groups := [one.group for one in found if one.group]:
        typer.echo(f"{'groups':<12} {', '.join(groups)}")
    typer.echo(f"{'picture':<12} {path}")


def save_template(address: str, template_id: str, output: Path | None) -> None:
    """Write the file of a template."""
    target = TargetTemplates(address)
    found = target.find(template_id)
    path = output or Path(f"{found[0].id}.template")
    write_atomic(path, target.read(found[0].file))
    typer.echo(str(path))


def decide(address: str, template_id: str, decision: TemplateDecision | None) -> None:
    """Decide about a template for all images of a target."""
    found, changes = TargetTemplates(address).decide(template_id, decision)
    then = (
        "The next `automask run` on it does all shards again, models too."
        if changes
        else "No mask changes by that, and no shard is done again."
    )
    typer.echo(f"{found[0].id}: {_state(found)}. {then}")
    if decision is not None:
        typer.echo(f"To take it back: automask overlays take-back {address} {found[0].id[:SHORT_ID]}")


def gathered_from(root: Path) -> str | None:
    """The target that the images of a store were gathered from, or None: there it is decided what repeats."""
    try:
        known = GatheredFrom.read(root)
    except StoreError:
        return None
    return known.target if known is not None else None


def _state(found: Sequence[TargetTemplate]) -> str:
    return ", ".join(dict.fromkeys(_WORDS[one.state] for one in found))
