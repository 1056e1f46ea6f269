"""`--to yolo-seg`: a dataset for training segmentation networks of ultralytics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from automask.export.base import BaseExporter, text_file
from automask.export.outlines import outlines
from automask.export.protocol import ExportContext, ExportImage, ExportOptions, ExportRules, OutputFile
from automask.export.snippets import yaml_string
from automask.values.types import Kind

_CLASSES = {kind: number for number, kind in enumerate(Kind)}


class YoloSegExporter(BaseExporter[ExportOptions]):
    """`images/train/`, `labels/train/<stem>.txt` with one line per connected part, and `data.yaml`."""

    name = "yolo-seg"
    about = "YOLO segmentation labels of what was found, ungrown, with data.yaml"

    @property
    def rules(self) -> ExportRules:
        """Labels follow the folders of the images."""
        return ExportRules(
            images="link",
            images_folder="images/train",
            needs_images=True,
            takes_captions=False,
            lists_images=True,
            keeps_blank=True,
        )

    def files(self, image: ExportImage) -> Sequence[OutputFile]:
        """The label; an empty one for an image without anything, which is a background for YOLO."""
        name = PurePosixPath("labels/train") / PurePosixPath(image.name).with_suffix(".txt")
        return (OutputFile(str(name), f"{self.version}:{image.key}", lambda: _label(image)),)

    def closing(self, records: Sequence[object], context: ExportContext) -> Sequence[OutputFile]:
        """The dataset's description."""
        lines = [f"path: {yaml_string(str(context.output))}", "train: images/train", "val: images/train", "names:"]
        lines += [f"  {number}: {kind.value}" for kind, number in _CLASSES.items()]
        return (text_file("data.yaml", "\n".join(lines) + "\n"),)


def _label(image: ExportImage) -> bytes:
    width_px, height_px = image.size_px
    lines = []
    for one in image.instances():
        for outline in outlines(one.artefact):
            numbers = [f"{value:.6f}" for x, y in outline for value in (x / width_px, y / height_px)]
            lines.append(f"{_CLASSES[one.kind]} {' '.join(numbers)}\n")
    return "".join(lines).encode()
