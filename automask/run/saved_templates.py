"""Templates that a person saved to files: looked for in single images as in datasets."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from automask.errors import ConfigError
from automask.protocols import DatasetDetector, ImageFacts, ReducedImage
from automask.values.templates import TEMPLATE_ATTRIBUTE, DatasetTemplate, template_patch
from automask.values.types import Found, Image, Region

LARGEST_FILE_BYTES = 64_000_000


class SavedTemplates:
    """The templates of a configuration, each with the detector that understands it.

    Args:
        pairs: Detector and template.
    """

    def __init__(self, pairs: Sequence[tuple[DatasetDetector, DatasetTemplate]]) -> None:
        self._pairs = tuple(pairs)
        self.templates = tuple(template for _, template in pairs)
        detectors = {detector.name: detector for detector, _ in pairs}
        self._searches = [
            (detector, detector.finder([template for template in self.templates if template.detector == name]))
            for name, detector in detectors.items()
        ]

    @classmethod
    def read(cls, files: Sequence[str], detectors: Sequence[DatasetDetector]) -> Self:
        """Read template files.

        Raises:
            ConfigError: A file cannot be read, or no detector takes it for a template of its own (`template-file`).
        """
        pairs = [_read(Path(file), detectors) for file in files]
        return cls(list({template.id: (detector, template) for detector, template in pairs}.values()))

    @classmethod
    def of_contents(cls, contents: Sequence[bytes], detectors: Sequence[DatasetDetector]) -> Self:
        """Templates of files that were read already.

        Raises:
            ConfigError: No detector takes one for a template of its own (`template-file`).
        """
        return cls([_parsed("a saved template", content, detectors) for content in contents])

    def joined(self, others: Self) -> Self:
        """These and others, each once."""
        pairs = (*self._pairs, *others._pairs)
        return type(self)(list({template.id: (detector, template) for detector, template in pairs}.values()))

    def added_to(self, result: Found, image: Image) -> Found:
        """A result with the regions in which the image shows the templates."""
        if not self.templates or any(issue.severity == "error" for issue in result.issues):
            return result
        regions: list[Region] = []
        for detector, finder in self._searches:
            pixels = detector.reduce(image)
            if pixels is not None:
                facts = ImageFacts(image.id, "", image.width_px, image.height_px)
                regions += finder.find(ReducedImage(facts, pixels))
        if not regions:
            return result
        found = "; ".join(
            f"{each.attributes[TEMPLATE_ATTRIBUTE]} {each.box.xyxy} {each.confidence} {each.proposed}"
            for each in regions
        )
        return dataclasses.replace(
            result,
            regions=(*result.regions, *regions),
            patches=(*result.patches, *map(template_patch, regions)),
            template_set=hashlib.sha256("; ".join(found).encode()).hexdigest()[:16],
        )


def _read(file: Path, detectors: Sequence[DatasetDetector]) -> tuple[DatasetDetector, DatasetTemplate]:
    try:
        if file.stat().st_size > LARGEST_FILE_BYTES:
            raise ConfigError(f"{file} is too large for a template.", advice=_ADVICE, code="template-file")
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the template {file}: {error.strerror}.", advice=_ADVICE, code="template-file"
        ) from error
    return _parsed(str(file), content, detectors)


def _parsed(file: str, content: bytes, detectors: Sequence[DatasetDetector]) -> tuple[DatasetDetector, DatasetTemplate]:
    for detector in detectors:
        try:
            return detector, detector.read_template(content)
        except ValueError:
            continue
    names = ", ".join(detector.name for detector in detectors) or "none is on"
    raise ConfigError(
        f"{file} is no template that a dataset detector knows ({names}).", advice=_ADVICE, code="template-file"
    )


_ADVICE = "Give files that `automask overlays save` wrote, and keep their detector in dataset_detectors."
