"""What a target of very many shards costs its driver: time and memory of resuming, and of `automask status`.

`python -m tests.measuring.many_shards WORK --shards 50000` makes a real target of two small images in WORK, gives it
the records of so many finished shards of 2,000 images (10^8 images at 50,000), and times whole processes on it. Only
the files of masks and regions are missing, which neither command opens.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image as PillowImage

from automask.bench.tables import markdown_table
from automask.dataset.shards.samples import Shard
from automask.run.shards.target import HEAD_NAME, MANIFEST_NAME, done_name

from .processes import measured

SHARD_IMAGES = 2000
RUN = ("--detectors", "edges", "--dataset-detectors", "none", "--quiet", "--json")


def make_target(work: Path, shards: int) -> tuple[Path, Path]:
    """Source and target, with the records of so many shards; kept where they are there."""
    source, target = work / "images", work / f"target-{shards}"
    if (target / MANIFEST_NAME).exists() and (work / f"made-{shards}").exists():
        return source, target
    source.mkdir(parents=True, exist_ok=True)
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        PillowImage.fromarray(pixels).save(source / f"{number}.png")
    shutil.rmtree(target, ignore_errors=True)
    measured(
        [sys.executable, "-m", "automask", "run", str(source), "--output", str(target), "--shard-images", "2", *RUN]
    )
    record: dict[str, Any] = json.loads((target / done_name(Shard("000000"))).read_bytes())
    record.update(images=SHARD_IMAGES, masks=SHARD_IMAGES, verdicts={"auto": 1700, "review": 300})
    names = [f"{number:06d}" for number in range(shards)]
    for name in names:
        (target / done_name(Shard(name))).write_text(json.dumps({**record, "shard": name}))
    lines = [json.dumps(Shard(name, images=SHARD_IMAGES).to_json()) for name in names]
    (target / MANIFEST_NAME).write_text("\n".join(lines) + "\n")
    assert (target / HEAD_NAME).exists()
    (work / f"made-{shards}").touch()
    return source, target


def main(
    work: Annotated[Path, typer.Argument(help="Folder for source and target.")],
    shards: Annotated[int, typer.Option(help="Shards of 2,000 images.")] = 50_000,
) -> None:
    """Time a resumed run, which finds nothing to do, and `automask status`."""
    source, target = make_target(work, shards)
    commands = {
        "run again": ["run", str(source), "--output", str(target), *RUN],
        "status": ["status", str(target), "--json"],
    }
    rows = []
    for name, words in commands.items():
        found = measured([sys.executable, "-m", "automask", *words])
        told = json.loads(found.stdout)
        rows.append([name, f"{found.seconds:.1f}", f"{found.processor_seconds:.1f}", f"{found.peak_mib:.0f}"])
        sys.stderr.write(f"{name}: {json.dumps(told)[:400]}\n")
    images = shards * SHARD_IMAGES
    sys.stdout.write(f"{shards} shards, {images} images\n\n")
    sys.stdout.write(markdown_table(["command", "s", "s of processor", "peak MiB"], rows) + "\n")


if __name__ == "__main__":
    typer.run(main)
