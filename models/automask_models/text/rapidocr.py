"""The default text detector: PP-OCR detection and recognition with evidence that tells text from texture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError
from automask.protocols import WeightFile, WeightSource, stage_fingerprint
from automask.values.geometry import Box
from automask.values.placement import Placement, joined
from automask.values.types import Image, Issue, Region
from automask_models.ink.confidence import InkModel
from automask_models.ink.network import DEFAULT_WEIGHTS, InkNetwork
from automask_models.ink.opinion import InkOpinion
from automask_models.scene.network import DEFAULT_WEIGHTS as SCENE_WEIGHTS
from automask_models.scene.network import SceneNetwork
from automask_models.scene.opinion import SceneModel, SceneOpinion
from automask_models.stages import asked_weights
from automask_models.text.evidence import EvidenceModel
from automask_models.text.lines import TextLine, find_lines, merge_passes, upright_crop
from automask_models.text.ppocr import (
    DETECTION_FILE,
    RECOGNITION_FILE,
    PpOcr,
    bundled_model,
)
from automask_models.text.regions import text_region
from automask_models.text.scales import detail_scale, resized, scales_of, small_lettering, tiled_map

_ALGORITHM_VERSION = 6
_WORTH_A_PASS = 1.2
_WORTH_A_DETAIL_PASS = 1.4
"""A pass runs only at a scale this many times that of the one before: nearer ones see the same. Detail costs more."""


class RapidOcrOptions(FrozenModel):
    """Options of `rapidocr`."""

    ink: str = Field(DEFAULT_WEIGHTS, description="Weights of the ink network as a second opinion; empty = without.")
    ink_models: str = Field("", description="JSON file of the models that weigh that opinion; empty = ours.")
    scene: str = Field(SCENE_WEIGHTS, description="Weights of the scene network as a third opinion; empty = without.")
    scene_models: str = Field("", description="JSON file of the models that weigh that opinion; empty = ours.")
    min_score: float = Field(0.4, ge=0, le=1, description="Ignore lines with a lower mean detection probability.")
    detail: bool = Field(True, description="Look again, enlarged, where small letters were found.")


class RapidOcrDetector:
    """Finds text lines with the PP-OCR networks bundled in the `rapidocr` package.

    A coarse pass finds huge and widely spaced lettering, the main pass the rest, and where that sees small letters
    a detail pass looks closer. Recognition, shape and detection score together say how likely a line is text; lines
    that are probably texture come out with a confidence below 0.5. Where its weights are installed, the ink network is
    asked for a second opinion on each line, and the scene network for a third. Regions are of kind text; `text_region`,
    `InkOpinion` and `SceneOpinion` document their attributes.
    """

    name: ClassVar[str] = "rapidocr"
    Options: ClassVar[type[FrozenModel]] = RapidOcrOptions

    def __init__(
        self,
        options: RapidOcrOptions,
        *,
        detection: WeightFile,
        recognition: WeightFile,
        ink: WeightFile | None,
        scene: WeightFile | None,
        runtime: RuntimeConfig,
    ) -> None:
        self._options = options
        self._ink = ink
        self._scene = scene
        self._scene_models = SceneModel.chosen(options.scene_models, option="options.rapidocr.scene_models")
        self._ink_models = InkModel.chosen(options.ink_models, option="options.rapidocr.ink_models")
        self._detection = detection
        self._recognition = recognition
        self._runtime = runtime
        self._networks: PpOcr | None = None
        self._model: EvidenceModel | None = None
        self._opinion: InkOpinion | None = None
        self._scene_opinion: SceneOpinion | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the detector.

        Raises:
            WeightsError: The rapidocr package with its bundled networks is not installed, or named ink weights are
                missing.
            ConfigError: The file of other models cannot be read, or holds none.
        """
        checked = RapidOcrOptions.model_validate(options.model_dump())
        stage = "The rapidocr detector"
        return cls(
            checked,
            ink=asked_weights(checked.ink, weights, shipped=DEFAULT_WEIGHTS, stage=stage),
            scene=asked_weights(checked.scene, weights, shipped=SCENE_WEIGHTS, stage=stage),
            detection=bundled_model(DETECTION_FILE),
            recognition=bundled_model(RECOGNITION_FILE),
            runtime=runtime,
        )

    @property
    def fingerprint(self) -> str:
        """Hash of algorithm, options and networks."""
        ink = () if self._ink is None else (self._ink.sha256, self._ink_models.sha256)
        scene = () if self._scene is None else (self._scene.sha256, self._scene_models.sha256)
        return stage_fingerprint(
            self.name,
            algorithm_version=_ALGORITHM_VERSION,
            options=self._options.model_copy(update={"ink": "", "scene": ""}),  # its hash counts, not where it lies
            weights_sha256=(
                self._detection.sha256,
                self._recognition.sha256,
                EvidenceModel.bundled().sha256,
                *ink,
                *scene,
            ),
            without=("ink_models", "scene_models"),  # nor where these lie
        )

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell: its networks always come with it."""
        return ()

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return joined(
            part.placement for part in (self._networks, self._opinion, self._scene_opinion) if part is not None
        )

    def load(self) -> None:
        """Read both networks.

        Raises:
            WeightsError: A network does not load.
        """
        if self._networks is None:
            self._networks = PpOcr(
                detection=self._detection.path, recognition=self._recognition.path, runtime=self._runtime
            )
            self._model = EvidenceModel.bundled()
            if self._ink is not None:
                self._opinion = InkOpinion(InkNetwork.open(self._ink, runtime=self._runtime), self._ink_models)
            if self._scene is not None:
                network = SceneNetwork.open(self._scene, runtime=self._runtime)
                self._scene_opinion = SceneOpinion(network, self._scene_models.lines)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Text regions per image.

        Raises:
            StageError: `load` was not called, or a network failed.
        """
        if self._networks is None or self._model is None:
            raise StageError("rapidocr: detect() before load().")
        return [self._detect_one(image, self._networks, self._model) for image in images]

    def _detect_one(self, image: Image, networks: PpOcr, model: EvidenceModel) -> list[Region]:
        lines = self._lines(image, networks)
        read = networks.recognise([upright_crop(image.pixels, line) for line in lines])
        regions = (
            text_region(line, recognition, image=image, model=model, source=self.name)
            for line, recognition in zip(lines, read, strict=True)
        )
        found = [region for region in regions if region is not None]
        for opinion in (self._opinion, self._scene_opinion):
            if opinion is not None:
                found = opinion.on(image, found)
        return found

    def _lines(self, image: Image, networks: PpOcr) -> list[TextLine]:
        scale, main = scales_of(image.width_px, image.height_px)
        passes = [self._search(image, networks, scale)]
        if main > scale * _WORTH_A_PASS:
            scale = main
            passes.append(self._search(image, networks, scale))
        detail = detail_scale(image.width_px, image.height_px)
        small = small_lettering(passes[-1], scale=scale)
        if self._options.detail and small and detail > scale * _WORTH_A_DETAIL_PASS:
            passes.append(self._search(image, networks, detail, where=small))
        return merge_passes(passes)

    def _search(
        self, image: Image, networks: PpOcr, scale: float, *, where: Sequence[TextLine] | None = None
    ) -> list[TextLine]:
        """Lines at one scale; with `where`, only in the tiles that hold one of these lines."""
        picture = resized(image.pixels, scale)
        to_rows, to_columns = picture.shape[0] / image.height_px, picture.shape[1] / image.width_px
        boxes = None
        if where is not None:
            boxes = [Box.around([(x * to_columns, y * to_rows) for x, y in line.outline]) for line in where]
        return find_lines(
            tiled_map(networks.probability_map, picture, where=boxes),
            width_px=image.width_px,
            height_px=image.height_px,
            min_score=self._options.min_score,
        )
