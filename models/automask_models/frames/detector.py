"""The `edges` detector: frames, borders, bars, mats and caption strips.

Straight edges propose, the layout network judges what is picture. Without the network's weights edges alone decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig
from automask.errors import StageError
from automask.protocols import WeightFile
from automask.values.geometry import Box
from automask.values.types import Attribute, Image, Issue, Kind, Region
from automask_models.frames.cards import CardWindow, find_card
from automask_models.frames.judging import FrameJudge
from automask_models.frames.nesting import ACCEPT, WEAK, Layer, follow
from automask_models.frames.openings import Opening, find_opening
from automask_models.frames.picture import certainly_picture, detail_of
from automask_models.frames.plates import Plate, find_plates, in_line
from automask_models.frames.shape import outside_of
from automask_models.frames.sides import Line, Side
from automask_models.frames.strips import Strip, find_strips
from automask_models.frames.tilt import levelled, tilt_of, turned_back
from automask_models.frames.veils import Veil, find_veils
from automask_models.frames.verdict import judged
from automask_models.frames.windows import MIN_FRAMED, ArtWindow, find_window
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutNetwork
from automask_models.stages import WeightedStage, WeightOptions

DRAWING_TRUST = 0.45
"""What the confidence of a frame around something that is no picture is multiplied with. Where the trust is below
`ACCEPT`, whatever surrounds it is only proposed."""

LARGE_SHARE = 0.6
"""Share of the image from which a frame is drawn only on overwhelming evidence: it dwarfs the picture."""
OVERWHELMING = 0.9
LONE_PLATE = 2 / 3
"""Confidence from which a plate in a picture without border is proposed, never drawn: pictures are full of signs."""
LETTERED_STRIP = 0.25
"""Share of the image over which a strip is only proposed: a comic's panel is level, plain and full of lines, too."""


class EdgesOptions(WeightOptions):
    """Options of the `edges` detector."""

    weights: str = Field(DEFAULT_WEIGHTS, min_length=1, description="Name or .onnx file of a layout network.")


class EdgesDetector(WeightedStage[EdgesOptions]):
    """Finds what was put around a picture; runs in the calling thread.

    Regions have kind frame and their own `artefact`, the exact pixels of the frame. Attributes:

    - `pattern`: ring, rim, pair, single, nested, edge-ring or edge-pair for each layer from outside inwards, joined by
      `>`; or strip, veil, rounded, oval, plate, window, card;
    - `left_px`, `top_px`, `right_px`, `bottom_px`: depth of the whole region at the middle of each side;
    - `support`, `purity`, `beyond`, `noise`, `contrast`: the weakest values over the sides of the outermost layer
      (see `bands.Band`);
    - `detail`: share of detail inside (see `picture`);
    - for a strip instead: `side`, `support`, `drift`, `noise`, `ink` (see `strips.Strip`);
    - for a veil instead: `side`, `follows`, `contrast_left`, `letters` (see `veils.Veil`);
    - for a plate instead: `filled`, `ink`, `letters` (see `plates.Plate`);
    - for a rounded or oval window instead: `radius_px`, `agreement`, `sharpness`, `detail` (see `openings.Opening`);
    - for the art window of a card instead: `support`, `off_centre`, `mirrored`, `plates`, `detail`
      (see `windows.ArtWindow`);
    - for a card instead: `straightness`, `fullness`, `asymmetry_ratio`, `mirror_correlation`
      (see `cards.CardWindow`);
    - for what was traced from the network's map (`pattern` traced) instead: `support`, share of its sides that are
      edges;
    - of all that was judged: `layout_inside` and `layout_beyond`, mean probability of frame in the region and beside
      it, and, save for what was traced, `geometry`, the confidence before.
    """

    name: ClassVar[str] = "edges"
    Options: ClassVar[type[FrozenModel]] = EdgesOptions
    algorithm_version: ClassVar[int] = 7
    role: ClassVar[str] = "detector"
    optional_weights: ClassVar[str | None] = DEFAULT_WEIGHTS

    def __init__(self, options: EdgesOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        super().__init__(options, weights=weights, runtime=runtime)
        self._network: LayoutNetwork | None = None
        self._judge: FrameJudge | None = None

    @property
    def model_sha256s(self) -> tuple[str, ...]:
        """See `WeightedStage`."""
        return () if self._weights is None else (FrameJudge.bundled().sha256,)

    @property
    def notices(self) -> Sequence[Issue]:
        """That there are no weights, if so."""
        return self._notice_without_weights("layout", "frames are judged by their edges alone", code="layout-missing")

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The file is no layout network.
        """
        if self._weights is not None and self._network is None:
            self._judge = FrameJudge.bundled()
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
        regions = detect_frames(image.pixels, alpha=image.alpha)
        if self._network is None or self._judge is None:
            return regions
        return judged(regions, image.pixels, self._network.map_of(image), self._judge, source=self.name)


def detect_frames(pixels: NDArray[np.uint8], *, alpha: NDArray[np.uint8] | None = None) -> list[Region]:
    """Frames that edges alone propose in an (H, W, 3) uint8 image with its (H, W) uint8 transparency, if any."""
    shape = pixels.shape[:2]
    layers = follow(pixels)
    lines = {side: Line() for side in Side}
    for layer in layers:
        lines.update(layer.lines)
    inside = _inside(lines, height_px=shape[0], width_px=shape[1])
    detail = detail_of(pixels[inside.slices])
    trust = DRAWING_TRUST + (1 - DRAWING_TRUST) * certainly_picture(pixels[inside.slices], detail)
    regions = []
    done = np.zeros(shape, dtype=np.bool_)
    lines = {side: Line() for side in Side}
    drawn_lines, is_drawn = dict(lines), True
    for group in _by_acceptance(layers, trust):
        for layer in group:
            lines.update(layer.lines)
        region = _region(group, lines, done, trust=trust, detail=detail)
        if region is not None:
            regions.append(region)
            # What is only proposed is no ground for more.
            is_drawn = is_drawn and _draws(region)
            drawn_lines = dict(lines) if is_drawn else drawn_lines
    accepted = _inside(drawn_lines, height_px=shape[0], width_px=shape[1])
    opening = find_opening(pixels, alpha=alpha, inside=accepted)
    if opening is not None and opening.confidence >= WEAK:
        regions.append(_opening_region(opening, done))
    strips = find_strips(pixels, inside=accepted, at_least=WEAK)
    strip_regions = [_strip_region(strip, shape, trust=trust) for strip in strips]
    regions += strip_regions
    opaque = {strip.side for strip, own in zip(strips, strip_regions, strict=True) if _draws(own)}
    veils = find_veils(pixels, inside=accepted, at_least=WEAK)
    regions += [_veil_region(veil, trust=trust) for veil in veils if veil.side not in opaque]
    plates = find_plates(pixels, inside=accepted, at_least=WEAK)
    framed = sum(drawn_lines[side].depth_px > 0 for side in Side)
    is_lone = framed < MIN_FRAMED and not in_line(plates)
    least = LONE_PLATE if is_lone else WEAK / trust
    plate_regions = [_plate_region(each, trust=trust, proposed=is_lone) for each in plates if each.confidence >= least]
    regions += plate_regions
    lettered = [region.box for region in plate_regions if _draws(region)]
    tilt = tilt_of(drawn_lines)
    level = levelled(pixels, tilt) if tilt else pixels
    window = find_window(level, inside=accepted, at_least=ACCEPT, lettered=lettered)
    # Lettered plates tell where the window is; what is mirrored tells less.
    is_told = bool(lettered) and window is not None and window.confidence >= ACCEPT
    card = None if is_told else find_card(pixels, inside=inside)
    if window is not None and window.confidence >= WEAK:
        regions.append(_window_region(window, shape, tilt=tilt))
    if card is not None and card.confidence >= WEAK:
        regions.append(_card_region(card))
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


def _inside(lines: Mapping[Side, Line], *, height_px: int, width_px: int) -> Box:
    left, top, right, bottom = (max(0, round(lines[side].depth_px)) for side in Side)
    x0, y0 = min(left, width_px - 1), min(top, height_px - 1)
    return Box(x0, y0, max(x0 + 1, width_px - right), max(y0 + 1, height_px - bottom))


def _region(
    layers: Sequence[Layer], lines: Mapping[Side, Line], done: NDArray[np.bool_], *, trust: float, detail: float
) -> Region | None:
    height_px, width_px = done.shape
    outside = outside_of(lines, height_px=height_px, width_px=width_px) & ~done
    if not outside.any():
        return None
    done |= outside
    confidence = trust * min(layer.confidence for layer in layers)
    proposed = trust < ACCEPT or _dwarfs(done, confidence)
    bands = [chain[0] for chain in layers[0].chains.values()]
    attributes: dict[str, Attribute] = {
        "pattern": ">".join(layer.pattern for layer in layers),
        **{f"{side.value}_px": round(lines[side].depth_px, 1) for side in Side},
        "support": round(min(band.support for band in bands), 3),
        "purity": round(min(band.purity for band in bands), 3),
        "beyond": round(max(band.beyond for band in bands), 3),
        "noise": round(max(band.noise for band in bands), 2),
        "contrast": round(min(band.contrast for band in bands), 1),
        "detail": round(detail, 3),
    }
    return _frame(outside, confidence, attributes, proposed=proposed)


def _dwarfs(outside: NDArray[np.bool_], confidence: float) -> bool:
    """Whether an (H, W) frame is so large that only a person can say if it is one."""
    return bool(outside.mean() > LARGE_SHARE) and confidence < OVERWHELMING


def _frame(
    artefact: NDArray[np.bool_], confidence: float, attributes: Mapping[str, Attribute], *, proposed: bool
) -> Region:
    """A region of an (H, W) artefact of the whole image, which may be empty."""
    height_px, width_px = artefact.shape
    box = Box.of_artefact(artefact) or Box(0, 0, width_px, height_px)
    return _frame_in(box, np.ascontiguousarray(artefact[box.slices]), confidence, attributes, proposed=proposed)


def _frame_in(
    box: Box,
    artefact: NDArray[np.bool_] | None,
    confidence: float,
    attributes: Mapping[str, Attribute],
    *,
    proposed: bool = False,
) -> Region:
    """A region of a box with its artefact, or with all of the box."""
    return Region(
        kind=Kind.FRAME,
        box=box,
        confidence=round(confidence, 4),
        source=EdgesDetector.name,
        artefact=np.ones(box.shape, dtype=np.bool_) if artefact is None else artefact,
        attributes=attributes,
        proposed=proposed,
    )


def _strip_region(strip: Strip, shape: tuple[int, int], *, trust: float) -> Region:
    return _frame_in(
        strip.box,
        None,
        strip.confidence * trust,
        {
            "pattern": "strip",
            "side": strip.side.value,
            "support": round(strip.support, 3),
            "drift": round(strip.drift, 2),
            "noise": round(strip.noise, 2),
            "ink": round(strip.ink, 3),
        },
        proposed=trust < ACCEPT or strip.box.area_px > LETTERED_STRIP * shape[0] * shape[1],
    )


def _veil_region(veil: Veil, *, trust: float) -> Region:
    return _frame_in(
        veil.box,
        None,
        veil.confidence * trust,
        {
            "pattern": "veil",
            "side": veil.side.value,
            "follows": round(veil.follows, 3),
            "contrast_left": round(veil.contrast_left, 3),
            "letters": veil.letters,
        },
        proposed=trust < ACCEPT or veil.proposed,
    )


def _plate_region(plate: Plate, *, trust: float, proposed: bool) -> Region:
    return _frame_in(
        plate.box,
        plate.artefact,
        plate.confidence * trust,
        {
            "pattern": "plate",
            "filled": round(plate.filled, 3),
            "ink": round(plate.ink, 3),
            "letters": plate.letters,
        },
        proposed=trust < ACCEPT or proposed,
    )


def _opening_region(opening: Opening, done: NDArray[np.bool_]) -> Region:
    return _frame(
        opening.outside & ~done,
        opening.confidence,
        {
            "pattern": "oval" if opening.is_oval else "rounded",
            "radius_px": round(opening.radius_px, 1),
            "agreement": round(opening.agreement, 3),
            "sharpness": round(opening.sharpness, 3),
            "detail": round(opening.detail, 3),
        },
        proposed=_dwarfs(opening.outside, opening.confidence),
    )


def _window_region(window: ArtWindow, shape: tuple[int, int], *, tilt: float) -> Region:
    outside = np.ones(shape, dtype=np.bool_)
    outside[window.box.slices] = False
    if tilt:
        outside = turned_back(outside, tilt)
    return _frame_in(
        Box(0, 0, shape[1], shape[0]),
        outside,
        window.confidence,
        {
            "pattern": "window",
            "support": round(window.support, 3),
            "off_centre": round(window.off_centre, 4),
            "mirrored": round(window.mirrored, 3),
            "plates": window.plates,
            "detail": round(window.detail, 3),
        },
    )


def _card_region(card: CardWindow) -> Region:
    height_px, width_px = card.outside.shape
    return _frame_in(
        Box(0, 0, width_px, height_px),
        card.outside,
        card.confidence,
        {
            "pattern": "card",
            "straightness": round(card.straightness, 3),
            "fullness": round(card.fullness, 3),
            "asymmetry_ratio": round(card.asymmetry_ratio, 2),
            "mirror_correlation": round(card.mirror_correlation, 3),
            "detail": round(card.detail, 3),
        },
    )
