"""SQL of corrections: bound to pixels, only ever added, numbered without gaps."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.errors import CorrectionConflict
from automask.mask.rendering import CorrectionLayers
from automask.store.records import Correction, MadeWith
from automask.store.rows import from_text, to_text
from automask.values import rle
from automask.values.types import Kind

_MASK_FILE_TOOL, _IMPORT_TOOLS = "mask-file", "import-"
IS_WHOLE_MASK = f"NOT withdrawn AND (tool = '{_MASK_FILE_TOOL}' OR tool GLOB '{_IMPORT_TOOLS}*')"
"""SQL: whether a revision is a mask that a person finished in another program. A change on the review page is a step of
many, and what is carried over from another image nobody has seen on this one: those settle nothing by themselves."""
_COLUMNS = (
    "content_sha256, revision, created_s, author, tool, withdrawn, replaces, already_grown,"
    " add_rle, remove_rle, weight_set_rle, weight_levels, kinds_json"
)


@dataclass(frozen=True, slots=True)
class PackedLayers:
    """Correction layers as the database keeps them: small enough to hold those of a whole dataset.

    Attributes:
        shape: (H, W) of the layers, or None where there is none.
        replaces: As in `CorrectionLayers`; so are all others.
    """

    shape: tuple[int, int] | None
    replaces: bool
    already_grown: bool
    add: bytes | None
    remove: bytes | None
    weight_set: bytes | None
    weight_levels: bytes | None
    kinds: Mapping[str, Kind]

    @classmethod
    def of(cls, layers: AnyLayers) -> PackedLayers:
        """Pack layers, unless they are.

        Raises:
            ValueError: They do not fit each other.
        """
        if isinstance(layers, PackedLayers):
            return layers
        shape = layers_shape(layers)
        weight_set, levels = None, None
        if layers.weight_levels is not None and layers.weight_set is not None:
            if layers.weight_levels.dtype != np.uint8:
                raise ValueError(f"weight_levels must be uint8, got {layers.weight_levels.dtype}")
            weight_set = rle.encode(layers.weight_set)
            levels = rle.encode_levels(layers.weight_levels, layers.weight_set)
        add, remove = _encode(layers.add), _encode(layers.remove)
        return cls(shape, layers.replaces, layers.already_grown, add, remove, weight_set, levels, dict(layers.kinds))

    def unpacked(self) -> CorrectionLayers:
        """The layers.

        Raises:
            ValueError: They are damaged.
        """
        weight_set = _decode(self.weight_set)
        return CorrectionLayers(
            replaces=self.replaces,
            add=_decode(self.add),
            remove=_decode(self.remove),
            weight_levels=rle.decode_levels(self.weight_levels or b"", weight_set) if weight_set is not None else None,
            weight_set=weight_set,
            already_grown=self.already_grown,
            kinds=self.kinds,
        )


AnyLayers = CorrectionLayers | PackedLayers


def append(
    connection: sqlite3.Connection,
    content_sha256: str,
    layers: AnyLayers | None,
    *,
    author: str,
    tool: str,
    based_on: int | None,
) -> int:
    """Add a revision.

    Args:
        connection: Inside a write transaction.
        content_sha256: Hash of the image file that the person saw.
        layers: What changed, or None to give the automatic mask back.
        author: Who.
        tool: With what.
        based_on: The newest revision that the person knew, None where there was none.

    Returns:
        The new revision.

    Raises:
        CorrectionConflict: There is a newer revision.
        ValueError: The layers do not fit each other.
    """
    newest_revision = revision(connection, content_sha256)
    if newest_revision != based_on:
        raise CorrectionConflict(
            f"The correction was changed by somebody else: its newest revision is {newest_revision}, not {based_on}.",
            advice="Load the image again and repeat the change.",
        )
    packed = PackedLayers.of(layers) if layers is not None else None
    kinds: Mapping[str, Kind] = packed.kinds if packed is not None else {}
    number = (newest_revision or 0) + 1
    connection.execute(
        f"INSERT INTO corrections ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            content_sha256,
            number,
            time.time(),
            to_text(author),
            to_text(tool),
            int(packed is None),
            int(packed is not None and packed.replaces),
            int(packed is not None and packed.already_grown),
            packed.add if packed is not None else None,
            packed.remove if packed is not None else None,
            packed.weight_set if packed is not None else None,
            packed.weight_levels if packed is not None else None,
            json.dumps({key: kind.value for key, kind in sorted(kinds.items())}),
        ),
    )
    return number


def revision(connection: sqlite3.Connection, content_sha256: str) -> int | None:
    """Number of the newest revision."""
    number: int | None = connection.execute(
        "SELECT max(revision) FROM corrections WHERE content_sha256 = ?", (content_sha256,)
    ).fetchone()[0]
    return number


def revisions(connection: sqlite3.Connection) -> dict[str, int]:
    """Newest revision of every content whose correction was not withdrawn."""
    rows = connection.execute(
        "SELECT content_sha256, revision FROM corrections c WHERE NOT withdrawn"
        " AND revision = (SELECT max(revision) FROM corrections WHERE content_sha256 = c.content_sha256)"
    )
    return {content: int(number) for content, number in rows}


def is_live(connection: sqlite3.Connection, content_sha256: str | None) -> bool:
    """Whether some content has a correction that was not withdrawn."""
    row = connection.execute(
        "SELECT withdrawn FROM corrections WHERE content_sha256 = ? ORDER BY revision DESC LIMIT 1", (content_sha256,)
    ).fetchone()
    return row is not None and not row[0]


def is_whole_mask(connection: sqlite3.Connection, content_sha256: str | None) -> bool:
    """Whether the newest revision of some content is a mask that a person finished in another program."""
    row = connection.execute(
        f"SELECT {IS_WHOLE_MASK} FROM corrections WHERE content_sha256 = ? ORDER BY revision DESC LIMIT 1",
        (content_sha256,),
    ).fetchone()
    return row is not None and bool(row[0])


def digest(connection: sqlite3.Connection, content_sha256: str) -> str | None:
    """Hash of what the newest revision of some content says; None where that is nothing.

    Two revisions that say the same have the same.
    """
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM corrections WHERE content_sha256 = ? ORDER BY revision DESC LIMIT 1", (content_sha256,)
    ).fetchone()
    if row is None or row["withdrawn"]:
        return None
    layers = [row[name] for name in ("add_rle", "remove_rle", "weight_set_rle")]
    said = [b"" if layer is None or rle.is_empty(layer) else bytes(layer) for layer in layers]
    said.append(bytes(row["weight_levels"] or b"") if said[2] else b"")
    said.append(b"" if row["kinds_json"] == "{}" else row["kinds_json"].encode())
    if not any(said) and not row["replaces"]:
        return None
    whole = hashlib.sha256(f"{row['replaces']} {row['already_grown']}".encode())
    for part in said:
        whole.update(f" {len(part)} ".encode() + part)
    return whole.hexdigest()


def newest(connection: sqlite3.Connection, content_sha256: str) -> Correction | None:
    """The newest revision."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM corrections WHERE content_sha256 = ? ORDER BY revision DESC LIMIT 1",
        (content_sha256,),
    ).fetchone()
    return _correction(row) if row is not None else None


def newest_kinds(connection: sqlite3.Connection, content_sha256: str | None) -> dict[str, Kind]:
    """What regions are called in the newest revision, by key, without reading its pixels.

    Raises:
        ValueError: It is damaged.
    """
    row = connection.execute(
        "SELECT kinds_json FROM corrections WHERE content_sha256 = ? ORDER BY revision DESC LIMIT 1", (content_sha256,)
    ).fetchone()
    return _kinds(row["kinds_json"]) if row is not None else {}


def history(connection: sqlite3.Connection, content_sha256: str) -> list[Correction]:
    """All revisions, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM corrections WHERE content_sha256 = ? ORDER BY revision", (content_sha256,)
    )
    return [_correction(row) for row in rows]


def made_with(connection: sqlite3.Connection, pattern: str) -> list[MadeWith]:
    """All revisions by tools whose name matches a pattern (`GLOB`), in order, without their layers."""
    rows = connection.execute(
        "SELECT content_sha256, revision, tool, author, created_s FROM corrections WHERE tool GLOB ?"
        " ORDER BY content_sha256, revision",
        (pattern,),
    )
    return [
        MadeWith(
            content_sha256=row["content_sha256"],
            revision=row["revision"],
            tool=from_text(row["tool"]),
            author=from_text(row["author"]),
            created_s=row["created_s"],
        )
        for row in rows
    ]


def brings_whole_mask(tool: str) -> bool:
    """The same as `IS_WHOLE_MASK` of a revision that was not withdrawn, by its tool."""
    return tool == _MASK_FILE_TOOL or tool.startswith(_IMPORT_TOOLS)


def layers_shape(layers: CorrectionLayers) -> tuple[int, int] | None:
    """(H, W) of the layers, or None where there is none.

    Raises:
        ValueError: The layers do not fit each other.
    """
    if (layers.weight_levels is None) != (layers.weight_set is None):
        raise ValueError("weight_levels and weight_set belong together")
    given = [layers.add, layers.remove, layers.weight_levels, layers.weight_set]
    shapes = {layer.shape for layer in given if layer is not None}
    if len(shapes) > 1:
        raise ValueError(f"the layers of a correction differ in shape: {sorted(shapes)}")
    for shape in shapes:
        if len(shape) != 2:
            raise ValueError(f"a layer is (H, W), got {shape}")
        return int(shape[0]), int(shape[1])
    return None


def _correction(row: sqlite3.Row) -> Correction:
    layers = None
    if not row["withdrawn"]:
        layers = PackedLayers(
            shape=None,
            replaces=bool(row["replaces"]),
            already_grown=bool(row["already_grown"]),
            add=row["add_rle"],
            remove=row["remove_rle"],
            weight_set=row["weight_set_rle"],
            weight_levels=row["weight_levels"],
            kinds=_kinds(row["kinds_json"]),
        ).unpacked()
    return Correction(
        content_sha256=row["content_sha256"],
        revision=row["revision"],
        layers=layers,
        author=from_text(row["author"]),
        tool=from_text(row["tool"]),
        created_s=row["created_s"],
    )


def _kinds(text: str) -> dict[str, Kind]:
    return {key: Kind(kind) for key, kind in json.loads(text).items()}


def _encode(layer: NDArray[np.bool_] | None) -> bytes | None:
    return rle.encode(layer) if layer is not None else None


def _decode(blob: bytes | None) -> NDArray[np.bool_] | None:
    return rle.decode(blob) if blob is not None else None
