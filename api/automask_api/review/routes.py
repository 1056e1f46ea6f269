"""The routes of the review page. They serve one store and are no public interface."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response

from automask.errors import CorrectionConflict, InputError
from automask.run.reasons import reasons_of
from automask.store import StoredImage
from automask.values.geometry import Box
from automask.values.types import Kind, Verdict
from automask_api.errors import NotFound
from automask_api.review.documents import (
    QUEUE_FIELDS,
    ClickBody,
    CorrectionDocument,
    DecisionsBody,
    GridDocument,
    ImageDocument,
    IssueDocument,
    LayersDocument,
    RevertBody,
    SavedDocument,
    ThingDocument,
    kind_levels,
    kind_weights,
    region_documents,
    short_hash,
)
from automask_api.review.marking import add_marks
from automask_api.review.pictures import part_jpeg, thumbnail_jpeg, tile_jpeg, view_jpeg
from automask_api.review.propagating import add_propagation
from automask_api.review.revisions import IfMatch, conflict, etag, known_revision
from automask_api.review.source import ReviewSource, token_of

PREFIX = "/review"
TOOL = "review"
STATIC = Path(str(files("automask_api.review") / "static"))

_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STATIC_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def build_router(source: ReviewSource) -> APIRouter:
    """The page of a store and its data, under `/review`. Routes are plain functions: they run in threads."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    store = source.store

    def picture(data: bytes) -> Response:
        return Response(data, media_type="image/jpeg", headers=_FOR_EVER)

    def saved(stored: StoredImage, revision: int) -> JSONResponse:
        document = SavedDocument.of(stored, revision=revision, reasons=source.reasons(stored)).model_dump(mode="json")
        return JSONResponse(document, headers={"ETag": etag(revision)})

    def after_change(stored: StoredImage, revision: int) -> JSONResponse:
        return saved(source.redraw(stored.image_id) or stored, revision)

    @router.api_route("", methods=["GET", "HEAD"], name="review")
    def to_page() -> RedirectResponse:
        return RedirectResponse(f"{PREFIX}/")

    @router.api_route("/", methods=["GET", "HEAD"])
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=_STATIC_HEADERS)

    @router.get("/static/{name}")
    def static(name: str) -> FileResponse:
        path = STATIC / name
        if path.parent != STATIC or not path.is_file():
            raise NotFound(f"The page has no file {name!r}.")
        return FileResponse(path, headers=_STATIC_HEADERS)

    @router.get("/api/queue")
    def queue() -> JSONResponse:
        revisions, templates = store.corrected(), store.templates_by_image()
        regions, issues = store.regions_and_issues(Verdict.REVIEW)

        def reasons(row: StoredImage) -> list[str]:
            return reasons_of(row, regions.get(row.image_id, []), issues.get(row.image_id, []), source.config)

        return JSONResponse(
            {
                "store": store.root.resolve().name,
                "store_id": source.store_id,
                "author": source.author,
                "fields": QUEUE_FIELDS,
                "kept": [kind.value for kind in Kind if source.config.policy.of(kind).action == "keep"],
                "rows": [_queue_row(row, revisions, templates, reasons(row)) for row in source.rows()],
            }
        )

    @router.get("/api/images/{token}")
    def image(token: str) -> JSONResponse:
        document = image_document(source, source.row_to_change(token))
        headers = {"ETag": etag(document.revision), "Cache-Control": "no-cache"}
        return JSONResponse(document.model_dump(mode="json"), headers=headers)

    @router.get("/api/images/{token}/view")
    def view(token: str) -> Response:
        return picture(view_jpeg(source.pixels(source.row(token))))

    @router.get("/api/images/{token}/tiles/{level}/{column}/{row}")
    def tile(token: str, level: int, column: int, row: int) -> Response:
        if not 0 <= level <= 16 or column < 0 or row < 0:
            raise NotFound(f"There is no tile {column}, {row} at level {level}.")
        pixels = source.pixels(source.row(token))
        return picture(tile_jpeg(pixels, level=level, column=column, row=row))

    @router.get("/api/images/{token}/part/{x0}/{y0}/{x1}/{y1}")
    def part(token: str, x0: int, y0: int, x1: int, y1: int) -> Response:
        stored = source.row(token)
        seen = None
        if x0 < x1 and y0 < y1:
            seen = Box(x0, y0, x1, y1).clipped(width_px=stored.width_px or 0, height_px=stored.height_px or 0)
        if seen is None:
            raise NotFound(f"{stored.image_id} has no part {x0},{y0},{x1},{y1}.")
        return picture(part_jpeg(source.pixels(stored), seen))

    @router.get("/api/images/{token}/thumbnail")
    def thumbnail(token: str) -> Response:
        stored = source.row(token)
        mask_path = store.mask_path(stored.mask_name) if stored.mask_name is not None else None
        data = thumbnail_jpeg(stored, image_path=source.file_of(stored).path, mask_path=mask_path)
        if data is None:
            raise InputError(f"{stored.image_id} cannot be read.", code="image-unreadable")
        return picture(data)

    @router.put("/api/images/{token}/correction")
    def put_correction(token: str, body: LayersDocument, if_match: IfMatch = None) -> JSONResponse:
        stored = source.row_to_change(token)
        based_on = known_revision(if_match)
        if stored.height_px is None or stored.width_px is None:
            raise InputError(f"{stored.image_id} was never read.", code="image-unread")
        layers = body.layers((stored.height_px, stored.width_px))
        content = source.content_of(stored)
        try:
            revision = store.put_correction(content, layers, author=source.author, tool=TOOL, based_on=based_on)
        except CorrectionConflict as raised:
            return conflict(source, content, raised)
        return after_change(stored, revision)

    @router.delete("/api/images/{token}/correction")
    def withdraw(token: str, if_match: IfMatch = None) -> JSONResponse:
        stored = source.row_to_change(token)
        content, based_on = source.content_of(stored), known_revision(if_match)
        if based_on is None:
            raise InputError(f"{stored.image_id} has no correction to withdraw.", code="correction-unknown")
        try:
            revision = store.withdraw_correction(content, author=source.author, tool=TOOL, based_on=based_on)
        except CorrectionConflict as raised:
            return conflict(source, content, raised)
        return after_change(stored, revision)

    @router.post("/api/images/{token}/correction/revert")
    def revert(token: str, body: RevertBody, if_match: IfMatch = None) -> JSONResponse:
        stored = source.row_to_change(token)
        content, based_on = source.content_of(stored), known_revision(if_match)
        if based_on is None:
            raise InputError(f"{stored.image_id} has no correction.", code="correction-unknown")
        try:
            revision = store.revert_correction(
                content, to_revision=body.to_revision, author=source.author, tool=TOOL, based_on=based_on
            )
        except CorrectionConflict as raised:
            return conflict(source, content, raised)
        return after_change(stored, revision)

    @router.post("/api/images/{token}/click")
    def click(token: str, body: ClickBody) -> JSONResponse:
        stored = source.row(token)
        if body.thing is None:
            found = source.thing_at(stored, body.x, body.y)
        else:
            thing = body.thing.whole((stored.height_px or 0, stored.width_px or 0))
            found = source.part_at(stored, body.x, body.y, thing=thing, wanted=body.wanted)
        return JSONResponse(ThingDocument.of(found).model_dump(mode="json"))

    @router.get("/api/images/{token}/history")
    def history(token: str) -> JSONResponse:
        content = source.content_of(source.row(token))
        revisions = [CorrectionDocument.of(one, with_layers=False) for one in store.correction_history(content)]
        return JSONResponse([one.model_dump(mode="json") for one in reversed(revisions)])

    @router.post("/api/decisions")
    def decide(body: DecisionsBody) -> JSONResponse:
        rows = [source.row(token) for token in body.images]
        contents = list(dict.fromkeys(source.content_of(row) for row in rows))
        store.decide_all(contents, body.decision, author=source.author)
        now = [store.lookup(row.image_id) or row for row in rows]
        return JSONResponse(
            {
                token_of(row.image_id): {
                    "decision": row.decision.value if row.decision is not None else None,
                    "verdict": row.verdict.value if row.verdict is not None else None,
                    "reasons": source.reasons(row),
                }
                for row in now
            }
        )

    add_propagation(router, source)
    add_marks(router, source)
    return router


def image_document(source: ReviewSource, stored: StoredImage) -> ImageDocument:
    """Everything that the editor needs about one image.

    Raises:
        InputError: There is no result to edit (`image-unread`).
    """
    result = source.store.result(stored.image_id)
    if result is None:
        raise InputError(
            f"{stored.image_id} has no result to edit.",
            advice="See its issues, then run `automask run` on its folder.",
            code="image-unread",
        )
    content = source.content_of(stored)
    correction = source.store.correction(content)
    return ImageDocument(
        id=stored.image_id,
        width_px=result.width_px,
        height_px=result.height_px,
        content=content[:16],
        verdict=stored.verdict.value if stored.verdict is not None else None,
        confidence=stored.confidence,
        masked_share=stored.masked_share,
        decision=stored.decision,
        revision=correction.revision if correction is not None else 0,
        correction=CorrectionDocument.of(correction, with_layers=True) if correction is not None else None,
        regions=region_documents(result, source.config, correction.layers if correction is not None else None),
        reasons=source.reasons(stored),
        issues=[
            IssueDocument(code=issue.code, message=issue.message, severity=issue.severity)
            for issue in source.store.issues(stored.image_id)
        ],
        template_decisions={
            one.template.id: one.decision.value for one in source.store.templates.all() if one.decision is not None
        },
        grid=GridDocument.of(result.width_px, result.height_px, source.config),
        weights=kind_weights(source.config),
        levels=kind_levels(source.config),
    )


def _queue_row(
    row: StoredImage, revisions: dict[str, int], templates: dict[str, tuple[str, ...]], reasons: list[str]
) -> list[Any]:
    return [
        row.image_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        row.width_px,
        row.height_px,
        round(row.confidence, 4) if row.confidence is not None else None,
        row.verdict.value if row.verdict is not None else None,
        [kind.value for kind in row.kinds],
        round(row.masked_share, 4) if row.masked_share is not None else None,
        row.decision.value if row.decision is not None else None,
        revisions.get(row.content_sha256 or "", 0),
        short_hash(row.content_sha256),
        short_hash(row.mask_sha256),
        row.fingerprints is None,
        list(templates.get(row.image_id, ())),
        reasons,
    ]
