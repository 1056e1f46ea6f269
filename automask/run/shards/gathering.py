"""Images of a sharded target into an ordinary store, where people review them. No model runs."""

from __future__ import annotations

import dataclasses
import itertools
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.dataset.image_file import ImageFile
from automask.dataset.names import mask_file_name
from automask.dataset.shards.opening import source_for_work
from automask.dataset.shards.parquet import opened
from automask.dataset.shards.samples import Shard, ShardDamaged, ShardSource
from automask.errors import StoreError
from automask.files.atomic import write_atomic
from automask.files.folders import Folder
from automask.files.png import encode_mask, read_mask
from automask.files.urls import is_url
from automask.mask.drawing import draw, fuse_fingerprint
from automask.run.shards.agreement import changed_s, is_older
from automask.run.shards.corrections import PersonSaid, ShardCorrections, stale_issue
from automask.run.shards.fetching import fetched
from automask.run.shards.gathered import GatheredFrom, GatheredImage, GatheredShard, file_name
from automask.run.shards.into import check_on_disk, check_store, images_folder
from automask.run.shards.records import ShardRecord
from automask.run.shards.rows import ImageFacts, facts_of, found_of, issues_of
from automask.run.shards.selecting import Selected, most_doubtful, named
from automask.run.shards.target import TRANSPORT, ShardTarget, TargetHead, target_error
from automask.store import STALE_CORRECTION_CODE, Store
from automask.store.records import RunStatus
from automask.values.digests import digest
from automask.values.types import Fingerprints, Verdict
from automask.version import __version__


@dataclass(slots=True)
class GatherSummary:
    """The end of a gathering.

    Attributes:
        target: Address of the target, without credentials.
        store: The store.
        images_folder: Where its images are.
        selected: Images that were chosen.
        gathered: Those of them that came into the store now.
        present: Those that it had.
        older: Those of them that are otherwise in the target by now: the store keeps what it has.
        refused: Those that could not be had, with why, by image.
        unknown: Keys that were asked for and have no result in the target.
        outdated: Shards that were passed over, since they are of another configuration than the newest.
        unfinished: Shards that were passed over, since they are not done.
        interrupted: It was stopped before its end.
        seconds: Wall time.
    """

    target: str
    store: str
    images_folder: str
    selected: int = 0
    gathered: int = 0
    present: int = 0
    older: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    outdated: int = 0
    unfinished: int = 0
    interrupted: bool = False
    seconds: float = 0.0


def gather(
    address: str,
    root: Path,
    *,
    doubtful: int | None = None,
    names: Collection[str] = (),
    source: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> GatherSummary:
    """Bring images of a sharded target with their masks, regions and corrections into a store.

    The images are put into a folder beside the store. What the store has already stays as it is.

    Args:
        address: The target.
        root: The store; made where there is none.
        doubtful: So many images with verdict review, the least confident first.
        names: Instead, images by key or id.
        source: Where the images of the target are now; None = where they were.
        progress: Called with shards looked at, then with images brought, and how many there are.
        stop: When set, the image in hand is finished and the work ends as interrupted.

    Raises:
        ConfigError: The store is given as a URL.
        StoreError: There is no usable target or store.
        OutputError: The store is another target's, cannot be written or lies in source or target; or the target
            cannot be read.
        ShardDamaged: A Parquet of the target cannot be read.
        InputError: The source cannot be read.
    """
    check_on_disk(root, "--into")
    target = ShardTarget.at(address if is_url(address) else str(Path(address).absolute()))
    try:
        work = _Gathering(target, root.absolute(), stop or threading.Event(), progress)
        return work.done(doubtful, names, source)
    except TRANSPORT as error:
        raise target_error(target.label, error) from None


class _Gathering:
    def __init__(
        self, target: ShardTarget, root: Path, stop: threading.Event, progress: Callable[[int, int], None]
    ) -> None:
        self._target = target
        self._root = root
        self._stop = stop
        self._progress = progress
        self._images = images_folder(root)
        self._head, self._shards = begun(target)
        self._summary = GatherSummary(target.label, str(root), str(self._images))

    def done(self, doubtful: int | None, names: Collection[str], source: str | None) -> GatherSummary:
        started = time.perf_counter()
        newest = self._newest()
        fuse, config = newest.fingerprints.fuse, config_of(self._target, newest)
        check_store(self._root, self._target, source or self._head.source)
        chosen = self._chosen(fuse, doubtful, names)
        summary = self._summary
        summary.selected = len(chosen)
        parts = source_for_work(self._head.kind, source or self._head.source, config.decode)
        with Store.open(self._root, create=True) as store, store.lock():
            known = GatheredFrom.read(self._root)
            run = self._head.id if known is None or known.run == self._head.id else ""
            GatheredFrom(self._target.label, source or self._head.source, run).write(self._root)
            run_id = store.begin_run(
                config_json=config.model_dump_json(), input_root=str(self._images), version=__version__
            )
            status: RunStatus = "failed"
            try:
                seen = 0
                by_shard = sorted(chosen, key=lambda one: one.place)
                for _, some in itertools.groupby(by_shard, key=lambda one: one.place[0]):
                    if self._stop.is_set():
                        break
                    batch = list(some)
                    self._bring(store, parts, batch, config)
                    seen += len(batch)
                    self._progress(seen, len(chosen))
                status = "interrupted" if self._stop.is_set() else "done"
            finally:
                store.finish_run(run_id, status=status)
        summary.interrupted = self._stop.is_set()
        summary.seconds = time.perf_counter() - started
        return summary

    def _newest(self) -> ShardRecord:
        """The shard that ended last."""
        newest: ShardRecord | None = None
        for _, record in self._target.records(self._shards):
            if record is not None and record.parts and (newest is None or record.finished_s > newest.finished_s):
                newest = record
        if newest is None:
            raise StoreError(
                f"{self._target.label} has no shard that is done.",
                advice="Run `automask run` first.",
                code="store-missing",
            )
        return newest

    def _chosen(self, fuse: str, doubtful: int | None, names: Collection[str]) -> list[Selected]:
        def current() -> Iterator[tuple[Shard, ShardRecord]]:
            for shard, record in self._target.records(self._shards):
                if record is None:
                    self._summary.unfinished += 1
                elif record.fingerprints.fuse != fuse:
                    self._summary.outdated += bool(record.parts)
                else:
                    yield shard, record

        def told(seen: int) -> None:
            self._progress(seen, len(self._shards))

        if doubtful is not None:
            return most_doubtful(self._target, current(), doubtful, on_progress=told, stop=self._stop)
        chosen = named(self._target, current(), names, on_progress=told, stop=self._stop)
        found = {name for one in chosen for name in (one.key, one.image)}
        self._summary.unknown = sorted(set(names) - found)
        return chosen

    def _bring(self, store: Store, source: ShardSource, chosen: Sequence[Selected], config: PipelineConfig) -> None:
        """Bring the chosen images of one shard."""
        shard, record = chosen[0].shard, chosen[0].record
        known = GatheredShard.read(self._root, shard)
        brought = {(one.key, one.content_sha256) for one in known.images.values()}
        try:
            rows = _rows(self._target, record, {one.place[1] for one in chosen})
            wanted = [facts_of(row) for row in rows]
            wanted = [facts for facts in wanted if (facts.key, facts.content_sha256) not in brought]
            self._summary.present += len(rows) - len(wanted)
            masks = _members(self._target.folder, record.parts["masks"].name, {facts.mask for facts in wanted})
            corrections = ShardCorrections.read(self._target.folder, shard)
        except ShardDamaged as damage:
            self._summary.refused.update({one.image: damage.message for one in chosen})
            return
        drawn = digest(str(record.fingerprints))
        places = {(row["key"], row["content_sha256"]) for row in rows}
        self._summary.older += [
            image.image
            for image in known.images.values()
            if (image.key, image.content_sha256) in places and is_older(image, drawn, corrections)
        ]
        by_content = {(row["key"], row["content_sha256"]): row for row in rows}
        prints = Fingerprints(record.fingerprints.detect, record.fingerprints.refine, record.fingerprints.fuse)
        for one in fetched(source, self._target, shard, wanted, config.decode) if wanted else ():
            if self._stop.is_set():
                break
            if one.data is None:
                self._summary.refused[one.facts.image] = one.reason
                continue
            row = by_content[one.facts.key, one.facts.content_sha256]
            said = corrections.fitting(one.facts.content_sha256, (row["height_px"], row["width_px"]))
            try:
                image = self._put(
                    store, shard, row, one.facts, one.data, said, masks.get(one.facts.mask), config, prints
                )
            except ShardDamaged as damage:
                self._summary.refused[one.facts.image] = damage.message
                continue
            known.images[image.image_id] = dataclasses.replace(image, drawn=drawn)
            self._summary.gathered += 1
        known.write(self._root)

    def _put(
        self,
        store: Store,
        shard: Shard,
        row: Mapping[str, Any],
        facts: ImageFacts,
        data: bytes,
        said: PersonSaid | None,
        mask_png: bytes | None,
        config: PipelineConfig,
        prints: Fingerprints,
    ) -> GatheredImage:
        """Keep one image: its file, its result with its mask, and what people said about it."""
        content = str(facts.content_sha256)
        try:
            # Without the hash of templates, since a store counts those only that it looked for itself.
            found = dataclasses.replace(found_of(row, prints), template_set="")
        except (ValueError, KeyError, TypeError) as error:
            raise ShardDamaged(f"its row is damaged: {error}") from error
        layers = said.correction if said is not None else None
        drawn = draw(found, config, layers, content_sha256=content)
        if row["mask"] is not None:
            _check_same(mask_png, drawn.mask.levels)
        file = self._file(file_name(shard, facts.key, content, data), data)
        judged = dataclasses.replace(drawn.judged, image_id=file.id)
        if any(issue.code == STALE_CORRECTION_CODE for issue in issues_of(row)):
            judged = dataclasses.replace(judged, verdict=Verdict.REVIEW, issues=(*judged.issues, stale_issue()))
        newest = store.correction(content)
        if said is not None and said.layers is not None and newest is None:
            store.put_correction(content, said.layers.unpacked(), author=said.author, tool=said.tool, based_on=None)
            newest = store.correction(content)
        elif newest is not None:  # the same picture came before, or somebody was faster
            drawn = draw(found, config, newest.layers, content_sha256=content)
        store.put_result(
            file,
            judged,
            drawn.mask.levels,
            content_sha256=content,
            orientation=facts.orientation or 1,
            correction_revision=newest.revision if newest is not None else None,
        )
        holds = said.holding(found) if said is not None else None
        if holds is not None and holds.decision is not None and store.decision(content) is None:
            store.decide(content, holds.decision, author=holds.author)
        return GatheredImage(
            file.id,
            facts.key,
            facts.image,
            content,
            said=holds.digest if holds is not None else "",
            said_there=said.digest if said is not None else "",
            said_s=changed_s(store, content),
            said_there_s=said.made_s if said is not None else 0.0,
        )

    def _file(self, name: str, data: bytes) -> ImageFile:
        path = self._images / name
        write_atomic(path, data)
        status = path.stat()
        folder, _, last = name.rpartition("/")
        mask_name = f"{folder}/{mask_file_name(last, keep_suffix=False)}"
        return ImageFile(name, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, mask_name)


def begun(target: ShardTarget) -> tuple[TargetHead, list[Shard]]:
    """What a target is, and its shards.

    Raises:
        StoreError: There is none, or its source was never listed to its end.
    """
    head, shards = target.head(), target.manifest()
    if head is None or shards is None:
        raise StoreError(
            f"There is no sharded target in {target.label}.",
            advice="Give the --output of a run with --shard-images; if it was moved, `automask scatter --target`.",
            code="store-missing",
        )
    return head, shards


def config_of(target: ShardTarget, record: ShardRecord) -> PipelineConfig:
    """What a shard was drawn under.

    Raises:
        StoreError: The target does not say, or this automask would draw it otherwise.
    """
    again = "Run the same `automask run` command on it once more: that draws them again where need be, without a model."
    config = target.config(record.fingerprints.fuse)
    if config is None:
        raise StoreError(
            f"{target.label} does not say under which configuration its masks were drawn.",
            advice=again,
            code="shards-other-config",
        )
    if fuse_fingerprint(config, record.fingerprints.refine) != record.fingerprints.fuse:
        raise StoreError(
            f"The masks in {target.label} were drawn by automask {record.version}, and are drawn otherwise by now.",
            advice=again,
            code="shards-other-config",
        )
    return config


def _rows(target: ShardTarget, record: ShardRecord, numbers: Collection[int]) -> list[dict[str, Any]]:
    """Some rows of a shard, by position; only the pieces of the file that hold them are read."""
    rows: list[dict[str, Any]] = []
    first = 0
    with opened(target.folder, record.parts["regions"].name) as file:
        for group in range(file.metadata.num_row_groups):
            past = first + file.metadata.row_group(group).num_rows
            here = [number - first for number in sorted(numbers) if first <= number < past]
            if here:
                rows += file.read_row_group(group).take(here).to_pylist()
            first = past
    return rows


def _members(folder: Folder, name: str, names: Collection[str]) -> dict[str, bytes]:
    """Some masks of a tar, by name.

    Raises:
        ShardDamaged: It cannot be read.
    """
    found: dict[str, bytes] = {}
    try:
        with folder.open(name) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                if member.name in names and (data := tar.extractfile(member)) is not None:
                    found[member.name] = data.read()
                tar.members = []  # type: ignore[attr-defined]  # it remembers every member that it saw
    except FileNotFoundError as error:
        raise ShardDamaged(f"{name} is gone", code="shard-file-missing") from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ShardDamaged(f"{name} cannot be read: {error}") from error
    return found


def _check_same(mask_png: bytes | None, levels: NDArray[np.uint8]) -> None:
    """Refuse what would be drawn otherwise than the mask in the target.

    Two builds of zlib pack the same pixels differently: those count.

    Raises:
        ShardDamaged: It differs.
    """
    if encode_mask(levels) == mask_png:
        return
    try:
        is_same = mask_png is not None and np.array_equal(read_mask(mask_png), levels)
    except (OSError, ValueError, SyntaxError):
        is_same = False
    if not is_same:
        raise ShardDamaged("the mask in the target is not the one that its row gives; `automask status --verify` helps")
