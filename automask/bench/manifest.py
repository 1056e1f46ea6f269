"""Reads a manifest of images with truth and adds their figures up per source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pydantic import TypeAdapter, ValidationError

from automask.config import FrozenModel
from automask.errors import InputError
from automask.mask.metrics import MaskScore, mean_of, score_mask


class ManifestEntry(FrozenModel):
    """One image with what is known about it.

    Attributes:
        kind: text, watermark, frame or clean.
        source: Collection that it comes from; figures are averaged per source first.
        image: Path relative to the manifest.
        mask: Truth PNG of the same size (255 = unwanted, 128 = ignore), or None.
        truth: pixels (strokes), regions (whole text regions), nothing (clean) or unknown (run, not scored).
    """

    kind: Literal["text", "watermark", "frame", "clean"]
    source: str
    image: str
    mask: str | None = None
    truth: Literal["pixels", "regions", "nothing", "unknown"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest and the folder that its paths start from."""

    root: Path
    entries: tuple[ManifestEntry, ...]

    def truth_of(self, entry: ManifestEntry) -> NDArray[np.uint8] | None:
        """The (H, W) uint8 truth of an entry, or None for an image with nothing unwanted.

        Raises:
            InputError: The truth cannot be read.
        """
        if entry.mask is None:
            return None
        try:
            with PillowImage.open(self.root / entry.mask) as picture:
                return np.asarray(picture.convert("L"))
        except OSError as error:
            raise unreadable(self.root / entry.mask) from error

    def score(self, entry: ManifestEntry, levels: NDArray[np.uint8]) -> MaskScore:
        """Score the (H, W) uint8 mask of an entry, 255 = train.

        Raises:
            InputError: The truth cannot be read, or is not of the image's size.
        """
        truth = self.truth_of(entry)
        try:
            return score_mask(levels, truth)
        except ValueError as error:
            raise InputError(
                f"The truth {entry.mask} does not fit {entry.image}: {error}.",
                advice="A truth is of the size of its upright image.",
            ) from error


def unreadable(path: Path) -> InputError:
    """The error for a file that a manifest names."""
    return InputError(f"The manifest names {path}, which cannot be read.", advice="Check the manifest.")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest: a JSON list of `ManifestEntry` objects.

    Raises:
        InputError: The file is missing, not JSON, or an entry is wrong.
    """
    try:
        entries = TypeAdapter(tuple[ManifestEntry, ...]).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"Cannot read the manifest {path}: {error.strerror}.", advice="Check the path.") from error
    except (json.JSONDecodeError, ValidationError) as error:
        raise InputError(f"{path} is not a manifest: {error}.", advice="docs/bench.md describes the format.") from error
    return Manifest(root=path.parent, entries=entries)


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """Mean figures of one source, or of a kind (the mean over its sources)."""

    kind: str
    source: str
    images: int
    leak: float | None
    waste: float | None


class Scored(Protocol):
    """Anything with a leak and a waste."""

    @property
    def leak(self) -> float | None:
        """0..1, or None."""
        ...

    @property
    def waste(self) -> float | None:
        """0..1, or None."""
        ...


def summarise(scored: Iterable[tuple[ManifestEntry, Scored]]) -> list[SourceFigures]:
    """Average per image, then per source, then over the sources of a kind (source name `*`)."""
    groups: dict[tuple[str, str], list[Scored]] = {}
    for entry, score in scored:
        groups.setdefault((entry.kind, entry.source), []).append(score)
    per_source = [
        SourceFigures(
            kind=kind,
            source=source,
            images=len(scores),
            leak=mean_of([score.leak for score in scores]),
            waste=mean_of([score.waste for score in scores]),
        )
        for (kind, source), scores in sorted(groups.items())
    ]
    return list(_with_kind_means(per_source))


def _with_kind_means(per_source: list[SourceFigures]) -> Iterator[SourceFigures]:
    for kind in dict.fromkeys(figures.kind for figures in per_source):
        mine = [figures for figures in per_source if figures.kind == kind]
        yield from mine
        yield SourceFigures(
            kind=kind,
            source="*",
            images=sum(figures.images for figures in mine),
            leak=mean_of([figures.leak for figures in mine]),
            waste=mean_of([figures.waste for figures in mine]),
        )
