"""What repeats, on the page: the questions that wait, and an answer for all images, undone with one key."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.responses import Response

from automask.mask.drawing import without_answers
from automask.propagate.answers import answer, questions
from automask.values.templates import TEMPLATE_ATTRIBUTE, TemplateDecision, question_words
from automask_api.errors import NotFound
from automask_api.review.documents import Document, SavedDocument
from automask_api.review.pictures import patches_jpeg
from automask_api.review.source import ReviewSource, token_of

MOST_MEMBERS = 60
"""Images that the page shows of one question; more than anybody looks at."""


class TemplateBody(Document):
    """A decision about a recurring mark or frame, for all images; null takes the last one back."""

    decision: TemplateDecision | None


def add_marks(router: APIRouter, source: ReviewSource) -> None:
    """Add the routes for questions about what repeats, and for their answers."""
    store = source.store

    @router.get("/api/questions")
    def waiting() -> JSONResponse:
        return JSONResponse(
            [
                {
                    "template": each.template.template.id,
                    "words": question_words(each.template),
                    "images": len(each.members),
                    "members": [
                        {"image": token_of(one.image_id), "content": one.content_sha256[:16], "score": one.score}
                        for one in each.members[:MOST_MEMBERS]
                    ],
                }
                for each in questions(store)
            ]
        )

    @router.get("/api/templates/{template_id}/images/{token}")
    def shown(template_id: str, token: str) -> Response:
        """An image with what the template would mask in it."""
        row = source.row(token)
        found = store.result(row.image_id)
        asked = without_answers(found) if found is not None else None
        pairs = zip(asked.regions, asked.patches, strict=True) if asked is not None else ()
        patches = [patch for region, patch in pairs if region.attributes.get(TEMPLATE_ATTRIBUTE) == template_id]
        if not patches:
            raise NotFound(f"{row.image_id} shows no template {template_id!r}.")
        headers = {"Cache-Control": "no-cache"}  # the next run may find it at another place
        return Response(patches_jpeg(source.pixels(row), patches), media_type="image/jpeg", headers=headers)

    @router.post("/api/templates/{template_id}/decision")
    def decide(template_id: str, body: TemplateBody) -> JSONResponse:
        done = source.drawing(
            lambda: answer(store, template_id, body.decision, author=source.author, config=source.config)
        )
        answers = {}
        for image_id in done.images:
            row = store.lookup(image_id)
            if row is not None:
                saved = SavedDocument.of(row, revision=source.revision_of(row), reasons=source.reasons(row))
                answers[token_of(image_id)] = saved.model_dump(mode="json")
        return JSONResponse({"images": answers})
