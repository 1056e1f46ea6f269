"""What the picture says about an outline, without knowing the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automask.values.types import Image, Patch

BORDER_CONTRAST = "border_contrast"
RING_DETAIL = "ring_detail"
"""Attributes of a region that the pipeline adds once it has pixels at hand."""

_REACH_SHARE = 1 / 128
"""How far from the outline is looked, as a share of the image's longer side: about one latent cell."""
_LONGEST_PX = 1536
_LEVELS = 255.0


@dataclass(frozen=True, slots=True)
class OutlineQuality:
    """Measures of one outline.

    Attributes:
        border_contrast: Mean difference of colour between both sides of the outline, 0..1. An outline that follows
            something has much, one that runs across a surface has little.
        ring_detail: Detail in the ring around the outline as a share of all detail in ring and outline, 0..1. Much of
            it says that the thing goes on where the outline has ended.
    """

    border_contrast: float
    ring_detail: float


class PictureDetail:
    """Colours and detail of one image, computed once for all its outlines. Large images are looked at reduced."""

    def __init__(self, image: Image) -> None:
        import cv2

        longest_px = max(image.width_px, image.height_px)
        self._step = max(1, -(-longest_px // _LONGEST_PX))
        self._colours = np.ascontiguousarray(image.pixels[:: self._step, :: self._step]).astype(np.float32) / _LEVELS
        grey = self._colours.mean(axis=2)
        self._detail = np.abs(cv2.Laplacian(grey, cv2.CV_32F, ksize=3))
        self._reach_px = max(2, round(max(grey.shape) * _REACH_SHARE))

    def quality_of(self, patch: Patch) -> OutlineQuality | None:
        """Measure one outline; None where it has no pixels."""
        import cv2

        height_px, width_px = self._detail.shape
        whole = np.zeros((height_px, width_px), dtype=np.uint8)
        step = self._step
        top, left = -(-patch.box.y0 // step), -(-patch.box.x0 // step)
        inside = patch.artefact[top * step - patch.box.y0 :: step, left * step - patch.box.x0 :: step]
        rows, columns = min(inside.shape[0], height_px - top), min(inside.shape[1], width_px - left)
        if rows <= 0 or columns <= 0 or not inside[:rows, :columns].any():
            return None
        reach = self._reach_px
        y0, y1 = max(0, top - 2 * reach), min(height_px, top + rows + 2 * reach)
        x0, x1 = max(0, left - 2 * reach), min(width_px, left + columns + 2 * reach)
        whole[top : top + rows, left : left + columns] = inside[:rows, :columns]
        mask = whole[y0:y1, x0:x1]
        side = 2 * reach + 1
        near = (side, side)
        within = cv2.blur(mask.astype(np.float32), near)
        colours = self._colours[y0:y1, x0:x1]
        mine = cv2.blur(colours * mask[..., None], near) / np.maximum(within, 1e-6)[..., None]
        others = cv2.blur(colours * (1 - mask)[..., None], near) / np.maximum(1 - within, 1e-6)[..., None]
        border = (within > 0.2) & (within < 0.8)
        contrast = np.abs(mine - others).max(axis=2)[border].mean() if border.any() else 0.0
        grown = cv2.dilate(mask, np.ones((side, side), dtype=np.uint8))
        ring = cv2.dilate(grown, np.ones((side, side), dtype=np.uint8)).astype(np.bool_) & ~grown.astype(np.bool_)
        detail = self._detail[y0:y1, x0:x1]
        outer = float(detail[ring].mean()) if ring.any() else 0.0
        inner = float(detail[grown.astype(np.bool_)].mean())
        share = outer / (outer + inner) if outer + inner > 0 else 0.0
        return OutlineQuality(border_contrast=min(1.0, float(contrast)), ring_detail=share)


def quality_attributes(image: Image, patches: list[Patch]) -> list[dict[str, float]]:
    """Attributes for the region of each patch, in order; empty where an outline has no pixels."""
    if not patches:
        return []
    picture = PictureDetail(image)
    found = []
    for patch in patches:
        quality = picture.quality_of(patch)
        found.append(
            {}
            if quality is None
            else {BORDER_CONTRAST: round(quality.border_contrast, 4), RING_DETAIL: round(quality.ring_detail, 4)}
        )
    return found
