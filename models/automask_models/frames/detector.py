"""The `edges` detector: frames, borders, bars, mats and caption strips.

Straight edges propose, the layout network judges what is picture. Without the network's weights edges alone decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError
from automask.protocols import WeightFile
from automask.values.geometry import Box
from automask.values.placement import Placement
from automask.values.types import Image, Issue, Kind, Region
from automask_models.frames.cards import find_card
from automask_models.frames.judging import FrameJudge
from automask_models.frames.nesting import ACCEPT, WEAK, Layer, follow
from automask_models.frames.picture import certainly_picture
from automask_models.frames.shape import inside_of, outside_of
from automask_models.frames.sides import Line, Side
from automask_models.frames.strips import find_strips
from automask_models.frames.verdict import judged
from automask_models.frames.windows import find_window
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutNetwork
from automask_models.stages import WeightedStage, WeightOptions

DRAWING_TRUST = 0.45
"""What the confidence of a frame around something that is no picture is multiplied with. Where the trust is below
`ACCEPT`, whatever surrounds it is only proposed."""

LARGE_SHARE = 0.6
"""Share of the image from which a frame is drawn only on overwhelming evidence: it dwarfs the picture."""
OVERWHELMING = 0.9
LETTERED_STRIP = 0.25
"""Share of the image over which a strip is only proposed: a comic's panel is level, plain and full of lines, too."""


class EdgesOptions(WeightOptions):
    """Options of the `edges` detector."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of a layout network.")
    judge: str = Field("", description="JSON file of the models that judge what is proposed; empty = ours.")


class EdgesDetector(WeightedStage[EdgesOptions]):
    """Finds what was put around a picture; runs in the calling thread.

    Regions have kind frame and their own `artefact`, the exact pixels of the frame. Attributes:

    - `pattern`: ring, rim, pair, nested, edge-ring or edge-pair for each layer from outside inwards, joined by `>`;
      or strip, window or card; or traced, from the network's map;
    - of all that was judged: `layout_inside` and `layout_beyond`, mean probability of frame in the region and beside
      it, and, save for what was traced, `geometry`, the confidence before.
    """

    name: ClassVar[str] = "edges"
    Options: ClassVar[type[FrozenModel]] = EdgesOptions
    algorithm_version: ClassVar[int] = 8
    role: ClassVar[str] = "detector"
    optional_weights: ClassVar[str | None] = DEFAULT_WEIGHTS
    model_options: ClassVar[tuple[str, ...]] = ("judge",)

    def __init__(self, options: EdgesOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        """Build it.

        Raises:
            ConfigError: The file of another judge cannot be read, or holds none.
        """
        super().__init__(options, weights=weights, runtime=runtime)
        self._network: LayoutNetwork | None = None
        self._judge = FrameJudge.chosen(options.judge, option="options.edges.judge")

    @property
    def model_sha256s(self) -> tuple[str, ...]:
        """See `WeightedStage`."""
        return () if self._weights is None else (self._judge.sha256,)

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        return self._notice_without_weights("layout", "frames are judged by their edges alone", code="layout-missing")

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return None if self._network is None else self._network.placement

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The file is no layout network.
        """
        if self._weights is not None and self._network is None:
            self._network = LayoutNetwork.open(self._weights, runtime=self._runtime)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Frames per image.

        Raises:
            StageError: There are weights and `load` was not called, or the network failed.
        """
        if self._weights is not None and self._network is None:
            raise StageError("edges: detect() before load().")
        return [self._frames(image) for image in images]

    def _frames(self, image: Image) -> list[Region]:
        regions = detect_frames(image.pixels)
        if self._network is None:
            return regions
        return judged(regions, image.pixels, self._network.map_of(image), self._judge, source=self.name)


def detect_frames(pixels: NDArray[np.uint8]) -> list[Region]:
    """Frames that edges alone propose in an (H, W, 3) uint8 image."""
    height_px, width_px = pixels.shape[:2]
    layers = follow(pixels)
    lines = {side: Line() for side in Side}
    for layer in layers:
        lines.update(layer.lines)
    inside = inside_of(lines, height_px=height_px, width_px=width_px)
    trust = DRAWING_TRUST + (1 - DRAWING_TRUST) * certainly_picture(pixels[inside.slices])
    regions = []
    done = np.zeros((height_px, width_px), dtype=np.bool_)
    lines = {side: Line() for side in Side}
    drawn_lines, is_drawn = dict(lines), True
    for group in _by_acceptance(layers, trust):
        for layer in group:
            lines.update(layer.lines)
        outside = outside_of(lines, height_px=height_px, width_px=width_px) & ~done
        if not outside.any():
            continue
        done |= outside
        confidence = trust * min(layer.confidence for layer in group)
        dwarfs = bool(done.mean() > LARGE_SHARE) and confidence < OVERWHELMING
        pattern = ">".join(layer.pattern for layer in group)
        regions.append(_frame(pattern, outside, confidence, proposed=trust < ACCEPT or dwarfs))
        # What is only proposed is no ground for more.
        is_drawn = is_drawn and _draws(regions[-1])
        drawn_lines = dict(lines) if is_drawn else drawn_lines
    accepted = inside_of(drawn_lines, height_px=height_px, width_px=width_px)
    for strip in find_strips(pixels, inside=accepted, at_least=WEAK):
        proposed = trust < ACCEPT or strip.box.area_px > LETTERED_STRIP * height_px * width_px
        regions.append(_frame("strip", _within(strip.box, done.shape), strip.confidence * trust, proposed=proposed))
    window = find_window(pixels, inside=accepted)
    if window is not None and window.confidence >= WEAK:
        regions.append(_frame("window", ~_within(window.box, done.shape), window.confidence))
    card = find_card(pixels, inside=inside)
    if card is not None and card.confidence >= WEAK:
        regions.append(_frame("card", card.outside, card.confidence))
    return regions


def _draws(region: Region) -> bool:
    """Whether geometry alone would draw a region."""
    return not region.proposed and region.confidence >= ACCEPT


def _by_acceptance(layers: Sequence[Layer], trust: float) -> list[list[Layer]]:
    """Neighbouring layers on the same side of the acceptance threshold, together."""
    groups: list[list[Layer]] = []
    for layer in layers:
        accepted = layer.confidence * trust >= ACCEPT
        if groups and (groups[-1][-1].confidence * trust >= ACCEPT) == accepted:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def _within(box: Box, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The (H, W) mask of a box."""
    mask = np.zeros(shape, dtype=np.bool_)
    mask[box.slices] = True
    return mask


def _frame(pattern: str, mask: NDArray[np.bool_], confidence: float, *, proposed: bool = False) -> Region:
    """A region of an (H, W) mask of the whole image."""
    height_px, width_px = mask.shape
    box = Box.of_artefact(mask) or Box(0, 0, width_px, height_px)
    return Region(
        kind=Kind.FRAME,
        box=box,
        confidence=round(confidence, 4),
        source=EdgesDetector.name,
        artefact=np.ascontiguousarray(mask[box.slices]),
        attributes={"pattern": pattern},
        proposed=proposed,
    )
