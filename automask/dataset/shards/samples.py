"""What every source of a sharded run gives: shards that name files, and the images of one, one after the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

from automask.dataset.codes import Refusal
from automask.dataset.names import stem_of
from automask.dataset.shards.groups import GroupBy
from automask.errors import AutomaskError, ImageError
from automask.files.folders import FileEntry, Folder

SourceKind = Literal["folder", "tar", "parquet"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a source that is worked on as a whole. It names files and carries no pixels.

    Attributes:
        name: Of its output, without extension: the source file's own, relative and with forward slashes, or a number.
        images: How many there are, or None where only reading it tells.
        file: The tar or Parquet file relative to the source; empty where the images are files of their own.
        tag: Of that file when it was listed: size and what changes with its content.
        row_groups: First row group of a Parquet file and the one after the last, or None for the whole file.
    """

    name: str
    images: int | None = None
    file: str = ""
    tag: str = ""
    row_groups: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, without those that say nothing."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, "")}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The shard of `to_json`."""
        groups = values.get("row_groups")
        return cls(**{**values, "row_groups": (int(groups[0]), int(groups[1])) if groups is not None else None})


@dataclass(frozen=True, slots=True)
class Listed:
    """An image that is a file of its own, as the list of its shard has it.

    Attributes:
        image: Its id: printable path relative to the source.
        mask: Path of its mask, as a store would have it.
        size_bytes: Length of the file when it was listed.
    """

    image: str
    mask: str
    size_bytes: int


def listing_bytes(images: Iterable[Listed]) -> bytes:
    """The list of a shard: one JSON array a line."""
    return b"".join(
        json.dumps([one.image, one.mask, one.size_bytes], ensure_ascii=False).encode() + b"\n" for one in images
    )


def read_listing(data: bytes) -> list[Listed]:
    """The images of `listing_bytes`."""
    return [Listed(*json.loads(line)) for line in data.splitlines()]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a shard.

    Attributes:
        key: What it shares with its mask in the tar: a WebDataset key, or the mask's path without its extension.
        image: Its id in messages and rows: the path of its file, or the member of its tar.
        mask: Name of its mask in the tar of masks.
        read: Gives its bytes; called once, perhaps in another thread. Raises `ImageError` where this image cannot be
            had, `Unreachable` where a server does not answer.
        group: Of the image, where the source is grouped and something tells; else empty.
    """

    key: str
    image: str
    mask: str
    read: Callable[[], bytes]
    group: str = ""


class ShardDamaged(AutomaskError):
    """The rest of a shard's file cannot be read; what came before is fine. Another try would end as this one."""

    exit_code = 3
    http_status = 422
    default_code = "shard-damaged"


class ShardSource(Protocol):
    """A set of images in parts."""

    kind: ClassVar[SourceKind]

    @property
    def label(self) -> str:
        """How messages and files call it, without credentials."""
        ...

    def grouped(self, by: GroupBy | None) -> Self:
        """The same source, whose samples tell their groups; None for no groups."""
        ...

    def shards(
        self, shard_images: int, *, on_progress: Callable[[int], None]
    ) -> Iterator[tuple[Shard, Sequence[Listed] | None]]:
        """All shards, in an order that depends on the names alone, and the lists of those that have one.

        Args:
            shard_images: About how many images one should have, where the source leaves that open.
            on_progress: Called now and then with the number of images, or of files, that were seen.
        """
        ...

    def tag(self, shard: Shard) -> str:
        """What the file of a shard is like now, see `Shard.tag`; empty where it has none, or none any more."""
        ...

    def samples(self, shard: Shard, listed: Sequence[Listed] | None, *, most_bytes: int) -> Iterator[Sample]:
        """The images of one shard, in order, streamed.

        Args:
            shard: One of `shards`.
            listed: Its list.
            most_bytes: Longer files are refused before they are read.

        Raises:
            ShardDamaged: The rest of its file cannot be read.
            Unreachable: A server does not answer.
        """
        ...


def tag_in(folder: Folder, file: str) -> str:
    """What a file is like now; empty where there is none or it may not be looked at."""
    try:
        return tag_of(folder.facts(file))
    except PermissionError:
        return ""


def path_in(shard: Shard, key: str) -> str:
    """The path of an image in a tar or Parquet file: the folder of that file, and its key."""
    folder, slash, _ = shard.file.rpartition("/")
    return folder + slash + key


def key_of(mask_name: str) -> str:
    """The key of an image whose mask has that name."""
    return mask_name.removesuffix(".png")


def shard_name(file: str) -> str:
    """The name of the shard of a tar or Parquet file; keys in buckets may have parts that lead out of a folder."""
    stem = stem_of(file.removesuffix(".gz")) if file.lower().endswith(".tar.gz") else stem_of(file)
    return "/".join("_" if part in ("", ".", "..") else part for part in stem.split("/"))


def tag_of(entry: FileEntry | None) -> str:
    """Size and tag of a file in one string; empty where there is none."""
    if entry is None or not (entry.size_bytes or entry.tag):
        return ""
    return f"{entry.size_bytes} {entry.tag}".strip()


def reader(folder: Folder, name: str, image: str, *, most_bytes: int | None = None) -> Callable[[], bytes]:
    """Gives the bytes of an image that is a file of its own, no more than so many; see `Sample.read`."""

    def read() -> bytes:
        try:
            return folder.read(name, length=most_bytes)
        except FileNotFoundError:
            raise ImageError(
                f"{image} does not exist.", advice="Restore the file.", code=Refusal.MISSING.value
            ) from None
        except PermissionError:
            raise ImageError(
                f"{image} may not be read.", advice="Check its permissions.", code=Refusal.UNREADABLE.value
            ) from None

    return read
