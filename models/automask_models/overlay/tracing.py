"""A template from one image and a mask that a person drew on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.overlay.marks import MARGIN_PX
from automask_models.overlay.reduction import SMALLEST_PX, raw_gradients, reduced, resized, whitened
from automask_models.overlay.template import Template, anchor_of

LEAST_AREA_PX = 12
"""Marked pixels at the compared size; of less nothing could be found again."""
FRAME_BORDER = 0.6
"""Share of the image's border that is marked when the mask is a frame and not a mark."""
STEADY_MARGIN_PX = 5
"""A frame is recognised by its colours this far from where the picture begins."""


def template_of_mask(pixels: NDArray[np.uint8], artefact: NDArray[np.bool_], *, reduced_px: int) -> Template:
    """Make a template.

    Args:
        pixels: (H, W, 3) uint8 image that shows it.
        artefact: (H, W) bool, what is marked.
        reduced_px: Long side at which images are compared.

    Raises:
        ValueError: Nothing is marked, too little for finding it again, or all of the image.
    """
    import cv2

    if artefact.shape != pixels.shape[:2] or artefact.dtype != np.bool_:
        raise ValueError(f"the mask must be bool {pixels.shape[:2]}, got {artefact.dtype} {artefact.shape}")
    small = reduced(pixels, reduced_px=reduced_px)
    if small is None:
        raise ValueError(f"the image is smaller than {SMALLEST_PX} px")
    height_px, width_px = small.shape[:2]
    marked = resized(artefact.astype(np.uint8)[..., None].repeat(3, 2) * 255, width_px=width_px, height_px=height_px)
    covered = marked[..., 0] >= 96
    if covered.all() or int(covered.sum()) < LEAST_AREA_PX:
        raise ValueError("the mask covers " + ("the whole image" if covered.all() else "too little to be found again"))
    border = np.concatenate([covered[0], covered[-1], covered[:, 0], covered[:, -1]])
    is_frame = float(border.mean()) >= FRAME_BORDER
    whole = Box(0, 0, width_px, height_px)
    tight = Box.of_artefact(covered)
    box = whole if is_frame or tight is None else tight.padded(MARGIN_PX, width_px=width_px, height_px=height_px)
    near = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
    gradients = whitened(raw_gradients(small)) * near
    inner = cv2.erode(
        covered.astype(np.uint8), np.ones((2 * STEADY_MARGIN_PX + 1,) * 2, np.uint8), borderValue=1
    ).astype(np.bool_)
    artefact_in_box = np.ascontiguousarray(covered[box.slices])
    return Template(
        kind="frame" if is_frame else "overlay",
        width_px=width_px,
        height_px=height_px,
        source_scale=pixels.shape[1] / width_px,
        box=box,
        anchor="whole" if is_frame else anchor_of(box, width_px=width_px, height_px=height_px),
        artefact=artefact_in_box,
        gradients=np.ascontiguousarray(np.round(gradients[:, box.y0 : box.y1, box.x0 : box.x1] * 32) / np.float32(32)),
        colours=np.ascontiguousarray(small[box.slices]),
        steady=inner if is_frame else np.zeros(box.shape, dtype=np.bool_),
        support=1.0,
        images=1,
        confidence=1.0,
        border_connected=bool(border.any()),
        needs_review=False,
    )
