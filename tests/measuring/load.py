"""Load on a server of its own, beside the pipeline in this process: `python -m tests.measuring.load FOLDER`.

First the images are run as `automask run` does, then a server is started on loopback without its result cache, and
clients ask for the same images over and over. Every mask is compared with the run's, byte by byte. How fast this one
is alone is measured before and after, on the same images under more names: long enough that what a run costs once
does not count, and twice, as a machine is not equally fast all the time. The faster one counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from PIL import Image as PillowImage

from automask.plugins import load_config
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.store import Store

if TYPE_CHECKING:
    import httpx

_START_S = 120.0
_SAMPLE_S = 1.0
_MOST_COPIES = 10_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """The same images in this process.

    Attributes:
        images: Bytes of the files that have a mask.
        masks: Their masks.
    """

    images: list[bytes]
    masks: list[bytes]


@dataclass(slots=True)
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong_masks: int = 0
    lost: int = 0
    without_retry_after: int = 0
    memory_mb: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The figures.

    Attributes:
        clients: At the same time.
        seconds: From the first question to the last answer.
        answered: Masks.
        refused: Answers with 503; all of them said when to come back unless `without_retry_after`.
        other: Answers with any other status.
        lost: Questions without an answer.
        wrong_masks: Masks that differ from the run's.
        images_per_s: Masks per second.
        in_process_images_per_s: The same of this process alone, the faster one of before and after.
        throughput_share: The former by the latter.
        p50_s: Median time to a mask.
        p95_s: 95 % were faster.
        p95_share: `p95_s` by clients / in_process_images_per_s.
        memory_mb: Of the server: the most in each fifth of the time, in turn.
        memory_growth: The last of them by the second, less 1: above 0 it still grows when everything has been seen.
    """

    clients: int
    seconds: float
    answered: int
    refused: int
    without_retry_after: int
    other: int
    lost: int
    wrong_masks: int
    images_per_s: float
    in_process_images_per_s: float
    throughput_share: float
    p50_s: float
    p95_s: float
    p95_share: float
    memory_mb: tuple[float, ...]
    memory_growth: float


def measure(
    folder: Path, config_file: Path | None, *, clients: int, seconds: float, baseline_seconds: float
) -> LoadReport:
    """Run, serve, ask, compare.

    Raises:
        InputError: The folder holds no image.
    """
    config = load_config(config_file)
    pipeline = MaskPipeline.from_config(config)
    pipeline.load()
    with tempfile.TemporaryDirectory(prefix="automask-load-") as temporary:
        work = Path(temporary)
        baseline = expected(folder, work / "run", pipeline)
        before = images_per_s(baseline, work / "before", pipeline, seconds=baseline_seconds)
        with serving(work, config_file) as (url, process):
            tally = Tally()
            took_s = asyncio.run(_ask(url, process.pid, baseline, tally, clients=clients, seconds=seconds))
        after = images_per_s(baseline, work / "after", pipeline, seconds=baseline_seconds)
    return _report(tally, clients=clients, took_s=took_s, alone=max(before, after))


def expected(folder: Path, output: Path, pipeline: MaskPipeline) -> Baseline:
    """The masks of a folder, by `run_dataset`."""
    run_dataset(folder, output, pipeline.config, pipeline=pipeline)
    masks: dict[bytes, bytes] = {}  # by image: a run analyses the same file once only
    with Store.open(output, read_only=True) as store:
        for stored in store.images():
            if stored.mask_name is not None:
                masks[(folder / stored.image_id).read_bytes()] = store.mask_path(stored.mask_name).read_bytes()
    return Baseline(list(masks), list(masks.values()))


def images_per_s(baseline: Baseline, work: Path, pipeline: MaskPipeline, *, seconds: float) -> float:
    """How fast runs over the same images are, by one that lasts about so long.

    What repeats across images is not looked for: here everything does. Copies end in bytes of their own, which decoders
    do not read: of the same file a run would analyse one and only draw the others.

    Raises:
        RuntimeError: The run did not analyse every copy.
    """
    alone = MaskPipeline(pipeline.config, detectors=pipeline.detectors, refiner=pipeline.refiner)
    copies = 1
    while True:
        source = work / f"{copies}-images"
        source.mkdir(parents=True)
        for copy, (number, data) in itertools.product(range(copies), enumerate(baseline.images)):
            (source / f"{copy}-{number}").with_suffix(_suffix(data)).write_bytes(data + f"copy {copy}".encode())
        started = time.perf_counter()
        summary = run_dataset(source, work / f"{copies}-masks", alone.config, pipeline=alone)
        took_s = time.perf_counter() - started
        if summary.written.get("analysed", 0) != copies * len(baseline.images):
            raise RuntimeError(f"not every image was analysed: {dict(summary.written)}")
        if took_s >= seconds / 2 or copies >= _MOST_COPIES:
            return summary.images / took_s
        copies = min(_MOST_COPIES, max(copies + 1, round(copies * seconds / took_s)))


def _suffix(data: bytes) -> str:
    with PillowImage.open(io.BytesIO(data)) as picture:
        return f".{(picture.format or 'png').lower()}"


@contextlib.contextmanager
def serving(temporary: Path, config_file: Path | None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own, without a result cache; its address and process."""
    command = [sys.executable, "-m", "automask", "serve", "--port", "0", "--data-dir", str(temporary / "data")]
    if config_file is not None:
        command += ["--config", str(config_file)]
    environment = {**os.environ, "AUTOMASK_SERVE_CACHE_BYTES": "0"}
    with (temporary / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if "http://" not in line:
            raise RuntimeError((temporary / "server.log").read_text(encoding="utf-8"))
        yield line[line.index("http://") :].split(",")[0], process
    finally:
        process.terminate()
        process.wait()


async def ready(client: httpx.AsyncClient) -> None:
    """Wait until a server has loaded its models.

    Raises:
        RuntimeError: That takes too long.
    """
    deadline = time.perf_counter() + _START_S
    while (await client.get("/readyz")).status_code != 200:
        if time.perf_counter() > deadline:
            raise RuntimeError("the server did not get ready")
        await asyncio.sleep(0.1)


async def _ask(url: str, pid: int, baseline: Baseline, tally: Tally, *, clients: int, seconds: float) -> float:
    import httpx

    limits = httpx.Limits(max_connections=clients + 1, max_keepalive_connections=clients + 1)
    async with httpx.AsyncClient(base_url=url, timeout=_START_S, limits=limits) as client:
        await ready(client)
        turns = itertools.count()
        started = time.perf_counter()
        watcher = asyncio.create_task(_watch(pid, tally))
        asking = [_client(client, baseline, tally, turns, until_s=started + seconds) for _ in range(clients)]
        await asyncio.gather(*asking)
        took_s = time.perf_counter() - started
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        return took_s


async def _client(
    client: httpx.AsyncClient, baseline: Baseline, tally: Tally, turns: Iterator[int], *, until_s: float
) -> None:
    import httpx

    while time.perf_counter() < until_s:
        index = next(turns) % len(baseline.images)
        started = time.perf_counter()
        try:
            answer = await client.post("/v1/masks", content=baseline.images[index])
        except httpx.HTTPError:
            tally.lost += 1
            continue
        tally.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            tally.seconds.append(time.perf_counter() - started)
            tally.wrong_masks += answer.content != baseline.masks[index]
        elif answer.status_code == 503:
            after = answer.headers.get("retry-after", "")
            tally.without_retry_after += not after.isdecimal()
            await asyncio.sleep(int(after) if after.isdecimal() else 1)


async def _watch(pid: int, tally: Tally) -> None:
    while True:
        with contextlib.suppress(OSError, IndexError):  # only Linux tells
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            tally.memory_mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        await asyncio.sleep(_SAMPLE_S)


def _report(tally: Tally, *, clients: int, took_s: float, alone: float) -> LoadReport:
    answered = tally.statuses[200]
    p95_s = _quantile(tally.seconds, 0.95)
    memory_mb = _most_in_parts(tally.memory_mb, parts=5)
    return LoadReport(
        clients=clients,
        seconds=round(took_s, 1),
        answered=answered,
        refused=tally.statuses[503],
        without_retry_after=tally.without_retry_after,
        other=sum(tally.statuses.values()) - answered - tally.statuses[503],
        lost=tally.lost,
        wrong_masks=tally.wrong_masks,
        images_per_s=round(answered / took_s, 3),
        in_process_images_per_s=round(alone, 3),
        throughput_share=round(answered / took_s / alone, 3),
        p50_s=round(statistics.median(tally.seconds), 3) if tally.seconds else 0.0,
        p95_s=round(p95_s, 3),
        p95_share=round(p95_s / (clients / alone), 3),
        memory_mb=memory_mb,
        memory_growth=round(memory_mb[-1] / memory_mb[1] - 1, 3) if len(memory_mb) > 1 else 0.0,
    )


def _most_in_parts(samples: Sequence[float], *, parts: int) -> tuple[float, ...]:
    """The greatest sample of each of some equal parts; nothing where there are too few."""
    edges = [len(samples) * part // parts for part in range(parts + 1)]
    if len(samples) < parts:
        return ()
    return tuple(round(max(samples[start:end]), 1) for start, end in itertools.pairwise(edges))


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def main(
    folder: Annotated[Path, typer.Argument(help="Images to ask for.")],
    *,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="At the same time.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long clients go on asking.")] = 120,
    baseline_seconds: Annotated[
        float, typer.Option(min=1, max=600, help="How long this process runs alone, before and after.")
    ] = 60,
    config: Annotated[Path | None, typer.Option(help="Configuration file of both.")] = None,
) -> None:
    """Put load on a server of its own, and compare it with a run in this process. Prints JSON."""
    report = measure(folder, config, clients=clients, seconds=seconds, baseline_seconds=baseline_seconds)
    typer.echo(json.dumps(asdict(report)))


if __name__ == "__main__":
    typer.run(main)
