"""Catalogues: the weights that are known by name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from automask.config import FrozenModel
from automask.errors import WeightsError
from automask.weights.hashes import hash_of_all

RelativeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$")]
"""Name of a file below a weights folder, at most one folder deep: no name leads out of it."""
_PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Extra = Annotated[str, Field(pattern=r"^[a-z]*$")]
"""Name of an extra, or empty."""


class DeclaredFile(FrozenModel):
    """One file of a catalogued weight.

    Attributes:
        file: Name below a weights folder, at most one folder deep.
        sha256: Hash of its bytes as its publisher states it, lower-case hex; None where none is stated.
        size_bytes: Its size; None where none is stated.
        remote: Its name where it is published; None = the last part of `file`.
        optional: Whether it may be missing there.
    """

    file: RelativeName
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    size_bytes: int | None = Field(None, gt=0)
    remote: _PlainName | None = None
    optional: bool = False

    @property
    def remote_name(self) -> str:
        """Its name where it is published."""
        return self.remote or self.file.split("/")[-1]


class _Entry(FrozenModel):
    task: str
    architecture: str = ""
    licence: str
    about: str
    needs: Extra = ""
    url: str | None = Field(None, pattern=r"^https://.+")
    hub: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$")
    page: str = Field("", pattern=r"^(https://.+)?$")
    asks_access: bool = False
    size_mb: float | None = Field(None, gt=0)
    sources: tuple[str, ...] = ()
    unverified: str = ""
    was_run: bool = False
    files: Annotated[tuple[DeclaredFile, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _with_a_way_to_check(self) -> Self:
        if self.url is not None and self.hub is not None:
            raise ValueError("give url or hub, not both")
        if self.hub is None and any(declared.sha256 is None for declared in self.files):
            raise ValueError("only files of a hub, which states their hash itself, may lack a sha256")
        return self


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """A weight that a catalogue declares.

    Attributes:
        name: The name that options use.
        task: What it is for.
        licence: SPDX expression of the weights.
        about: One sentence.
        url: Base URL for `automask models pull`, or None.
        files: What it consists of; the first one is what stages open.
        shipped: Folder of the package that may hold it, or None.
        architecture: What kind of network it is.
        needs: The extra that it runs with, or empty.
        hub: ORG/NAME of the hub that it is pulled from instead, or None.
        page: Its page for people, or empty.
        asks_access: Whether its publisher wants to be asked on that page.
        size_mb: Its size where files state none, or None where it is not known.
        sources: Where hashes and facts were read.
        unverified: What could not be checked, in a sentence, or empty.
        was_run: Whether we ran these very weights.
    """

    name: str
    task: str
    licence: str
    about: str
    url: str | None
    files: tuple[DeclaredFile, ...]
    shipped: Path | None
    architecture: str = ""
    needs: Extra = ""
    hub: str | None = None
    page: str = ""
    asks_access: bool = False
    size_mb: float | None = None
    sources: tuple[str, ...] = ()
    unverified: str = ""
    was_run: bool = False

    @property
    def is_pinned(self) -> bool:
        """Whether the catalogue has the hash of every file; else those of the day that it was pulled count."""
        return all(declared.sha256 is not None for declared in self.files)

    @property
    def can_be_pulled(self) -> bool:
        """Whether `automask models pull` knows where it is."""
        return self.url is not None or self.hub is not None

    @property
    def sha256(self) -> str | None:
        """What a `WeightFile` of this weight carries: the file's hash, or the hash over several; None if unpinned."""
        hashes = {declared.file: declared.sha256 for declared in self.files if declared.sha256 is not None}
        return hash_of_all(hashes) if len(hashes) == len(self.files) else None

    @property
    def size_bytes(self) -> int | None:
        """Size of all files, or None where it is not known."""
        sizes = [declared.size_bytes for declared in self.files if declared.size_bytes is not None]
        if len(sizes) == len(self.files):
            return sum(sizes)
        return None if self.size_mb is None else round(self.size_mb * 1e6)

    @property
    def entry_name(self) -> str:
        """What stages open, below a weights folder: the first file, or the folder that holds the files."""
        return self.files[0].file.split("/")[0]


def read_catalogue(path: Path) -> dict[str, WeightSpec]:
    """Read a `weights.toml`.

    Raises:
        WeightsError: It cannot be read or an entry is wrong.
    """
    try:
        entries = TypeAdapter(dict[str, _Entry]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise WeightsError(
            f"The weight catalogue {path} is wrong: {error}.", advice="Reinstall the package that brings it."
        ) from error
    return {
        name: WeightSpec(
            name=name,
            task=entry.task,
            licence=entry.licence,
            about=entry.about,
            url=entry.url,
            files=entry.files,
            shipped=path.parent / "weights",
            architecture=entry.architecture,
            needs=entry.needs,
            hub=entry.hub,
            page=entry.page,
            asks_access=entry.asks_access,
            size_mb=entry.size_mb,
            sources=entry.sources,
            unverified=entry.unverified,
            was_run=entry.was_run,
        )
        for name, entry in entries.items()
    }


def hub_entry_name(hub_id: str) -> str:
    """The folder below a weights folder in which pulled files of a hub id lie that no catalogue names."""
    return hub_id.replace("/", "--")
