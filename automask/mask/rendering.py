"""Fusing patches into a mask: policy, weights, union, growth in cells, filled holes. No model runs here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig, RenderConfig
from automask.values.geometry import Box
from automask.values.grid import LatentGrid
from automask.values.templates import TEMPLATE_ATTRIBUTE, is_confirmed_frame
from automask.values.types import ALPHA_SOURCE, LAYOUT_ATTRIBUTE, Found, Kind, Patch, Region

FUSE_VERSION = 5
"""Raised with every change that alters rendered masks."""

SURE_GROUND = 0.6
"""Confidence from which plain ground that is masked is nobody's question: who has it masked expects most of an image to
be, and only what the map can hardly tell from something else is asked about. Of the ten product pictures that
`tests/ground_pictures.py` draws, nine have more than .7 and one .57."""
SURE_FRAME = 0.7
"""The same for a frame that geometry and layout map agree about: of 129 that are so sure, on images with truth, 5
masked picture; of 20 less sure ones 5 did."""
_MOST_WINDOWS = 32
_LARGE_RADIUS_PX = 128


@dataclass(frozen=True, slots=True, eq=False)
class CorrectionLayers:
    """What a person changed on one image. A correction always wins over the automatic patches.

    Attributes:
        replaces: True when the automatic patches are not used at all; with empty layers: nothing to mask.
        add: (H, W) bool, pixels to mask, or None.
        remove: (H, W) bool, pixels to train, or None. Automatic patches lose them before they grow, so that a region
            removed as a whole leaves no ring at any training size.
        weight_levels: (H, W) uint8 weights (255 = train) where `weight_set`, or None.
        weight_set: (H, W) bool, where `weight_levels` counts, or None.
        already_grown: `add` came from a finished mask and is not grown again.
        kinds: What a person called regions that were found as another kind, by
            `automask.values.kinds.region_keys`; read-only. The mask does not follow them: what a kind changes about it
            is in the layers. Keys that no region has (any more) mean nothing.
    """

    replaces: bool = False
    add: NDArray[np.bool_] | None = None
    remove: NDArray[np.bool_] | None = None
    weight_levels: NDArray[np.uint8] | None = None
    weight_set: NDArray[np.bool_] | None = None
    already_grown: bool = False
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = MappingProxyType({key: Kind(kind) for key, kind in self.kinds.items()})
        object.__setattr__(self, "kinds", kinds)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A loss mask.

    Attributes:
        weight: (H, W) float32, 1 = train, 0 = not learned.
    """

    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.weight.dtype != np.float32 or self.weight.ndim != 2:
            raise ValueError(f"weight must be (H, W) float32, got {self.weight.shape} {self.weight.dtype}")

    @classmethod
    def from_patches(
        cls,
        patches: Sequence[Patch],
        regions: Sequence[Region],
        *,
        width_px: int,
        height_px: int,
        render: RenderConfig,
        policy: PolicyConfig,
        correction: CorrectionLayers | None = None,
    ) -> Mask:
        """Render the mask of one image: the only place where artefact turns into weight.

        Args:
            patches: Ungrown outlines; `patches[i]` belongs to `regions[i]`.
            regions: What was found.
            width_px: Width of the upright source image.
            height_px: Height of the upright source image.
            render: Training size, cell, growth, holes.
            policy: Per kind: whether it is drawn, from which confidence, with which weight.
            correction: What a person changed, or None.
        """
        shape = (height_px, width_px)
        weight = np.ones(shape, dtype=np.float32)
        by_level: dict[float, NDArray[np.bool_]] = {}
        if correction is None or not correction.replaces:
            for region, patch in drawn(regions, patches, policy):
                level = policy.of(region.kind).weight
                if level not in by_level:
                    by_level[level] = np.zeros(shape, dtype=np.bool_)
                by_level[level][patch.box.slices] |= patch.artefact
        if correction is not None and correction.remove is not None:
            for artefact in by_level.values():
                artefact &= ~correction.remove
        for level in sorted(by_level, reverse=True):  # the lowest weight wins where kinds overlap, so it goes last
            np.copyto(weight, np.float32(level), where=grown_and_filled(by_level[level], render))
        if correction is not None:
            _apply(correction, weight, render)
        return cls(weight)

    @property
    def levels(self) -> NDArray[np.uint8]:
        """(H, W) uint8, 255 = train: what the PNG holds."""
        import cv2

        # Rounds half to even like numpy's rint, in one pass instead of three.
        levels: NDArray[np.uint8] = cv2.convertScaleAbs(self.weight, alpha=255.0)
        return levels

    @property
    def masked_share(self) -> float:
        """Share of the image's weight that is taken away, 0..1."""
        return float(1.0 - self.weight.mean(dtype=np.float64))


def confirmed_mask(result: Found, *, render: RenderConfig, policy: PolicyConfig) -> Mask | None:
    """What is masked beyond doubt, or None where nothing is: sure frames, and sure plain ground.

    Many images share the frame that a dataset confirms, and it ends sharply around different pictures (or a person said
    so): no single image need prove it again. About another frame its edges and the layout map agree (`SURE_FRAME`).
    Ground is masked for those alone who asked for it, and is most of many a picture.
    """
    frames = [pair for pair in drawn(result.regions, result.patches, policy) if is_settled(pair[0])]
    if not frames:
        return None
    return Mask.from_patches(
        [patch for _, patch in frames],
        [region for region, _ in frames],
        width_px=result.width_px,
        height_px=result.height_px,
        render=render,
        policy=policy,
    )


def is_settled(region: Region) -> bool:
    """Whether a region that is drawn is beyond doubt, however much of the image it covers."""
    if region.kind is Kind.GROUND:
        return region.confidence >= SURE_GROUND
    return is_confirmed_frame(region) or frame_belief(region) >= SURE_FRAME


def frame_belief(region: Region) -> float:
    """How far edges and the layout map agree that a region is the frame of its image, 0..1; 0 where either denies it.

    Of a dataset's frame, which is more or less like the one of the image, and of transparent pixels, which are a fact
    whatever they surround, that says nothing.
    """
    inside = _layout_of_frame(region)
    return region.confidence if inside is not None and inside >= 0.5 else 0.0  # rather frame than picture


def is_denied_frame(region: Region) -> bool:
    """Whether the layout map takes what was found as one image's own frame rather for picture."""
    inside = _layout_of_frame(region)
    return inside is not None and inside < 0.5


def _layout_of_frame(region: Region) -> float | None:
    """What the layout map says of one image's own frame, its mean probability of frame in it; None of all else."""
    inside = region.attributes.get(LAYOUT_ATTRIBUTE)
    is_own = region.kind is Kind.FRAME and TEMPLATE_ATTRIBUTE not in region.attributes
    if not is_own or has_transparent(region) or not isinstance(inside, int | float):
        return None
    return float(inside)


def has_transparent(region: Region) -> bool:
    """Whether transparent pixels are a part of a region, by themselves or merged with what else was found there."""
    return ALPHA_SOURCE in region.source.split("+")


def is_drawn(region: Region, policy: PolicyConfig) -> bool:
    """Whether a region takes part in the mask by itself; the others are only proposed to a person."""
    rule = policy.of(region.kind)
    return rule.action != "keep" and not region.proposed and region.confidence >= rule.accept


def drawn(regions: Sequence[Region], patches: Sequence[Patch], policy: PolicyConfig) -> Iterator[tuple[Region, Patch]]:
    """The regions that take part in the mask, each with its outline: `patches[i]` belongs to `regions[i]`."""
    return (pair for pair in zip(regions, patches, strict=True) if is_drawn(pair[0], policy))


def grow(artefact: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Grow the True pixels of an (H, W) array by a square of the given radius.

    A square and not a disc: only when every pixel within one cell of the ink in both axes is covered does each
    latent cell that holds ink end at weight 0.
    """
    if radius_px <= 0:
        return artefact.copy()
    box = Box.of_artefact(artefact)
    if box is None:
        return artefact.copy()
    height_px, width_px = artefact.shape
    window = box.padded(radius_px, width_px=width_px, height_px=height_px)
    if radius_px > _LARGE_RADIUS_PX:
        out = np.zeros_like(artefact)
        out[window.slices] = _spread(_spread(artefact[window.slices], radius_px).T, radius_px).T
        return out
    import cv2

    side_px = 2 * radius_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side_px, side_px))
    out = np.zeros_like(artefact)
    dilated = cv2.dilate(artefact[window.slices].view(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    out[window.slices] = dilated.astype(np.bool_)
    return out


def _spread(artefact: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Grow up and down, twice as far with each step: OpenCV's dilation costs a pixel as much as its square is wide."""
    out = np.ascontiguousarray(artefact)
    reach_px = 0
    while reach_px < min(radius_px, len(out)):
        step_px = min(reach_px + 1, radius_px - reach_px)
        before, out = out, out.copy()
        out[step_px:] |= before[:-step_px]
        out[:-step_px] |= before[step_px:]
        reach_px += step_px
    return out


def fill_holes(artefact: NDArray[np.bool_], max_area_px: float) -> NDArray[np.bool_]:
    """Close holes (background that does not reach the border) of at most the given area."""
    import cv2

    if max_area_px <= 0 or not artefact.any():
        return artefact.copy()
    filled = artefact.copy()
    for window in _windows_with_holes(artefact):
        holes = (~artefact[window.slices]).view(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(holes, connectivity=4)
        left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
        right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
        inside = (left > 0) & (top > 0) & (right < window.width_px) & (bottom < window.height_px)
        small = inside & (stats[:, cv2.CC_STAT_AREA] <= max_area_px)
        small[0] = False  # label 0 is the artefact itself
        if small.any():
            filled[window.slices] |= small[labels]
    return filled


def _windows_with_holes(artefact: NDArray[np.bool_]) -> list[Box]:
    """Boxes that hold all holes with a pixel around each; few images have any, so the search is for contours only."""
    import cv2

    contours, hierarchy = cv2.findContours(artefact.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if hierarchy is None:
        return []
    windows = []
    for contour, links in zip(contours, hierarchy[0], strict=True):
        if links[3] >= 0:  # the border of a hole, which runs through the pixels around it
            x, y, width_px, height_px = cv2.boundingRect(contour)
            windows.append(Box(x, y, x + width_px, y + height_px))
    if len(windows) > _MOST_WINDOWS:  # a mesh: one look at everything is cheaper
        return [Box(0, 0, artefact.shape[1], artefact.shape[0])]
    return windows


def growth_px(grid: LatentGrid, growth_cells: float) -> int:
    """Growth in source pixels: the given number of cells at training resolution, to the nearest pixel, at least one."""
    if growth_cells <= 0:
        return 0
    return max(1, int(grid.source_px(growth_cells) + 0.5))


def hole_px(grid: LatentGrid, fill_holes_cells: float) -> int:
    """Side of the largest hole that is filled, in source pixels."""
    return round(grid.source_px(fill_holes_cells))


def grown_and_filled(artefact: NDArray[np.bool_], render: RenderConfig) -> NDArray[np.bool_]:
    """What is masked because of the True pixels of a whole image (H, W): grown by cells, its small holes closed."""
    height_px, width_px = artefact.shape
    grid = LatentGrid.of(width_px, height_px, training_px=render.training_px, cell_px=render.cell_px)
    grown = grow(artefact, growth_px(grid, render.growth_cells))
    return fill_holes(grown, grid.source_px(render.fill_holes_cells) ** 2)


def _apply(correction: CorrectionLayers, weight: NDArray[np.float32], render: RenderConfig) -> None:
    if correction.remove is not None:
        weight[correction.remove] = 1.0
    if correction.add is not None:
        add = correction.add
        weight[add if correction.already_grown else grown_and_filled(add, render)] = 0.0
    if correction.weight_set is not None and correction.weight_levels is not None:
        weight[correction.weight_set] = correction.weight_levels[correction.weight_set].astype(np.float32) / 255.0
