"""The captions of a store's images, cleaned into a new folder."""

from __future__ import annotations

import difflib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from automask.captions.files import (
    JSON_SUFFIX,
    LIST_NAME,
    TEXT_SUFFIXES,
    Clean,
    clean_json_file,
    clean_list_file,
    clean_text_file,
)
from automask.captions.text import clean_caption
from automask.captions.words import WordLists, kinds_with_words
from automask.errors import ImageError
from automask.fill.source import StoreSource
from automask.store import StoredImage
from automask.values.types import Issue, Kind


@dataclass(frozen=True, slots=True)
class CleanedFile:
    """One caption file.

    Attributes:
        name: Relative to the dataset, forward slashes.
        before: Its bytes.
        after: What they become.
        issue: Why it could not be cleaned (it is then as it was), or None.
    """

    name: str
    before: bytes
    after: bytes
    issue: Issue | None = None

    @property
    def is_changed(self) -> bool:
        """Whether anything was removed."""
        return self.before != self.after

    @property
    def is_emptied(self) -> bool:
        """Whether nothing is left of it."""
        return self.is_changed and not self.after.strip()

    def diff(self) -> str:
        """What changed, as a unified diff."""
        old, new = (data.decode("utf-8", errors="replace").splitlines() for data in (self.before, self.after))
        return "\n".join(difflib.unified_diff(old, new, f"a/{self.name}", f"b/{self.name}", n=0, lineterm=""))


@dataclass(slots=True)
class _Captions:
    """Which kinds are masked in the images of each caption file."""

    kinds_of_file: dict[str, frozenset[Kind]] = field(default_factory=dict)
    kinds_of_image: dict[str, frozenset[Kind]] = field(default_factory=dict)

    def add(self, name: str, kinds: frozenset[Kind]) -> None:
        # Two images that share one caption (a.jpg, a.png): only what is masked in both is gone from both.
        self.kinds_of_file[name] = self.kinds_of_file.get(name, kinds) & kinds


def clean_captions(
    source: StoreSource,
    lists: WordLists,
    *,
    kinds: Sequence[Kind] = tuple(Kind),
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[CleanedFile]:
    """Go through the captions of a store's images; nothing is written.

    Args:
        source: The store.
        lists: Words to look for.
        kinds: Only these kinds are looked at.
        stop: When set, the work ends early.
        progress: Called with images done and in all.

    Yields:
        Every caption file that there is, changed or not, in order of the images; lists of folders last.
    """
    captions = _Captions()
    total = source.store.counts().done
    for done, row in enumerate(source.images(), 1):
        if stop is not None and stop.is_set():
            return
        masked = _masked_kinds(source, row) & frozenset(kinds)
        captions.kinds_of_image[row.image_id] = masked
        for name in _files_of(source.input_root, row.image_id):
            captions.add(name, masked)
        progress(done, total)

    def cleaner(masked: frozenset[Kind]) -> Clean:
        return functools.partial(clean_caption, words=lists.of(masked))

    for name, masked in captions.kinds_of_file.items():
        clean = clean_json_file if name.endswith(JSON_SUFFIX) else clean_text_file
        yield _cleaned(source.input_root, name, functools.partial(clean, clean=cleaner(masked)))
    for folder in sorted({PurePosixPath(image_id).parent for image_id in captions.kinds_of_image} | {PurePosixPath()}):
        name = str(folder / LIST_NAME)
        if (source.input_root / name).is_file():

            def cleaner_of(image: str, folder: PurePosixPath = folder) -> Clean | None:
                masked = captions.kinds_of_image.get(str(folder / image))
                return cleaner(masked) if masked else None

            yield _cleaned(source.input_root, name, functools.partial(clean_list_file, cleaners=cleaner_of))


def _masked_kinds(source: StoreSource, row: StoredImage) -> frozenset[Kind]:
    weights = {kind: source.config.policy.of(kind).weight for kind in Kind}
    try:
        return kinds_with_words(source.masked_kinds(row), weights)
    except ImageError:
        return frozenset()  # its result is damaged: nothing is known to be masked


def _files_of(root: Path, image_id: str) -> Iterator[str]:
    """Captions of an image: `a.txt` for `a.jpg`, and `a.jpg.txt`."""
    path = PurePosixPath(image_id)
    for suffix in (*TEXT_SUFFIXES, JSON_SUFFIX):
        for name in (str(path.with_suffix(suffix)), f"{image_id}{suffix}"):
            if (root / name).is_file():
                yield name


def _cleaned(root: Path, name: str, clean: Callable[[bytes], bytes]) -> CleanedFile:
    try:
        before = (root / name).read_bytes()
    except OSError as error:
        return CleanedFile(name, b"", b"", _issue(f"{name} cannot be read: {error.strerror}."))
    try:
        return CleanedFile(name, before, clean(before))
    except ValueError as error:
        return CleanedFile(name, before, before, _issue(f"{name} is not what its ending says: {error}."))


def _issue(message: str) -> Issue:
    return Issue(stage="captions", code="caption-unreadable", message=message)
