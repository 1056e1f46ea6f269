"""`--to labelme`: polygons that LabelMe opens and edits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath

from automask.export.base import BaseExporter
from automask.export.outlines import outlines
from automask.export.protocol import IMAGES_FOLDER, ExportImage, ExportOptions, ExportRules, OutputFile
from automask.export.snippets import json_text

_FORMAT = "5.5.0"


class LabelMeExporter(BaseExporter[ExportOptions]):
    """`images/<stem>.json` beside links to the images; parts of one thing share a group."""

    name = "labelme"
    about = "LabelMe polygons of what was found, ungrown, beside links to the images"

    @property
    def rules(self) -> ExportRules:
        """LabelMe turns images upright itself."""
        return ExportRules(images="link", takes_captions=False, lists_images=True, keeps_blank=True)

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The annotation."""
        name = PurePosixPath(IMAGES_FOLDER) / PurePosixPath(image.name).with_suffix(".json")
        links = self.options.images != "none"
        return (OutputFile(str(name), f"{self.version}:{links}:{image.key}", lambda: _annotation(image, links=links)),)


def _annotation(image: ExportImage, *, links: bool) -> bytes:
    width_px, height_px = image.size_px
    shapes: list[dict[str, object]] = [
        {
            "label": one.kind.value,
            "points": [list(point) for point in outline],
            "group_id": number,
            "description": f"confidence {one.confidence:.2f}",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for number, one in enumerate(image.instances())
        for outline in outlines(one.artefact)
    ]
    content: dict[str, object] = {
        "version": _FORMAT,
        "flags": {},
        "shapes": shapes,
        "imagePath": PurePosixPath(image.name).name if links else os.fspath(image.path),
        "imageData": None,
        "imageHeight": height_px,
        "imageWidth": width_px,
    }
    return json_text(content).encode()
