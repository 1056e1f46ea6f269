"""What commands that make something of many images share: a progress bar, a stop by Ctrl-C, and the exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from automask.cli.console import error_console
from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from automask.fill.making import Making

_SHOWN = 10


@contextlib.contextmanager
def working(name: str, *, quiet: bool) -> Iterator[tuple[threading.Event, Callable[[int, int], None]]]:
    """A progress bar on stderr: gives the event that Ctrl-C sets, and what to call with images done and in all."""
    from rich.progress import Progress

    from automask.cli.interrupt import stop_on_interrupt

    console = error_console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        with stop_on_interrupt(lambda _: bar.stop()) as stop:
            yield stop, progress


def told_of(items: Sequence[str], *, of_all: str) -> Iterator[str]:
    """The first lines of many, then how many more there are, named by `of_all`."""
    yield from items[:_SHOWN]
    if len(items) > _SHOWN:
        yield f"{of_all}: {len(items) - _SHOWN} more"


def ended(
    summary: DataclassInstance,
    *,
    is_whole: bool,
    interrupted: bool,
    as_json: bool,
    show: Callable[[], None] | None,
) -> NoReturn:
    """Tell on stdout what came of it and end the command.

    Args:
        summary: What came of it.
        is_whole: Whether nothing was left out.
        interrupted: Whether it was stopped before its end.
        as_json: Tell it as one JSON object.
        show: Tells it in words; None to say nothing.

    Raises:
        typer.Exit: Always, with the exit code.
    """
    exit_code = EXIT_INTERRUPTED if interrupted else EXIT_OK if is_whole else EXIT_SOME_FAILED
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(summary), "exit_code": exit_code}, ensure_ascii=False))
    elif show is not None:
        show()
    raise typer.Exit(exit_code)


def show_making(making: Making) -> None:
    """Tell on stderr how many images were left out, and name those that failed.

    Raises:
        typer.Exit: Some images failed, or the work was interrupted.
    """
    from automask.fill.making import Outcome

    console = error_console()
    excluded = making.count(Outcome.EXCLUDED)
    if excluded:
        console.print(f"{excluded} images were left out, as decided in review")
    failed = [image for image in making.images if image.issue is not None]
    for image in failed[:_SHOWN]:
        if image.issue is not None:
            console.print(f"failed [{image.issue.code}] {image.issue.message}", markup=False)
    if len(failed) > _SHOWN:
        console.print(f"... and {len(failed) - _SHOWN} more")
    if making.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)
