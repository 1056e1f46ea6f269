"""Mask quality on real images with pixel truth: boxes around groups of the truth in, masks out; with two baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from automask_training.crops import Window, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from automask_training.sam_model import SmallSam

UNWANTED, IGNORED = 255, 128
_OUTSIDE = -12.0


@dataclass(frozen=True)
class RealRegion:
    """Half-open xyxy box (source px) around one group of truth, grown as a detector's box would be."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


class Masker(Protocol):
    """Something that turns boxes into masks."""

    def masks(self, pixels: NDArray[np.uint8], regions: list[RealRegion]) -> list[NDArray[np.bool_]]:
        """One mask per region, bool, shape of its box; pixels (H, W, 3) uint8 RGB."""
        ...


def regions_of(truth: NDArray[np.uint8], *, join_px: int | None = None, min_pixels: int = 30) -> list[RealRegion]:
    """Regions around groups of UNWANTED pixels of truth (H, W), joined over gaps of 2 * `join_px`."""
    import cv2

    height, width = truth.shape
    join = join_px if join_px is not None else max(2, round(min(height, width) * 0.008))
    unwanted = (truth == UNWANTED).astype(np.uint8)
    joined = cv2.dilate(unwanted, np.ones((2 * join + 1, 2 * join + 1), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    found = []
    for label in range(1, count):
        rows, columns = np.nonzero((labels == label) & (unwanted > 0))
        if len(rows) < min_pixels:
            continue
        x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        grow = max(2, round(0.12 * min(x1 - x0, y1 - y0)))
        found.append(
            RealRegion(
                int(max(0, x0 - grow)), int(max(0, y0 - grow)), int(min(width, x1 + grow)), int(min(height, y1 + grow))
            )
        )
    return found


def mean_iou(masker: Masker, pairs: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> tuple[float, int]:
    """Mean over regions of the IoU inside their boxes, and their number; pairs are (pixels, truth) of equal size."""
    scores: list[float] = []
    for pixels, truth in pairs:
        regions = regions_of(truth)
        for region, mask in zip(regions, masker.masks(pixels, regions), strict=True):
            part = truth[region.slices]
            counted, there = part != IGNORED, part == UNWANTED
            union = ((mask | there) & counted).sum()
            scores.append(float((mask & there & counted).sum() / max(1, union)))
    return (float(np.mean(scores)) if scores else float("nan")), len(scores)


def pairs_in(images: Path, masks: Path) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(pixels, truth) of every picture in `images` that has `STEM.png` in `masks`, in order of name."""
    from PIL import Image

    for path in sorted(images.iterdir()):
        mask = masks / f"{path.stem}.png"
        if mask.exists():
            with Image.open(path) as picture, Image.open(mask) as truth:
                yield np.asarray(picture.convert("RGB")), np.asarray(truth.convert("L"))


@dataclass(frozen=True, eq=False)
class BoxMasker:
    """The whole box: what a detector without refiner gives."""

    def masks(self, pixels: NDArray[np.uint8], regions: list[RealRegion]) -> list[NDArray[np.bool_]]:
        """See `Masker`."""
        return [np.ones(pixels[r.slices].shape[:2], bool) for r in regions]


@dataclass(frozen=True, eq=False)
class ClusterMasker:
    """k-means in Lab inside the box; the cluster that is rarest on the box's rim is the lettering."""

    clusters: int = 2

    def masks(self, pixels: NDArray[np.uint8], regions: list[RealRegion]) -> list[NDArray[np.bool_]]:
        """See `Masker`."""
        import cv2

        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
        return [self._mask(lab[r.slices]) for r in regions]

    def _mask(self, lab: NDArray[np.uint8]) -> NDArray[np.bool_]:
        import cv2

        flat = lab.reshape(-1, 3).astype(np.float32)
        cv2.setRNGSeed(0)
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
        _, found, _ = cv2.kmeans(flat, min(self.clusters, len(flat)), None, stop, 2, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload, unused-ignore]
        labels = found.reshape(lab.shape[:2])
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        background = np.bincount(rim, minlength=self.clusters).argmax()
        return np.asarray(labels != background)


@dataclass(frozen=True, eq=False)
class SamMasker:
    """The small SAM asked by box, with the box as mask prompt too when `with_region`.

    Boxes are brought to `short_side_px` crop pixels; long ones are covered by windows that overlap by a quarter.
    """

    model: SmallSam
    with_region: bool = True
    short_side_px: float = 64.0
    zoom: tuple[float, float] = (0.4, 3.0)

    def masks(self, pixels: NDArray[np.uint8], regions: list[RealRegion]) -> list[NDArray[np.bool_]]:
        """See `Masker`."""
        return [self._mask(pixels, region) for region in regions]

    def _mask(self, pixels: NDArray[np.uint8], region: RealRegion) -> NDArray[np.bool_]:
        import cv2

        size = self.model.config.size_px
        height, width = region.y1 - region.y0, region.x1 - region.x0
        zoom = float(np.clip(self.short_side_px / min(height, width), *self.zoom))
        side = min(round(size / zoom), max(pixels.shape[:2]))
        logits = np.full((height, width), _OUTSIDE, np.float32)
        for window in _windows(region, side, pixels.shape[1], pixels.shape[0]):
            small = self._logits(pixels, window, region)
            large: NDArray[Any] = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
            left, top = max(region.x0, window.x0), max(region.y0, window.y0)
            right, bottom = min(region.x1, window.x0 + side), min(region.y1, window.y0 + side)
            if left >= right or top >= bottom:
                continue
            part = logits[top - region.y0 : bottom - region.y0, left - region.x0 : right - region.x0]
            np.maximum(
                part, large[top - window.y0 : bottom - window.y0, left - window.x0 : right - window.x0], out=part
            )
        return logits > 0

    def _logits(self, pixels: NDArray[np.uint8], window: Window, region: RealRegion) -> NDArray[np.float32]:
        import torch

        from automask_training.prompts import Scene, box_coverage
        from automask_training.sam_model import PromptBatch, mask_prompt_logits

        size = self.model.config.size_px
        cells = size // 4
        scale = size / window.side_px
        box = np.array(
            [region.x0 - window.x0, region.y0 - window.y0, region.x1 - window.x0, region.y1 - window.y0], np.float32
        ) * np.float32(scale)
        scene = Scene(np.zeros((cells, cells), np.uint8), np.zeros((0, cells, cells), np.float32), size)
        crop = cut(pixels, window, size_px=size)
        with torch.inference_mode():
            features = self.model.encode(torch.from_numpy(crop.transpose(2, 0, 1)[None].astype(np.float32)))
            decoded = self.model.decode(
                features,
                PromptBatch(
                    points=None,
                    labels=None,
                    boxes=torch.from_numpy(box).view(1, 1, 4),
                    masks=mask_prompt_logits(torch.from_numpy(box_coverage(box, scene))).view(1, 1, cells, cells),
                    has_mask=torch.full((1, 1), float(self.with_region)),
                ),
            )
        answer: NDArray[np.float32] = decoded.mask_logits[0, 0].numpy()
        return answer


def _windows(region: RealRegion, side: int, width: int, height: int) -> list[Window]:
    """Windows of `side` px that cover the region with context, inside the image where it is large enough."""
    return [
        Window(x, y, side)
        for y in _starts(region.y0, region.y1, side, height)
        for x in _starts(region.x0, region.x1, side, width)
    ]


def _starts(low: int, high: int, side: int, limit: int) -> list[int]:
    usable = side * 0.85
    count = max(1, int(np.ceil((high - low - usable) / (side * 0.75))) + 1)
    centres = np.linspace(low + usable / 2, high - usable / 2, count) if count > 1 else np.array([(low + high) / 2])
    return [int(np.clip(c - side / 2, 0, max(0, limit - side))) for c in centres]
