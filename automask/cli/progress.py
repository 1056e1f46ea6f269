"""What a person sees while a run works, on stderr: a bar with an ETA, or lines now and then where that is a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from automask.run.events import (
    QUESTION_CODE,
    Counted,
    FileSkipped,
    ImageDone,
    ImageFailed,
    ImageReused,
    MaskUpdated,
    Notice,
    RunEvent,
    StageDone,
    StageProgress,
)
from automask.values.types import Issue

EXAMPLES_PER_CODE = 3
"""How many images are named for each issue code; the report lists all."""

_LINE_S, _LINE_SHARE, _LONGEST_SILENCE_S = 10.0, 0.05, 60.0
"""Between two lines of progress in a log: at least so long, and so much more done unless it was quiet for so long."""

MUCH_MASKED_SHARE = 0.5
"""Above this share an image teaches little: several trainers warn from here on."""


class RunNarrator:
    """Shows events as they come and remembers the few examples that the summary needs.

    Args:
        console: Where to draw, on stderr.
        shows_progress: Draw a bar (lines where it is no terminal) and failures as they happen; without it only the
            memory is kept.
        clock: Seconds that only grow.
    """

    def __init__(self, console: Console, *, shows_progress: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.examples: dict[str, list[tuple[str, Issue]]] = {}
        self.much_masked: list[str] = []
        self.much_masked_count = 0
        self._console = console
        self._shows_progress = shows_progress
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _Remaining(),
            console=console,
            transient=True,
            disable=not (shows_progress and console.is_terminal),
        )
        self._task = self._progress.add_task("loading models", total=None)
        self._lines = _Lines(clock) if shows_progress and not console.is_terminal else None
        self._done = 0
        self._total: int | None = None
        self._failed = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def stop(self) -> None:
        """Leave the terminal as it was, so that a process ended at once leaves no hidden cursor."""
        self._progress.stop()

    def say(self, line: Text) -> None:
        """Print one line above the bar."""
        if self._shows_progress:
            self._console.print(line)

    def report_progress(self, done: int, total: int) -> None:
        """Show how far the report is."""
        self._show("report", done=done, total=total)

    def __call__(self, event: RunEvent) -> None:
        """Take one event of the run."""
        match event:
            case Counted(total=total):
                self._total = total
                self._progress.update(self._task, total=total)
            case Notice(issue=issue) if issue.code != QUESTION_CODE:  # the summary has those
                self.say(Text.assemble(("note ", "yellow"), (f"[{issue.code}] ", "dim"), issue.message))
            case ImageDone():
                self._advance()
                self._remember(event.image_id, event.issues)
                if event.masked_share > MUCH_MASKED_SHARE:
                    self._remember_much_masked(event.image_id)
            case ImageReused():
                self._advance()
            case MaskUpdated():
                if event.masked_share_before <= MUCH_MASKED_SHARE < event.masked_share:
                    self._remember_much_masked(event.image_id)
            case StageProgress():
                self._show(f"{event.stage}: {event.doing}", done=event.done, total=event.total)
            case ImageFailed():
                self._failed += 1
                self._advance()
                self._remember(event.image_id, event.issues)
                for issue in event.issues:
                    if issue.severity == "error":
                        self.say(
                            Text.assemble(
                                ("failed ", "red"), event.image_id, (f" [{issue.code}] ", "dim"), issue.message
                            )
                        )
            case FileSkipped() | StageDone():
                pass

    def _advance(self) -> None:
        self._done += 1
        note = f", {self._failed} failed" if self._failed else ""
        self._show("masks", done=self._done, total=self._total, note=note)

    def _show(self, doing: str, *, done: int, total: int | None, note: str = "") -> None:
        self._progress.update(self._task, description=doing + note, completed=done, total=total)
        line = self._lines.due(doing, done=done, total=total) if self._lines is not None else None
        if line is not None:
            self._console.print(line + note, soft_wrap=True, highlight=False, markup=False)

    def _remember_much_masked(self, image_id: str) -> None:
        self.much_masked_count += 1
        if len(self.much_masked) < EXAMPLES_PER_CODE:
            self.much_masked.append(image_id)

    def _remember(self, image_id: str, issues: tuple[Issue, ...]) -> None:
        for issue in issues:
            named = self.examples.setdefault(issue.code, [])
            if len(named) < EXAMPLES_PER_CODE:
                named.append((image_id, issue))


class _Lines:
    """Says now and then how far a run is, for logs: at most every 10 s, then at 5 % more or after a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._doing = ""
        self._began_s = self._said_s = clock()
        self._began_at = self._said_at = 0

    def due(self, doing: str, *, done: int, total: int | None) -> str | None:
        """The line to print now, or None."""
        now_s = self._clock()
        if doing != self._doing:
            self._doing, self._began_s, self._began_at, self._said_at = doing, now_s, done, 0
        waited_s = now_s - self._said_s
        enough = total is None or done - self._said_at >= _LINE_SHARE * total or done == total
        if waited_s < _LINE_S or not (enough or waited_s >= _LONGEST_SILENCE_S):
            return None
        self._said_s, self._said_at = now_s, done
        if total is None:
            return f"{doing}: {done}"
        line = f"{doing}: {done} of {total} ({100 * done // max(total, 1)} %)"
        if done <= self._began_at:
            return line
        return f"{line}, {_hours((total - done) * (now_s - self._began_s) / (done - self._began_at))} left"


def _hours(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{seconds:02d}"


class _Remaining(ProgressColumn):
    """Time to the end, once the number of images is known."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """The estimate of one task."""
        remaining = task.time_remaining
        if task.total is None or remaining is None:
            return Text("counting" if task.total is None else "", style="dim")
        return Text(f"{_hours(remaining)} left", style="cyan")
