"""What automask costs beside its models: a big folder run again, looked at, exported, and its report.

`python -m tests.measuring.upkeep WORK --images 20000` makes a folder and its store in WORK, where they are missing, and
times whole processes on it. `--beside PYTHON` does the same with another installation, in turns, each on a copy of the
store. Figures are user and system seconds: other programs may keep the machine busy.

`--shares` tells instead how much of a first run goes into PNG encoding, the second pass and the report.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image as PillowImage

from automask.bench.tables import markdown_table
from automask.config import PipelineConfig
from automask.dataset.codes import SkipReason
from automask.dataset.image_file import ImageFile
from automask.dataset.walk import walk
from automask.files.png import encode_mask
from automask.run.runner import run_dataset
from automask.run.second_pass import SecondPass
from automask.store import Store, masks

SIZE_PX = (160, 120)
FRAME_PX = 12
ANALYSED = 100
"""Pictures that models really see; what they find on one is put for others of the same frame, so that 20,000 are made
in minutes. Every picture has its own pixels, row and mask file."""
DETECTORS = ("edges",)
CHEAP = ("--detectors", ",".join(DETECTORS), "--quiet")


def make_folder(folder: Path, images: int) -> None:
    """Small pictures, no two alike; every second one in a plain frame."""
    folder.mkdir(parents=True, exist_ok=True)
    width_px, height_px = SIZE_PX
    across, down = np.meshgrid(np.linspace(0, 6, width_px), np.linspace(0, 6, height_px))
    for number in range(images):
        path = folder / f"picture-{number:05d}.jpg"
        if path.exists():
            continue
        random = np.random.default_rng(number)
        waves = [np.sin(across * a + down * b + c) for a, b, c in random.uniform(0.5, 4, (3, 3))]
        pixels = (127 + 90 * np.stack(waves, axis=-1)).clip(0, 255).astype(np.uint8)
        if number % 2:
            framed = np.full_like(pixels, random.integers(0, 256, 3))
            inside = slice(FRAME_PX, -FRAME_PX)
            framed[inside, inside] = pixels[inside, inside]
            pixels = framed
        PillowImage.fromarray(pixels).save(path, quality=90)


def make_store(folder: Path, output: Path) -> None:
    """A store in which every picture is done, as `automask run --detectors edges` leaves it."""
    files = [item for item in walk(folder) if isinstance(item, ImageFile)]
    first = {file.id for file in files[:ANALYSED]}
    run_dataset(
        folder,
        output,
        PipelineConfig(detectors=DETECTORS),
        choose=lambda file: None if file.id in first else SkipReason.HIDDEN,
    )
    with Store.open(output) as store, store.lock():
        for number, file in enumerate(files[ANALYSED:], start=ANALYSED):
            like = files[number % ANALYSED]
            found, stored = store.result(like.id), store.lookup(like.id)
            if found is None or stored is None or stored.mask_name is None:
                raise RuntimeError(f"{like.id} has no mask")
            with PillowImage.open(store.mask_path(stored.mask_name)) as mask:
                levels = np.asarray(mask.convert("L"))
            result = dataclasses.replace(found, image_id=file.id)
            content_sha256 = hashlib.sha256(file.path.read_bytes()).hexdigest()
            store.put_result(file, result, levels, content_sha256=content_sha256)
    _cpu_s(sys.executable, "run", str(folder), "--output", str(output), *CHEAP, "--no-report")  # the second pass


def steps(folder: Path, output: Path) -> Iterator[tuple[str, tuple[str, ...], Path | None]]:
    """What is timed: its name, the arguments of `automask`, and what is removed before."""
    run = ("run", str(folder), "--output", str(output), *CHEAP)
    exports, report = output / "exports", output / "report"
    yield "run again, no report", (*run, "--no-report"), None
    yield "status", ("status", str(output)), None
    yield "export, first", ("export", str(output), "--to", "kohya"), exports
    yield "export again", ("export", str(output), "--to", "kohya"), None
    yield "report, first", ("report", str(output)), report
    yield "report again", ("report", str(output)), None
    yield "run again", run, None


def _cpu_s(python: str, *arguments: str) -> float:
    """User and system seconds of one whole `automask` process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([python, "-m", "automask", *arguments], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"automask {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _bytes_of(folder: Path) -> tuple[int, int]:
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def measure(work: Path, pythons: dict[str, str], *, rounds: int) -> None:
    """Print a table of all steps with every installation."""
    folder, made = work / "images", work / "images-masks"
    seconds: dict[str, dict[str, list[float]]] = {}
    for name in pythons:
        if not (work / name).exists():
            shutil.copytree(made, work / name)
    for _ in range(rounds):
        for name, python in pythons.items():
            for step, arguments, removed in steps(folder, work / name):
                if removed is not None:
                    shutil.rmtree(removed, ignore_errors=True)
                seconds.setdefault(step, {}).setdefault(name, []).append(_cpu_s(python, *arguments))
    rows = [[step, *(f"{statistics.median(of[name]):.1f} s" for name in pythons)] for step, of in seconds.items()]
    typer.echo(markdown_table(["step", *pythons], rows))
    for name in pythons:
        count, size = _bytes_of(work / name / "report")
        typer.echo(f"{name}: report of {count} files, {size / 1e6:.1f} MB")


class _Clock:
    """Adds up the processor seconds of calls, by thread or of the whole process."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.seconds = 0.0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = self._now()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds += self._now() - started

        return timed


def shares(folder: Path, output: Path, detectors: tuple[str, ...] | None) -> None:
    """Run a folder for the first time and print what share of it each part takes."""
    from automask.report.pages import write_report

    config = PipelineConfig() if detectors is None else PipelineConfig(detectors=detectors)
    clocks = {"PNG encoding": _Clock(time.thread_time), "second pass": _Clock(time.process_time)}
    setattr(masks, "encode_mask", clocks["PNG encoding"].around(encode_mask))  # noqa: B010  # mypy: not exported there
    SecondPass.work = clocks["second pass"].around(SecondPass.work)  # type: ignore[method-assign]
    clocks["report"] = _Clock(time.process_time)
    started = time.process_time()
    summary = run_dataset(folder, output, config)
    clocks["report"].around(write_report)(output)
    whole = time.process_time() - started
    rows = [[name, f"{clock.seconds:.1f} s", f"{clock.seconds / whole:.1%}"] for name, clock in clocks.items()]
    typer.echo(markdown_table(["part", "processor time", "share"], [*rows, ["whole run", f"{whole:.1f} s", "100.0%"]]))
    typer.echo(json.dumps({"written": summary.written, "updated": summary.updated}))


def main(
    work: Annotated[Path, typer.Argument(help="Folder for pictures and stores; kept.")],
    images: Annotated[int, typer.Option(help="Pictures.")] = 20_000,
    beside: Annotated[str | None, typer.Option(help="Interpreter of another installation.")] = None,
    rounds: Annotated[int, typer.Option(help="The median of so many.")] = 3,
    only_shares: Annotated[bool, typer.Option("--shares", help="Shares of a first run.")] = False,
    detectors: Annotated[str | None, typer.Option(help="For --shares; the default ones without.")] = None,
) -> None:
    """Measure."""
    make_folder(work / "images", images)
    if only_shares:
        output = work / "shares"
        shutil.rmtree(output, ignore_errors=True)
        shares(work / "images", output, tuple(detectors.split(",")) if detectors is not None else None)
        return
    if not (work / "images-masks").exists():
        make_store(work / "images", work / "images-masks")
    measure(work, {"here": sys.executable} | ({"beside": beside} if beside else {}), rounds=rounds)


if __name__ == "__main__":
    typer.run(main)
