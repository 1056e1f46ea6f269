"""The page about conformance: how to get the checkouts, and the last results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trainer_runs import CHECKOUTS, RUNS, Checkout

PAGE = Path(__file__).parents[2] / "docs" / "trainers" / "conformance.md"
HEADER = """| trainer (commit, its date) | residual weight | at most | worst image | wanted weight lost | run on |
| --- | --- | --- | --- | --- | --- |"""


def clone_commands() -> str:
    """One command that brings all checkouts into the folder $TRAINERS."""
    lines = ['mkdir -p "$TRAINERS" && cd "$TRAINERS"']
    lines += [_clone(one) for one in CHECKOUTS.values()]
    return " &&\n".join(lines)


def _clone(one: Checkout) -> str:
    if not one.commit:
        fetch = f"pip download --no-deps --ignore-requires-python --dest {one.folder} {one.source}"
        return f"{fetch} && (cd {one.folder} && unzip -q *.whl)"
    return f"git clone -q {one.source} {one.folder} && git -C {one.folder} checkout -q {one.commit}"


def between(text: str, part: str) -> tuple[int, int]:
    """Where a generated part stands in the page."""
    begin, end = f"<!-- begin {part} -->\n", f"<!-- end {part} -->"
    start = text.index(begin) + len(begin)
    return start, text.index(end, start)


def write_results(rows: Mapping[str, str]) -> None:
    """Put rows of the table, by the title of their run, in the place of earlier ones, and the commands anew."""
    text = PAGE.read_text(encoding="utf-8")
    start, stop = between(text, "results")
    earlier = [line for line in text[start:stop].splitlines() if line.startswith("| ")]
    kept = {run.title: line for run in RUNS for line in earlier if line.startswith(f"| {run.title} (")}
    lines = [line for run in RUNS if (line := rows.get(run.title, kept.get(run.title))) is not None]
    parts = {"results": "\n".join([HEADER, *lines]), "clone": f"```\n{clone_commands()}\n```"}
    for part, content in parts.items():
        start, stop = between(text, part)
        text = text[:start] + content + "\n" + text[stop:]
    PAGE.write_text(text, encoding="utf-8")
