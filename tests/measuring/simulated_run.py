"""A run of a million images without its models: what the driver takes, what it writes, and what it costs to kill it.

`python -m tests.measuring.simulated_run WORK` makes tars of 2,000 PNG of 1 x 1 pixel each in WORK, runs the real driver
over 100,000 and then over 1,000,000 of them, kills it (SIGKILL) when half of the shards are done, and runs it again
twice. Source, listing, claims, files of masks and regions and `.done` are those of `automask run --engine local`. What
is left out is decoding, detectors and drawing: every image has the one mask and row that were drawn before. Each driver
is a process of its own, so its memory is that of driver and worker in one.
"""

from __future__ import annotations

import collections
import io
import json
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self

import typer
from PIL import Image as PillowImage

from automask.bench.tables import markdown_table
from automask.config import PipelineConfig
from automask.dataset.decode import largest_file_bytes
from automask.dataset.shards.opening import source_for_work
from automask.dataset.shards.samples import Shard, ShardSource
from automask.files.atomic import is_temporary
from automask.run.engines.attempt import WAIT_S
from automask.run.engines.protocol import EngineOptions, ShardOutcome
from automask.run.events import EventSink
from automask.run.shards.corrections import ShardCorrections
from automask.run.shards.driver import run_shards
from automask.run.shards.ending import ShardTally, end_shard
from automask.run.shards.records import ShardRecord
from automask.run.shards.redrawing import drawn_image
from automask.run.shards.rows import ImageFacts
from automask.run.shards.target import ShardTarget
from automask.run.shards.worker import ShardJob, ShardTask
from automask.run.shards.writing import ShardFiles
from automask.values.types import Fingerprints, Found

from .processes import Process, measured

SHARD_IMAGES = 2000
CONFIG = PipelineConfig(detectors=(), dataset_detectors=())
DRIVE = "import sys; from tests.measuring.simulated_run import drive; drive(*sys.argv[1:])"


class FreeEngine:
    """The engine `local` with a mask and a row that cost nothing.

    Args:
        started_s: When its process was started, in seconds since the epoch; says on stdout how long the first task took
            to come.
    """

    name: ClassVar[str] = "free"

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        found = Found("a.png", 1, 1, regions=(), patches=(), issues=(), fingerprints=Fingerprints("", "", ""))
        self._row, self._png = drawn_image(ImageFacts("a", "a.png", "a.png", "0" * 64, 1), found, CONFIG)

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """See `Engine`."""
        return cls(time.time())

    def work(
        self, job: ShardJob, tasks: Iterator[ShardTask | None], *, events: EventSink, stop: threading.Event
    ) -> Iterator[ShardOutcome]:
        """See `Engine`."""
        source, target = source_for_work(job.kind, job.source, job.config.decode), ShardTarget.at(job.target)
        is_first = True
        for task in tasks:
            if is_first:
                sys.stdout.write(json.dumps({"first_task_s": time.time() - self._started_s}) + "\n")
                sys.stdout.flush()
                is_first = False
            if task is None:
                stop.wait(WAIT_S)
                continue
            yield ShardOutcome(task.shard, self._end(job, task.shard, source, target, events))
            if stop.is_set():
                return

    def _end(
        self, job: ShardJob, shard: Shard, source: ShardSource, target: ShardTarget, events: EventSink
    ) -> ShardRecord | None:
        def fill(files: ShardFiles, tally: ShardTally) -> None:
            for sample in source.samples(shard, None, most_bytes=largest_file_bytes(job.config.decode)):
                sample.read()
                row = {**self._row, "key": sample.key, "image": sample.image, "mask": sample.mask}
                files.add(row, self._png)
                tally.count(row, work="analysed")

        said, tally = ShardCorrections.read(target.folder, shard), ShardTally(events)
        return end_shard(target, shard, job.fingerprints, said, fill, tally=tally, work="analysed", owner=job.owner)


def drive(source: str, target: str, started_s: str) -> None:
    """What each measured process does; says what it did on stdout."""
    done = run_shards(source, target, CONFIG, engine=FreeEngine(float(started_s)))
    told = {"done": done.done.get("analysed", 0), "reused": done.reused, "images": done.images}
    sys.stdout.write(json.dumps(told) + "\n")


def make_tars(work: Path, shards: int, shard_images: int) -> Path:
    """A folder with so many tars at least; those that are there are kept."""
    folder = work / f"tars-of-{shard_images}"
    folder.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    PillowImage.new("RGB", (1, 1), (200, 20, 20)).save(out, "PNG")
    for number in range(shards):
        path = folder / f"{number:06d}.tar"
        if path.exists():
            continue
        unfinished = path.with_suffix(".part")
        with tarfile.open(unfinished, "w") as tar:
            for image in range(number * shard_images, (number + 1) * shard_images):
                member = tarfile.TarInfo(f"{image:09d}.png")
                member.size = len(out.getvalue())
                tar.addfile(member, io.BytesIO(out.getvalue()))
                tar.members = []  # type: ignore[attr-defined]  # it remembers all that it wrote
        unfinished.replace(path)
    return folder


@dataclass(frozen=True, slots=True)
class Story:
    """A run that was killed half-way, went on, and was called once more.

    Attributes:
        killed: The first driver.
        resumed: The one that went on.
        called_again: The one that found nothing to do.
        finished: Shards that were done when the first one was killed.
        in_hand: Shards that it had a claim on then.
        redone: Of the finished shards those whose record is another one now.
        objects: Files of the target by folder, at the end.
        size_bytes: Of all of them.
    """

    killed: Process
    resumed: Process
    called_again: Process
    finished: int
    in_hand: int
    redone: int
    objects: Mapping[str, int]
    size_bytes: int


def simulate(tars: Path, target: Path, shards: int) -> Story:
    """Run over the first tars of a folder, with a kill at half of them."""
    shutil.rmtree(target, ignore_errors=True)
    done = target / "done"

    def command() -> list[str]:
        source = f"{tars}/{{000000..{shards - 1:06d}}}.tar"
        return [sys.executable, "-c", DRIVE, source, str(target), str(time.time())]

    killed = measured(command(), kill_when=lambda: len(_stems(done)) * 2 >= shards and bool(_in_hand(target)))
    finished, in_hand = records_in(done), len(_in_hand(target))
    resumed = measured(command())
    again = measured(command())
    after = records_in(done)
    redone = sum(1 for name, written in finished.items() if after.get(name) != written)
    files = [path for path in target.rglob("*") if path.is_file() and not is_temporary(path.name)]
    objects = collections.Counter(path.relative_to(target).parts[0] for path in files if path.parent != target)
    size_bytes = sum(path.stat().st_size for path in files)
    return Story(killed, resumed, again, len(finished), in_hand, redone, objects, size_bytes)


def records_in(done: Path) -> dict[str, tuple[int, int]]:
    """When each record was written, and its place on the disk: a new one differs in both."""
    found = {}
    for path in done.glob("*.done"):
        facts = path.stat()
        found[path.name] = (facts.st_mtime_ns, facts.st_ino)
    return found


def _in_hand(target: Path) -> set[str]:
    """Shards that somebody claims and that are not done."""
    return _stems(target / "claims") - _stems(target / "done")


def _stems(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.iterdir()} if folder.is_dir() else set()


def _row(images: int, story: Story) -> list[str]:
    halves = (story.killed, story.resumed)
    first, second = (json.loads(half.stdout.splitlines()[0])["first_task_s"] for half in halves)
    return [
        f"{images}",
        f"{sum(half.seconds for half in halves):.0f}",
        f"{sum(half.processor_seconds for half in halves):.0f}",
        " / ".join(f"{one.peak_mib:.0f}" for one in (*halves, story.called_again)),
        f"{first:.1f}",
        f"{second:.1f}",
        f"{story.finished} + {story.in_hand}",
        f"{story.redone}",
        f"{story.called_again.seconds:.1f}",
        " + ".join(f"{count} {name}" for name, count in sorted(story.objects.items())),
        f"{story.size_bytes / 1e6:.0f}",
    ]


COLUMNS = [
    "images", "s", "s of processor", "peak MiB: killed / resumed / nothing to do", "s to the first shard",
    "s to go on", "shards done + in hand at the kill", "finished shards done again", "s with nothing to do",
    "objects", "MB",
]  # fmt: skip


def main(
    work: Annotated[Path, typer.Argument(help="Folder for tars and target: 4 GB for a million images.")],
    images: Annotated[list[int] | None, typer.Option(help="Images of a run; 100000 and 1000000 unless given.")] = None,
    shard_images: Annotated[int, typer.Option(help="Images of a tar.")] = SHARD_IMAGES,
) -> None:
    """Run, kill, go on."""
    counts = [count // shard_images for count in images or (100_000, 1_000_000)]
    if min(counts) < 2:
        raise typer.BadParameter("two tars at least")
    began = time.perf_counter()
    tars = make_tars(work, max(counts), shard_images)
    sys.stderr.write(f"{max(counts)} tars after {time.perf_counter() - began:.0f} s\n")
    rows = []
    for count in counts:
        rows.append(_row(count * shard_images, simulate(tars, work / "target", count)))
        sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write(markdown_table(COLUMNS, rows) + "\n")


if __name__ == "__main__":
    typer.run(main)
