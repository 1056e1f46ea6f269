"""The templates of a store: which there are, where they were found, and what a person decided about them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from automask.errors import StoreError
from automask.store import matches, queries
from automask.store.database import Database
from automask.store.rows import Value, from_text, insert
from automask.values.geometry import Box
from automask.values.templates import (
    SCORE_ATTRIBUTE,
    DatasetTemplate,
    StoredTemplate,
    TemplateDecision,
    TemplateOrigin,
)
from automask.values.types import Kind, Region

_SAMPLE_KEY = "templates_sample"


@dataclass(frozen=True, slots=True)
class Member:
    """One image that shows a template.

    Attributes:
        image_id: The image.
        content_sha256: Hash of its file.
        score: How well it matches the template; comparable among the images of one template.
        box: Where it shows it.
    """

    image_id: str
    content_sha256: str
    score: float
    box: Box


class TemplateTable:
    """Reads and writes templates. Reached as `Store.templates`; raises what the store's own methods raise."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredTemplate]:
        """Every template, active ones first, then the most confident."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT templates.*, decision, author, decided_s, (SELECT count(DISTINCT image_key) FROM regions"
                " JOIN images USING (image_key)"
                " WHERE regions.template_id = templates.template_id AND status <> 'missing') AS matches"
                " FROM templates LEFT JOIN template_decisions USING (template_id)"
                " ORDER BY active DESC, confidence DESC, template_id"
            ).fetchall()
        return [_stored_template(row) for row in rows]

    def find(self, prefix: str) -> StoredTemplate:
        """The template whose id begins with the given characters.

        Raises:
            StoreError: There is none, or more than one (`template-unknown`).
        """
        known = self.all()
        found = [each for each in known if prefix and each.template.id.startswith(prefix)]
        if len(found) != 1:
            which = "no template" if not found else f"{len(found)} templates"
            raise StoreError(
                f"{which.capitalize()} of this store has an id that begins with {prefix!r}.",
                advice=f"Its ids: {', '.join(each.template.id for each in known) or 'none'}.",
                code="template-unknown",
            )
        return found[0]

    def images_of(self, template_id: str, *, limit: int = -1) -> list[str]:
        """Ids of images that show a template, the first ones in order; all where the limit is negative."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT image_id FROM images JOIN regions USING (image_key)"
                " WHERE template_id = ? AND status <> 'missing' ORDER BY image_id LIMIT ?",
                (template_id, limit),
            ).fetchall()
        return [from_text(row[0]) for row in rows]

    def members(self, template_id: str) -> list[Member]:
        """The images that show a template, the least alike first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT image_id, content_sha256, attributes_json, x0, y0, x1, y1 FROM images"
                " JOIN regions USING (image_key) WHERE template_id = ? AND status <> 'missing' ORDER BY image_id",
                (template_id,),
            ).fetchall()
        found: dict[str, Member] = {}
        for row in rows:
            score = float(json.loads(row["attributes_json"]).get(SCORE_ATTRIBUTE, 1.0))
            box = Box(row["x0"], row["y0"], row["x1"], row["y1"])
            member = Member(from_text(row["image_id"]), row["content_sha256"], score, box)
            if member.image_id not in found or score < found[member.image_id].score:
                found[member.image_id] = member
        return sorted(found.values(), key=lambda each: (each.score, each.image_id))

    def count_unsearched(self, fingerprint: str) -> int:
        """Number of done images whose last search for templates was another one."""
        with self._database.reading() as connection:
            count: int = connection.execute(
                f"SELECT count(*) FROM images WHERE status = 'done' AND {queries.UNSEARCHED}", (fingerprint,)
            ).fetchone()[0]
        return count

    def sample_fingerprint(self) -> str | None:
        """What the estimated templates were estimated from, as given to `replace`."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (_SAMPLE_KEY,)).fetchone()
        return row[0] if row is not None else None

    def replace(
        self, templates: Sequence[DatasetTemplate], *, origin: TemplateOrigin, sample_fingerprint: str | None = None
    ) -> None:
        """Make these the active templates of an origin. Others of it stay, inactive, where a person decided about them.

        A template that is estimated and saved counts as estimated, so that it does not go with its file.

        Args:
            templates: All of them.
            origin: Where they came from.
            sample_fingerprint: What they were estimated from; None leaves the old one.
        """
        with self._database.writing() as connection:
            connection.execute("UPDATE templates SET active = 0 WHERE origin = ?", (origin.value,))
            for template in templates:
                _put(connection, template, origin)
            if sample_fingerprint is not None:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SAMPLE_KEY, sample_fingerprint))

    def add(self, template: DatasetTemplate, *, origin: TemplateOrigin) -> None:
        """Add one active template."""
        with self._database.writing(durable=True) as connection:
            _put(connection, template, origin)

    def decide(
        self, template_id: str, decision: TemplateDecision, *, author: str, decided_s: float | None = None
    ) -> None:
        """Note what a person decided, for all images that show the template. Their masks are drawn by the next run.

        Args:
            template_id: A template of this store.
            decision: What to do with it.
            author: Who decided.
            decided_s: When; None = now.
        """
        with self._database.writing(durable=True) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO template_decisions VALUES (?, ?, ?, ?)",
                (template_id, decision.value, author, time.time() if decided_s is None else decided_s),
            )
            keys = connection.execute("SELECT DISTINCT image_key FROM regions WHERE template_id = ?", (template_id,))
            for (key,) in keys.fetchall():
                matches.refresh(connection, key)

    def take_back(self, template_id: str) -> None:
        """Take back what a person decided about a template, as `decide` wrote it down."""
        with self._database.writing(durable=True) as connection:
            connection.execute("DELETE FROM template_decisions WHERE template_id = ?", (template_id,))
            keys = connection.execute("SELECT DISTINCT image_key FROM regions WHERE template_id = ?", (template_id,))
            for (key,) in keys.fetchall():
                matches.refresh(connection, key)

    def inherit(self, template: DatasetTemplate, decided: StoredTemplate) -> None:
        """Decide about a newly estimated template as a person decided about one that shows the same."""
        if decided.decision is None or decided.author is None:
            raise ValueError(f"nobody decided about {decided.template.id}")
        with self._database.writing() as connection:
            _put(connection, template, TemplateOrigin.ESTIMATED)
        self.decide(template.id, decided.decision, author=decided.author, decided_s=decided.decided_s)

    def put_matches(self, image_id: str, regions: Sequence[Region], *, content_sha256: str, fingerprint: str) -> bool:
        """Replace what templates found on an image; the mask is drawn by who calls.

        Args:
            image_id: The image.
            regions: Each with its `artefact` and the attribute `template`.
            content_sha256: Hash of the file that was searched.
            fingerprint: Of the search.

        Returns:
            Whether the image is still the one that was searched; nothing is written otherwise.
        """
        with self._database.writing() as connection:
            row = queries.find(connection, image_id)
            if row is None or row["content_sha256"] != content_sha256:
                return False
            matches.write(connection, row["image_key"], regions, fingerprint=fingerprint)
        return True

    def prune(self) -> None:
        """Drop inactive templates that nobody decided about and no image shows."""
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM templates WHERE NOT active AND template_id NOT IN (SELECT template_id FROM"
                " template_decisions) AND template_id NOT IN (SELECT template_id FROM regions"
                " JOIN images USING (image_key) WHERE template_id IS NOT NULL AND status <> 'missing')"
            )


def _put(connection: sqlite3.Connection, template: DatasetTemplate, origin: TemplateOrigin) -> None:
    known = connection.execute("SELECT active, origin FROM templates WHERE template_id = ?", (template.id,)).fetchone()
    if known is not None:
        if origin is TemplateOrigin.SAVED and known["active"] and known["origin"] == TemplateOrigin.ESTIMATED.value:
            return
        connection.execute(
            "UPDATE templates SET active = 1, origin = ? WHERE template_id = ?", (origin.value, template.id)
        )
        return
    values: dict[str, Value] = {
        "template_id": template.id,
        "detector": template.detector,
        "kind": template.kind.value,
        "origin": origin.value,
        "active": 1,
        "created_s": time.time(),
        "content": template.content,
        "picture_png": template.picture_png,
        "anchor": template.anchor,
        "support": template.support,
        "images": template.images,
        "confidence": template.confidence,
        "area_share": template.area_share,
        "needs_review": int(template.needs_review),
    }
    insert(connection, "templates", values)


def _stored_template(row: sqlite3.Row) -> StoredTemplate:
    template = DatasetTemplate(
        id=row["template_id"],
        detector=row["detector"],
        kind=Kind(row["kind"]),
        content=row["content"],
        picture_png=row["picture_png"],
        anchor=row["anchor"],
        support=row["support"],
        images=row["images"],
        confidence=row["confidence"],
        area_share=row["area_share"],
        needs_review=bool(row["needs_review"]),
    )
    return StoredTemplate(
        template=template,
        origin=TemplateOrigin(row["origin"]),
        is_active=bool(row["active"]),
        matches=row["matches"],
        decision=TemplateDecision(row["decision"]) if row["decision"] is not None else None,
        author=row["author"],
        decided_s=row["decided_s"],
    )
