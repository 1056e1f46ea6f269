"""One question for all images that show a template, its answer, and the one step that takes the answer back.

The command line, the review page and its routes all answer by `answer`. An answer changes the masks of the images that
show the template and nothing else: pixels that a person corrected stay as they are, and an image that waits for a
person goes on waiting (see `automask.mask.drawing.Drawn.judged`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from automask.config import PipelineConfig
from automask.run.redraw import redraw_image
from automask.store import Status, Store
from automask.store.reader import StoreReader
from automask.store.template_table import Member
from automask.values.templates import StoredTemplate, TemplateDecision


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a template was put on the images that show it.

    Attributes:
        template: It.
        members: All images that show it, the least alike first: those tell soonest that it is none.
    """

    template: StoredTemplate
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer did.

    Attributes:
        template_id: Of the template.
        before: What had been decided about it, or None.
        images: Ids of all images that show it.
        drawn: Those of them whose mask was drawn again.
        failed: Those that have no usable result: the next run analyses them again.
    """

    template_id: str
    before: TemplateDecision | None
    images: tuple[str, ...]
    drawn: tuple[str, ...]
    failed: tuple[str, ...]


def questions(store: StoreReader) -> list[Question]:
    """What waits for a person's answer, one question per template, those about most images first."""
    waiting = [each for each in store.templates.all() if each.waits_for_decision]
    found = [Question(each, store.templates.members(each.template.id)) for each in waiting]
    return sorted(found, key=lambda each: (-len(each.members), each.template.template.id))


def answer(
    store: Store, template_id: str, decision: TemplateDecision | None, *, author: str, config: PipelineConfig
) -> Answered:
    """Keep what a person says about a template, for all images that show it, and draw those of their masks that change.

    Args:
        store: Opened for writing.
        template_id: The template's id, or how it begins.
        decision: What to do with it; None takes the last answer back.
        author: Who says so.
        config: What masks are drawn under: that of the store's last run.

    Raises:
        StoreError: There is no such template (`template-unknown`), or the store cannot be written.
    """
    found = store.templates.find(template_id)
    template_id = found.template.id
    if decision is None:
        store.templates.take_back(template_id)
    else:
        store.templates.decide(template_id, decision, author=author)
    images = store.templates.images_of(template_id)
    drawn: list[str] = []
    failed: list[str] = []
    for image_id in images:
        row = store.lookup(image_id)
        if row is None or row.status is not Status.DONE:
            continue
        (failed if redraw_image(store, row, config) is None else drawn).append(image_id)
    return Answered(template_id, found.decision, tuple(images), tuple(drawn), tuple(failed))
