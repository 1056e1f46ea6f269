"""The weights of this machine, by name, path or hub id.

What does not look like a file is looked up in the catalogues first. Look-up order for a catalogued name: the folder
`$AUTOMASK_WEIGHTS`, the weights shipped beside the catalogue, the user cache. An ORG/NAME is looked for among what
`automask models pull` fetched, then in the local Hugging Face cache. Everything else is a path: a file, or a folder in
the Hugging Face layout, also below `$AUTOMASK_WEIGHTS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from automask.config import close_name
from automask.errors import WeightsError
from automask.plugins import WEIGHT_CATALOGUES, available, load_plugin
from automask.protocols import WeightFile
from automask.values.stage_words import is_file_reference, is_hub_id
from automask.weights.catalogue import DeclaredFile, WeightSpec, hub_entry_name, read_catalogue
from automask.weights.hashes import HashCache, combined_sha256, hash_of_all
from automask.weights.places import companions, hub_cache_folder, hub_snapshot, user_cache_folder
from automask.weights.records import PullRecord, read_record, record_path

WEIGHTS_VARIABLE = "AUTOMASK_WEIGHTS"
"""Environment variable that names the user's own weights folder."""

Origin = Literal["user folder", "package", "cache"]


@dataclass(frozen=True, slots=True)
class WeightState:
    """Whether a catalogued weight is on this machine.

    Attributes:
        spec: What the catalogue declares.
        folder: The weights folder that holds it, or None.
        origin: Which of the three places that is, or None.
        problem: Why it cannot be used, or empty.
        record: What was noted when it was pulled; None for weights whose hash the catalogue has.
        sha256: Of what is there, or None where it is not there or cannot be used.
    """

    spec: WeightSpec
    folder: Path | None
    origin: Origin | None
    problem: str = ""
    record: PullRecord | None = None
    sha256: str | None = None


class WeightLibrary:
    """The `WeightSource` of a run: what is on this machine, checked against catalogues and records.

    Args:
        specs: Catalogued weights by name.
        user_folder: The folder of `$AUTOMASK_WEIGHTS`, or None.
        cache_folder: Where `pull` puts files; its `hashes.json` remembers hashes by size and mtime_ns.
        hub_folder: The local Hugging Face cache, or None to know no hub ids of it.
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

    def find(self, reference: str, *, stage: str = "") -> WeightFile | None:
        """See `automask.protocols.WeightSource`.

        Raises:
            WeightsError: It is there, but its hash is not the declared one, or it cannot be read.
        """
        spec = self.spec_of(reference, stage=stage) or self._pulled_spec(reference)
        if spec is not None:
            return self._found(spec)
        path = self._path_of(reference)
        if path is None:
            return None
        is_from_hub = self._hub_folder is not None and path.is_relative_to(self._hub_folder.resolve())
        return WeightFile(name=reference, path=path, sha256=self._sha256_of(path), is_from_hub=is_from_hub)

    def spec_of(self, reference: str, *, stage: str = "") -> WeightSpec | None:
        """The catalogue's entry that a reference means, or None.

        Args:
            reference: As in options.
            stage: Who asks: `tiny` means `sam2-tiny` where `sam2` does.
        """
        if is_file_reference(reference):
            return None
        return (self.specs.get(f"{stage}-{reference}") if stage else None) or self.specs.get(reference)

    def how_to_get(self, reference: str, *, stage: str = "") -> str:
        """See `automask.protocols.WeightSource`."""
        if is_file_reference(reference):
            return "Check the path: there is no such file or folder."
        spec = self.spec_of(reference, stage=stage)
        if spec is None:
            if is_hub_id(reference):
                return f"Run `automask models pull {reference}`."
            meant = close_name(f"{stage}-{reference}", self.specs) or close_name(reference, self.specs)
            return "" if meant is None else f"Did you mean {meant}? `automask models list` has all names."
        if not spec.can_be_pulled:
            return "Reinstall the package that brings it."
        first = f"Ask for access at {spec.page}, put your token into HF_TOKEN, and run" if spec.asks_access else "Run"
        return f"{first} `automask models pull {spec.name}`."

    def state(self, spec: WeightSpec, *, rehash: bool = False) -> WeightState:
        """Where a catalogued weight is, and whether its hashes hold.

        Args:
            spec: The weight.
            rehash: Read every byte again instead of trusting size and mtime_ns.
        """
        places: tuple[tuple[Origin, Path | None], ...] = (
            ("user folder", self._user_folder),
            ("package", spec.shipped),
            ("cache", self.cache_folder),
        )
        for origin, folder in places:
            if folder is not None and (folder / spec.files[0].file).is_file():
                return self._state_in(spec, folder, origin, rehash=rehash)
        return WeightState(spec, None, None)

    def _found(self, spec: WeightSpec) -> WeightFile | None:
        state = self.state(spec)
        if state.folder is None:
            return None
        if state.problem or state.sha256 is None:
            raise WeightsError(
                f"The weights {spec.name!r} in {state.folder} are not what they should be: {state.problem}.",
                advice=_repair_advice(state),
                code="weights-mismatch",
            )
        path = state.folder / spec.entry_name
        return WeightFile(name=spec.name, path=path, sha256=state.sha256, is_from_hub=spec.hub is not None)

    def _state_in(self, spec: WeightSpec, folder: Path, origin: Origin, *, rehash: bool) -> WeightState:
        record = None
        if not spec.is_pinned:
            try:
                record = read_record(folder, spec.entry_name)
            except WeightsError as error:
                return WeightState(spec, folder, origin, problem=error.message.rstrip("."))
            # Files that somebody put into a folder of their own are theirs to vouch for.
            if record is None and origin != "user folder":
                missing = record_path(folder, spec.entry_name).name
                return WeightState(spec, folder, origin, problem=f"{missing}, which says what they were, is missing")
        if record is not None and not record.is_whole:
            return WeightState(spec, folder, origin, problem="pulling them was not finished", record=record)
        hashes: dict[str, str] = {}
        for declared in spec.files:
            problem = self._check(declared, folder, record, hashes, rehash=rehash)
            if problem:
                return WeightState(spec, folder, origin, problem=problem, record=record)
        return WeightState(spec, folder, origin, record=record, sha256=hash_of_all(hashes))

    def _check(
        self, declared: DeclaredFile, folder: Path, record: PullRecord | None, hashes: dict[str, str], *, rehash: bool
    ) -> str:
        """What is wrong with a file, or empty; its hash is noted."""
        path = folder / declared.file
        pulled = None if record is None else record.files.get(declared.file)
        if not path.is_file():
            return "" if declared.optional and pulled is None else f"{declared.file} is missing"
        if record is not None and pulled is None:
            return f"{declared.file} was not there when they were pulled"
        size_bytes = pulled.size_bytes if pulled is not None else declared.size_bytes
        if size_bytes is not None and path.stat().st_size != size_bytes:
            return f"{declared.file} has {path.stat().st_size} bytes instead of {size_bytes}"
        hashes[declared.file] = self._hashes.sha256(path, rehash=rehash)
        if pulled is not None and hashes[declared.file] != pulled.sha256:
            return f"{declared.file} has another sha256 than when it was pulled"
        if declared.sha256 is not None and hashes[declared.file] != declared.sha256:
            return f"{declared.file} has another sha256 than the catalogue declares"
        return ""

    def _pulled_spec(self, reference: str) -> WeightSpec | None:
        """The files that `automask models pull ORG/NAME` fetched, as an entry of their own."""
        if not is_hub_id(reference):
            return None
        for folder in (self._user_folder, self.cache_folder):
            record = None if folder is None else read_record(folder, hub_entry_name(reference))
            if record is not None:
                return spec_of_files(reference, tuple(record.files))
        return None

    def _path_of(self, reference: str) -> Path | None:
        if self._hub_folder is not None and is_hub_id(reference):
            snapshot = hub_snapshot(reference, hub_folder=self._hub_folder)
            if snapshot is not None:
                return snapshot.resolve()
        path = Path(reference).expanduser()
        if path.exists():
            return path.resolve()
        if self._user_folder is not None and not path.is_absolute() and (self._user_folder / path).exists():
            return (self._user_folder / path).resolve()
        return None

    def _sha256_of(self, path: Path) -> str:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file, path))
            if not files:
                raise WeightsError(
                    f"The weights folder {path} is empty.", advice="Point to the folder with config.json."
                )
            hashes = {file.relative_to(path).as_posix(): self._hashes.sha256(file) for file in files}
            return combined_sha256(hashes)
        return hash_of_all({part.name: self._hashes.sha256(part) for part in (path, *companions(path))})


def spec_of_files(hub_id: str, files: tuple[str, ...]) -> WeightSpec:
    """An entry for files of a hub id that no catalogue names; names are below a weights folder."""
    return WeightSpec(
        name=hub_id,
        task="",
        licence="",
        about="",
        url=None,
        files=tuple(DeclaredFile(file=file) for file in files),
        shipped=None,
        hub=hub_id,
    )


def missing_weights(reference: str, *, stage: str, advice: str | None = None) -> WeightsError:
    """The error for weights that a stage cannot do without, and what to do about it where that is known."""
    return WeightsError(
        f"{stage} has no weights: {reference!r} is not on this machine.",
        advice=advice
        or "Give a file or folder, or fetch one of `automask models list` with `automask models pull NAME`.",
        code="weights-missing",
    )


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _repair_advice(state: WeightState) -> str:
    if state.origin == "package":
        return "Reinstall automask."
    if not state.spec.can_be_pulled:
        return "Put the right file there."
    line = f"`automask models pull {state.spec.name}`"
    if state.record is not None and not state.record.is_whole:
        return f"Run {line} again."
    if state.record is None:
        return f"Delete it and run {line}."
    return f"Delete the file and run {line}: it fetches the bytes of that day again, and refuses others."
