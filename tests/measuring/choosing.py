"""What it costs to choose the most doubtful images of a large sharded target: time and memory of `automask gather`.

`python -m tests.measuring.choosing WORK --shards 500` makes a target of so many shards of 2,000 rows each, which are
links to a few Parquet files of random confidence without regions, and times a process that chooses 2,000 of them. No
image is fetched.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from automask.dataset.shards.parquet import pyarrow_modules
from automask.dataset.shards.samples import Shard
from automask.run.shards.records import FORMAT
from automask.run.shards.rows import ROWS_PER_GROUP, ImageFacts, failed_row, schema
from automask.run.shards.target import HEAD_NAME, MANIFEST_NAME, done_name, regions_name

from .processes import measured

SHARD_IMAGES, COUNT, FILES = 2000, 2000, 16
CHOOSE = """
import sys, threading
from automask.run.shards.selecting import most_doubtful
from automask.run.shards.target import ShardTarget
target = ShardTarget.at(sys.argv[1])
shards = ((shard, record) for shard, record in target.records(target.manifest()) if record is not None)
found = most_doubtful(target, shards, int(sys.argv[2]), on_progress=lambda seen: None, stop=threading.Event())
print(len(found), found[0].confidence, found[-1].confidence)
"""


def make_target(work: Path, shards: int) -> Path:
    """The target; kept where it is there."""
    target = work / f"choosing-{shards}"
    if (target / MANIFEST_NAME).exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("regions", "done"):
        (target / folder).mkdir(parents=True)
    arrow, parquet = pyarrow_modules()
    for number in range(FILES):
        rows = list(_rows(number))
        table = arrow.Table.from_pylist(rows, schema=schema())
        parquet.write_table(table, target / f"{number}.rows", row_group_size=ROWS_PER_GROUP, compression="zstd")
    names = [f"{number:06d}" for number in range(shards)]
    for number, name in enumerate(names):
        shard = Shard(name, images=SHARD_IMAGES)
        os.link(target / f"{number % FILES}.rows", target / regions_name(shard))
        (target / done_name(shard)).write_text(json.dumps(_record(shard)))
    head = {"format": FORMAT, "source": "/images", "kind": "folder", "shard_images": SHARD_IMAGES, "version": "0"}
    (target / HEAD_NAME).write_text(json.dumps(head))
    lines = [json.dumps(Shard(name, images=SHARD_IMAGES).to_json()) for name in names]
    (target / MANIFEST_NAME).write_text("\n".join(lines) + "\n")
    return target


def _rows(seed: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    for number in range(SHARD_IMAGES):
        facts = ImageFacts(f"{number:09d}", f"{number:09d}.jpg", f"{number:09d}.png", rng.bytes(32).hex())
        doubt = {"status": "done", "verdict": "review" if rng.random() < 0.15 else "auto", "confidence": rng.random()}
        yield {**failed_row(facts, ()), **doubt}


def _record(shard: Shard) -> dict[str, Any]:
    part = {"name": regions_name(shard), "size_bytes": 0, "sha256": ""}
    prints = dict.fromkeys(("detect", "refine", "templates", "fuse"), "")
    return {
        "shard": shard.name, "images": SHARD_IMAGES, "tag": "", "format": FORMAT, "masks": SHARD_IMAGES, "issues": {},
        "verdicts": {"auto": 1700, "review": 300}, "fingerprints": prints, "parts": {"regions": part, "masks": part},
        "error": None, "work": "analysed", "seconds": 1.0, "finished_s": 1.0, "version": "0",
    }  # fmt: skip


def main(
    work: Annotated[Path, typer.Argument(help="Folder for the target.")],
    shards: Annotated[int, typer.Option(help="Shards of 2,000 rows.")] = 500,
) -> None:
    """Time the choice."""
    found = measured([sys.executable, "-c", CHOOSE, str(make_target(work, shards)), str(COUNT)])
    sys.stderr.write(found.stdout.decode())
    told = f"{found.seconds:.1f} s, {found.processor_seconds:.1f} s of processor, {found.peak_mib:.0f} MiB"
    sys.stdout.write(f"{COUNT} of {shards * SHARD_IMAGES} rows in {shards} shards: {told}\n")


if __name__ == "__main__":
    typer.run(main)
