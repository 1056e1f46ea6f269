"""What the store gives out: rows without blobs, counts, corrections."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from automask.mask.rendering import CorrectionLayers
from automask.values.types import Fingerprints, Kind, Verdict

STALE_CORRECTION_CODE = "correction-stale"
"""Issue of an image whose pixels changed after a person corrected its mask. The store adds and removes it."""
STALE_CORRECTION_MESSAGE = (
    "The image changed after its mask was corrected, so the correction is kept but not applied: "
    "look at the mask, correct it again where it is wrong, and accept it."
)


class FileFacts(Protocol):
    """What the store wants to know about an image file; `automask.dataset.image_file.ImageFile` has it."""

    @property
    def id(self) -> str:
        """Path relative to the dataset root, forward slashes."""
        ...

    @property
    def path(self) -> Path:
        """Where it is now."""
        ...

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        ...

    @property
    def mtime_ns(self) -> int:
        """Modification time."""
        ...

    @property
    def ctime_ns(self) -> int:
        """Change time, as `os.stat` tells it."""
        ...

    @property
    def mask_name(self) -> str:
        """Path of its mask relative to the masks folder, forward slashes."""
        ...


class Status(enum.StrEnum):
    """Where an image stands."""

    DONE = "done"
    FAILED = "failed"
    MISSING = "missing"


class Work(enum.StrEnum):
    """The first stage that has to run (again) for an image; those after it follow."""

    NONE = "none"
    RENDER = "render"
    REFINE = "refine"
    DETECT = "detect"


class Decision(enum.StrEnum):
    """What a person said about an image as a whole."""

    ACCEPTED = "accepted"
    """The mask is fine as it was seen."""
    EXCLUDED = "excluded"
    """Exports leave the image out, until the decision is taken back."""
    SKIPPED = "skipped"
    """Looked at and left for later; nothing is settled."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image's row.

    Attributes:
        image_id: Path relative to the dataset root.
        status: `done`; `failed` (see its issues; an older mask of the same pixels may stand); `missing` (the file is
            gone, its mask too, what was found is kept).
        updated_s: Seconds since the epoch of the last change.
        size_bytes: Length of the image file.
        mtime_ns: Its modification time.
        ctime_ns: Its change time, on Windows that of its creation; None until a run after an update of the store.
        content_sha256: Hash of the image file, or None when it was never read.
        orientation: EXIF orientation 1..8 that was applied, or None.
        width_px: Width of the upright image, or None when it was never decoded.
        height_px: Height of the upright image, or None.
        fingerprints: Of the stages that made the stored regions, patches and mask, or None when those must not be
            used again.
        confidence: 0..1, or None without a result.
        verdict: The pipeline's of its own mask, unless a person settled it (`accepted`, `excluded`, or a whole mask of
            another program: auto) or a correction is stale (review); None without a result.
        masked_share: Share of the weight that the mask takes away, 0..1, or None without a mask.
        kinds: Kinds of all regions that were found, drawn or not, as people call them.
        timings_s: Seconds by stage.
        mask_name: Path of the mask relative to the masks folder, or None without a mask.
        mask_sha256: Hash of the mask file, or None.
        mask_size_bytes: Its length, or None.
        mask_mtime_ns: Its modification time right after it was written, or None.
        correction_revision: The newest revision when the mask was drawn, None when nobody had corrected it.
        stale_sha256: Content whose correction waits here unapplied, or None.
        templates_fingerprint: Of the search that found its template regions, or None before the first.
        template_set: Hash of its template regions under a person's decisions, empty where none counts.
        decision: What a person decided about the image as it is now, or None. Accepting a mask lapses when a later
            run finds other pixels.
    """

    image_id: str
    status: Status
    updated_s: float
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None
    content_sha256: str | None
    orientation: int | None
    width_px: int | None
    height_px: int | None
    fingerprints: Fingerprints | None
    confidence: float | None
    verdict: Verdict | None
    masked_share: float | None
    kinds: tuple[Kind, ...]
    timings_s: Mapping[str, float]
    mask_name: str | None
    mask_sha256: str | None
    mask_size_bytes: int | None
    mask_mtime_ns: int | None
    correction_revision: int | None
    stale_sha256: str | None
    templates_fingerprint: str | None
    template_set: str
    decision: Decision | None

    def shows(self, fingerprints: Fingerprints, correction_revision: int | None) -> bool:
        """Whether the mask was drawn under these settings, from its present templates and this correction.

        Args:
            fingerprints: Of the image under the settings, without templates.
            correction_revision: The newest, None where nobody corrected the image.
        """
        drawn, revision = self.fingerprints, self.correction_revision
        return is_shown(drawn, self.template_set, revision, wanted=fingerprints, newest=correction_revision)


def is_shown(
    drawn: Fingerprints | None, template_set: str, revision: int | None, *, wanted: Fingerprints, newest: int | None
) -> bool:
    """The rule of `StoredImage.shows`, for those who have a row and make no `StoredImage` of it."""
    return drawn == wanted.with_templates(template_set) and revision == newest


NO_TEMPLATES = "no templates"
"""The `templates_fingerprint` of a search without any; no search at all says the same of an image."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do for one file.

    Attributes:
        work: The first stage to run.
        image: What is stored for it, or None for a new image.
    """

    work: Work
    image: StoredImage | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals over the store.

    Attributes:
        images: All rows.
        done: Rows with a result.
        failed: Rows without one.
        missing: Rows whose file is gone.
        auto: Done, no need to look.
        review: Done, a person should look.
        over_half_masked: Done and masked over more than half.
        corrected: Done and with a correction that counts.
        issues: Number of images by issue code, without missing files.
        kinds: Number of done images by kind of region found.
        decisions: Number of images by standing decision, without missing files.
    """

    images: int
    done: int
    failed: int
    missing: int
    auto: int
    review: int
    over_half_masked: int
    corrected: int
    issues: Mapping[str, int]
    kinds: Mapping[Kind, int]
    decisions: Mapping[Decision, int]


RunStatus = Literal["running", "done", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run over the store.

    Attributes:
        run_id: Counts up from 1.
        started_s: Seconds since the epoch.
        finished_s: The same, or None while it runs or when it was killed.
        status: How it ended; `running` with nobody holding the lock was killed.
        version: Of automask.
        input_root: The folder that image ids are relative to.
        config_json: The pipeline's configuration.
    """

    run_id: int
    started_s: float
    finished_s: float | None
    status: RunStatus
    version: str
    input_root: str
    config_json: str


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """One revision of what a person changed, bound to the pixels that the person saw.

    Attributes:
        content_sha256: Hash of the image file.
        revision: Counts up from 1.
        layers: What changed, or None where this revision gives the automatic mask back.
        author: Who.
        tool: With what, such as `review` or `import`.
        created_s: Seconds since the epoch.
    """

    content_sha256: str
    revision: int
    layers: CorrectionLayers | None
    author: str
    tool: str
    created_s: float


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What is known of a revision of a correction without reading its layers; see `Correction`."""

    content_sha256: str
    revision: int
    tool: str
    author: str
    created_s: float


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One revision of what a person decided about an image, bound to its pixels.

    Attributes:
        content_sha256: Hash of the image file.
        revision: Counts up from 1.
        decision: What, or None where the decision before was taken back.
        author: Who.
        created_s: Seconds since the epoch.
    """

    content_sha256: str
    revision: int
    decision: Decision | None
    author: str
    created_s: float


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that `Store.verify` found.

    Attributes:
        code: Stable name: `mask-missing`, `mask-changed`, `mask-damaged`, `mask-unknown`, `result-damaged`,
            `database-damaged`, `temporary-left`.
        message: One sentence.
        image_id: The image, or None.
    """

    code: str
    message: str
    image_id: str | None = None
