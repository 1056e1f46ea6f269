"""What repeats in a dataset, as the core keeps it: facts for people, content for the detector that found it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from automask.values.stage_words import SEPARATOR
from automask.values.types import Kind, Patch, Region

TEMPLATE_ATTRIBUTE = "template"
"""Attribute of a region that was found by a template: the template's id."""
SCORE_ATTRIBUTE = "score"
"""Attribute of the same region: how well the image matches the template, 0..1."""
CONFIRMING_SCORE = 0.9
"""On two decks, cards match their own frame by .93 or more and that of another type by .61 to .78."""
SHORT_ID = 8
"""Characters of a template's id that are shown to people; commands take so much of it as is plain."""
TEMPLATE_REFINER = "template"
"""Named as the refiner of what a template found: its pixels are the template's."""


def is_frame_template(region: Region) -> bool:
    """Whether a region is the frame that the images of a dataset share."""
    return region.kind is Kind.FRAME and TEMPLATE_ATTRIBUTE in region.attributes


def is_confirmed_frame(region: Region) -> bool:
    """Whether a region is a frame of the dataset that this image shows too, beyond doubt.

    Cards of another type match the frame of their neighbours for the larger part: those are masked with it for want of
    one of their own, and prove nothing.
    """
    score = region.attributes.get(SCORE_ATTRIBUTE, 1.0)
    return is_frame_template(region) and isinstance(score, int | float) and score >= CONFIRMING_SCORE


def template_patch(region: Region) -> Patch:
    """The outline of a region that a template found: its own artefact, as it is.

    Raises:
        ValueError: It has none.
    """
    if region.artefact is None:
        raise ValueError("a template's region has its own artefact")
    return Patch(region.box, region.artefact, score=1.0, refiner=TEMPLATE_REFINER)


class TemplateOrigin(enum.StrEnum):
    """Where a template came from."""

    ESTIMATED = "estimated"
    SAVED = "saved"


class TemplateDecision(enum.StrEnum):
    """What a person decided about a template, for all images at once."""

    APPLY = "apply"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class DatasetTemplate:
    """One mark or frame that images share.

    Attributes:
        id: Hash of its content: the same template has the same id in every run.
        detector: Entry-point name of the dataset detector that understands `content`.
        kind: `overlay` or `frame`.
        content: The detector's own serialisation; opaque to everybody else, safe to read from strangers.
        picture_png: A PNG that shows it to a person.
        anchor: Where it sits, in words, such as `bottom-right`.
        support: Share of the compared images that show it, 0..1.
        images: Number of images that were compared.
        confidence: 0..1, how sure it is that it was put on the images.
        area_share: Share of the image that it covers, 0..1.
        needs_review: It is only proposed until a person decides.
    """

    id: str
    detector: str
    kind: Kind
    content: bytes
    picture_png: bytes
    anchor: str
    support: float
    images: int
    confidence: float
    area_share: float
    needs_review: bool

    def __post_init__(self) -> None:
        if SEPARATOR in self.detector:
            raise ValueError(f"a template names its detector without weights, got {self.detector!r}")


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template in a store.

    Attributes:
        template: The template.
        origin: Where it came from.
        is_active: Whether it is looked for; others are kept because a person decided about them.
        matches: Number of images in which it was found.
        decision: What a person decided, or None.
        author: Who decided, or None.
        decided_s: Seconds since the epoch, or None.
    """

    template: DatasetTemplate
    origin: TemplateOrigin
    is_active: bool
    matches: int
    decision: TemplateDecision | None
    author: str | None
    decided_s: float | None

    @property
    def waits_for_decision(self) -> bool:
        """Whether it was found in images and only a person can say whether it is masked."""
        return self.is_active and self.template.needs_review and self.decision is None and self.matches > 0


def question_words(each: StoredTemplate) -> str:
    """What a person is asked about a template that waits, in a sentence."""
    template = each.template
    what, where = ("frame", "around") if template.kind is Kind.FRAME else ("mark", "on")
    pictures = "1 picture" if each.matches == 1 else f"{each.matches:,} pictures"
    return f"Was this {what} put {where} {pictures}? It covers {template.area_share:.0%} of each."


def template_state(each: StoredTemplate) -> str:
    """What is done about a template, in words."""
    if each.decision is TemplateDecision.APPLY:
        return f"masked ({each.author} decided)"
    if each.decision is TemplateDecision.FORGET:
        return f"left alone ({each.author} decided)"
    if not each.is_active:
        return "no longer looked for"
    return "waits for a decision" if each.template.needs_review else "masked"
