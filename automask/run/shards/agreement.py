"""Whether a store and the target that it was gathered from agree about an image, and which of them counts where not.

What a person said is compared with the lines that the target has now: it may be another one by then, or an older copy.
What the store remembers tells only whether somebody changed something here since it last agreed with the target.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass

from automask.dataset.shards.parquet import opened
from automask.run.shards.corrections import PersonSaid, ShardCorrections, seen_sha256
from automask.run.shards.gathered import GatheredImage
from automask.run.shards.records import ShardRecord
from automask.run.shards.rows import issues_of
from automask.run.shards.target import ShardTarget
from automask.store import STALE_CORRECTION_CODE, Decision, PackedLayers, Store


@dataclass(frozen=True, slots=True)
class RowThere:
    """What the row of an image in a target says of what people said.

    Attributes:
        decision: That holds, or None.
        is_stale: Whether a correction of it waits for other pixels or another size.
    """

    decision: str | None
    is_stale: bool


class Agreement(enum.Enum):
    """What there is to do about an image."""

    SAME = "same"
    """Nothing: the target says what the store says."""
    NEWS = "news"
    """The target has not heard it."""
    NEWS_TO_BOTH = "news-to-both"
    """The same, but another store changed the image too, before this one did."""
    SUPERSEDED = "superseded"
    """Another store changed the image; nobody did here since this store last agreed with the target."""
    OVERRULED = "overruled"
    """Another store changed the image after somebody did here."""


def compared(image: GatheredImage, now: PersonSaid, there: ShardCorrections) -> Agreement:
    """How a store and a target stand about an image.

    Args:
        image: What the store remembers of it.
        now: What the store says.
        there: What the target says.
    """
    before = there.of(image.content_sha256)
    digest = before.digest if before is not None else ""
    if now.digest == digest or (now.digest, digest) == (image.said, image.said_there):
        return Agreement.SAME
    if before is None or digest in (image.said, image.said_there, image.saying):
        return Agreement.NEWS
    unchanged = is_unchanged(image, now)
    of_ours = image.said_there if unchanged else now.digest
    said = said_now(image, now)
    time_s = said.made_s if image.said_there_s is not None or not unchanged else None
    is_newer = said.made_s > before.made_s and not there.holds(image.content_sha256, of_ours, time_s)
    if unchanged:
        return Agreement.NEWS if is_newer else Agreement.SUPERSEDED
    return Agreement.NEWS_TO_BOTH if is_newer else Agreement.OVERRULED


def is_unchanged(image: GatheredImage, now: PersonSaid) -> bool:
    """Whether nobody changed an image in the store since it last agreed with the target."""
    return now.digest == image.said and image.said_s in (None, now.made_s)


def is_older(image: GatheredImage, drawn: str, there: ShardCorrections) -> bool:
    """Whether an image is otherwise in the target by now than the store has it.

    Args:
        image: What the store remembers of it.
        drawn: Digest of the fingerprints that its shard has now.
        there: What the target says.
    """
    line = there.of(image.content_sha256)
    digest = line.digest if line is not None else ""
    return image.drawn not in ("", drawn) or digest not in (image.said, image.said_there, image.saying)


def said_now(image: GatheredImage, now: PersonSaid) -> PersonSaid:
    """What the store says, with the time at which it was said: what came from the target was said before it came."""
    if is_unchanged(image, now) and image.said_there_s is not None:
        return dataclasses.replace(now, made_s=image.said_there_s)
    return now


def agreed(image: GatheredImage, now: PersonSaid, line: PersonSaid | None) -> GatheredImage:
    """What a store is to remember of an image about which the target says the same.

    Args:
        image: What it remembered until now.
        now: What it says.
        line: What the target says.
    """
    there = line.digest if line is not None else ""
    made_s = line.made_s if line is not None else 0.0
    return dataclasses.replace(
        image, said=now.digest, said_there=there, said_s=now.made_s, said_there_s=made_s, saying=None
    )


def person_said(store: Store, image: GatheredImage) -> PersonSaid | None:
    """What a store holds of what people said about an image, or None where it has no result of it any more."""
    stored, found = store.lookup(image.image_id), store.result(image.image_id)
    if stored is None or found is None or stored.content_sha256 != image.content_sha256:
        return None
    correction = store.correction(image.content_sha256)
    layers = correction.layers if correction is not None else None
    decided = store.decision(image.content_sha256)
    return PersonSaid(
        content_sha256=image.content_sha256,
        key=image.key,
        image=image.image,
        layers=PackedLayers.of(layers) if layers is not None else None,
        tool=correction.tool if correction is not None and layers is not None else "",
        author=correction.author if correction is not None else decided.author if decided is not None else "",
        decision=stored.decision,
        seen_sha256=seen_sha256(found, layers) if stored.decision is Decision.ACCEPTED else "",
        made_s=changed_s(store, image.content_sha256),
    )


def changed_s(store: Store, content_sha256: str) -> float:
    """When somebody last changed an image in a store, in seconds since the epoch; 0 where nobody did."""
    newest = (store.correction(content_sha256), store.decision(content_sha256))
    return max((one.created_s for one in newest if one is not None), default=0.0)


def rows_there(target: ShardTarget, record: ShardRecord) -> dict[str, RowThere]:
    """What the rows of a shard say of what people said, by the content of their images.

    Raises:
        ShardDamaged: Its Parquet cannot be read.
    """
    part = record.parts.get("regions")
    if part is None:
        return {}
    with opened(target.folder, part.name) as file:
        rows = file.read(columns=["content_sha256", "decision", "issues"]).to_pylist()
    return {
        row["content_sha256"]: RowThere(
            row["decision"], any(issue.code == STALE_CORRECTION_CODE for issue in issues_of(row))
        )
        for row in rows
        if row["content_sha256"] is not None
    }
