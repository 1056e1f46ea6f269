"""WebDataset tars as they are, those of img2dataset with the Parquet beside them: each is a shard, read as a stream."""

from __future__ import annotations

import dataclasses
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, ClassVar, Self

from automask.dataset.decode import too_large
from automask.dataset.names import is_image_name, printable_name
from automask.dataset.shards.groups import MOST_METADATA_BYTES, GroupBy
from automask.dataset.shards.samples import (
    Listed,
    Sample,
    Shard,
    ShardDamaged,
    SourceKind,
    path_in,
    shard_name,
    tag_in,
    tag_of,
)
from automask.files.folders import FileEntry, Folder

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_DAMAGE = (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_DONE = "success"
"""img2dataset's status of an image that it put into the tar."""


@dataclass(frozen=True, slots=True)
class TarSource:
    """A set of WebDataset tars.

    Attributes:
        folder: Where they are.
        files: Which, sorted by name; of size 0 those that are named and not there.
        label: How messages call the set.
        by: What groups its images, or None.
    """

    folder: Folder
    files: Sequence[FileEntry]
    label: str
    by: GroupBy | None = None
    kind: ClassVar[SourceKind] = "tar"

    def grouped(self, by: GroupBy | None) -> Self:
        """See `ShardSource`."""
        return dataclasses.replace(self, by=by)

    def shards(
        self, shard_images: int, *, on_progress: Callable[[int], None]
    ) -> Iterator[tuple[Shard, Sequence[Listed] | None]]:
        """See `ShardSource`. The tars are the shards, so that trainers find both under one name."""
        for seen, entry in enumerate(self.files, start=1):
            yield Shard(shard_name(entry.name), file=entry.name, tag=tag_of(entry)), None
            on_progress(seen)

    def tag(self, shard: Shard) -> str:
        """See `ShardSource`."""
        return tag_in(self.folder, shard.file)

    def samples(self, shard: Shard, listed: Sequence[Listed] | None, *, most_bytes: int) -> Iterator[Sample]:
        """See `ShardSource`."""
        found = 0
        beside = _Beside(self.folder, f"{shard.name}.parquet")
        try:
            with self.folder.open(shard.file) as file, _opened(file) as tar:
                for group in _groups(tar, most_bytes, reads_metadata=self.by is not None and self.by.by != "prefix"):
                    if group.image is not None:
                        found += 1
                        sample = group.sample()
                        if self.by is not None:
                            told = self.by.of_path(path_in(shard, sample.key)) or self.by.of_metadata(group.metadata)
                            sample = dataclasses.replace(sample, group=told or beside.group(self.by, group.key))
                        yield sample
        except _DAMAGE as error:
            raise ShardDamaged(
                f"{shard.file} is no whole tar: {error}, after {found} images.",
                advice="Copy or download it again.",
                code="shard-damaged",
            ) from error
        except FileNotFoundError as error:
            raise ShardDamaged(f"{shard.file} does not exist.", advice="Restore it.", code="shard-missing") from error
        except PermissionError as error:
            raise ShardDamaged(
                f"{shard.file} may not be read.", advice="Check permissions.", code="shard-missing"
            ) from error
        expected = self._expected(shard)
        if expected is not None and found < expected:
            raise ShardDamaged(
                f"{shard.file} holds {found} images, and the Parquet beside it says {expected}.",
                advice="Copy or download the tar again.",
                code="shard-short",
            )

    def _expected(self, shard: Shard) -> int | None:
        """How many images img2dataset put into a tar, or None where it did not make it."""
        name = f"{shard.name}.parquet"
        if self.folder.facts(name) is None:
            return None
        from automask.dataset.shards.parquet import count_where

        return count_where(self.folder, name, "status", _DONE)


@dataclass(slots=True)
class _Beside:
    """The Parquet that img2dataset puts beside a tar, read when a member first says nothing of its group."""

    folder: Folder
    name: str
    _values: dict[str, object] | None = None

    def group(self, by: GroupBy, key: str) -> str:
        """The group of an image by its key, or empty."""
        if by.by == "prefix":
            return ""
        if self._values is None:
            self._values = {}
            if self.folder.facts(self.name) is not None:
                from automask.dataset.shards.parquet import column_by_key

                self._values = column_by_key(self.folder, self.name, by)
        return by.of_value(self._values.get(key.rpartition("/")[2]))


class _StrictMember(tarfile.TarInfo):
    """Headers that are cut off or damaged are errors: `tarfile` takes them for the end of all but an empty file."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """The next header."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the two empty blocks that end a tar
                raise
            raise tarfile.ReadError(f"{error} instead of a member or the mark of the end") from error


def _opened(file: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="r|*", tarinfo=_StrictMember)


@dataclass(slots=True)
class _Member:
    name: str
    size_bytes: int
    data: bytes | None
    """None where it is too long to be read."""


@dataclass(slots=True)
class _Group:
    """The files of one key, which stand together."""

    key: str
    image: _Member | None = None
    names: list[str] = field(default_factory=list)
    reads_metadata: bool = False
    metadata: bytes | None = None

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo, most_bytes: int) -> None:
        """Keep what is an image; of several the one with the plainest extension, else the first."""
        self.names.append(member.name)
        if self.reads_metadata and member.name.lower().endswith(".json") and member.size <= MOST_METADATA_BYTES:
            described = tar.extractfile(member)
            self.metadata = described.read() if described is not None else None
        if not is_image_name(member.name.rpartition("/")[2]):
            return
        if self.image is not None and not (_dots(member.name) < _dots(self.image.name)):
            return
        file = tar.extractfile(member) if member.size <= most_bytes else None
        data = file.read() if file is not None else None
        if data is not None and len(data) != member.size:
            raise tarfile.ReadError("unexpected end of data")
        self.image = _Member(member.name, member.size, data)

    def sample(self) -> Sample:
        """The image of the group."""
        member = self.image
        if member is None:
            raise ValueError(f"{self.key} has no image")
        key, image = printable_name(self.key), printable_name(member.name)

        def read() -> bytes:
            if member.data is None:
                raise too_large(image, member.size_bytes)
            return member.data

        return Sample(key=key, image=image, mask=f"{key}.png", read=read)


def _groups(tar: tarfile.TarFile, most_bytes: int, *, reads_metadata: bool) -> Iterator[_Group]:
    """The groups of a tar; where it is cut off, what was whole before that comes before the error."""
    group: _Group | None = None
    damage: Exception | None = None
    try:
        for member in tar:
            key = _key(member.name) if member.isfile() else None
            if key is None:
                continue
            if group is None or group.key != key:
                if group is not None:
                    yield group
                group = _Group(key, reads_metadata=reads_metadata)
            group.take(tar, member, most_bytes)
            tar.members = []  # type: ignore[attr-defined]  # it remembers every member that it saw
    except _DAMAGE as error:
        damage = error
    if group is not None:
        yield group
    if damage is not None:
        raise damage


def _key(name: str) -> str | None:
    """A WebDataset key: the path up to the first dot of the last part; None for what has none, or leads elsewhere."""
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem = last.partition(".")[0]
    if not stem or name.startswith("/") or ".." in folder.split("/") or last.startswith("."):
        return None
    return folder + slash + stem


def _dots(name: str) -> int:
    return name.rpartition("/")[2].count(".")
