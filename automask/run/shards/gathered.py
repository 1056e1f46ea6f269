"""What a store remembers of the sharded target that its images were gathered from.

::

    gathered.json            the target and its source
    gathered/HASH.json       a shard of it: its images under their names in the store, and what was known of them
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from automask.dataset.shards.samples import Shard
from automask.dataset.sniff import HEAD_BYTES, SUFFIXES_OF, Format, recognise
from automask.errors import StoreError
from automask.files.atomic import write_atomic

_NOTE_NAME, _FOLDER = "gathered.json", "gathered"
_FORMAT = 1
_MOST_CHARACTERS = 80
_HASH_DIGITS = 12
_AWKWARD = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|%\s]')
"""What some file system, shell or URL takes for something else than a character of a name."""


@dataclass(frozen=True, slots=True)
class GatheredFrom:
    """Where the images of a store are from.

    Attributes:
        target: Address of the sharded target.
        source: Address of its images.
        run: `TargetHead.id` of the target; empty where that is not known, or images of several are in the store.
    """

    target: str
    source: str
    run: str = ""

    @classmethod
    def read(cls, root: Path) -> Self | None:
        """That of a store, or None where its images are its own.

        Raises:
            StoreError: The note is damaged.
        """
        values = _read(root / _NOTE_NAME)
        return cls(values["target"], values["source"], values.get("run", "")) if values is not None else None

    def write(self, root: Path) -> None:
        """Keep it in a store."""
        _write(root / _NOTE_NAME, dataclasses.asdict(self))


@dataclass(frozen=True, slots=True)
class GatheredImage:
    """One image of a store.

    Attributes:
        image_id: In the store.
        key: Of the image in its shard.
        image: Its id in the shard.
        content_sha256: Hash of its file.
        said: `PersonSaid.digest` of what the store held when image and target last agreed.
        said_there: The same of the target.
        said_s: When somebody had last changed it in the store by then, in seconds since the epoch; None = not known.
        said_there_s: When that was said which the target held; None = not known.
        saying: Digest of what is about to be written into the target, until that is done; None = nothing.
        drawn: Digest of the fingerprints that its shard had when it was gathered; empty = not known.
    """

    image_id: str
    key: str
    image: str
    content_sha256: str
    said: str = ""
    said_there: str = ""
    said_s: float | None = None
    said_there_s: float | None = None
    saying: str | None = None
    drawn: str = ""


@dataclass(frozen=True, slots=True)
class GatheredShard:
    """The images of a shard that a store holds.

    Attributes:
        shard: Which.
        images: By id in the store.
    """

    shard: Shard
    images: dict[str, GatheredImage]

    @classmethod
    def read(cls, root: Path, shard: Shard) -> Self:
        """Those of a shard, perhaps none."""
        return cls._of(_read(_path(root, shard))) or cls(shard, {})

    @classmethod
    def all(cls, root: Path) -> Iterator[Self]:
        """All of a store, one at a time."""
        for path in sorted((root / _FOLDER).glob("*.json")):
            found = cls._of(_read(path))
            if found is not None:
                yield found

    def write(self, root: Path) -> None:
        """Keep it in a store."""
        images = [dataclasses.asdict(one) for one in self.images.values()]
        _write(_path(root, self.shard), {"shard": self.shard.to_json(), "images": images})

    @classmethod
    def _of(cls, values: dict[str, Any] | None) -> Self | None:
        if values is None:
            return None
        images = [GatheredImage(**one) for one in values["images"]]
        return cls(Shard.from_json(values["shard"]), {one.image_id: one for one in images})


def file_name(shard: Shard, key: str, content_sha256: str, data: bytes) -> str:
    """The name of an image in the folder beside the store: its shard and key as far as names can hold them.

    The hash at its end keeps apart what differs in nothing else, or only in case.
    """
    content = recognise(data[:HEAD_BYTES])
    suffix = SUFFIXES_OF[content][0] if isinstance(content, Format) else ""
    whole = hashlib.sha256("\0".join((shard.name, key, content_sha256)).encode("utf-8", "surrogateescape"))
    return f"{_plain(shard.name)}/{_plain(key)}~{whole.hexdigest()[:_HASH_DIGITS]}{suffix}"


def _plain(name: str) -> str:
    return _AWKWARD.sub("_", name)[:_MOST_CHARACTERS].lstrip(".").encode("utf-8", "replace").decode() or "_"


def _path(root: Path, shard: Shard) -> Path:
    name = hashlib.sha256(shard.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return root / _FOLDER / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
        if values["format"] > _FORMAT:
            raise StoreError(f"{path} was written by a newer automask.", advice="Upgrade.", code="store-too-new")
        return values
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged.", advice="Put back a copy of it, or gather into another STORE.", code="store-corrupt"
        ) from error


def _write(path: Path, values: dict[str, Any]) -> None:
    write_atomic(path, json.dumps({"format": _FORMAT, **values}, indent=1).encode())
