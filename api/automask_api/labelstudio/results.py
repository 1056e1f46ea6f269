"""What automask found on an image, as Label Studio's results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.export.outlines import outlines
from automask.mask.correcting import drawn_as_called
from automask.values.brush import encode_brush
from automask.values.geometry import Box
from automask.values.types import Found
from automask_api.labelstudio.interface import Control


def results_of(result: Found, config: PipelineConfig, control: Control) -> list[dict[str, Any]]:
    """The regions that are masked, ungrown, as results of a tag; a region of several parts gives several polygons."""
    found: list[dict[str, Any]] = []
    for region, patch in drawn_as_called(result, config, None):
        label = control.labels.get(region.kind)
        if label is None:
            continue
        for value in _values(patch.box, patch.artefact, result, control):
            found.append(
                {
                    "id": f"automask-{len(found) + 1}",
                    "type": control.shape,
                    "from_name": control.from_name,
                    "to_name": control.to_name,
                    "original_width": result.width_px,
                    "original_height": result.height_px,
                    "image_rotation": 0,
                    "score": round(region.confidence, 4),
                    "value": {**value, control.shape: [label]},
                }
            )
    return found


def _values(box: Box, artefact: NDArray[np.bool_], result: Found, control: Control) -> Iterator[dict[str, Any]]:
    width_px, height_px = result.width_px, result.height_px
    if control.shape == "rectanglelabels":
        yield {
            "x": 100 * box.x0 / width_px,
            "y": 100 * box.y0 / height_px,
            "width": 100 * (box.x1 - box.x0) / width_px,
            "height": 100 * (box.y1 - box.y0) / height_px,
            "rotation": 0,
        }
        return
    whole = np.zeros((height_px, width_px), dtype=bool)
    whole[box.slices] = artefact
    if control.shape == "brushlabels":
        if whole.any():
            yield {"format": "rle", "rle": encode_brush(whole)}
        return
    for outline in outlines(whole):
        points = [[min(max(100 * x / width_px, 0), 100), min(max(100 * y / height_px, 0), 100)] for x, y in outline]
        yield {"points": points, "closed": True}
