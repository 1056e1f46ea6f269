"""What a check can find. Codes are stable; docs/check.md has a row for each."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

EXAMPLES_KEPT = 10

Severity = Literal["error", "warning"]


class Code(enum.StrEnum):
    """What was found; the value is the code of a `Finding`."""

    MASKS_MISSING = "masks-missing"
    MASKS_EXTRA = "masks-extra"
    NOTHING_MASKED = "nothing-masked"
    TOO_TIGHT = "masks-too-tight"
    SHIFTED = "masks-shifted"
    CONFIG_KEY = "config-key"
    CONFIG_FORMAT = "config-format"
    CONFIG_FOLDER = "config-folder"
    POLARITY = "polarity"
    MUCH_MASKED = "much-masked"
    ALL_BLACK = "mask-all-black"
    CACHE_STALE = "cache-stale"
    MASKS_NESTED = "masks-nested"
    MASKS_AMONG_IMAGES = "masks-among-images"
    EXIF_MISMATCH = "exif-mismatch"
    EXIF_UNSURE = "exif-unsure"
    SIZE_MISMATCH = "size-mismatch"
    STEM_COLLISION = "stem-collision"
    SUBFOLDERS_NOT_READ = "subfolders-not-read"
    IMAGES_NOT_READ = "images-not-read"
    ALPHA_MISSING = "alpha-missing"
    MASK_CHANNEL = "mask-channel"
    MODEL_UNSUPPORTED = "model-unsupported"
    CELL_SIZE = "cell-size"
    UNREADABLE = "file-unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would go wrong.

    Attributes:
        code: What it is.
        severity: `error` where masks would not work or training would stop; `warning` where a person has to decide.
        message: One sentence.
        fix: What to do.
        examples: The first files concerned, relative to the dataset.
        count: How many files there are of it; 0 where it is not about files.
        file: Configuration file, or None.
        line: Line in it, from 1, or None.
    """

    code: Code
    severity: Severity
    message: str
    fix: str
    examples: tuple[str, ...] = ()
    count: int = 0
    file: str | None = None
    line: int | None = None

    @classmethod
    def about(cls, code: Code, severity: Severity, names: Sequence[str], *, message: str, fix: str) -> Finding:
        """A finding about files."""
        return cls(code, severity, message, fix, examples=tuple(names[:EXAMPLES_KEPT]), count=len(names))

    @property
    def place(self) -> str:
        """`file:line`, `file`, or nothing."""
        if self.file is None:
            return ""
        return f"{self.file}:{self.line}" if self.line is not None else self.file
