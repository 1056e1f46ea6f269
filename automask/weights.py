"""Weight files by name or path, found on this machine and checked; only `pull` uses the network.

Look-up order for a catalogued name: the folder `$AUTOMASK_WEIGHTS`, the weights shipped beside the catalogue, the user
cache. Anything else is taken as a path (a file, or a folder in the Hugging Face layout), as a file name below
`$AUTOMASK_WEIGHTS`, or as a hub id that is already in the local Hugging Face cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from automask.config import FrozenModel
from automask.errors import WeightsError
from automask.plugins import WEIGHT_CATALOGUES, available, load_plugin
from automask.protocols import WeightFile

WEIGHTS_VARIABLE = "AUTOMASK_WEIGHTS"
"""Environment variable that names the user's own weights folder."""

_RelativeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$")]


class DeclaredFile(FrozenModel):
    """One file of a catalogued weight.

    Attributes:
        file: Name below a weights folder, at most one folder deep.
        sha256: Hash of its bytes, lower-case hex.
        size_bytes: Its size.
    """

    file: _RelativeName
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)


class _Entry(FrozenModel):
    task: str
    licence: str
    about: str
    url: str | None = Field(None, pattern=r"^https://.+")
    files: Annotated[tuple[DeclaredFile, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """A weight that a catalogue declares.

    Attributes:
        name: The name that options use.
        task: What it is for.
        licence: SPDX expression of the weights.
        about: One sentence.
        url: Base URL for `automask models pull`, or None for weights that only ship with a package.
        files: What it consists of; the first one is what stages open.
        shipped: Folder of the package that may hold it.
    """

    name: str
    task: str
    licence: str
    about: str
    url: str | None
    files: tuple[DeclaredFile, ...]
    shipped: Path

    @property
    def sha256(self) -> str:
        """What a `WeightFile` of this weight carries: the file's hash, or the hash over several."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return combined_sha256({declared.file: declared.sha256 for declared in self.files})

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(declared.size_bytes for declared in self.files)

    @property
    def entry_name(self) -> str:
        """What stages open, below a weights folder: the first file, or the folder that holds the files."""
        return self.files[0].file.split("/")[0]


@dataclass(frozen=True, slots=True)
class WeightState:
    """Whether a catalogued weight is on this machine.

    Attributes:
        spec: What the catalogue declares.
        folder: The weights folder that holds it, or None.
        origin: Which of the three places that is, or None.
        problem: Why it cannot be used, or empty.
    """

    spec: WeightSpec
    folder: Path | None
    origin: Literal["user folder", "package", "cache"] | None
    problem: str = ""


class WeightLibrary:
    """The `WeightSource` of a run: what is on this machine, checked against the catalogues.

    Args:
        specs: Catalogued weights by name.
        user_folder: The folder of `$AUTOMASK_WEIGHTS`, or None.
        cache_folder: Where `pull` puts files; its `hashes.json` remembers hashes by size and mtime_ns.
        hub_folder: The local Hugging Face cache, or None to know no hub ids.
    """

    def __init__(
        self,
        specs: Mapping[str, WeightSpec],
        *,
        user_folder: Path | None = None,
        cache_folder: Path | None = None,
        hub_folder: Path | None = None,
    ) -> None:
        self.specs = dict(specs)
        self.cache_folder = cache_folder or user_cache_folder()
        self._user_folder = user_folder
        self._hub_folder = hub_folder
        self._hashes = HashCache(self.cache_folder / "hashes.json")

    @classmethod
    def discover(cls) -> WeightLibrary:
        """The weights of all installed catalogues and of this user's folders.

        Raises:
            WeightsError: A catalogue does not parse, or `$AUTOMASK_WEIGHTS` is not a folder.
        """
        specs: dict[str, WeightSpec] = {}
        for entry in sorted(available(WEIGHT_CATALOGUES)):
            specs.update(read_catalogue(Path(load_plugin(WEIGHT_CATALOGUES, entry))))
        named = os.environ.get(WEIGHTS_VARIABLE)
        if named and not Path(named).is_dir():
            raise WeightsError(
                f"{WEIGHTS_VARIABLE} names {named}, which is not a folder.", advice="Correct or unset the variable."
            )
        return cls(specs, user_folder=Path(named) if named else None, hub_folder=hub_cache_folder())

    def find(self, name_or_path: str) -> WeightFile | None:
        """See `automask.protocols.WeightSource`.

        Raises:
            WeightsError: It is there, but its hash is not the declared one, or it cannot be read.
        """
        spec = self.specs.get(name_or_path)
        if spec is not None:
            state = self.state(spec)
            if state.folder is None:
                return None
            if state.problem:
                raise WeightsError(
                    f"The weights {spec.name!r} in {state.folder} are not what they should be: {state.problem}.",
                    advice=_repair_advice(state),
                    code="weights-mismatch",
                )
            return WeightFile(name=spec.name, path=state.folder / spec.entry_name, sha256=spec.sha256)
        path = self._path_of(name_or_path)
        return None if path is None else WeightFile(name=name_or_path, path=path, sha256=self._sha256_of(path))

    def state(self, spec: WeightSpec, *, rehash: bool = False) -> WeightState:
        """Where a catalogued weight is, and whether its hashes hold.

        Args:
            spec: The weight.
            rehash: Read every byte again instead of trusting size and mtime_ns.
        """
        places: tuple[tuple[Literal["user folder", "package", "cache"], Path | None], ...] = (
            ("user folder", self._user_folder),
            ("package", spec.shipped),
            ("cache", self.cache_folder),
        )
        for origin, folder in places:
            if folder is not None and (folder / spec.files[0].file).is_file():
                return WeightState(spec, folder, origin, self._problem(spec, folder, rehash=rehash))
        return WeightState(spec, None, None)

    def _problem(self, spec: WeightSpec, folder: Path, *, rehash: bool) -> str:
        for declared in spec.files:
            path = folder / declared.file
            if not path.is_file():
                return f"{declared.file} is missing"
            size_bytes = path.stat().st_size
            if size_bytes != declared.size_bytes:
                return f"{declared.file} has {size_bytes} bytes instead of {declared.size_bytes}"
            if self._hashes.sha256(path, rehash=rehash) != declared.sha256:
                return f"{declared.file} has another sha256 than the catalogue declares"
        return ""

    def _path_of(self, name_or_path: str) -> Path | None:
        path = Path(name_or_path).expanduser()
        if path.exists():
            return path.resolve()
        if self._user_folder is not None and not path.is_absolute() and (self._user_folder / path).exists():
            return (self._user_folder / path).resolve()
        return None if self._hub_folder is None else hub_snapshot(name_or_path, hub_folder=self._hub_folder)

    def _sha256_of(self, path: Path) -> str:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file, path))
            if not files:
                raise WeightsError(
                    f"The weights folder {path} is empty.", advice="Point to the folder with config.json."
                )
            return combined_sha256({file.relative_to(path).as_posix(): self._hashes.sha256(file) for file in files})
        parts = {part.name: self._hashes.sha256(part) for part in (path, *companions(path))}
        return parts[path.name] if len(parts) == 1 else combined_sha256(parts)


class HashCache:
    """Remembers sha256 by path, size and mtime_ns, so that a run does not read hundreds of megabytes to start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sha256(self, file: Path, *, rehash: bool = False) -> str:
        """Hash of a file's bytes.

        Raises:
            WeightsError: The file cannot be read.
        """
        try:
            facts = file.stat()
            key, stamp = str(file.resolve()), [facts.st_size, facts.st_mtime_ns]
            known = self._read().get(key)
            if not rehash and known is not None and known[:-1] == stamp:
                return str(known[-1])
            digest = file_sha256(file)
        except OSError as error:
            raise WeightsError(f"Cannot read {file}: {error.strerror}.", advice="Check its permissions.") from error
        self._write({**self._read(), key: [*stamp, digest]})
        return digest

    def _read(self) -> dict[str, list[int | str]]:
        try:
            return TypeAdapter(dict[str, list[int | str]]).validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return {}  # only a cache: a damaged one is made anew

    def _write(self, entries: Mapping[str, object]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".hashes-")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(entries, stream)
            Path(temporary).replace(self._path)
        except OSError:
            return  # a read-only home only costs time


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
        )
        for name, entry in entries.items()
    }


def companions(path: Path) -> tuple[Path, ...]:
    """Files that belong to a weight file: an encoder's decoder, and ONNX external data."""
    names = [path.name + ".data", path.name + "_data"]
    if "encoder" in path.name:
        names.append(path.name.replace("encoder", "decoder"))
    return tuple(sibling for name in names if (sibling := path.with_name(name)).is_file())


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def combined_sha256(hashes: Mapping[str, str]) -> str:
    """One hash over several files, from their names and hashes."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def user_cache_folder() -> Path:
    """Where pulled weights go on this platform."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "automask" / "weights"


def hub_cache_folder() -> Path:
    """Where the Hugging Face libraries keep downloaded models (their documented variables, without importing them)."""
    named = os.environ.get("HF_HUB_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home) / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"


def hub_snapshot(hub_id: str, *, hub_folder: Path) -> Path | None:
    """The folder of a hub id in the local Hugging Face cache, or None. Never downloads."""
    parts = hub_id.split("/")
    if len(parts) != 2 or not all(parts) or ".." in parts:
        return None
    repository = hub_folder / f"models--{parts[0]}--{parts[1]}"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def missing_weights(name_or_path: str, *, stage: str, advice: str | None = None) -> WeightsError:
    """The error for weights that a stage cannot do without; `advice` where none of the catalogue would help it."""
    return WeightsError(
        f"{stage} has no weights: {name_or_path!r} is neither a known name, a path, nor a hub id in the local cache.",
        advice=advice
        or "Give a file or folder, or fetch one of `automask models list` with `automask models pull NAME`.",
        code="weights-missing",
    )


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _repair_advice(state: WeightState) -> str:
    if state.origin == "package":
        return "Reinstall automask."
    return (
        f"Delete it and run `automask models pull {state.spec.name}`."
        if state.spec.url
        else "Put the right file there."
    )
