"""The watermark detector: marks, logos, signatures and date stamps from a YOLO network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig, Share
from automask.errors import WeightsError
from automask.protocols import WeightFile
from automask.values.geometry import Box
from automask.values.placement import Placement
from automask.values.types import Image, Kind, Region
from automask_models.stages import WeightedStage, WeightOptions, allows_unsafe_pickle
from automask_models.watermark.heads import Detections, joined, read_head, suppressed
from automask_models.watermark.letterbox import Letterbox, letterbox, tiles, touches_cut
from automask_models.watermark.network import OnnxYolo, YoloNetwork

DEFAULT_WEIGHTS = "automask-watermark"

_TILED_LONG_SIDE_PX = 1920
"""Larger images are shrunk to this before they are cut into tiles: marks are drawn to be seen at screen size."""


class YoloOptions(WeightOptions):
    """Options of the `yolo` detector."""

    weights: str = Field(
        DEFAULT_WEIGHTS,
        min_length=1,
        description="Name, ORG/NAME of a hub, .onnx file, or with the yolo extra a .pt file of ultralytics.",
    )
    confidence: Share = Field(0.35, description="Boxes below this score are not reported.")
    iou: Share = Field(0.6, description="Of two boxes that overlap more than this, the lower one goes.")
    classes: dict[str, Kind | Literal["ignore"]] = Field(
        default_factory=dict, description="Kind of each class by name, or ignore."
    )
    other_classes: Kind | Literal["ignore"] = Field(
        Kind.WATERMARK, description="Kind of classes not named in `classes`."
    )
    min_area: Share = Field(0.0, description="Smallest share of the image that a box may cover.")
    max_area: Share = Field(1.0, description="Largest share of the image that a box may cover.")
    side_px: int = Field(640, ge=32, le=4096, description="Long side of a picture in the network's input.")
    tile_above_px: int = Field(
        1000, ge=0, description="Images with a longer side are also looked at in tiles of side_px; 0 = never."
    )
    allow_unsafe_pickle: bool = Field(False, description="Load .pt files that may run code: trusted authors only.")


class YoloDetector(WeightedStage[YoloOptions]):
    """Marks in a picture, from ONNX weights or (extra `yolo`) from ultralytics' own checkpoints.

    Attributes of its regions: `label` (the class name) and `score`. Segmentation weights give regions their shape.
    No weights are shipped, so it is an error to ask for it without naming some.
    """

    name: ClassVar[str] = "yolo"
    Options: ClassVar[type[FrozenModel]] = YoloOptions
    algorithm_version: ClassVar[int] = 2
    role: ClassVar[str] = "detector"
    weights_advice: ClassVar[str | None] = (
        "None are shipped: name some, as in `--detectors rapidocr,edges,yolo:FILE.onnx` (`automask train watermark` "
        "makes them, `automask models list` has public ones), or leave the detector out."
    )

    def __init__(self, options: YoloOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        super().__init__(options, weights=weights, runtime=runtime)
        self._network: YoloNetwork | None = None

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return None if self._network is None else self._network.placement

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            PluginError: A .pt file, but not the extra `yolo`.
            WeightsError: The weights are damaged, unsafe or of an unknown layout.
        """
        self._ready()

    def _ready(self) -> YoloNetwork:
        if self._network is None:
            self._network = self._open(self.weight_file)
        return self._network

    def _open(self, weights: WeightFile) -> YoloNetwork:
        unsafe = allows_unsafe_pickle(weights, asked=self._options.allow_unsafe_pickle, stage=self.name)
        path = _network_file(weights.path) if weights.path.is_dir() else weights.path
        if path.suffix == ".onnx":
            return OnnxYolo.open(path, runtime=self._runtime)
        if path.suffix == ".pt":
            from automask_models.watermark.ultralytics_boundary import open_checkpoint

            return open_checkpoint(path, runtime=self._runtime, allow_unsafe_pickle=unsafe)
        raise WeightsError(
            f"{path} is no kind of weights that the yolo detector knows.",
            advice="Give an .onnx or .pt file.",
            code="weights-layout",
        )

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Regions per image."""
        network = self._ready()
        return [list(self._regions(image, network)) for image in images]

    def _regions(self, image: Image, network: YoloNetwork) -> Iterator[Region]:
        options = self._options
        whole, base = self._look(image.pixels, image.box, network)
        shapes = None if base.shapes is None else [_shape(base, i, whole) for i in range(len(base))]
        found = Detections(boxes=whole.to_image(base.boxes), scores=base.scores, classes=base.classes)
        if shapes is None and 0 < options.tile_above_px < max(image.pixels.shape[:2]):
            found = joined([found, *self._tiled(image, network)])
            found = found.picked(suppressed(found, max_iou=options.iou, across_classes=True))
        for i in range(len(found)):
            label = network.names.get(int(found.classes[i]), str(int(found.classes[i])))
            kind = options.classes.get(label, options.other_classes)
            box = _pixel_box(found.boxes[i], image.box)
            if box is None or kind == "ignore":
                continue
            if not options.min_area <= box.area_px / image.box.area_px <= options.max_area:
                continue
            score = min(1.0, float(found.scores[i]))
            artefact = None if shapes is None else shapes[i][box.slices]
            yield Region(
                kind=Kind(kind),
                box=box,
                confidence=score,
                source=self.name,
                artefact=artefact if artefact is not None and artefact.any() else None,
                attributes={"label": label, "score": score},
            )

    def _look(self, pixels: NDArray[np.uint8], window: Box, network: YoloNetwork) -> tuple[Letterbox, Detections]:
        fitted = letterbox(pixels, window, side_px=self._options.side_px, canvas_shape=network.canvas_shape)
        prediction, prototypes = network.predict(fitted.canvas)
        found = read_head(
            prediction,
            prototypes,
            class_count=len(network.names),
            min_score=self._options.confidence,
            max_iou=self._options.iou,
        )
        return fitted, found

    def _tiled(self, image: Image, network: YoloNetwork) -> Iterator[Detections]:
        """What closer looks find; boxes that a tile may have cut off are left to the other passes."""
        scale = max(1.0, max(image.pixels.shape[:2]) / _TILED_LONG_SIDE_PX)
        for window in tiles(image.box, side_px=round(self._options.side_px * scale)):
            fitted, found = self._look(image.pixels, window, network)
            boxes = fitted.to_image(found.boxes)
            entire = ~touches_cut(boxes, window, image=image.box, margin_px=2 * scale)
            yield Detections(boxes=boxes, scores=found.scores, classes=found.classes).picked(entire)


def _network_file(folder: Path) -> Path:
    """The one network of a folder; ONNX goes before ultralytics' own format, which needs an extra.

    Raises:
        WeightsError: It has none, or several.
    """
    for suffix in (".onnx", ".pt"):
        files = sorted(folder.glob(f"*{suffix}"))
        if len(files) == 1:
            return files[0]
        if files:
            raise WeightsError(
                f"{folder} has several networks: {', '.join(file.name for file in files)}.",
                advice="Name one of these files by its path.",
                code="weights-layout",
            )
    raise WeightsError(
        f"{folder} has neither an .onnx nor a .pt file.", advice="Give an .onnx or .pt file.", code="weights-layout"
    )


def _pixel_box(box: NDArray[np.float32], image: Box) -> Box | None:
    """The pixels that a box touches, inside the image; None for an empty or broken one."""
    if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        return None
    return Box.around([(float(box[0]), float(box[1])), (float(box[2]), float(box[3]))]).intersection(image)


def _shape(found: Detections, index: int, fitted: Letterbox) -> NDArray[np.bool_]:
    """A segmentation mask at the size of the image."""
    import cv2

    if found.shapes is None:
        raise ValueError("these detections have no shapes")
    rows, columns = fitted.canvas.shape[:2]
    full = cv2.resize(found.shapes[index].astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    used_rows = max(1, round(fitted.window.height_px * fitted.scale[1]))
    used_columns = max(1, round(fitted.window.width_px * fitted.scale[0]))
    sized = cv2.resize(full[:used_rows, :used_columns], (fitted.window.width_px, fitted.window.height_px))
    return np.asarray(sized > 0.5, dtype=np.bool_)
