"""The target of a sharded run: which files are where, and what they say. No database, so any object store will do.

::

    automask-shards.json     what this is, of which source, cut how
    shards.jsonl             every shard, one a line; written when the source was listed to its end
    lists/SHARD.jsonl        its images, where they are files of their own
    templates/               what repeats, and which images were compared for it
    configs/FINGERPRINT.json what masks are drawn under
    corrections/SHARD.jsonl  what people said about its images
    claims/SHARD.json        who works on it, until when
    masks/SHARD.tar          masks as PNG, under the keys of the source
    regions/SHARD.parquet    one row an image: verdict, reasons, issues, what was found
    done/SHARD.done          written last: counts, fingerprints, hashes
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from automask.config import PipelineConfig, RuntimeConfig
from automask.dataset.shards.samples import Listed, Shard, SourceKind, listing_bytes, read_listing
from automask.errors import AutomaskError, OutputError, StoreError
from automask.files.folders import Folder, LocalFolder, Unreachable
from automask.files.places import folder_at
from automask.files.urls import is_url, redacted
from automask.run.shards.records import FORMAT, ShardRecord
from automask.store.placing import DATABASE_NAME

HEAD_NAME = "automask-shards.json"
MANIFEST_NAME = "shards.jsonl"
_READ_AT_ONCE = 256
"""Records asked for together: as many as an object store answers at once, and little memory."""


@dataclass(frozen=True, slots=True)
class TargetHead:
    """What a target is.

    Attributes:
        source: Its source, without credentials.
        kind: Of the source.
        shard_images: Images a shard, where the source leaves that open.
        version: The automask that began it.
        id: Tells it from another one that is made at the same address; empty in those of older automasks.
    """

    source: str
    kind: SourceKind
    shard_images: int
    version: str
    id: str = ""


class ShardTarget:
    """The files of a target.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @classmethod
    def at(cls, address: str) -> Self:
        """The target at an address, which need not exist yet."""
        return cls(folder_at(address))

    @property
    def label(self) -> str:
        """How messages call it, without credentials."""
        return self.folder.label

    def head(self) -> TargetHead | None:
        """What it is, or None where nothing was begun.

        Raises:
            StoreError: Another version of automask, or another program, wrote it.
        """
        try:
            values = json.loads(self.folder.read(HEAD_NAME))
            if values["format"] > FORMAT:
                raise StoreError(
                    f"{self.label} was written by automask {values['version']}, which is newer.",
                    advice="Upgrade automask.",
                    code="store-too-new",
                )
            return TargetHead(
                values["source"], values["kind"], int(values["shard_images"]), values["version"], values.get("id", "")
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{HEAD_NAME} in {self.label} is damaged.", advice="Choose another --output.", code="store-corrupt"
            ) from error

    def begin(self, head: TargetHead) -> None:
        """Say what it is.

        Raises:
            OutputError: It holds a store of images on one machine.
        """
        if isinstance(self.folder, LocalFolder) and (self.folder.path / DATABASE_NAME).exists():
            raise OutputError(
                f"{self.label} is a store of a run without shards.",
                advice="Choose another --output.",
                code="shards-other-source",
            )
        self.folder.write(HEAD_NAME, json.dumps({"format": FORMAT, **dataclasses.asdict(head)}, indent=1).encode())

    def write_list(self, shard: Shard, images: Sequence[Listed]) -> None:
        """Keep the images of a shard."""
        self.folder.write(_list_name(shard), listing_bytes(images))

    def read_list(self, shard: Shard) -> list[Listed]:
        """The images of a shard whose source is a folder."""
        return read_listing(self.folder.read(_list_name(shard)))

    def write_manifest(self, shards: Sequence[Shard]) -> None:
        """Keep the list of all shards, which ends the listing of the source."""
        lines = (json.dumps(shard.to_json(), ensure_ascii=False) + "\n" for shard in shards)
        self.folder.write(MANIFEST_NAME, "".join(lines).encode())

    def manifest(self) -> list[Shard] | None:
        """All shards, or None where the source was never listed to its end."""
        try:
            data = self.folder.read(MANIFEST_NAME)
        except FileNotFoundError:
            return None
        return [Shard.from_json(json.loads(line)) for line in data.splitlines()]

    def records(self, shards: Sequence[Shard]) -> Iterator[tuple[Shard, ShardRecord | None]]:
        """The records of shards, None where one is missing or damaged; a few hundred in memory."""
        there = {entry.name for entry in self.folder.files("done")}
        for start in range(0, len(shards), _READ_AT_ONCE):
            batch = shards[start : start + _READ_AT_ONCE]
            names = [done_name(shard) for shard in batch if done_name(shard) in there]
            found = dict(zip(names, self.folder.read_many(names), strict=True))
            for shard in batch:
                data = found.get(done_name(shard))
                yield shard, ShardRecord.from_bytes(data) if data is not None else None

    def record(self, shard: Shard) -> ShardRecord | None:
        """The record of one shard."""
        try:
            return ShardRecord.from_bytes(self.folder.read(done_name(shard)))
        except FileNotFoundError:
            return None

    def write_record(self, shard: Shard, record: ShardRecord) -> None:
        """End a shard."""
        self.folder.write(done_name(shard), record.to_bytes())

    def write_coming(self, shard: Shard, record: ShardRecord) -> None:
        """Note how a shard that is drawn again will end, before its files are moved: one cut short is known by it."""
        self.folder.write(_coming_name(shard), record.to_bytes())

    def coming(self, shard: Shard) -> ShardRecord | None:
        """The record of `write_coming`, where the shard did not get to its end."""
        try:
            return ShardRecord.from_bytes(self.folder.read(_coming_name(shard)))
        except FileNotFoundError:
            return None

    def drop_coming(self, shard: Shard) -> None:
        """Forget it."""
        self.folder.remove(_coming_name(shard))

    def write_config(self, fuse: str, config: PipelineConfig) -> None:
        """Keep what masks are drawn under, by the fingerprint of that: whoever draws one again needs it.

        Without what is of one machine: threads and devices, paths of templates.
        """
        plain = config.model_copy(update={"runtime": RuntimeConfig(), "templates": ()})
        name = _config_name(fuse)
        if self.folder.facts(name) is None:
            self.folder.create(name, plain.model_dump_json(indent=1).encode())

    def config(self, fuse: str) -> PipelineConfig | None:
        """The configuration of a fingerprint, or None where it is not kept or of an automask with other keys."""
        try:
            return PipelineConfig.model_validate_json(self.folder.read(_config_name(fuse)))
        except (FileNotFoundError, ValueError):
            return None


def masks_name(shard: Shard) -> str:
    """The tar of a shard's masks."""
    return f"masks/{shard.name}.tar"


def regions_name(shard: Shard) -> str:
    """The Parquet of a shard."""
    return f"regions/{shard.name}.parquet"


def done_name(shard: Shard) -> str:
    """The record of a shard."""
    return f"done/{shard.name}.done"


def claim_name(name: str) -> str:
    """Who works on a shard."""
    return f"claims/{name}.json"


def _coming_name(shard: Shard) -> str:
    return f"done/{shard.name}.coming"


def _config_name(fuse: str) -> str:
    return f"configs/{fuse}.json"


def _list_name(shard: Shard) -> str:
    return f"lists/{shard.name}.jsonl"


def is_sharded(address: str) -> bool:
    """Whether a target is one of shards: a URL always is, since a store needs a disk."""
    if is_url(address):
        return True
    return ShardTarget.at(address).folder.facts(HEAD_NAME) is not None


def target_error(label: str, error: Exception) -> AutomaskError:
    """Say that a target cannot be used."""
    return OutputError(
        f"The target {label} cannot be used: {redacted(str(error))}.",
        advice="Check the address, the network and the credentials in the environment; finished shards are kept.",
        code="target-unreachable",
    )


TRANSPORT: tuple[type[OSError], ...] = (Unreachable, PermissionError)
"""What a folder raises when its file system does not do what it should."""


def json_or_none(data: bytes) -> Any:  # noqa: ANN401 - what `json` gives
    """What JSON bytes say, or None where they are damaged."""
    try:
        return json.loads(data)
    except ValueError:
        return None
