"""Honest clients beside hostile ones: `python -m tests.measuring.hostile FOLDER`.

A server of its own is started on loopback, without its result cache. Four clients ask for the masks of the images of
the folder, in rounds that alternate: alone, and while others send what wears a server out (see `bombs`) and hold
connections half open. Printed is what the honest ones noticed of it, and the memory of all the server's processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from automask.dataset.image_file import ImageFile
from automask.dataset.walk import walk
from automask.errors import InputError

from .bombs import hostile_uploads
from .load import ready, serving

if TYPE_CHECKING:
    import httpx

_CLIENTS = 4
_WARM = 50
_TIMEOUT_S = 300.0


@dataclass(slots=True)
class _Seen:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    hostile: Counter[str] = field(default_factory=Counter)
    masks: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostileReport:
    """The figures.

    Attributes:
        honest_p95_s: Of each round without attackers.
        attacked_p95_s: Of each round with them.
        p95_ratio: Median of the latter by the median of the former.
        lost: Honest requests without a mask, or with another one than at first.
        hostile: Answers to hostile uploads by kind and status.
        half_open: Connections that were held half open in each attacked round.
        memory_before_mb: Of all processes, after the first honest requests.
        memory_peak_mb: The most at any time, pages that processes share counted once where the system tells (PSS).
        memory_after_mb: Of all processes, some time after the last hostile upload.
        memory_ratio: The last by the first.
        load: Processes that wanted a core of this machine, on average over the last minute.
    """

    honest_p95_s: list[float]
    attacked_p95_s: list[float]
    p95_ratio: float
    lost: int
    hostile: dict[str, int]
    half_open: int
    memory_before_mb: float
    memory_peak_mb: float
    memory_after_mb: float
    memory_ratio: float
    load: float


def measure(
    folder: Path,
    config_file: Path | None,
    *,
    rounds: int,
    requests: int,
    hostile: int,
    attackers: int,
    half_open: int,
    settle_s: float,
) -> HostileReport:
    """Serve, ask, attack.

    Raises:
        InputError: The folder holds no image.
    """
    images = [file.path.read_bytes() for file in walk(folder) if isinstance(file, ImageFile)]
    if not images:
        raise InputError(f"There is no image in {folder}.")
    with (
        tempfile.TemporaryDirectory(prefix="automask-hostile-") as temporary,
        serving(Path(temporary), config_file) as (url, process),
    ):
        work = _rounds(
            url, process.pid, images, rounds=rounds, requests=requests, hostile=hostile, attackers=attackers,
            half_open=half_open, settle_s=settle_s,
        )  # fmt: skip
        return asyncio.run(work)


async def _rounds(
    url: str,
    pid: int,
    images: list[bytes],
    *,
    rounds: int,
    requests: int,
    hostile: int,
    attackers: int,
    half_open: int,
    settle_s: float,
) -> HostileReport:
    import httpx

    seen, peak_mb = _Seen(), [0.0]
    uploads = hostile_uploads()
    alone: list[float] = []
    attacked: list[float] = []
    limits = httpx.Limits(max_connections=_CLIENTS + attackers + 1, max_keepalive_connections=_CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, limits=limits) as client:
        await ready(client)
        watcher = asyncio.create_task(_watch(pid, peak_mb))
        await _honest(client, images, seen, requests=_WARM)
        before_mb = memory_mb(pid)
        quotas = [hostile * (index + 1) // rounds - hostile * index // rounds for index in range(rounds)]
        for quota in quotas:
            alone.append(await _honest(client, images, seen, requests=requests))
            async with _held_open(url, half_open):
                sending = itertools.islice(uploads, quota)
                attack = [asyncio.create_task(_attack(client, sending, seen)) for _ in range(attackers)]
                attacked.append(await _honest(client, images, seen, requests=requests))
                await asyncio.gather(*attack)
        await asyncio.sleep(settle_s)
        after_mb = memory_mb(pid)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    return HostileReport(
        honest_p95_s=alone,
        attacked_p95_s=attacked,
        p95_ratio=round(statistics.median(attacked) / statistics.median(alone), 3),
        lost=seen.lost,
        hostile=dict(sorted(seen.hostile.items())),
        half_open=half_open,
        memory_before_mb=round(before_mb, 1),
        memory_peak_mb=round(peak_mb[0], 1),
        memory_after_mb=round(after_mb, 1),
        memory_ratio=round(after_mb / before_mb, 3) if before_mb else 0.0,
        load=round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0,
    )


async def _honest(client: httpx.AsyncClient, images: list[bytes], seen: _Seen, *, requests: int) -> float:
    """The 95th percentile of the seconds to a mask."""
    turns, seconds = iter(range(requests)), []

    async def ask() -> None:
        for turn in turns:
            index = turn % len(images)
            started = time.perf_counter()
            if not await _is_answered(client, index, images[index], seen):
                seen.lost += 1
            seconds.append(time.perf_counter() - started)

    await asyncio.gather(*(ask() for _ in range(_CLIENTS)))
    return round(sorted(seconds)[min(len(seconds) - 1, int(0.95 * len(seconds)))], 3)


async def _is_answered(client: httpx.AsyncClient, index: int, image: bytes, seen: _Seen) -> bool:
    import httpx

    try:
        answer = await client.post("/v1/masks", content=image)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and seen.masks.setdefault(index, answer.content) == answer.content


async def _attack(client: httpx.AsyncClient, uploads: Iterator[tuple[str, str, bytes, str]], seen: _Seen) -> None:
    import httpx

    for kind, path, body, media_type in uploads:
        try:
            answer = await client.post(path, content=body, headers={"Content-Type": media_type})
            seen.hostile[f"{kind}: {answer.status_code}"] += 1
        except httpx.HTTPError as error:
            seen.hostile[f"{kind}: {type(error).__name__}"] += 1


@contextlib.asynccontextmanager
async def _held_open(url: str, count: int) -> AsyncIterator[None]:
    """Connections that begin a request and do not go on."""
    place = urlsplit(url)
    writers = []
    for _ in range(count):
        try:
            _, writer = await asyncio.open_connection(place.hostname, place.port)
        except OSError:
            break
        writer.write(b"POST /v1/masks HTTP/1.1\r\nHost: ")
        writers.append(writer)
    try:
        yield
    finally:
        for writer in writers:
            writer.close()


async def _watch(pid: int, peak_mb: list[float]) -> None:
    while True:
        peak_mb[0] = max(peak_mb[0], shared_once_mb(pid))
        await asyncio.sleep(0.1)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and all below it; 0 where the system does not tell."""
    total = 0.0
    for each in processes_of(pid):
        with contextlib.suppress(OSError, IndexError):
            pages = int(Path(f"/proc/{each}/statm").read_text(encoding="ascii").split()[1])
            total += pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return total


def shared_once_mb(pid: int) -> float:
    """The same with pages that several processes share counted once; `memory_mb` where the system does not tell."""
    total_kb = 0
    for each in processes_of(pid):
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total_kb += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return total_kb * 1024 / 1e6 if total_kb else memory_mb(pid)


def processes_of(pid: int) -> set[int]:
    """A process and all below it."""
    found = {pid}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                found |= processes_of(int(child))
    return found


def main(
    folder: Annotated[Path, typer.Argument(help="Images that the honest clients ask for.")],
    *,
    rounds: Annotated[int, typer.Option(min=1, max=99, help="Without and with attackers, in turn.")] = 3,
    requests: Annotated[int, typer.Option(min=4, max=10_000, help="Honest requests per round.")] = 100,
    hostile: Annotated[int, typer.Option(min=1, max=100_000, help="Hostile uploads in all.")] = 200,
    attackers: Annotated[int, typer.Option(min=1, max=100, help="Hostile clients at the same time.")] = 4,
    half_open: Annotated[int, typer.Option(min=0, max=10_000, help="Connections held half open meanwhile.")] = 200,
    settle_seconds: Annotated[float, typer.Option(min=0, max=600, help="Before memory is measured again.")] = 60,
    config: Annotated[Path | None, typer.Option(help="Configuration file of the server.")] = None,
) -> None:
    """Attack a server of its own, and tell what honest clients notice. Prints JSON."""
    report = measure(
        folder, config, rounds=rounds, requests=requests, hostile=hostile, attackers=attackers, half_open=half_open,
        settle_s=settle_seconds,
    )  # fmt: skip
    typer.echo(json.dumps(asdict(report)))


if __name__ == "__main__":
    typer.run(main)
