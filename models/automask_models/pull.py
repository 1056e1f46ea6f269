"""Downloads weights that a catalogue or a hub has: the one place that uses the network, and only when told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urljoin

from automask.errors import WeightsError
from automask.files.atomic import write_atomic
from automask.weights import (
    DeclaredFile,
    PulledFile,
    PullRecord,
    WeightSpec,
    file_sha256,
    hub_entry_name,
    read_record,
    record_path,
    spec_of_files,
)
from automask_models.download import Expected, Progress, fetch, hash_of
from automask_models.hub import Hub, HubFile, mirrored

Told = Callable[[str], Progress | None]
"""Called with the name of each file before it is fetched, for who shows how far it is."""


def pull(spec: WeightSpec, folder: Path, *, told: Told | None = None) -> list[Path]:
    """Fetch the files of a weight that are not there yet.

    Each file goes to a name of its own, is checked, and is then renamed: a folder never holds half a file under its
    real name. Files whose hash the catalogue has are checked against that. Of others the hub states hash and commit:
    both are written beside them, and from then on no other bytes are taken for them, here or in a run.

    Args:
        spec: What to fetch.
        folder: Weights folder to fetch into, usually `WeightLibrary.cache_folder`.
        told: Who shows how far it is.

    Returns:
        The files that were fetched; empty if all were there.

    Raises:
        WeightsError: There is nothing to fetch from, the network does not answer, or the bytes are not the right ones.
        OutputError: The folder cannot be written.
    """
    try:
        if spec.hub is not None:
            return _pull_from_hub(spec, spec.hub, folder, told)
        if spec.url is not None:
            return _pull_from_url(spec, spec.url, folder, told)
    except WeightsError as error:
        if error.code == "weights-refused" and spec.page:
            raise WeightsError(
                error.message,
                advice=f"Ask for access at {spec.page}, put your token into HF_TOKEN, and run the same line again.",
                code=error.code,
            ) from error
        raise
    raise WeightsError(
        f"{spec.name} comes with the package and cannot be pulled.",
        advice="Reinstall the package that lists it.",
        code="weights-not-pullable",
    )


def spec_of_hub(hub_id: str, folder: Path) -> WeightSpec:
    """An entry for ORG/NAME that no catalogue has: its files as when they were pulled, else as the hub lists them.

    Raises:
        WeightsError: The hub does not answer, or has nothing that could be used.
    """
    record = read_record(folder, hub_entry_name(hub_id))
    if record is not None:
        return spec_of_files(hub_id, tuple(record.files))
    names = Hub().files_of(hub_id)
    return spec_of_files(hub_id, tuple(f"{hub_entry_name(hub_id)}/{name}" for name in names))


def _pull_from_url(spec: WeightSpec, base: str, folder: Path, told: Told | None) -> list[Path]:
    fetched = []
    for declared in spec.files:
        target = folder / declared.file
        if target.is_file() and file_sha256(target) == declared.sha256:
            continue
        url = urljoin(base if base.endswith("/") else f"{base}/", quote(declared.remote_name))
        expected = Expected(sha256=declared.sha256, size_bytes=declared.size_bytes)
        fetch(mirrored(url), target, expected, progress=None if told is None else told(target.name))
        fetched.append(target)
    return fetched


def _pull_from_hub(spec: WeightSpec, hub_id: str, folder: Path, told: Told | None) -> list[Path]:
    hub, fetched = Hub(), []
    record = read_record(folder, spec.entry_name)
    files = {} if record is None else dict(record.files)
    revision = "main" if record is None else record.revision
    note = record
    for declared in spec.files:
        target, known = folder / declared.file, files.get(declared.file)
        if known is not None and target.is_file() and file_sha256(target) == known.sha256:
            continue
        if known is None and record is not None and record.is_whole and declared.optional:
            continue  # it was not there at that commit
        there = _stated(hub, hub_id, declared, revision)
        if there is None:
            continue
        revision = there.revision  # all files are of the commit of the first one
        _refuse_change(declared, known, there)
        if not target.is_file() or hash_of(target, git=there.expected.sha256 is None) != there.expected.stated:
            progress = None if told is None else told(target.name)
            fetch(there.url, target, there.expected, headers=hub.headers, progress=progress)
            fetched.append(target)
        files[declared.file] = PulledFile(
            stated=there.expected.stated, sha256=file_sha256(target), size_bytes=target.stat().st_size
        )
        _refuse_other(declared, files[declared.file])
        is_whole = record is not None and record.is_whole
        note = PullRecord(hub=hub_id, endpoint=hub.endpoint, revision=revision, files=files, is_whole=is_whole)
        _write_record(note, folder, spec)
    if note is not None and not note.is_whole:
        _write_record(note.model_copy(update={"is_whole": True}), folder, spec)
    return fetched


def _write_record(record: PullRecord, folder: Path, spec: WeightSpec) -> None:
    write_atomic(record_path(folder, spec.entry_name), record.model_dump_json(indent=2).encode())


def _stated(hub: Hub, hub_id: str, declared: DeclaredFile, revision: str) -> HubFile | None:
    try:
        return hub.file(hub_id, declared.remote_name, revision=revision)
    except WeightsError as error:
        if declared.optional and " answers 404 " in error.message:
            return None
        raise


def _refuse_change(declared: DeclaredFile, known: PulledFile | None, there: HubFile) -> None:
    if known is not None and known.stated != there.expected.stated:
        raise WeightsError(
            f"{there.url} is not what it was when {declared.file} was pulled: {there.expected.stated} instead of "
            f"{known.stated}.",
            advice="Nothing was changed. To take what is there now, delete the files and the .pulled.json beside them.",
            code="weights-mismatch",
        )


def _refuse_other(declared: DeclaredFile, pulled: PulledFile) -> None:
    if declared.sha256 is not None and declared.sha256 != pulled.sha256:
        raise WeightsError(
            f"The hub has other bytes of {declared.file} than the catalogue declares.",
            advice="Upgrade automask, or report it if that does not help.",
            code="weights-mismatch",
        )
