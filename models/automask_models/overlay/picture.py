"""A template as a person sees it: its own colours where it covers the image, the rest pale."""

from __future__ import annotations

import numpy as np

from automask_models.overlay.template import Template

_REST_LEVEL = 225
_OUTLINE = (214, 39, 40)


def picture_png(template: Template) -> bytes:
    """A PNG of the reference frame; equal templates give equal bytes."""
    import cv2

    canvas = np.full((template.height_px, template.width_px, 3), _REST_LEVEL, np.uint8)
    canvas[template.box.slices][template.artefact] = template.colours[template.artefact]
    covered = np.zeros(canvas.shape[:2], np.uint8)
    covered[template.box.slices] = template.artefact
    around = cv2.dilate(covered, np.ones((3, 3), np.uint8)) - covered
    canvas[around.astype(np.bool_)] = _OUTLINE
    _, encoded = cv2.imencode(".png", canvas[..., ::-1])
    return encoded.tobytes()
