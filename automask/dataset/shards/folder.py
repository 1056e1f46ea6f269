"""Images that are files of their own, in a folder of this machine or below a URL, cut into shards by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from automask.config import DecodeConfig
from automask.dataset.decode import read_file, too_large
from automask.dataset.image_file import ImageFile
from automask.dataset.names import (
    is_image_name,
    is_mask_sidecar,
    mask_file_name,
    names_with_long_masks,
    path_of,
    printable_name,
)
from automask.dataset.shards.groups import GroupBy
from automask.dataset.shards.samples import Listed, Sample, Shard, SourceKind, key_of, reader
from automask.dataset.walk import SYSTEM_FOLDERS, walk
from automask.files.folders import FileEntry, Folder, LocalFolder

_NUMBER_DIGITS = 6
"""Of a shard's name: numbers of ten million shards sort as words do; beyond, they only look uneven."""
_PROGRESS_EVERY = 1000


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder of images.

    Attributes:
        folder: Where they are.
        decode: Limits for files of this machine, which are looked at before they are read.
        exclude: Our own output: a path relative to the folder, or None.
        by: What groups its images, or None.
    """

    folder: Folder
    decode: DecodeConfig
    exclude: str | None = None
    by: GroupBy | None = None
    kind: ClassVar[SourceKind] = "folder"

    @property
    def label(self) -> str:
        """The folder's."""
        return self.folder.label

    def grouped(self, by: GroupBy | None) -> Self:
        """See `ShardSource`."""
        return dataclasses.replace(self, by=by)

    def shards(
        self, shard_images: int, *, on_progress: Callable[[int], None]
    ) -> Iterator[tuple[Shard, Sequence[Listed] | None]]:
        """See `ShardSource`; each shard has a list."""
        batch: list[Listed] = []
        number = 0
        for seen, listed in enumerate(self._listed(), start=1):
            batch.append(listed)
            if seen % _PROGRESS_EVERY == 0:
                on_progress(seen)
            if len(batch) == shard_images:
                yield Shard(f"{number:0{_NUMBER_DIGITS}d}", images=len(batch)), batch
                number, batch = number + 1, []
        if batch:
            yield Shard(f"{number:0{_NUMBER_DIGITS}d}", images=len(batch)), batch

    def tag(self, shard: Shard) -> str:
        """See `ShardSource`."""
        return ""

    def samples(self, shard: Shard, listed: Sequence[Listed] | None, *, most_bytes: int) -> Iterator[Sample]:
        """See `ShardSource`."""
        for one in listed or ():
            group = self.by.of_path(one.image) if self.by is not None else ""
            yield Sample(key_of(one.mask), one.image, one.mask, self._reader(one, most_bytes), group)

    def _reader(self, one: Listed, most_bytes: int) -> Callable[[], bytes]:
        if isinstance(self.folder, LocalFolder):
            path = path_of(self.folder.path, one.image)
            file = ImageFile(one.image, path, size_bytes=0, mtime_ns=0, ctime_ns=0, mask_name=one.mask)
            return lambda: read_file(file, self.decode)
        if one.size_bytes > most_bytes:
            return _refusing(one)
        return reader(self.folder, one.image, one.image)

    def _listed(self) -> Iterator[Listed]:
        if isinstance(self.folder, LocalFolder):
            excluded = [self.folder.path / self.exclude] if self.exclude is not None else []
            for item in walk(self.folder.path, exclude=excluded):
                if isinstance(item, ImageFile):
                    yield Listed(item.id, item.mask_name, item.size_bytes)
            return
        group: list[FileEntry] = []
        for entry in self._images():
            if group and _stem_group(entry.name) != _stem_group(group[0].name):
                yield from _named(group)
                group = []
            group.append(entry)
        yield from _named(group)

    def _images(self) -> Iterator[FileEntry]:
        own = f"{self.exclude}/" if self.exclude is not None else None
        for entry in self.folder.files():
            *folders, name = entry.name.split("/")
            if own is not None and entry.name.startswith(own):
                continue
            if any(part.startswith(".") or part in SYSTEM_FOLDERS for part in folders) or name.startswith("."):
                continue
            if is_image_name(name) and not is_mask_sidecar(name):
                yield entry


def _stem_group(name: str) -> str:
    """Names that may share a mask's name have this in common, and stand together in a listing by names."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _named(group: Sequence[FileEntry]) -> Iterator[Listed]:
    """Images of one folder that begin alike, with the names that a store would give their masks."""
    if not group:
        return
    folder, slash, _ = group[0].name.rpartition("/")
    names = [entry.name.removeprefix(folder + slash) for entry in group]
    long = names_with_long_masks(names)
    for entry, name in zip(group, names, strict=True):
        mask = mask_file_name(printable_name(name), keep_suffix=name in long)
        yield Listed(entry.name, folder + slash + mask, entry.size_bytes)


def _refusing(one: Listed) -> Callable[[], bytes]:
    def read() -> bytes:
        raise too_large(one.image, one.size_bytes)

    return read
