"""The end of a run in words and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from automask.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED
from automask.extras import commands_for
from automask.run.events import QUESTION_CODE, about_dataset

if TYPE_CHECKING:
    from automask.cli.progress import RunNarrator
    from automask.run.events import RunSummary
    from automask.values.placement import Placement

_WORK_WORDS = {"analysed": "analysed", "refined": "only refined again", "rendered": "only drawn again"}


def exit_code_of(summary: RunSummary) -> int:
    """The documented exit code of a run that came to its end."""
    if summary.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_SOME_FAILED if summary.failed else EXIT_OK


def summary_json(summary: RunSummary, narrator: RunNarrator, *, report: Path | None) -> dict[str, Any]:
    """One object with plain values; keys are part of the public interface, see docs/cli.md."""
    return {
        "output": str(summary.output),
        "masks": str(summary.output / "masks"),
        "report": str(report) if report is not None else None,
        "polarity": "white = train",
        "images": summary.images,
        "written": dict(summary.written),
        "reused": summary.reused,
        "updated": summary.updated,
        "failed": summary.failed,
        "missing": summary.missing,
        "skipped": dict(summary.skipped),
        "verdicts": dict(summary.verdicts),
        "issues": dict(summary.issue_counts),
        "examples": {
            code: [
                {"image": image_id, "severity": issue.severity, "message": issue.message} for image_id, issue in named
            ]
            for code, named in narrator.examples.items()
        },
        "much_masked": narrator.much_masked_count,
        "notices": [{"code": issue.code, "message": issue.message} for issue in summary.notices],
        "devices": {
            stage: {"device": place.device, "provider": place.provider} for stage, place in summary.placements.items()
        },
        "seconds": round(summary.seconds, 3),
        "timings_s": {stage: round(seconds, 3) for stage, seconds in summary.timings_s.items()},
        "interrupted": summary.interrupted,
        "exit_code": exit_code_of(summary),
    }


def summary_lines(
    summary: RunSummary, narrator: RunNarrator, *, report: Path | None, command_again: list[str]
) -> Iterator[Text]:
    """The summary for people.

    Args:
        summary: What the run did.
        narrator: The examples it remembers.
        report: First page of the report, or None where none was written.
        command_again: The command that goes on with an interrupted run.
    """
    written = sum(summary.written.values())
    rate = f", {written / summary.seconds:.2f} masks/s" if written and summary.seconds > 0 else ""
    yield Text(f"{count_of(summary.images, 'image')} in {duration_of(summary.seconds)}{rate}", style="bold")
    works = ", ".join(f"{n} {_WORK_WORDS.get(work, work)}" for work, n in summary.written.items())
    yield row_of("masks", f"{written} written" + (f" ({works})" if works else "") + f", {summary.reused} up to date")
    if summary.placements:
        yield row_of("devices", devices_of(summary.placements))
    if summary.updated:
        yield row_of("repeats", count_of(summary.updated, "mask") + " drawn again for what repeats across the folder")
    if summary.failed:
        yield row_of("failed", count_of(summary.failed, "image has no mask", "images have no mask"), style="red")
    if summary.missing:
        yield row_of(
            "missing", count_of(summary.missing, "image is", "images are") + " in the store but not in the folder"
        )
    if summary.skipped:
        yield row_of("skipped", counts_of(summary.skipped))
    if summary.verdicts:
        yield row_of("verdicts", counts_of(summary.verdicts) + (_LOOK if summary.verdicts.get("review") else ""))
    yield from _issue_lines(summary, narrator)
    for notice in about_dataset(summary.notices):
        yield row_of("dataset", f"[{notice.code}] {notice.message}", style="yellow")
        for command in commands_for(notice.message):
            yield row_of("", command)
    for notice in summary.notices:
        if notice.code == QUESTION_CODE:
            question, *ways = notice.message.split("\n")
            yield row_of("question", question, style="yellow")
            yield from (row_of("", f"  {way}") for way in ways)
    if narrator.much_masked_count:
        named = _named(narrator.much_masked, narrator.much_masked_count)
        text = f"{count_of(narrator.much_masked_count, 'image')} masked over more than half of the area: {named}"
        yield row_of("warning", text, style="yellow")
    yield row_of("masks in", f"{summary.output / 'masks'}   (white = train, black = ignore)")
    if report is not None:
        yield row_of("report", str(report))
        look = "look at the images for review there, then " if summary.verdicts.get("review") else ""
        yield row_of("next", f"{look}automask export {shlex.quote(str(summary.output))} --to TRAINER")
    if summary.interrupted:
        yield Text(f"Stopped before the end. To go on: {shlex.join(command_again)}", style="yellow")


_LOOK = "   (review: a person should look)"


def _issue_lines(summary: RunSummary, narrator: RunNarrator) -> Iterator[Text]:
    for code, count in sorted(summary.issue_counts.items(), key=lambda item: -item[1]):
        named = narrator.examples.get(code, [])
        severity = named[0][1].severity if named else "warning"
        style = "red" if severity == "error" else "yellow"
        yield row_of(severity, f"{code} x {count}: {_named([image_id for image_id, _ in named], count)}", style=style)


def devices_of(placements: Mapping[str, Placement]) -> str:
    """Devices with the stages that ran there; one alone where all did."""
    stages: dict[str, list[str]] = {}
    for stage, place in placements.items():
        stages.setdefault(str(place), []).append(stage)
    if len(stages) == 1:
        return next(iter(stages))
    return "; ".join(f"{place}: {', '.join(names)}" for place, names in stages.items())


def _named(names: list[str], count: int) -> str:
    rest = count - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")


def row_of(title: str, text: str, *, style: str = "") -> Text:
    """One line of a summary."""
    return Text.assemble((f"  {title:<9} ", style or "dim"), text)


def count_of(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def counts_of(counts: Mapping[str, int]) -> str:
    """Numbers with their names, the largest first."""
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items(), key=lambda item: -item[1]))


def duration_of(seconds: float) -> str:
    """A time as people say it."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
