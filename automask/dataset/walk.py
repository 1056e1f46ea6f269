"""Walks a folder of images: natural order, one directory in memory at a time, every path that is left out named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from automask.dataset.among import MasksAmong
from automask.dataset.codes import SkipReason
from automask.dataset.foreign import UnreadImages, unread_image
from automask.dataset.image_file import ImageFile
from automask.dataset.names import (
    is_image_name,
    is_mask_sidecar,
    mask_file_name,
    names_with_long_masks,
    printable_name,
    sort_naturally,
)
from automask.dataset.siblings import NameSketch, SiblingIndex
from automask.errors import InputError
from automask.store.placing import DATABASE_NAME
from automask.values.types import Issue

SYSTEM_FOLDERS = frozenset(
    ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that is left out by rule.

    Attributes:
        path: Printable path relative to the root, with forward slashes; `.` for the root itself.
        reason: Why.
    """

    path: str
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be walked.

    Attributes:
        path: Where it is, by the way it was reached.
        relative: Printable path from the root with a closing slash, or empty for the root.
        real: `path` without symbolic links.
        is_linked: Reached through a symbolic link, so perhaps by more than one path.
        siblings: What is known of the folders beside it.
    """

    path: Path
    relative: str
    real: Path
    is_linked: bool
    siblings: SiblingIndex

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.relative.rstrip("/") or "."


def walk(
    root: Path, *, exclude: Collection[Path] = (), on_issue: Callable[[Issue], None] | None = None
) -> Iterator[ImageFile | Skipped]:
    """Find the images under a folder.

    Lazy: the first image comes after one directory has been listed, and memory holds the names of the directories on
    the way to the current one. Within a directory images come first, in natural order, then its subfolders. Symbolic
    links are followed; a folder that is reached by its own path as well is walked once.

    Args:
        root: The dataset.
        exclude: Files and folders to leave out as our own output; they need not exist yet.
        on_issue: Called with warnings: at once about a folder that mirrors its neighbour, at the end about images that
            are not read and masks among the images. Without it nothing is looked for, and no file is opened.

    Raises:
        InputError: `root` is not a folder, or cannot be listed.
    """
    try:
        os.scandir(root).close()
    except OSError as error:
        raise InputError(f"Cannot read the folder {root}: {error.strerror}.", advice="Check the path.") from error
    return _Walk(root=root, excluded=frozenset(real_path(path) for path in exclude), on_issue=on_issue).run()


@dataclass(slots=True)
class _Walk:
    """The state of one walk."""

    root: Path
    excluded: frozenset[Path]
    on_issue: Callable[[Issue], None] | None
    real_root: Path = field(init=False)
    followed: set[Path] = field(init=False, default_factory=set)
    unread: UnreadImages = field(init=False, default_factory=UnreadImages)
    among: MasksAmong = field(init=False, default_factory=MasksAmong)

    def __post_init__(self) -> None:
        self.real_root = real_path(self.root)

    def run(self) -> Iterator[ImageFile | Skipped]:
        root = _Folder(self.root, "", self.real_root, is_linked=False, siblings=SiblingIndex())
        pending: list[Iterator[_Folder]] = [iter((root,))]
        while pending:
            folder = next(pending[-1], None)
            if folder is None:
                pending.pop()
                continue
            reason = self._reason_to_skip(folder)
            if reason is not None:
                yield Skipped(folder.label, reason)
                continue
            if folder.is_linked:
                self.followed.add(folder.real)
            subfolders = yield from self._images_of(folder)
            pending.append(subfolders)
        for issue in (self.unread.issue(), self.among.issue()):
            if issue is not None and self.on_issue is not None:
                self.on_issue(issue)

    def _reason_to_skip(self, folder: _Folder) -> SkipReason | None:
        if folder.real in self.excluded or os.path.lexists(folder.path / DATABASE_NAME):
            return SkipReason.OWN_OUTPUT
        if folder.is_linked and (folder.real in self.followed or self._has_own_path(folder.real)):
            return SkipReason.ALREADY_WALKED
        return None

    def _has_own_path(self, real: Path) -> bool:
        """Whether a folder reached through a link is in the dataset by its own path as well."""
        if not real.is_relative_to(self.real_root):
            return False
        # A folder inside the root that the rules hide from its own path (a data cache) is only seen through its link.
        parts = real.relative_to(self.real_root).parts
        return not any(part.startswith(".") or part in SYSTEM_FOLDERS for part in parts)

    def _images_of(self, folder: _Folder) -> Generator[ImageFile | Skipped, None, Iterator[_Folder]]:
        """Yield the images of one folder and what is left out in it; return its subfolders."""
        listing = _Listing()
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    reason = listing.add(entry)
                    if reason is not None:
                        shown = folder.relative + printable_name(entry.name)
                        yield Skipped(shown, self._looked_at(entry, shown, reason))
        except OSError as error:
            yield Skipped(folder.label, _folder_reason(error))
            return iter(())
        sort_naturally(listing.images)
        sort_naturally(listing.folders)
        siblings = SiblingIndex()
        if self.on_issue is not None:
            sketch = NameSketch.of(folder.label, listing.images)
            mirror = folder.siblings.add(sketch)
            siblings.add(sketch)  # masks may also lie in a folder below their images
            if mirror is not None:
                self.on_issue(mirror.issue)
            self.among.add(
                folder.relative,
                *([printable_name(name) for name in names] for names in (listing.images, listing.sidecars)),
            )
        yield from self._files_of(folder, listing.images, folders=listing.folders)
        return _subfolders(folder, listing.folders, links=listing.links, siblings=siblings)

    def _looked_at(self, entry: os.DirEntry[str], shown: str, reason: SkipReason) -> SkipReason:
        """The reason for leaving a file out, after a look at its content where it may be an image nevertheless."""
        if reason is not SkipReason.NOT_AN_IMAGE or self.on_issue is None or not entry.is_file():
            return reason
        looks_like = unread_image(Path(entry.path))
        if looks_like is None:
            return reason
        self.unread.add(shown, looks_like)
        return SkipReason.UNREAD_IMAGE

    def _files_of(self, folder: _Folder, names: list[str], *, folders: list[str]) -> Iterator[ImageFile | Skipped]:
        shown = [printable_name(name) for name in names]
        ambiguous = _repeated(shown)
        long = names_with_long_masks(shown, folders=[printable_name(name) for name in folders])
        for name, printable in zip(names, shown, strict=True):
            if printable in ambiguous and printable != name:
                yield Skipped(folder.relative + printable, SkipReason.NAME_COLLISION)
            else:
                yield self._file(folder, name, shown=printable, keep_suffix=printable in long)

    def _file(self, folder: _Folder, name: str, *, shown: str, keep_suffix: bool) -> ImageFile | Skipped:
        path = folder.path / name
        image_id = folder.relative + shown
        if self.excluded and folder.real / name in self.excluded:
            return Skipped(image_id, SkipReason.OWN_OUTPUT)
        try:
            status = path.stat()
        except FileNotFoundError:
            return Skipped(image_id, SkipReason.VANISHED)
        except OSError:
            return Skipped(image_id, SkipReason.UNREADABLE)
        return ImageFile(
            id=image_id,
            path=path,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            mask_name=folder.relative + mask_file_name(shown, keep_suffix=keep_suffix),
        )


@dataclass(slots=True)
class _Listing:
    """The names of one directory that matter, by what they are."""

    images: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    """Those of `folders` that are symbolic links."""
    sidecars: list[str] = field(default_factory=list)
    """Masks of a trainer beside their images."""

    def add(self, entry: os.DirEntry[str]) -> SkipReason | None:
        """Sort one directory entry in, or say why it is left out."""
        name = entry.name
        if name.startswith("."):
            return SkipReason.HIDDEN
        try:
            is_folder = entry.is_dir()
            is_file = not is_folder and entry.is_file()
            is_link = entry.is_symlink()
        except OSError:  # a link to itself, or a folder that may be listed but not entered
            return SkipReason.BROKEN_LINK if entry.is_symlink() else SkipReason.UNREADABLE
        if is_folder:
            if name in SYSTEM_FOLDERS:
                return SkipReason.SYSTEM_FOLDER
            self.folders.append(name)
            if is_link:
                self.links.add(name)
            return None
        if is_mask_sidecar(name):
            self.sidecars.append(name)
            return SkipReason.MASK_SIDECAR
        if not is_image_name(name):
            return SkipReason.NOT_AN_IMAGE
        if not is_file:
            return SkipReason.BROKEN_LINK if is_link else SkipReason.NOT_A_FILE
        self.images.append(name)
        return None


def _subfolders(parent: _Folder, names: list[str], *, links: set[str], siblings: SiblingIndex) -> Iterator[_Folder]:
    """Make the subfolders one by one: a parent of 100,000 folders is kept as their names."""
    for name in names:
        path = parent.path / name
        is_link = name in links
        yield _Folder(
            path=path,
            relative=f"{parent.relative}{printable_name(name)}/",
            real=real_path(path) if is_link else parent.real / name,
            is_linked=is_link or parent.is_linked,
            siblings=siblings,
        )


def real_path(path: Path) -> Path:
    """A path without symbolic links; unlike `Path.resolve`, links that lead nowhere are no error."""
    return Path(os.path.realpath(path))


def _repeated(names: list[str]) -> frozenset[str]:
    """The names that come twice: one was made printable and now reads like another."""
    if len(set(names)) == len(names):
        return frozenset()
    return frozenset(name for name, count in Counter(names).items() if count > 1)


def _folder_reason(error: OSError) -> SkipReason:
    return SkipReason.VANISHED if isinstance(error, FileNotFoundError) else SkipReason.UNREADABLE_FOLDER
