"""What `fill`, `crop` and `captions` share: a progress bar, a stop by Ctrl-C, and the exit code."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from automask.cli.console import error_console
from automask.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED

if TYPE_CHECKING:
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
