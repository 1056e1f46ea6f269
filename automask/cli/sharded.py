"""Sharded runs on the command line: what `run` and `status` say of them."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from automask.cli.summary import count_of, counts_of, devices_of, duration_of, row_of
from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED, ConfigError, StoreError

if TYPE_CHECKING:
    from automask.config import PipelineConfig
    from automask.run.shards.driver import ShardedSummary
    from automask.run.shards.status import TargetStatus

PROBLEMS_SHOWN = 20


def run_sharded_and_report(
    source: str,
    target: str | None,
    config: PipelineConfig,
    *,
    shard_images: int | None,
    engine: str,
    workers: int | None,
    gpus_per_worker: float,
    group_by: str | None,
    refresh_templates: bool,
    as_json: bool,
    quiet: bool,
    log_file: Path | None,
) -> None:
    """Run over shards, print the summary, and end with the run's exit code.

    Raises:
        ConfigError: There is no target.
    """
    from automask.cli.console import result_console
    from automask.cli.running import narrated
    from automask.run.engines.protocol import EngineOptions
    from automask.run.shards.driver import run_shards

    if target is None:
        raise ConfigError("A sharded run needs a target.", advice="Give --output, a folder or a URL.")
    with narrated(quiet=quiet, log_file=log_file) as (narrator, stop):
        summary = run_shards(
            source,
            target,
            config,
            shard_images=shard_images,
            engine=engine,
            options=EngineOptions(workers, gpus_per_worker),
            group_by=group_by,
            refresh_templates=refresh_templates,
            events=narrator,
            stop=stop,
        )
    if as_json:
        typer.echo(json.dumps(summary_json(summary), ensure_ascii=False))
    elif not quiet:
        console = result_console()
        for line in summary_lines(summary):
            console.print(line)
    raise typer.Exit(exit_code_of(summary))


def exit_code_of(summary: ShardedSummary) -> int:
    """The documented exit code."""
    if summary.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_SOME_FAILED if summary.failed or summary.damaged or summary.unfinished else EXIT_OK


def summary_json(summary: ShardedSummary) -> dict[str, Any]:
    """One object with plain values; keys are part of the public interface, see docs/scale.md."""
    return {
        "output": summary.target,
        "source": summary.source,
        "polarity": "white = train",
        "shards": summary.shards,
        "done": dict(summary.done),
        "reused": summary.reused,
        "elsewhere": summary.elsewhere,
        "damaged": dict(summary.damaged),
        "unfinished": dict(summary.unfinished),
        "images": summary.images,
        "failed": summary.failed,
        "verdicts": dict(summary.verdicts),
        "issues": dict(summary.issue_counts),
        "notices": [{"code": issue.code, "message": issue.message} for issue in summary.notices],
        "devices": {
            stage: {"device": place.device, "provider": place.provider} for stage, place in summary.placements.items()
        },
        "seconds": round(summary.seconds, 3),
        "interrupted": summary.interrupted,
        "exit_code": exit_code_of(summary),
    }


def summary_lines(summary: ShardedSummary) -> Iterator[Text]:
    """The summary for people."""
    rate = f", {summary.images / summary.seconds:.2f} images/s" if summary.images and summary.seconds > 0 else ""
    head = f"{count_of(summary.images, 'image')} in {duration_of(summary.seconds)}{rate}"
    yield Text(head, style="bold")
    works = ", ".join(f"{number} {work}" for work, number in summary.done.items()) or "none"
    others = f", {summary.elsewhere} by other drivers" if summary.elsewhere else ""
    yield row_of("shards", f"{works} of {summary.shards}, {summary.reused} up to date{others}")
    if summary.placements:
        yield row_of("devices", devices_of(summary.placements))
    if summary.failed:
        yield row_of("failed", count_of(summary.failed, "image has no mask", "images have no mask"), style="red")
    for title, shards in (("damaged", summary.damaged), ("unended", summary.unfinished)):
        for name, why in list(shards.items())[:PROBLEMS_SHOWN]:
            yield row_of(title, f"{name}: {why}", style="red")
        if len(shards) > PROBLEMS_SHOWN:
            yield row_of("", f"and {len(shards) - PROBLEMS_SHOWN} more")
    if summary.verdicts:
        yield row_of("verdicts", counts_of(summary.verdicts))
    for code, number in sorted(summary.issue_counts.items(), key=lambda item: -item[1]):
        yield row_of("issue", f"{code} x {number}", style="yellow")
    yield row_of("masks in", f"{summary.target}/masks   (white = train, black = ignore)")
    if summary.interrupted or summary.unfinished:
        again = shlex.join(["automask", *sys.argv[1:]])
        yield Text(f"Stopped before the end. To go on: {again}", style="yellow")


def tell_status(address: str, *, verify: bool, as_json: bool) -> None:
    """Print what a sharded target holds.

    Raises:
        StoreError: `verify` found something.
    """
    from automask.run.shards.status import status_of
    from automask.run.shards.status import verify as verified

    found = status_of(address)
    problems = list(verified(address)) if verify else []
    if as_json:
        content = {
            "target": _label(address),
            **dataclasses.asdict(found),
            "problems": [dataclasses.asdict(problem) for problem in problems] if verify else None,
        }
        typer.echo(json.dumps(content, ensure_ascii=False))
    else:
        for line in status_lines(_label(address), found):
            typer.echo(line)
        for problem in problems[:PROBLEMS_SHOWN]:
            typer.echo(f"problem {problem.code}: {problem.message}")
        if verify:
            typer.echo(f"verified: {len(problems)} problems")
    if problems:
        names = " ".join(sorted({problem.shard for problem in problems})[:PROBLEMS_SHOWN])
        raise StoreError(
            f"{_label(address)} has {len(problems)} problems, in shards {names}.",
            advice="Delete done/SHARD.done of these and run the same command again.",
            code=problems[0].code,
        )


def status_lines(label: str, found: TargetStatus) -> Iterator[str]:
    """The status for people."""
    if not found.is_listed:
        yield f"{label}: the source {found.head.source} was not listed to its end"
    share = f" ({100 * found.done // found.shards} %)" if found.shards else ""
    yield (
        f"{label}: {found.done} of {found.shards} shards done{share}, {found.claimed} being worked on, "
        f"{found.missing} to do"
    )
    failed = found.images - found.masks - found.decisions.get("excluded", 0)
    yield f"images: {found.images}, {found.masks} masks, {failed} failed"
    if found.decisions:
        yield "decided by a person: " + ", ".join(f"{number} {word}" for word, number in found.decisions.items())
    if found.corrected:
        yield f"corrected by a person: {count_of(found.corrected, 'image')}"
    if found.verdicts:
        yield "verdicts: " + ", ".join(f"{number} {verdict}" for verdict, number in found.verdicts.items())
    for code, number in sorted(found.issues.items(), key=lambda item: -item[1]):
        yield f"issue {code}: {number}"
    for name, why in list(found.damaged.items())[:PROBLEMS_SHOWN]:
        yield f"damaged {name}: {why}"
    if len(found.damaged) > PROBLEMS_SHOWN:
        yield f"damaged: {len(found.damaged)} shards in all"
    if found.outdated:
        yield f"made under another configuration than the newest: {found.outdated} shards"
    if found.undrawn:
        yield f"with corrections that the next run draws: {found.undrawn} shards"
    if found.templates_waiting:
        marks = count_of(found.templates_waiting, "mark or frame repeats and waits", "marks or frames repeat and wait")
        yield f"{marks} for a decision: automask overlays list {label}"
    if found.last_s is not None:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.last_s))
        yield f"last shard: {when}; {found.seconds:.0f} s of work in all, on {found.head.source}"
    for owner in found.owners:
        yield f"in use by {owner}"


def _label(address: str) -> str:
    from automask.run.shards.target import ShardTarget

    return ShardTarget.at(address).label
