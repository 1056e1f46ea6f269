"""What an export tells at its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from automask.export.protocol import Snippet
from automask.export.unfinished import Unfinished


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """The end of an export.

    Attributes:
        exporter: Name of the format.
        output: Folder of the export.
        images: Images that take part.
        written: Files written.
        unchanged: Files that were up to date.
        removed: Files of an earlier export that were removed.
        kept: Files of an earlier export that would have been removed, but somebody changed them.
        unreviewed: Ids of images that take part though a person should still look at them.
        left_out: Ids of the other images by reason.
        much_masked: Ids of images that are masked over more than half.
        unfinished: What the store lacks because its last run did not end, or None.
        snippet: The trainer's configuration, or None.
        snippet_stands: False where the file in the output was changed by somebody, so that it was left alone.
        cache: What to clear, or empty.
        reads: The images that the trainer reads, in words, or empty.
        seconds: Wall time.
        interrupted: Stopped before the last image.
    """

    exporter: str
    output: Path
    images: int
    written: int
    unchanged: int
    removed: int
    kept: int
    unreviewed: tuple[str, ...]
    left_out: dict[str, tuple[str, ...]]
    much_masked: tuple[str, ...]
    unfinished: Unfinished | None
    snippet: Snippet | None
    snippet_stands: bool
    cache: str
    reads: str
    seconds: float
    interrupted: bool
