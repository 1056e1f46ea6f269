"""Pictures of known truth for the judge of frames, and what geometry proposes in each, kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.manifest import read_manifest
from automask.bench.run import load_image
from automask.config import PipelineConfig
from automask.values.geometry import Box
from automask.values.types import Kind, Region
from automask_models.frames.detector import EdgesDetector, detect_frames

SYNTHESIZED = "synthesized"
"""The source of all synthesized pictures."""
_LOSSLESS_EACH = 4
"""One synthesized picture of so many stays without the traces of an encoder, which geometry sees."""
_QUALITY = 90
"""Of the others, as JPEG."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownPicture:
    """A picture with its truth, (H, W) uint8 as in a manifest, None = nothing unwanted."""

    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None
    source: str

    def at_most(self, longest_px: int | None) -> KnownPicture:
        """The picture shrunk to a longest side, None = as it is."""
        import cv2

        height_px, width_px = self.pixels.shape[:2]
        if longest_px is None or max(height_px, width_px) <= longest_px:
            return self
        scale = longest_px / max(height_px, width_px)
        size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
        pixels = np.asarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if self.truth is None:
            return KnownPicture(pixels, None, self.source)
        truth = np.asarray(cv2.resize(self.truth, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
        return KnownPicture(pixels, truth, self.source)


def real_pictures(
    manifests: Sequence[Path], *, per_source: int | None = None, without: Collection[str] = ()
) -> Iterator[KnownPicture]:
    """The first images of each source of manifests whose truth is known, None = all; none of some sources."""
    config = PipelineConfig()
    taken: Counter[str] = Counter()
    for path in manifests:
        manifest = read_manifest(path)
        for entry in manifest.entries:
            if entry.truth == "unknown" or entry.source in without:
                continue
            if per_source is not None and taken[entry.source] >= per_source:
                continue
            taken[entry.source] += 1
            image = load_image(manifest.root, entry, config)
            yield KnownPicture(image.pixels, manifest.truth_of(entry), entry.source)


def synthesized_pictures(recipe: Path, materials: Path, *, count: int) -> Iterator[KnownPicture]:
    """Pictures of all kinds on sources that the network never saw."""
    import cv2

    from automask_training.layout_samples import synthesizer_of

    synthesizer = synthesizer_of(tomllib.loads(recipe.read_text(encoding="utf-8")), materials, split="val")
    for index in range(count):
        _, framed = synthesizer.framed(index)
        pixels = framed.pixels
        if index % _LOSSLESS_EACH:
            _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
            pixels = np.ascontiguousarray(decoded[..., ::-1])
        yield KnownPicture(pixels, framed.truth, SYNTHESIZED)


class ProposalStore:
    """What geometry proposes, by the content of pictures: it takes longer than all else of a fit.

    Files are of one version of the detector; a change to geometry raises `EdgesDetector.algorithm_version`.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def regions_of(self, picture: KnownPicture) -> list[Region]:
        """The frames that edges alone propose in a picture, kept or found now."""
        if self._folder is None:
            return detect_frames(picture.pixels)
        path = self._folder / f"{_content_of(picture)}.npz"
        if not path.exists():
            regions = detect_frames(picture.pixels)
            partial = path.with_suffix(f".{os.getpid()}.tmp")
            with partial.open("wb") as file:
                _write(file, regions)
            partial.replace(path)
        return _read(path)


def _content_of(picture: KnownPicture) -> str:
    digest = hashlib.sha256(f"edges {EdgesDetector.algorithm_version} {picture.pixels.shape}".encode())
    digest.update(np.ascontiguousarray(picture.pixels).data)
    return digest.hexdigest()


def _write(file: object, regions: Sequence[Region]) -> None:
    known = [
        {
            "box": [region.box.x0, region.box.y0, region.box.x1, region.box.y1],
            "confidence": region.confidence,
            "proposed": region.proposed,
            "attributes": dict(region.attributes),
            "whole": region.artefact is None,
        }
        for region in regions
    ]
    masks = {
        f"mask{index}": np.packbits(region.artefact)
        for index, region in enumerate(regions)
        if region.artefact is not None
    }
    np.savez(file, known=np.array(json.dumps(known)), **masks)  # type: ignore[arg-type]


def _read(path: Path) -> list[Region]:
    with np.load(path, allow_pickle=False) as kept:
        regions = []
        for index, known in enumerate(json.loads(str(kept["known"]))):
            box = Box(*known["box"])
            height_px, width_px = box.shape
            artefact = None
            if not known["whole"]:
                bits = np.unpackbits(kept[f"mask{index}"], count=height_px * width_px)
                artefact = bits.reshape(height_px, width_px).astype(np.bool_)
            regions.append(
                Region(
                    kind=Kind.FRAME,
                    box=box,
                    confidence=known["confidence"],
                    source=EdgesDetector.name,
                    artefact=artefact,
                    attributes=known["attributes"],
                    proposed=known.get("proposed", False),  # older files have the confidence that the fit takes it for
                )
            )
    return regions
