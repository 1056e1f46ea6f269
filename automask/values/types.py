"""The values that travel through the pipeline. All are frozen; those that hold arrays compare by identity."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box, Polygon

Attribute = str | float | int | bool
"""A piece of evidence that the store keeps beside a region."""

ALPHA_SOURCE = "alpha"
"""Source of the region that holds an image's transparent pixels: a fact of the file, which nothing overrules."""
LAYOUT_ATTRIBUTE = "layout_inside"
"""Attribute of a frame that a layout network judged: mean probability, 0..1, that its pixels are frame."""
LETTERS_ATTRIBUTE = "letters_share"
"""Evidence of a line that a reader found: the height of its letters as a share of the image's shorter side."""
PROPOSED_AT_MOST = 0.45
"""What the confidence of a proposed region counts for beside other evidence, at most: less than even, since it is for a
person to say. All models that weigh it were fitted on proposals that were held to it."""


class Kind(enum.StrEnum):
    """What a region is, from the point of view of a person who does not want it learned."""

    TEXT = "text"
    FRAME = "frame"
    WATERMARK = "watermark"
    OVERLAY = "overlay"
    CUSTOM = "custom"
    GROUND = "ground"  # last: exports number the kinds in this order


class Verdict(enum.StrEnum):
    """Whether a person should look at the mask before it is used."""

    AUTO = "auto"
    REVIEW = "review"


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One decoded, upright image.

    Attributes:
        id: Path relative to the dataset root with forward slashes, or any unique name.
        pixels: (H, W, 3) uint8 RGB, EXIF orientation applied, transparency composited on the stated background.
        alpha: (H, W) uint8, 255 = opaque, or None for an image without transparency.
        path: The file it came from, or None for an image that came over the wire.
        shared: What a stage computed and a later one of the same run may use again, by a key that names weights and
            version. Never stored, never part of a result: a stage that finds nothing here computes it itself.
    """

    id: str
    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    path: Path | None = None
    shared: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"pixels must be (H, W, 3) uint8, got {self.pixels.shape} {self.pixels.dtype}")
        if 0 in self.pixels.shape:
            raise ValueError(f"an image has at least one pixel, got shape {self.pixels.shape}")
        if self.alpha is not None and (self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != np.uint8):
            raise ValueError(f"alpha must be {self.pixels.shape[:2]} uint8, got {self.alpha.shape} {self.alpha.dtype}")

    @property
    def width_px(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def box(self) -> Box:
        """The whole image."""
        return Box(0, 0, self.width_px, self.height_px)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Something unwanted that a detector found.

    Attributes:
        kind: What it is.
        box: Where it is, inside the image.
        confidence: 0..1, how sure the detector is that this is unwanted.
        source: Entry-point names of the detectors that found it, joined by `+` where several agree.
        polygon: Outline inside or around the box, or None.
        artefact: Pixel shape where the detector knows it, bool of shape `box.shape`, or None.
        attributes: Evidence for the store, such as `text` (the recognised string) or `score_rec`.
        proposed: Whether only a person can say if it is masked: it is never drawn by itself, whatever its confidence.
    """

    kind: Kind
    box: Box
    confidence: float
    source: str
    polygon: Polygon | None = None
    artefact: NDArray[np.bool_] | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    proposed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))
        if not 0.0 <= self.confidence <= 1.0:  # also refuses NaN
            raise ValueError(f"confidence must be within 0..1, got {self.confidence!r}")
        if self.polygon is not None:
            if len(self.polygon) < 3:
                raise ValueError(f"a polygon needs three vertices, got {len(self.polygon)}")
            if not all(math.isfinite(v) for point in self.polygon for v in point):
                raise ValueError("polygon has a vertex that is not finite")
        if self.artefact is not None:
            check_artefact(self.artefact, self.box)

    @property
    def weighed_confidence(self) -> float:
        """The confidence where it is weighed with other evidence, 0..1; see `PROPOSED_AT_MOST`."""
        return min(self.confidence, PROPOSED_AT_MOST) if self.proposed else self.confidence


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The exact unwanted pixels of one region, never grown.

    Attributes:
        box: Window in the image.
        artefact: bool of shape `box.shape`, True = unwanted.
        score: 0..1, how sure the refiner is of the outline.
        refiner: Name of the refiner whose outline this is (a fallback names the one that stood in).
        note: Why the refiner's own answer was not taken, or empty.
    """

    box: Box
    artefact: NDArray[np.bool_]
    score: float
    refiner: str
    note: str = ""

    def __post_init__(self) -> None:
        check_artefact(self.artefact, self.box)
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score must be within 0..1, got {self.score!r}")


def check_artefact(artefact: NDArray[np.bool_], box: Box) -> None:
    """Refuse an artefact array that is not bool or does not fill its box."""
    if artefact.dtype != np.bool_ or artefact.shape != box.shape:
        raise ValueError(f"artefact must be bool {box.shape}, got {artefact.dtype} {artefact.shape}")


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that a person should know about one image.

    Attributes:
        stage: walk, decode, detect, refine, fuse, write, or a stage's entry-point name.
        code: Stable machine-readable name; docs/errors.md lists them.
        message: One sentence, with what to do.
        severity: `error` when the image has no mask because of it, else `warning`.
    """

    stage: str
    code: str
    message: str
    severity: Literal["warning", "error"] = "warning"


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """The resume key: one hash per stage, each covering the stages before it."""

    detect: str
    refine: str
    fuse: str

    def with_templates(self, template_set: str) -> Fingerprints:
        """The fingerprints of an image on which templates were found: `template_set` is the hash of those, or empty."""
        if not template_set:
            return self
        fuse = hashlib.sha256(f"{self.fuse} {template_set}".encode()).hexdigest()[:16]
        return dataclasses.replace(self, fuse=fuse)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the pipeline found on one image; its mask is drawn from it (`automask.mask.drawing.draw`).

    `patches[i]` is the outline of `regions[i]`. `timings_s` maps stage names to seconds. `template_set` is the hash
    of the template regions among them, or empty. `unanswered` has the regions and patches as they would be had no
    person decided about templates, and is None where nobody did: a decision changes masks, not what is asked.
    """

    image_id: str
    width_px: int
    height_px: int
    regions: Sequence[Region]
    patches: Sequence[Patch]
    issues: Sequence[Issue]
    fingerprints: Fingerprints
    timings_s: Mapping[str, float] = field(default_factory=dict)
    template_set: str = ""
    unanswered: Sequence[tuple[Region, Patch]] | None = None

    def __post_init__(self) -> None:
        if len(self.regions) != len(self.patches):
            raise ValueError(f"{len(self.regions)} regions but {len(self.patches)} patches")

    def judged(self, *, confidence: float, verdict: Verdict, fingerprints: Fingerprints) -> MaskResult:
        """The same with what its mask is worth, and the fingerprints of that drawing."""
        return MaskResult(
            image_id=self.image_id,
            width_px=self.width_px,
            height_px=self.height_px,
            regions=self.regions,
            patches=self.patches,
            issues=self.issues,
            fingerprints=fingerprints,
            timings_s=self.timings_s,
            template_set=self.template_set,
            unanswered=self.unanswered,
            confidence=confidence,
            verdict=verdict,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MaskResult(Found):
    """What was found on an image, and what its mask is worth: a probability, 0..1, that it is fine, and a verdict."""

    confidence: float
    verdict: Verdict


FoundT = TypeVar("FoundT", bound=Found)
"""What was found, judged or not."""
