"""What the layout network says of templates: which cells of one the image really shows, and whether images agree on it.

A template is what many images have in common. One of them may differ: its picture fills the card, its page has a panel
where the others have a margin. And what repeats is not always put there: the margins of pages do, too, and so does the
ground behind things that were photographed alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from automask.protocols import ReducedImage
from automask.values.geometry import Box
from automask.values.templates import TEMPLATE_ATTRIBUTE
from automask.values.types import Region
from automask_models.layout.network import CELLS, LayoutMap
from automask_models.overlay.estimator import UNSURE
from automask_models.overlay.finding import LARGE_SHARE, Found, find_all
from automask_models.overlay.template import Template

MORE_LIKELY_THAN_NOT = 0.5
"""Of probabilities, of the cells of a template, and of the images that show it: no side has to prove more."""
A_PERSON_SAID_SO = 1.0
"""Confidence of a template that a person confirmed: it is applied as it is."""


def as_shown(found: Found, layout: LayoutMap) -> Region | None:
    """A template's region in an image without the cells in which the image shows picture; None where nothing is left.

    A cell is picture where it does not look like the template and the network does not call it a frame, although most
    images that show the template do and are called one. Small marks, and what a person confirmed, stay as they are.
    """
    import cv2

    region = found.region
    if found.alike is None or region.artefact is None or region.confidence >= A_PERSON_SAID_SO:
        return region
    whole = _whole(region, layout)
    if _is_margin(layout, layout.share_of(whole)):
        return None
    picture = (layout.frame < MORE_LIKELY_THAN_NOT) & ~found.alike
    picture = cv2.resize(picture.view(np.uint8), (layout.width_px, layout.height_px), interpolation=cv2.INTER_NEAREST)
    left = whole & (picture == 0)
    box = Box.of_artefact(left)
    if box is None:
        return None
    proposed = region.proposed or bool(left.sum() < MORE_LIKELY_THAN_NOT * whole.sum())
    return dataclasses.replace(region, box=box, artefact=np.ascontiguousarray(left[box.slices]), proposed=proposed)


def agreed(
    templates: Sequence[Template], images: Iterable[ReducedImage], layout_of: Callable[[ReducedImage], LayoutMap | None]
) -> list[Template]:
    """The templates as the layouts of the images that show them leave them.

    A large one of which most images say that it is no frame waits for a person; where most call it the margin of a
    page, it is no template at all.
    """
    by_id = {template.id: template for template in templates}
    votes = {template.id: _Votes() for template in templates}
    for image in images if templates else ():
        found = find_all(templates, image)
        layout = layout_of(image) if found else None
        for region in (each.region for each in found):
            template_id = str(region.attributes[TEMPLATE_ATTRIBUTE])
            is_weak = region.proposed and not by_id[template_id].needs_review
            if layout is not None and not is_weak:
                votes[template_id].add(layout, layout.share_of(_whole(region, layout)))
    return [
        _as_voted(template, votes[template.id]) for template in templates if not _most(votes[template.id].for_margin)
    ]


@dataclass(slots=True)
class _Votes:
    """What the layouts of the images that show a template say of it.

    Attributes:
        for_frame: Of each image, whether it is a frame.
        for_margin: Of each image, whether it is the margin of a page.
        frame: Sum of the probabilities of a frame over the images, by cell.
    """

    for_frame: list[bool] = field(default_factory=list)
    for_margin: list[bool] = field(default_factory=list)
    frame: NDArray[np.float32] = field(default_factory=lambda: np.zeros((CELLS, CELLS), dtype=np.float32))

    def add(self, layout: LayoutMap, shares: NDArray[np.float32]) -> None:
        """Count an image in which the template covers so much of each cell."""
        self.for_frame.append(_mean(layout.frame, shares) >= MORE_LIKELY_THAN_NOT)
        self.for_margin.append(_is_margin(layout, shares))
        self.frame += layout.frame


def _as_voted(template: Template, votes: _Votes) -> Template:
    import cv2

    if template.usual is not None and template.usual.any():
        # Where the network does not know frames like this one, its word against a single image counts for nothing.
        frame = cv2.resize(votes.frame, (template.width_px, template.height_px), interpolation=cv2.INTER_LINEAR)
        known = frame[template.box.slices] >= MORE_LIKELY_THAN_NOT * max(1, len(votes.for_frame))
        template = dataclasses.replace(template, usual=template.usual * known)
    if template.area_share < LARGE_SHARE or _most(votes.for_frame):
        return template
    return dataclasses.replace(template, confidence=min(template.confidence, UNSURE), needs_review=True)


def _whole(region: Region, layout: LayoutMap) -> NDArray[np.bool_]:
    """A region's artefact in the whole image."""
    whole = np.zeros((layout.height_px, layout.width_px), dtype=np.bool_)
    whole[region.box.slices] = True if region.artefact is None else region.artefact
    return whole


def _most(said: Sequence[bool]) -> bool:
    return sum(said) > MORE_LIKELY_THAN_NOT * len(said)


def _is_margin(layout: LayoutMap, shares: NDArray[np.float32]) -> bool:
    """Whether what covers so much of each cell is a page's margin or gutter, or its edge, and no frame."""
    import cv2

    # The cells at the edge of a margin, where its lines run, hold as much of the panel beside it.
    margin = _mean(cv2.dilate(layout.margin, np.ones((3, 3), np.uint8)), shares)
    return margin >= MORE_LIKELY_THAN_NOT and margin > _mean(layout.frame, shares)


def _mean(probability: NDArray[np.float32], shares: NDArray[np.float32]) -> float:
    return float((probability * shares).sum()) / max(1e-6, float(shares.sum()))
