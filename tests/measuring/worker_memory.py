"""Peak memory of one worker with its models: a driver of the engine `local`, and an actor of the engine `ray`.

`python -m tests.measuring.worker_memory FOLDER WORK` runs a folder of images in shards of ten by either engine, with
one thread. The actor is a process of Ray's and no child of the driver, so its peak is read from /proc while it lives.
Arguments after `--` go to both runs. On Linux.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from automask.bench.tables import markdown_table

from .processes import measured

ACTOR = "ray::RayShardWorker"
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_LOOK_S = 0.2


def actors_peak_mib() -> float:
    """Most resident memory so far of the largest actor that lives; 0 where there is none."""
    peaks = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not process.joinpath("cmdline").read_bytes().startswith(ACTOR.encode()):
                continue
            found = _PEAK.search(process.joinpath("status").read_text())
        except OSError:  # it ended meanwhile
            continue
        if found is not None:
            peaks.append(int(found[1]) / 1024)
    return max(peaks)


def main(
    folder: Annotated[Path, typer.Argument(help="Images.")],
    work: Annotated[Path, typer.Argument(help="Folder for targets.")],
    more: Annotated[list[str] | None, typer.Argument(help="More arguments of `automask run`.")] = None,
) -> None:
    """Measure both."""
    work.mkdir(parents=True, exist_ok=True)
    run = [sys.executable, "-m", "automask", "run", str(folder), "--shard-images", "10", "--threads", "1", "--quiet"]
    run += more or ()
    for engine in ("local", "ray"):
        shutil.rmtree(work / engine, ignore_errors=True)
    local = measured([*run, "--output", str(work / "local")])
    peak_mib = 0.0
    process = subprocess.Popen([*run, "--output", str(work / "ray"), "--engine", "ray", "--workers", "1"])
    while process.poll() is None:
        peak_mib = max(peak_mib, actors_peak_mib())
        time.sleep(_LOOK_S)
    if process.returncode or not peak_mib:
        raise RuntimeError(f"the run by Ray ended with {process.returncode}, its actor held {peak_mib} MiB")
    rows = [["driver of `local`", f"{local.peak_mib:.0f}"], ["actor of `ray`", f"{peak_mib:.0f}"]]
    sys.stdout.write(markdown_table(["process", "peak MiB"], rows) + "\n")


if __name__ == "__main__":
    typer.run(main)
