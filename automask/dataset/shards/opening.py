"""From what a user typed to a source: a folder, a pattern of files, or one file; on this machine or by URL."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from automask.config import DecodeConfig
from automask.dataset.names import is_image_name
from automask.dataset.shards.folder import FolderSource
from automask.dataset.shards.parquet import PARQUET_SUFFIXES, ParquetSource, no_images
from automask.dataset.shards.samples import ShardSource, SourceKind
from automask.dataset.shards.tars import TAR_SUFFIXES, TarSource
from automask.errors import InputError
from automask.files.folders import FileEntry, Folder, LocalFolder, Unreachable
from automask.files.places import folder_at, split_address
from automask.files.urls import is_url, redacted

_LOOKED_AT = 2000
"""Names by which the content of a folder is told: two pages of a listing."""
_MAGIC = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_NAMES = 10_000_000


def names_shards(name: str) -> bool:
    """Whether a file of that name, or what a pattern of such names finds, is read in shards only."""
    return name.lower().endswith((*TAR_SUFFIXES, *PARQUET_SUFFIXES))


def open_source(address: str, decode: DecodeConfig, *, target: str) -> ShardSource:
    """The source at an address, by what is there.

    Args:
        address: A folder, a file, or a pattern with `*`, `?`, `[...]` and braces such as `{000..127}`.
        decode: Limits for images that are files of this machine.
        target: Where output goes: it is no input, even if it lies inside.

    Raises:
        ConfigError: A driver is not installed.
        InputError: There is nothing, or nothing that can be used.
    """
    try:
        return _opened(address, decode, target)
    except (Unreachable, PermissionError, FileNotFoundError) as error:
        raise InputError(
            f"The source {redacted(address)} cannot be listed: {redacted(str(error))}.",
            advice="Check the address, the network and the credentials in the environment.",
            code="source-unreachable",
        ) from None


def _opened(address: str, decode: DecodeConfig, target: str) -> ShardSource:
    label = redacted(address)
    folder, pattern = _base(address)
    if pattern is not None:
        return _of_files(folder, _matching(folder, pattern), label)
    if isinstance(folder, LocalFolder) and not folder.path.is_dir():
        found = "is a file" if folder.path.exists() else "does not exist"
        raise InputError(
            f"{label} {found}; a folder, tars or Parquet files are needed.",
            advice="Check the path.",
            code="input-not-a-folder",
        )
    own = _inside(folder, target)
    entries = (entry for entry in folder.files() if own is None or not entry.name.startswith(f"{own}/"))
    first = list(itertools.islice(entries, _LOOKED_AT))
    if any(is_image_name(entry.name.rpartition("/")[2]) for entry in first):
        return FolderSource(folder, decode, exclude=own)
    for suffixes in (TAR_SUFFIXES, PARQUET_SUFFIXES):
        if any(entry.name.lower().endswith(suffixes) for entry in first):
            files = [entry for entry in itertools.chain(first, entries) if entry.name.lower().endswith(suffixes)]
            return _of_files(folder, files, label)
    if len(first) == _LOOKED_AT:  # thousands of captions before the first image
        return FolderSource(folder, decode, exclude=own)
    raise no_images(label)


def source_for_work(kind: SourceKind, address: str, decode: DecodeConfig) -> ShardSource:
    """The source that `open_source` found, without listing it again: for whoever is told which shards to read."""
    folder, _ = _base(address)
    match kind:
        case "folder":
            return FolderSource(folder, decode)
        case "tar":
            return TarSource(folder, (), redacted(address))
        case "parquet":
            return ParquetSource(folder, (), redacted(address))


def source_folder(address: str) -> Folder | None:
    """The folder that a source is with all that is in it; None where it is one file or a pattern of some."""
    folder, pattern = _base(address)
    return folder if pattern is None else None


def _base(address: str) -> tuple[Folder, str | None]:
    """The folder that names of a source are relative to, and the pattern or name of its files, or None for all."""
    if _MAGIC.search(address) and (is_url(address) or not Path(address).exists()):
        base, pattern = _split_pattern(address)
        return folder_at(base), pattern
    if names_shards(address):
        base, name = split_address(address)
        folder = folder_at(base)
        if folder.facts(name) is not None:
            return folder, name
    return folder_at(address), None


def _of_files(folder: Folder, files: Sequence[FileEntry], label: str) -> ShardSource:
    tars = [entry for entry in files if entry.name.lower().endswith(TAR_SUFFIXES)]
    if tars:
        return TarSource(folder, tars, label)
    tables = [entry for entry in files if entry.name.lower().endswith(PARQUET_SUFFIXES)]
    if tables:
        return ParquetSource(folder, tables, label)
    raise no_images(label)


def _inside(folder: Folder, target: str) -> str | None:
    """The path of a target relative to the folder that it lies in, or None where it lies elsewhere."""
    other = folder_at(target).label
    if other == folder.label:
        raise InputError(
            f"The target {other} is the source.", advice="Choose another --output.", code="input-is-target"
        )
    return other.removeprefix(f"{folder.label}/") if other.startswith(f"{folder.label}/") else None


def _split_pattern(address: str) -> tuple[str, str]:
    """The folder before the first part with a magic character, and the rest."""
    start = _MAGIC.search(address)
    cut = address.rfind("/", 0, start.start() if start is not None else None)
    return (address[:cut] or "/", address[cut + 1 :]) if cut >= 0 else (".", address)


def _matching(folder: Folder, pattern: str) -> list[FileEntry]:
    """Files that fit a pattern, sorted; those that braces name and that are not there as well, with size 0."""
    names = list(expanded(pattern))
    fixed = {name for name in names if not re.search(r"[*?\[]", name)}
    globs = [_regex(name) for name in names if name not in fixed]
    found: dict[str, FileEntry] = {name: FileEntry(name, 0, "") for name in fixed}
    for entry in folder.files():
        if entry.name in fixed or any(glob.fullmatch(entry.name) for glob in globs):
            found[entry.name] = entry
    return [found[name] for name in sorted(found)]


def expanded(pattern: str) -> Iterator[str]:
    """The patterns that one with braces stands for: `{000..002}` counts with leading zeros, `{a,b}` lists.

    Raises:
        InputError: It stands for too many.
    """
    match = _BRACES.search(pattern)
    if match is None:
        yield pattern
        return
    counted = _RANGE.fullmatch(match[1])
    choices: Iterator[str] = iter(match[1].split(","))
    if counted is not None:
        first, last, width = int(counted[1]), int(counted[2]), len(counted[1])
        if last - first >= _MOST_NAMES:
            raise InputError(f"{pattern} stands for too many names.", advice="Use * instead.", code="input-invalid")
        choices = (f"{number:0{width}d}" for number in range(first, last + 1))
    for choice in choices:
        yield from expanded(pattern[: match.start()] + choice + pattern[match.end() :])


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression; `*` stays within one folder, `**/` does not."""
    out = ""
    for token in re.findall(r"\*\*/|\*|\?|\[[^]]+\]|.", pattern):
        match token:
            case "**/":
                out += "(?:.*/)?"
            case "*":
                out += "[^/]*"
            case "?":
                out += "[^/]"
            case _:
                out += token if len(token) > 1 else re.escape(token)
    return re.compile(out)
