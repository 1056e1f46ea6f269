"""The watermark detector: marks, logos, signatures and date stamps from a YOLO network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig, Share
from automask.errors import WeightsError
from automask.protocols import WeightFile, WeightSource
from automask.values.geometry import Box
from automask.values.placement import Placement
from automask.values.placement import joined as joined_placements
from automask.values.types import Image, Issue, Kind, Region
from automask_models.ink.network import DEFAULT_WEIGHTS as INK_WEIGHTS
from automask_models.ink.network import InkNetwork
from automask_models.scene.network import DEFAULT_WEIGHTS as SCENE_WEIGHTS
from automask_models.scene.network import SceneNetwork
from automask_models.stages import WeightedStage, WeightOptions, allows_unsafe_pickle, asked_weights
from automask_models.watermark.heads import Detections, joined, read_head, suppressed
from automask_models.watermark.judging import MarkJudge, MarkModel
from automask_models.watermark.letterbox import Letterbox, letterbox, tiles, touches_cut
from automask_models.watermark.network import OnnxYolo, YoloNetwork

DEFAULT_WEIGHTS = "automask-watermark"

JUDGED_SCORE = 0.2
"""Boxes of our own network are judged from this score on: from .1 on it touches three marks of a hundred more, with
three times as many false boxes (models/cards/automask-watermark.md)."""
_SIDE_PX, OUR_SIDE_PX = 640, 512
"""Most networks of others are exported for 640 px. Ours learned on squares of 384 px, whole pictures and cuts: on 150
held-out ones, it touched as many marks at 512 px as at 640, with half as many false boxes."""
_TILED_ABOVE_PX = 1000
"""What others' networks learned is often small in larger pictures; ours is told by its judge, which saw whole ones."""

_TILED_LONG_SIDE_PX = 1920
"""Larger images are shrunk to this before they are cut into tiles: marks are drawn to be seen at screen size."""


class YoloOptions(WeightOptions):
    """Options of the `yolo` detector."""

    weights: str = Field(
        DEFAULT_WEIGHTS,
        min_length=1,
        description="Name, ORG/NAME of a hub, .onnx file, or with the yolo extra a .pt file of ultralytics.",
    )
    confidence: Share = Field(0.35, description="Boxes that are less likely marks are not reported.")
    iou: Share = Field(0.6, description="Of two boxes that overlap more than this, the lower one goes.")
    classes: dict[str, Kind | Literal["ignore"]] = Field(
        default_factory=dict, description="Kind of each class by name, or ignore."
    )
    other_classes: Kind | Literal["ignore"] = Field(
        Kind.WATERMARK, description="Kind of classes not named in `classes`."
    )
    min_area: Share = Field(0.0, description="Smallest share of the image that a box may cover.")
    max_area: Share = Field(1.0, description="Largest share of the image that a box may cover.")
    side_px: int | None = Field(
        None,
        ge=32,
        le=4096,
        description=f"Long side of a picture in the network's input; not set = {_SIDE_PX}, or {OUR_SIDE_PX} of ours.",
    )
    tile_above_px: int | None = Field(
        None,
        ge=0,
        description="Images with a longer side are also looked at in tiles of side_px; 0 = never, not set = "
        f"{_TILED_ABOVE_PX}, and never with our weights.",
    )
    judge: str = Field("", description="JSON file of the model that judges boxes of our weights; empty = ours.")
    ink: str = Field(INK_WEIGHTS, description="Ink network that is asked about boxes of our weights; empty = unjudged.")
    scene: str = Field(SCENE_WEIGHTS, description="Scene network, asked likewise; empty = unjudged.")
    allow_unsafe_pickle: bool = Field(False, description="Load .pt files that may run code: trusted authors only.")


class YoloDetector(WeightedStage[YoloOptions]):
    """Marks in a picture, from ONNX weights or (extra `yolo`) from ultralytics' own checkpoints.

    Attributes of its regions: `label` (the class name) and `score`. Segmentation weights give regions their shape. The
    confidence is the score; boxes of the shipped weights are judged (`MarkJudge`) where the ink network and the scene
    network are installed. Without the shipped weights it finds nothing and says so once.
    """

    name: ClassVar[str] = "yolo"
    Options: ClassVar[type[FrozenModel]] = YoloOptions
    algorithm_version: ClassVar[int] = 3
    role: ClassVar[str] = "detector"
    optional_weights: ClassVar[str | None] = DEFAULT_WEIGHTS
    model_options: ClassVar[tuple[str, ...]] = ("judge",)
    weight_options: ClassVar[tuple[str, ...]] = ("weights", "ink", "scene")

    def __init__(self, options: YoloOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        """Build it.

        Raises:
            ConfigError: The file of another judge cannot be read, or holds none.
        """
        super().__init__(options, weights=weights, runtime=runtime)
        self._model = MarkModel.chosen(options.judge, option="options.yolo.judge")
        self._network: YoloNetwork | None = None
        self._asked: tuple[WeightFile, WeightFile] | None = None
        self._judge: MarkJudge | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: This machine does not have weights that are named.
            ConfigError: The file of another judge cannot be read, or holds none.
        """
        made = super().from_options(options, weights=weights, runtime=runtime)
        chosen = made._options
        stage = "The yolo detector"
        ink = asked_weights(chosen.ink, weights, shipped=INK_WEIGHTS, stage=stage)
        scene = asked_weights(chosen.scene, weights, shipped=SCENE_WEIGHTS, stage=stage)
        if chosen.weights == DEFAULT_WEIGHTS and ink is not None and scene is not None:
            made._asked = ink, scene
        return made

    @property
    def model_sha256s(self) -> tuple[str, ...]:
        """See `WeightedStage`."""
        if self._asked is None:
            return ()
        return (self._model.sha256, *(each.sha256 for each in self._asked))

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        return self._notice_without_weights(
            "yolo", "pictorial marks are not looked for", otherwise=", or leave the detector out"
        )

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return joined_placements(part.placement for part in (self._network, self._judge) if part is not None)

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            PluginError: A .pt file, but not the extra `yolo`.
            WeightsError: The weights are damaged, unsafe or of an unknown layout.
        """
        if self._weights is not None:
            self._ready()

    def _ready(self) -> YoloNetwork:
        if self._network is None:
            self._network = self._open(self.weight_file)
            if self._asked is not None:
                ink, scene = self._asked
                opened = InkNetwork.open(ink, runtime=self._runtime), SceneNetwork.open(scene, runtime=self._runtime)
                self._judge = MarkJudge(*opened, self._model)
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
        """Regions per image; none without the shipped weights.

        Raises:
            StageError: A network failed.
        """
        if self._weights is None:
            return [[] for _ in images]
        network = self._ready()
        return [self._judged(image, list(self._regions(image, network))) for image in images]

    def _judged(self, image: Image, regions: list[Region]) -> list[Region]:
        if self._judge is None:
            return regions
        return [each for each in self._judge.on(image, regions) if each.confidence >= self._options.confidence]

    @property
    def _least_score(self) -> float:
        return self._options.confidence if self._judge is None else JUDGED_SCORE

    @property
    def _is_ours(self) -> bool:
        return self._options.weights == DEFAULT_WEIGHTS

    @property
    def _side_px(self) -> int:
        return self._options.side_px or (OUR_SIDE_PX if self._is_ours else _SIDE_PX)

    @property
    def _tiled_above_px(self) -> int:
        if self._options.tile_above_px is not None:
            return self._options.tile_above_px
        return 0 if self._is_ours else _TILED_ABOVE_PX

    def _regions(self, image: Image, network: YoloNetwork) -> Iterator[Region]:
        options = self._options
        whole, base = self._look(image.pixels, image.box, network)
        shapes = None if base.shapes is None else [_shape(base, i, whole) for i in range(len(base))]
        found = Detections(boxes=whole.to_image(base.boxes), scores=base.scores, classes=base.classes)
        if shapes is None and 0 < self._tiled_above_px < max(image.pixels.shape[:2]):
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
        fitted = letterbox(pixels, window, side_px=self._side_px, canvas_shape=network.canvas_shape)
        prediction, prototypes = network.predict(fitted.canvas)
        found = read_head(
            prediction,
            prototypes,
            class_count=len(network.names),
            min_score=self._least_score,
            max_iou=self._options.iou,
        )
        return fitted, found

    def _tiled(self, image: Image, network: YoloNetwork) -> Iterator[Detections]:
        """What closer looks find; boxes that a tile may have cut off are left to the other passes."""
        scale = max(1.0, max(image.pixels.shape[:2]) / _TILED_LONG_SIDE_PX)
        for window in tiles(image.box, side_px=round(self._side_px * scale)):
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
