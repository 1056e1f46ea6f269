"""`--to coco`: instance annotations, once with run lengths and once with polygons."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from automask.export.base import BaseExporter, text_file
from automask.export.outlines import coco_box, outlines
from automask.export.protocol import (
    IMAGES_FOLDER,
    ExportContext,
    ExportImage,
    ExportOptions,
    ExportRules,
    OutputFile,
    Record,
)
from automask.export.snippets import json_line
from automask.values.rle import coco_counts
from automask.values.types import Kind

CATEGORIES = {kind: number for number, kind in enumerate(Kind, start=1)}


class CocoExporter(BaseExporter[ExportOptions]):
    """`annotations-rle.json` and `annotations-polygons.json`: one annotation per unwanted thing, ungrown, upright."""

    name = "coco"
    about = "COCO instances of what was found, ungrown: run lengths and polygons"

    @property
    def rules(self) -> ExportRules:
        """A list of images."""
        return ExportRules(takes_captions=False, lists_images=True, shares_stems=True, keeps_blank=True)

    def record(self, image: ExportImage) -> Record:
        """Size and annotations, without ids."""
        width_px, height_px = image.size_px
        things = [
            {
                "category_id": CATEGORIES[one.kind],
                "bbox": coco_box(one.artefact),
                "area": float(one.artefact.sum()),
                "iscrowd": 0,
                "score": one.confidence,
                "counts": coco_counts(one.artefact),
                "polygons": [[v for point in outline for v in point] for outline in outlines(one.artefact)],
            }
            for one in image.instances()
        ]
        return {"file_name": image.name, "width": width_px, "height": height_px, "things": things}

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """Both files."""
        return (
            text_file("annotations-rle.json", json_line(_dataset(records, in_polygons=False))),
            text_file("annotations-polygons.json", json_line(_dataset(records, in_polygons=True))),
        )


def _dataset(records: Sequence[Record], *, in_polygons: bool) -> dict[str, Any]:
    numbers = itertools.count(1)
    return {
        "info": {"description": f"Written by automask; file names are relative to the image folder ({IMAGES_FOLDER}/)"},
        "licenses": [],
        "categories": [{"id": number, "name": kind.value, "supercategory": ""} for kind, number in CATEGORIES.items()],
        "images": [
            {"id": image_id, **{key: record[key] for key in ("file_name", "width", "height")}}
            for image_id, record in enumerate(records, start=1)
        ],
        "annotations": [
            {"id": next(numbers), "image_id": image_id, **thing}
            for image_id, record in enumerate(records, start=1)
            for thing in _things(record, in_polygons=in_polygons)
        ],
    }


def _things(record: Record, *, in_polygons: bool) -> Iterator[dict[str, Any]]:
    things: Any = record["things"]
    for thing in things:
        kept = {key: value for key, value in thing.items() if key not in ("counts", "polygons")}
        if not in_polygons:
            yield {**kept, "segmentation": {"counts": thing["counts"], "size": [record["height"], record["width"]]}}
        elif thing["polygons"]:
            yield {**kept, "segmentation": thing["polygons"]}
