"""What a person decides about a recurring mark on the page: as `automask overlays`, and undone with one key."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from automask.run.redraw import redraw_image
from automask.values.templates import TemplateDecision
from automask_api.review.documents import Document, SavedDocument
from automask_api.review.source import ReviewSource, token_of


class TemplateBody(Document):
    """A decision about a recurring mark or frame, for all images; null takes the last one back."""

    decision: TemplateDecision | None


def add_marks(router: APIRouter, source: ReviewSource) -> None:
    """Add the route for decisions about recurring marks."""
    store = source.store

    @router.post("/api/templates/{template_id}/decision")
    def decide(template_id: str, body: TemplateBody) -> JSONResponse:
        template = store.templates.find(template_id).template.id
        images = source.drawing(lambda: _decided(source, template, body.decision))
        answers = {}
        for image_id in images:
            row = store.lookup(image_id)
            if row is not None:
                saved = SavedDocument.of(row, revision=source.revision_of(row), reasons=source.reasons(row))
                answers[token_of(image_id)] = saved.model_dump(mode="json")
        return JSONResponse({"images": answers})


def _decided(source: ReviewSource, template: str, decision: TemplateDecision | None) -> list[str]:
    """Keep the decision and draw the masks of all images that show the template; their ids."""
    store = source.store
    if decision is None:
        store.templates.take_back(template)
    else:
        store.templates.decide(template, decision, author=source.author)
    images = store.templates.images_of(template)
    for image_id in images:
        row = store.lookup(image_id)
        if row is not None:
            redraw_image(store, row, source.config)
    return images
