"""What of a template an image really shows: the cells that the layout network calls picture stay picture.

A template is what many images have in common. One of them may differ: its picture fills the card, its page has a panel
where the others have a margin. And what repeats is not always put there: the margins of pages do, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from automask.values.geometry import Box
from automask.values.types import Kind, Region
from automask_models.layout.network import LayoutMap

LARGE_SHARE = 0.07
"""Share of the image from which a mark is for the network to judge: smaller ones lie on pictures, as picture to it."""
SURELY_PICTURE = 0.15
"""Probability of frame below which a cell stays: the images agree on the template, so the doubt is the template's."""
SURELY_PAGE = 0.5
"""Probability of a page's margin, on average, from which what repeats is the page's own."""
A_PERSON_SAID_SO = 1.0
"""Confidence of a template that a person confirmed: it is applied as it is."""
LEAST_LEFT = 0.5
"""Share of a template that must be left for the rest to be drawn without asking."""


def as_shown(region: Region, layout: LayoutMap) -> Region | None:
    """A template's region in an image without what the image shows picture in; None where nothing is left.

    Marks up to `LARGE_SHARE` of the image, and what a person confirmed, are left as they are.
    """
    import cv2

    if region.artefact is None or region.confidence >= A_PERSON_SAID_SO:
        return region
    covered = float(region.artefact.sum()) / (layout.width_px * layout.height_px)
    if region.kind is not Kind.FRAME and covered < LARGE_SHARE:
        return region
    whole = np.zeros((layout.height_px, layout.width_px), dtype=np.bool_)
    whole[region.box.slices] = region.artefact
    shares = layout.share_of(whole)
    if float((layout.margin * shares).sum()) >= SURELY_PAGE * float(shares.sum()):
        return None
    frame = cv2.resize(layout.frame, (layout.width_px, layout.height_px), interpolation=cv2.INTER_LINEAR)
    left = whole & (frame >= SURELY_PICTURE)
    box = Box.of_artefact(left)
    if box is None:
        return None
    proposed = region.proposed or bool(left.sum() < LEAST_LEFT * whole.sum())
    return replace(region, box=box, artefact=np.ascontiguousarray(left[box.slices]), proposed=proposed)
