"""`--to cvat`: masks in `CVAT for images 1.1`, which CVAT uploads as annotations of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
from numpy.typing import NDArray

from automask.export.base import BaseExporter, text_file
from automask.export.protocol import ExportContext, ExportImage, ExportOptions, ExportRules, OutputFile, Record
from automask.values.geometry import Box
from automask.values.types import Kind


class CvatExporter(BaseExporter[ExportOptions]):
    """`annotations.xml` and the images, for a task made of that folder."""

    name = "cvat"
    about = "CVAT for images 1.1: masks of what was found, ungrown, to correct and import again"

    @property
    def rules(self) -> ExportRules:
        """A task is made of a folder of images."""
        return ExportRules(
            images="link", takes_captions=False, lists_images=True, shares_stems=True, keeps_blank=True, xml_names=True
        )

    def record(self, image: ExportImage) -> Record:
        """Size and masks."""
        width_px, height_px = image.size_px
        masks = []
        for one in image.instances():
            box = Box.of_artefact(one.artefact)
            if box is not None:
                inside = np.ascontiguousarray(one.artefact[box.slices])
                masks.append({"label": one.kind.value, "rle": _mask_runs(inside), "box": box.xyxy})
        return {"name": image.name, "width": width_px, "height": height_px, "masks": masks}

    def closing(self, records: Sequence[Record], context: ExportContext) -> Sequence[OutputFile]:
        """The annotations."""
        root = Element("annotations")
        SubElement(root, "version").text = "1.1"
        labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
        for kind in Kind:
            label = SubElement(labels, "label")
            SubElement(label, "name").text = kind.value
            SubElement(label, "type").text = "mask"
        for number, record in enumerate(records):
            _add_image(root, record, number)
        indent(root)
        return (text_file("annotations.xml", tostring(root, encoding="unicode", xml_declaration=True) + "\n"),)


def _add_image(root: Element, record: Mapping[str, Any], number: int) -> None:
    sizes = {name: str(record[name]) for name in ("name", "width", "height")}
    image = SubElement(root, "image", {"id": str(number), **sizes})
    for mask in record["masks"]:
        x0, y0, x1, y1 = mask["box"]
        place = {"left": str(x0), "top": str(y0), "width": str(x1 - x0), "height": str(y1 - y0)}
        fixed = {"source": "auto", "occluded": "0", "z_order": "0"}
        SubElement(image, "mask", {"label": mask["label"], "rle": mask["rle"], **place, **fixed})


def _mask_runs(artefact: NDArray[np.bool_]) -> str:
    """The `rle` attribute of an artefact that fills its box: row-major runs, the first of False pixels."""
    flat = artefact.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return ", ".join(map(str, ([0, *runs] if flat[0] else runs)))
