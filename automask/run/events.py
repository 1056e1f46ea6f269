"""What a run tells its caller while it works, and what it says at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from automask.mask.drawing import Drawn
from automask.store import StoredImage
from automask.values.placement import Placement
from automask.values.types import Issue, Verdict

QUESTION_CODE = "template-waits"
"""Code of a notice that asks a person about a template: the question, then a line for each way to answer it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The number of images became known."""

    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the whole run that the user should know."""

    issue: Issue


@dataclass(frozen=True, slots=True)
class ImageDone:
    """A mask was written.

    Attributes:
        image_id: Which image.
        work: `analysed` (models ran), `refined` (only the refiner ran) or `rendered` (no model ran).
        verdict: Whether a person should look.
        confidence: 0..1, see `automask.mask.judging`.
        regions: How many regions take part in the mask.
        masked_share: Share of the weight taken away, 0..1.
        issues: Warnings.
        timings_s: Seconds per stage.
    """

    image_id: str
    work: str
    verdict: Verdict
    confidence: float
    regions: int
    masked_share: float
    issues: tuple[Issue, ...]
    timings_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageReused:
    """The mask was up to date."""

    image_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class MaskUpdated:
    """A mask that this run had dealt with was drawn again for what repeats across the dataset.

    Attributes:
        image_id: Which image.
        before: Its verdict until now.
        verdict: Its verdict from now on.
        masked_share_before: Share of the weight taken away until now, 0..1.
        masked_share: The same from now on.
    """

    image_id: str
    before: Verdict
    verdict: Verdict
    masked_share_before: float
    masked_share: float


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage that works on the whole dataset is.

    Attributes:
        stage: Its name, or several joined by a comma.
        doing: What it does, in a word.
        done: Images so far.
        total: Images in all, or None where that is not known.
    """

    stage: str
    doing: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage that works on the whole dataset came to its end, after so many seconds."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """The image has no mask; its row says why."""

    image_id: str
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class FileSkipped:
    """A file was passed over by rule."""

    path: str
    reason: str


def mask_drawn(drawn: Drawn, work: str, stored: StoredImage | None, *, timings_s: Mapping[str, float]) -> ImageDone:
    """The event of a mask that was written.

    Args:
        drawn: What was drawn.
        work: As for `ImageDone`.
        stored: Its row: a person's decision may have settled the verdict.
        timings_s: Seconds by stage.
    """
    judged = drawn.judged
    return ImageDone(
        image_id=judged.image_id,
        work=work,
        verdict=stored.verdict if stored is not None and stored.verdict is not None else judged.verdict,
        confidence=judged.confidence,
        regions=drawn.drawn_count,
        masked_share=drawn.mask.masked_share,
        issues=tuple(judged.issues),
        timings_s=timings_s,
    )


RunEvent = (
    Counted | Notice | ImageDone | ImageReused | MaskUpdated | ImageFailed | FileSkipped | StageProgress | StageDone
)
EventSink = Callable[[RunEvent], None]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The end of a run.

    Attributes:
        output: The store's folder.
        written: Masks written, by work (`analysed`, `refined`, `rendered`).
        reused: Masks that were up to date.
        updated: Masks among those that were drawn again for what repeats across the dataset.
        failed: Images without a mask.
        missing: Images in the store whose files are gone.
        skipped: Files passed over, by reason.
        verdicts: Images by verdict.
        issue_counts: Issues by code, over all images of this run.
        notices: What was said about the run as a whole.
        placements: Where networks ran, by stage; empty where none had to be loaded.
        seconds: Wall time.
        timings_s: Seconds per stage, summed over images.
        interrupted: True when it was stopped before the last image.
    """

    output: Path
    written: Mapping[str, int]
    reused: int
    updated: int
    failed: int
    missing: int
    skipped: Mapping[str, int]
    verdicts: Mapping[str, int]
    issue_counts: Mapping[str, int]
    notices: tuple[Issue, ...]
    placements: Mapping[str, Placement]
    seconds: float
    timings_s: Mapping[str, float]
    interrupted: bool

    @property
    def images(self) -> int:
        """Images that the run dealt with."""
        return sum(self.written.values()) + self.reused + self.failed


def about_dataset(notices: Sequence[Issue]) -> tuple[Issue, ...]:
    """Those of a run's notices that are about the folder of images itself."""
    return tuple(notice for notice in notices if notice.stage == "walk")


class Tally:
    """Adds events up into a `RunSummary` and passes them on."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._mutex = threading.Lock()
        self.written: dict[str, int] = {}
        self.reused = 0
        self.updated = 0
        self.failed = 0
        self.skipped: dict[str, int] = {}
        self.verdicts: dict[str, int] = {}
        self.issue_counts: dict[str, int] = {}
        self.notices: list[Issue] = []
        self.timings_s: dict[str, float] = {}

    def __call__(self, event: RunEvent) -> None:
        """Count one event and hand it to the caller's sink, one at a time whatever thread it comes from."""
        with self._mutex:
            self._count_event(event)
            self._sink(event)

    def _count_event(self, event: RunEvent) -> None:
        match event:
            case ImageDone():
                _add(self.written, event.work)
                _add(self.verdicts, event.verdict.value)
                for stage, seconds in event.timings_s.items():
                    self.timings_s[stage] = self.timings_s.get(stage, 0.0) + seconds
                self._count(event.issues)
            case ImageReused():
                self.reused += 1
                _add(self.verdicts, event.verdict.value)
            case MaskUpdated():
                self.updated += 1
                _add(self.verdicts, event.before.value, -1)
                _add(self.verdicts, event.verdict.value)
            case StageDone():
                self.timings_s[event.stage] = self.timings_s.get(event.stage, 0.0) + event.seconds
            case ImageFailed():
                self.failed += 1
                self._count(event.issues)
            case FileSkipped():
                _add(self.skipped, event.reason)
            case Notice():
                self.notices.append(event.issue)
            case StageProgress() | Counted():
                pass

    @property
    def about_dataset(self) -> tuple[Issue, ...]:
        """The notices about the folder itself, which stay true until somebody tidies it."""
        return about_dataset(self.notices)

    def summary(
        self, *, output: Path, missing: int, placements: Mapping[str, Placement], seconds: float, interrupted: bool
    ) -> RunSummary:
        """The run so far."""
        return RunSummary(
            output=output,
            written=dict(self.written),
            reused=self.reused,
            updated=self.updated,
            failed=self.failed,
            missing=missing,
            skipped=dict(self.skipped),
            verdicts=dict(self.verdicts),
            issue_counts=dict(self.issue_counts),
            notices=tuple(self.notices),
            placements=dict(placements),
            seconds=seconds,
            timings_s=dict(self.timings_s),
            interrupted=interrupted,
        )

    def _count(self, issues: tuple[Issue, ...]) -> None:
        for issue in issues:
            _add(self.issue_counts, issue.code)


def _add(counts: dict[str, int], key: str, number: int = 1) -> None:
    counts[key] = counts.get(key, 0) + number
    if not counts[key]:
        del counts[key]
