"""`automask status`: what a store holds."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from automask.cli import options
from automask.errors import StoreError

PROBLEMS_SHOWN = 20


def status(
    store: Annotated[
        str,
        typer.Argument(metavar="STORE", help="Output of an earlier run, a folder or a URL.", show_default=False),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Also read every mask and result and compare hashes.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show totals, verdicts, issues and the last run of a store; one of an older automask is brought up to date."""
    from automask.run.shards.target import is_sharded

    if is_sharded(store):
        from automask.cli.sharded import tell_status

        tell_status(store, verify=verify, as_json=as_json)
        return
    _tell(Path(store), verify=verify, as_json=as_json)


def _tell(store: Path, *, verify: bool, as_json: bool) -> None:
    from automask.store import Store

    _bring_up_to_date(store)
    with Store.open(store, read_only=True) as opened:
        counts, last, owner = opened.counts(), opened.last_run(), opened.lock_owner()
        problems = list(opened.verify()) if verify else []
    if as_json:
        content: dict[str, Any] = {
            "store": str(store),
            "counts": dataclasses.asdict(counts),
            "last_run": dataclasses.asdict(last) if last is not None else None,
            "owner": str(owner) if owner is not None else None,
            "problems": [dataclasses.asdict(problem) for problem in problems] if verify else None,
        }
        typer.echo(json.dumps(content, ensure_ascii=False, default=str))
    else:
        typer.echo(f"{store}: {counts.done} masks, {counts.failed} failed, {counts.missing} missing")
        typer.echo(f"verdicts: {counts.review} review, {counts.auto} auto; {counts.corrected} corrected by a person")
        if counts.decisions:
            decided = ", ".join(f"{number} {decision.value}" for decision, number in counts.decisions.items())
            typer.echo(f"decided by a person: {decided}")
        if counts.kinds:
            typer.echo("found: " + ", ".join(f"{kind.value} on {n}" for kind, n in counts.kinds.items()))
        if counts.over_half_masked:
            typer.echo(f"masked over more than half of the area: {counts.over_half_masked}")
        for code, number in sorted(counts.issues.items(), key=lambda item: -item[1]):
            typer.echo(f"issue {code}: {number}")
        if last is not None:
            started = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.started_s))
            typer.echo(f"last run: {last.status}, {started}, automask {last.version}, on {last.input_root}")
        if owner is not None:
            typer.echo(f"in use by {owner}")
        for problem in problems[:PROBLEMS_SHOWN]:
            typer.echo(f"problem {problem.code}: {problem.message}")
        if verify:
            typer.echo(f"verified: {len(problems)} problems")
    if problems:
        raise StoreError(
            f"{store} has {len(problems)} problems.",
            advice="`automask run` on the same folder makes missing and changed masks again.",
            code=problems[0].code,
        )


def _bring_up_to_date(store: Path) -> None:
    """Update a store of an older version, as whoever only reads cannot."""
    from automask.store import Store

    try:
        Store.open(store, read_only=True).close()
    except StoreError as error:
        if error.code != "store-outdated":
            raise
        Store.open(store).close()
