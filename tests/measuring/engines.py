"""Two Ray workers against two separate processes of the engine `local`, on the same images of the same machine.

`python -m tests.measuring.engines FOLDER WORK --images 400` runs both in turn, each on a new target and with one thread
a worker, and prints images per second: of the whole command, and from the first shard that ended to the last one, which
leaves out what starting costs once. The machine should have nothing else to do. Arguments after `--` go to every run.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from automask.bench.tables import markdown_table
from automask.dataset.names import is_image_name

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Speed:
    """What one arm reached.

    Attributes:
        whole: Images per second of the whole command, starting included.
        steady: Images per second between the ends of the first and the last shard.
    """

    whole: float
    steady: float


def make_source(folder: Path, work: Path, count: int) -> Path:
    """A folder with so many images: those of another one, over and over, under names of their own."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and is_image_name(path.name))
    if not paths:
        raise typer.BadParameter(f"{folder} has no images")
    source = work / "images"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for number, path in zip(range(count), itertools.cycle(paths)):
        shutil.copyfile(path, source / f"{number:06d}{path.suffix.lower()}")
    return source


def speed_of(target: Path, commands: list[list[str]]) -> Speed:
    """Run commands at once on a new target, and look at the records that they leave."""
    shutil.rmtree(target, ignore_errors=True)
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    began = time.perf_counter()
    running = [subprocess.Popen(words, env=environment) for words in commands]
    codes = [process.wait() for process in running]
    seconds = time.perf_counter() - began
    if any(code not in (0, 8) for code in codes):
        raise RuntimeError(f"the runs ended with {codes}")
    records = [json.loads(path.read_bytes()) for path in (target / "done").rglob("*.done")]
    records.sort(key=lambda record: float(record["finished_s"]))
    images = sum(int(record["images"]) for record in records)
    steady_s = float(records[-1]["finished_s"]) - float(records[0]["finished_s"])
    later = images - int(records[0]["images"])
    return Speed(images / seconds, later / steady_s if steady_s > 0 else 0.0)


def main(
    folder: Annotated[Path, typer.Argument(help="Images to take copies of.")],
    work: Annotated[Path, typer.Argument(help="Folder for source and targets.")],
    more: Annotated[list[str] | None, typer.Argument(help="More arguments of `automask run`.")] = None,
    images: Annotated[int, typer.Option(help="Images of a run.")] = 400,
    shard_images: Annotated[int, typer.Option(help="Images of a shard.")] = 10,
    rounds: Annotated[int, typer.Option(help="How often both are run.")] = 2,
) -> None:
    """Compare the engines."""
    source = make_source(folder, work, images)
    common = ["--shard-images", str(shard_images), "--threads", "1", "--quiet", *(more or ())]
    rows: list[list[str]] = []
    ratios: list[float] = []
    for number in range(rounds):
        found: dict[str, Speed] = {}
        for engine in ("local", "ray") if number % 2 == 0 else ("ray", "local"):
            target = work / f"target-{engine}"
            words = [sys.executable, "-m", "automask", "run", str(source), "--output", str(target), *common]
            if engine == "local":
                found[engine] = speed_of(target, [words] * WORKERS)
            else:
                found[engine] = speed_of(target, [[*words, "--engine", "ray", "--workers", str(WORKERS)]])
        ratio = found["ray"].steady / found["local"].steady
        ratios.append(ratio)
        for engine, speed in sorted(found.items()):
            rows.append([str(number + 1), engine, f"{speed.whole:.2f}", f"{speed.steady:.2f}"])
    sys.stdout.write(markdown_table(["round", "engine", "images/s, whole", "images/s, steady"], rows) + "\n\n")
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    sys.stdout.write(f"ray / local, steady: {told}; median {statistics.median(ratios):.2f}, wanted .85\n")


if __name__ == "__main__":
    typer.run(main)
