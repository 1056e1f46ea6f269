"""`--to labelstudio`: tasks with brush labels that Label Studio imports as predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from automask.export.base import BaseExporter, text_file
from automask.export.protocol import (
    IMAGES_FOLDER,
    ExportContext,
    ExportImage,
    ExportOptions,
    ExportRules,
    OutputFile,
    Record,
)
from automask.values.brush import encode_brush
from automask.values.types import Kind

_CONFIG = """<View>
  <Image name="image" value="$image" zoom="true"/>
  <BrushLabels name="unwanted" toName="image">
{labels}
  </BrushLabels>
  <PolygonLabels name="outline" toName="image">
{labels}
  </PolygonLabels>
</View>
"""


class LabelStudioExporter(BaseExporter[ExportOptions]):
    """`tasks.json`, `labeling-config.xml` and the images, for a project with local files."""

    name = "labelstudio"
    about = "Label Studio tasks: brush labels of what was found, ungrown, to correct and import again"

    @property
    def rules(self) -> ExportRules:
        """Label Studio serves a folder of images."""
        return ExportRules(images="link", takes_captions=False, lists_images=True, shares_stems=True, keeps_blank=True)

    def record(self, image: ExportImage) -> Record:
        """One task."""
        width_px, height_px = image.size_px
        results = [
            {
                "id": f"r{number}",
                "type": "brushlabels",
                "from_name": "unwanted",
                "to_name": "image",
                "original_width": width_px,
                "original_height": height_px,
                "image_rotation": 0,
                "value": {"format": "rle", "rle": encode_brush(one.artefact), "brushlabels": [one.kind.value]},
                "score": round(one.confidence, 4),
            }
            for number, one in enumerate(image.instances())
        ]
        address = f"/data/local-files/?d={quote(f'{IMAGES_FOLDER}/{image.name}')}"
        return {
            "data": {"image": address, "image_id": image.image_id},
            "predictions": [{"model_version": "automask", "result": results}],
        }

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """Tasks and the labelling interface."""
        labels = "\n".join(f'    <Label value="{kind.value}"/>' for kind in Kind)
        return (
            text_file("tasks.json", json.dumps(list(records), ensure_ascii=False)),
            text_file("labeling-config.xml", _CONFIG.format(labels=labels)),
        )
