"""Images of known truth for the confidence model: stores that are filled once, and read again in seconds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.bench.manifest import Manifest, ManifestEntry
from automask.config import PipelineConfig
from automask.errors import InputError
from automask.mask.confidence.features import image_features
from automask.mask.confidence.model import is_fine
from automask.mask.drawing import draw
from automask.mask.judging import verdict_of
from automask.mask.metrics import MaskScore, score_mask
from automask.mask.rendering import confirmed_mask
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.store import Store, is_store
from automask.values.types import Verdict

LOGGER = logging.getLogger("automask.training")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """One image with what is known about its mask.

    Attributes:
        source: Collection that it comes from.
        image_id: Its name in the store of that collection.
        features: What the model sees, by name.
        score: Leak and waste of the mask.
        asked: Whether a person is asked about it whatever its probability (as for very much masked).
        manifest: Name of the manifest that has its source.
    """

    source: str
    image_id: str
    features: Mapping[str, float]
    score: MaskScore
    asked: bool = False
    manifest: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether the mask can be used as it is."""
        return is_fine(self.score.leak, self.score.waste)


def entries_by_source(manifest: Manifest, *, most: int) -> dict[str, list[tuple[Path, Path | None]]]:
    """(image, truth) of each source with known truth, thinned at random to at most so many."""
    found: dict[str, list[ManifestEntry]] = {}
    for entry in manifest.entries:
        if entry.truth != "unknown":
            found.setdefault(f"{entry.kind}-{entry.source}", []).append(entry)
    return {
        source: [
            (manifest.root / entry.image, manifest.root / entry.mask if entry.mask is not None else None)
            for entry in _thinned(entries, most)
        ]
        for source, entries in sorted(found.items())
    }


def fill_stores(sources: Mapping[str, Sequence[tuple[Path, Path | None]]], work: Path, config: PipelineConfig) -> None:
    """Run the pipeline on every source as a dataset of its own; what is up to date is not run again.

    Raises:
        InputError: Two images of a source have one name: they lie in one folder.
    """
    pipeline = MaskPipeline.from_config(config)
    for source, pairs in sources.items():
        if len({image.name for image, _ in pairs}) < len(pairs):
            raise InputError(f"Two images of {source} have one name.", advice="Rename one of them.")
        folder = work / "images" / source
        folder.mkdir(parents=True, exist_ok=True)
        for image, _ in pairs:
            link = folder / image.name
            if not link.exists():
                link.symlink_to(image.resolve())
        summary = run_dataset(folder, work / "stores" / source, config, pipeline=pipeline)
        LOGGER.info("%s: %s, %.0f s", source, json.dumps(summary.written), summary.seconds)


def read_stores(
    sources: Mapping[str, Sequence[tuple[Path, Path | None]]], work: Path, config: PipelineConfig, *, manifest: str
) -> Iterator[LabelledImage]:
    """What is stored for every image of every source, scored; images that failed are left out.

    Args:
        sources: See `entries_by_source`.
        work: Folder of the stores.
        config: What masks are drawn and judged under.
        manifest: Name of the manifest.
    """
    for source, pairs in sources.items():
        if not is_store(work / "stores" / source):
            LOGGER.warning("%s: nothing was run on it", source)
            continue
        with Store.open(work / "stores" / source, read_only=True) as store:
            for image, truth in pairs:
                result = store.result(image.name)
                if result is None:
                    LOGGER.warning("%s: %s has no mask", source, image.name)
                    continue
                drawn = draw(result, config)
                mask, shown = drawn.mask, drawn.shown
                confirmed = confirmed_mask(shown, render=config.render, policy=config.policy)
                verdict = verdict_of(shown, mask, config, confidence=1.0, confirmed=confirmed)
                yield LabelledImage(
                    source=source,
                    image_id=image.name,
                    features=image_features(shown, mask, config.policy, confirmed=confirmed),
                    score=score_mask(mask.levels, truth_levels(truth)),
                    asked=verdict is Verdict.REVIEW,
                    manifest=manifest,
                )


def truth_levels(truth: Path | None) -> NDArray[np.uint8] | None:
    """(H, W) uint8 levels of a truth of a manifest, or None where there is none."""
    if truth is None:
        return None
    with PillowImage.open(truth) as picture:
        return np.asarray(picture.convert("L"))


def _thinned(entries: Sequence[ManifestEntry], most: int) -> list[ManifestEntry]:
    # By a hash of the name: a larger number keeps all that a smaller one chose, and so do the stores.
    return sorted(entries, key=lambda entry: hashlib.sha256(entry.image.encode()).digest())[:most]
