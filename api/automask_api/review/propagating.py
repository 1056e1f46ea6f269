"""The same mark on other images, for the page: looked for while it shows what is found, applied and undone in one step.

Nothing is kept between the steps: what the page confirms says all of it, so that it survives a killed server. The
page names the operation, so that asking again after a lost answer changes nothing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Iterator

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from automask.errors import AutomaskError, CorrectionConflict, InputError
from automask.propagate.frames_off import frames_of_all
from automask.propagate.operations import Mode, is_applied, operations_from
from automask.propagate.propagation import LEAST_SCORE, Proposal, apply, place, search, undo
from automask.store import Status, StoredImage
from automask.values.geometry import Box
from automask_api.errors import NotFound
from automask_api.review.documents import Document, LayersDocument, SavedDocument
from automask_api.review.revisions import IfMatch, conflict, known_revision
from automask_api.review.source import ReviewSource, token_of

logger = logging.getLogger(__name__)

_MOST_PLACES = 100_000
_OPERATION = r"^[0-9a-f]{16}$"
_NDJSON = "application/x-ndjson"


class MarkBody(Document):
    """Pixels of an image, as a layer is packed."""

    pixels: str = Field(max_length=200_000_000)

    def artefact(self, stored: StoredImage) -> NDArray[np.bool_]:
        """(H, W) bool of the image.

        Raises:
            InputError: They cannot be read, are of another size or empty.
        """
        shape = (stored.height_px or 0, stored.width_px or 0)
        artefact = LayersDocument(add=self.pixels).layers(shape).add
        if artefact is None or not artefact.any():
            raise InputError("No pixel is marked.", advice="Mark something first.", code="correction-invalid")
        return artefact


class PlaceDocument(Document):
    """Where the mark goes on another image; `content` tells that its file is still the one that was looked at."""

    image: str
    content: str
    corner: tuple[int, int] = Field(description="x and y of the mark's upper left corner; may lie outside.")
    score: float = Field(ge=0, le=1)
    size_px: tuple[int, int] | None = Field(None, description="Width and height that a frame is fitted to.")


class PropagationBody(MarkBody):
    """What a person confirmed."""

    operation: str = Field(pattern=_OPERATION, description="Chosen by the page.")
    mode: Mode
    places: list[PlaceDocument] = Field(min_length=1, max_length=_MOST_PLACES)


class FramesBody(Document):
    """That all frames of all images are to be trained."""

    operation: str = Field(pattern=_OPERATION, description="Chosen by the page.")


def add_propagation(router: APIRouter, source: ReviewSource) -> None:
    """Add the routes for a mark that images share."""
    store = source.store

    def saved(contents: Iterable[str]) -> JSONResponse:
        newest = {content: store.correction(content) for content in set(contents)}
        images = {}
        for row in store.images(status=Status.DONE):
            correction = newest.get(row.content_sha256 or "")
            if correction is not None:
                document = SavedDocument.of(row, revision=correction.revision, reasons=source.reasons(row))
                images[token_of(row.image_id)] = document.model_dump(mode="json")
        return JSONResponse({"images": images})

    @router.post("/api/images/{token}/propagation/search")
    def look(token: str, body: MarkBody) -> StreamingResponse:
        stored = source.row(token)
        found = search(store, stored.image_id, body.artefact(stored), least_score=LEAST_SCORE)
        return StreamingResponse(_lines(found), media_type=_NDJSON)

    @router.post("/api/images/{token}/propagation")
    def spread(token: str, body: PropagationBody, if_match: IfMatch = None) -> Response:
        stored = source.row(token)
        content, based_on = source.content_of(stored), known_revision(if_match)
        proposals = list(_proposals(source, stored, body))
        newest = store.correction(content)
        if not is_applied(store, body.operation) and based_on != (newest.revision if newest is not None else None):
            raised = CorrectionConflict(
                f"{stored.image_id} was changed since the mark was looked for.", advice="Look for it again."
            )
            return conflict(source, content, raised)
        try:
            source.drawing(
                lambda: apply(
                    store,
                    proposals,
                    mode=body.mode,
                    author=source.author,
                    source_sha256=content,
                    operation=body.operation,
                )
            )
        except CorrectionConflict as raised:
            return conflict(source, content, raised)
        return saved(each.content_sha256 for each in proposals)

    @router.post("/api/images/{token}/frames-off")
    def frames_off(token: str, body: FramesBody) -> Response:
        content = source.content_of(source.row(token))

        def work() -> list[str]:
            found = list(frames_of_all(store, source.config))
            apply(
                store,
                found,
                mode="remove",
                author=source.author,
                source_sha256=content,
                operation=body.operation,
            )
            return [each.content_sha256 for each in found]

        try:
            return saved(source.drawing(work))
        except CorrectionConflict as raised:
            return conflict(source, content, raised)

    @router.get("/api/images/{token}/propagations")
    def spread_from(token: str) -> JSONResponse:
        made = operations_from(store, source.content_of(source.row(token)))
        return JSONResponse([dataclasses.asdict(one) for one in made])

    @router.delete("/api/propagations/{operation}")
    def take_back(operation: str) -> JSONResponse:
        if not is_applied(store, operation):
            raise NotFound(f"There is no operation {operation!r} to take back.", code="correction-unknown")
        undone = source.drawing(lambda: undo(store, operation, author=source.author))
        return saved((*undone.reverted, *undone.adjusted))


def _proposals(source: ReviewSource, stored: StoredImage, body: PropagationBody) -> Iterator[Proposal]:
    artefact = body.artefact(stored)
    box = Box.of_artefact(artefact)
    inside = artefact[box.slices] if box is not None else artefact
    for one in body.places:
        row = source.row(one.image)
        if source.content_of(row) != one.content:
            raise InputError(
                f"{row.image_id} has changed since the mark was looked for.",
                advice="Look for it again.",
                code="image-changed",
            )
        if one.size_px is not None and one.size_px != (row.width_px, row.height_px):
            raise InputError(f"{row.image_id} has another size.", code="correction-invalid")
        pixels = inside if one.size_px is None else artefact
        proposal = place(row, pixels, corner=one.corner, score=one.score, size_px=one.size_px)
        if proposal is None:
            raise InputError(f"The mark would lie outside of {row.image_id}.", code="correction-invalid")
        yield proposal


def _lines(found: Iterator[tuple[int, int, Proposal | None]]) -> Iterator[str]:
    """One JSON document a line: progress with what was found on an image, or the error that ended it."""
    try:
        for done, total, proposal in found:
            yield json.dumps({"done": done, "of": total, "found": _described(proposal)}) + "\n"
    except AutomaskError as error:
        yield json.dumps({"detail": error.message, "advice": error.advice, "code": error.code}) + "\n"
    except Exception:
        logger.exception("looking for a mark failed")
        yield json.dumps({"detail": "The search failed; the server's log says why.", "code": "unexpected"}) + "\n"
    else:
        yield json.dumps({"ended": True}) + "\n"


def _described(proposal: Proposal | None) -> dict[str, object] | None:
    if proposal is None:
        return None
    return {
        "image": token_of(proposal.image_id),
        "content": proposal.content_sha256,
        "corner": proposal.corner,
        "box": proposal.box.xyxy,
        "score": round(proposal.score, 4),
        "size_px": proposal.size_px,
    }
