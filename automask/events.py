"""What a run tells its caller while it works, and what it says at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from automask.config import PolicyConfig
from automask.fuse import Mask, is_drawn
from automask.types import Issue, MaskResult, Verdict


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
        confidence: 0..1, see `automask.scoring`.
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
class ImageFailed:
    """The image has no mask; its row says why."""

    image_id: str
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class FileSkipped:
    """A file was passed over by rule."""

    path: str
    reason: str


def mask_drawn(
    image_id: str, work: str, mask: Mask, result: MaskResult, *, policy: PolicyConfig, timings_s: Mapping[str, float]
) -> ImageDone:
    """The event of a mask that was written."""
    return ImageDone(
        image_id=image_id,
        work=work,
        verdict=result.verdict,
        confidence=result.confidence,
        regions=sum(is_drawn(region, policy) for region in result.regions),
        masked_share=mask.masked_share,
        issues=tuple(result.issues),
        timings_s=timings_s,
    )


RunEvent = Counted | Notice | ImageDone | ImageReused | ImageFailed | FileSkipped
EventSink = Callable[[RunEvent], None]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The end of a run.

    Attributes:
        output: The store's folder.
        written: Masks written, by work (`analysed`, `refined`, `rendered`).
        reused: Masks that were up to date.
        failed: Images without a mask.
        missing: Images in the store whose files are gone.
        skipped: Files passed over, by reason.
        verdicts: Images by verdict.
        issue_counts: Issues by code, over all images of this run.
        notices: What was said about the run as a whole.
        seconds: Wall time.
        timings_s: Seconds per stage, summed over images.
        interrupted: True when it was stopped before the last image.
    """

    output: Path
    written: Mapping[str, int]
    reused: int
    failed: int
    missing: int
    skipped: Mapping[str, int]
    verdicts: Mapping[str, int]
    issue_counts: Mapping[str, int]
    notices: tuple[Issue, ...]
    seconds: float
    timings_s: Mapping[str, float]
    interrupted: bool

    @property
    def images(self) -> int:
        """Images that the run dealt with."""
        return sum(self.written.values()) + self.reused + self.failed


class Tally:
    """Adds events up into a `RunSummary` and passes them on."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._mutex = threading.Lock()
        self.written: dict[str, int] = {}
        self.reused = 0
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
            case ImageFailed():
                self.failed += 1
                self._count(event.issues)
            case FileSkipped():
                _add(self.skipped, event.reason)
            case Notice():
                self.notices.append(event.issue)

    def summary(self, *, output: Path, missing: int, seconds: float, interrupted: bool) -> RunSummary:
        """The run so far."""
        return RunSummary(
            output=output,
            written=dict(self.written),
            reused=self.reused,
            failed=self.failed,
            missing=missing,
            skipped=dict(self.skipped),
            verdicts=dict(self.verdicts),
            issue_counts=dict(self.issue_counts),
            notices=tuple(self.notices),
            seconds=seconds,
            timings_s=dict(self.timings_s),
            interrupted=interrupted,
        )

    def _count(self, issues: tuple[Issue, ...]) -> None:
        for issue in issues:
            _add(self.issue_counts, issue.code)


def _add(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1
