"""What `run`, `render` and `demo` share: progress while they work, report, summary and exit code at the end."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from automask.cli.console import error_console, log_to_file, protected_stdout, result_console
from automask.cli.interrupt import stop_on_interrupt
from automask.cli.progress import RunNarrator
from automask.cli.summary import exit_code_of, summary_json, summary_lines
from automask.run.events import RunSummary


@contextlib.contextmanager
def narrated(*, quiet: bool, log_file: Path | None) -> Iterator[tuple[RunNarrator, threading.Event]]:
    """Give the sink for a run's events and the event that Ctrl-C sets; stdout is guarded meanwhile.

    Raises:
        OutputError: The log file cannot be written.
    """
    if log_file is not None:
        log_to_file(log_file)
    console = error_console()
    narrator = RunNarrator(console, shows_progress=not quiet)

    def announce_stop(number: signal.Signals) -> None:
        narrator.stop()
        again = "Ctrl-C again" if number is signal.SIGINT else f"A second {number.name}"
        if not quiet:
            console.print(f"Stopping after the image in hand. {again} ends at once; finished work is kept.")

    def announce_end() -> None:
        if not quiet:
            again = shlex.join(["automask", *sys.argv[1:]])
            console.print("Ended in the middle of an image that takes long; finished work is kept.")
            console.print(f"To go on: {again}", markup=False, soft_wrap=True)

    with protected_stdout(), stop_on_interrupt(announce_stop, on_grace_over=announce_end) as stop, narrator:
        yield narrator, stop


@dataclass(frozen=True, slots=True)
class EndOfRun:
    """Everything that is said at the end.

    Attributes:
        summary: What the run did.
        narrator: The examples it remembers.
        report: First page of the report, or None where none was written.
    """

    summary: RunSummary
    narrator: RunNarrator
    report: Path | None

    @property
    def exit_code(self) -> int:
        """The documented exit code."""
        return exit_code_of(self.summary)

    def tell(self, *, as_json: bool, quiet: bool) -> None:
        """Print the summary on stdout: one JSON object, lines for people, or nothing."""
        if as_json:
            typer.echo(json.dumps(summary_json(self.summary, self.narrator, report=self.report)))
        elif not quiet:
            console = result_console()
            again = ["automask", *sys.argv[1:]]
            for line in summary_lines(self.summary, self.narrator, report=self.report, command_again=again):
                console.print(line)


def end_of_run(summary: RunSummary, narrator: RunNarrator, *, writes_report: bool, stop: threading.Event) -> EndOfRun:
    """Write the report, unless the run was interrupted or nobody wants one.

    Raises:
        OutputError: The report cannot be written.
    """
    report = None
    if writes_report and not summary.interrupted:
        from automask.report.pages import write_report

        page = write_report(summary.output, only_if_changed=True, stop=stop, progress=narrator.report_progress)
        report = None if stop.is_set() else page  # pages after the interrupted one are old or not there
    return EndOfRun(summary=summary, narrator=narrator, report=report)
