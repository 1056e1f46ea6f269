"""What a target remembers of its shards: the record that ends each, and what a run is compared with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from automask.values.digests import digest

if TYPE_CHECKING:
    from automask.run.pipeline import MaskPipeline

FORMAT = 1
"""Of everything in a target; raised when an older automask could not read it."""


@dataclass(frozen=True, slots=True)
class ShardFingerprints:
    """The resume key of a shard: hashes of the stages' versions, options and weights, each covering those before it.

    Attributes:
        detect: Of decoding and detectors.
        refine: The same with the refiner.
        templates: Of the templates that are looked for, or empty.
        fuse: Of how masks are drawn and judged.
    """

    detect: str
    refine: str
    templates: str
    fuse: str

    @classmethod
    def of(cls, pipeline: MaskPipeline) -> Self:
        """Those of a pipeline."""
        ids = sorted(template.id for template in pipeline.saved_templates.templates)
        known = pipeline.fingerprints
        return cls(known.detect, known.refine, digest(ids) if ids else "", known.fuse)

    def needs_models(self, before: ShardFingerprints) -> bool:
        """Whether what was found before is no answer any more; else masks can be drawn from it."""
        found = (self.detect, self.refine, self.templates)
        return found != (before.detect, before.refine, before.templates)


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """One of the two files of a shard.

    Attributes:
        name: Relative to the target.
        size_bytes: Its length.
        sha256: Hash of its bytes.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """The end of a shard, written after both of its files.

    Attributes:
        shard: Its name.
        images: Images that it has a row for.
        masks: Those of them with a mask.
        verdicts: Images by verdict.
        issues: Issues by code.
        fingerprints: What made it.
        parts: Its files: `masks` and `regions`.
        error: Code and message where its file could not be read to the end, else None.
        tag: Of its file in the source, see `Shard.tag`.
        work: `analysed`, or `rendered` where only masks were drawn again.
        seconds: That it took.
        finished_s: When, in seconds since the epoch.
        version: Of automask.
        decisions: Images by what a person decided about them; those that are excluded have no mask.
        corrected: Images whose mask a person changed.
        corrections: `ShardCorrections.digest` of what its masks show.
    """

    shard: str
    images: int
    masks: int
    verdicts: Mapping[str, int]
    issues: Mapping[str, int]
    fingerprints: ShardFingerprints
    parts: Mapping[str, WrittenPart]
    error: tuple[str, str] | None
    tag: str
    work: Literal["analysed", "rendered"]
    seconds: float
    finished_s: float
    version: str
    decisions: Mapping[str, int] = field(default_factory=dict)
    corrections: str = ""
    corrected: int = 0
    format: int = field(default=FORMAT)

    @property
    def failed(self) -> int:
        """Images without a result."""
        return self.images - self.masks - self.decisions.get("excluded", 0)

    def to_bytes(self) -> bytes:
        """The `.done` file."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self | None:
        """The record of a `.done` file, or None where it is damaged or of another format: its shard is done again."""
        try:
            values: dict[str, Any] = json.loads(data)
            if values["format"] != FORMAT:
                return None
            error = values["error"]
            return cls(
                **{
                    **values,
                    "fingerprints": ShardFingerprints(**values["fingerprints"]),
                    "parts": {name: WrittenPart(**part) for name, part in values["parts"].items()},
                    "error": (str(error[0]), str(error[1])) if error is not None else None,
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
