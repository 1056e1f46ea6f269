"""Damaged tars and Parquet files, whatever is wrong with them: the rest of the shard is missing, and nothing else."""

import contextlib
import gzip
import io
import json
import random
import tarfile
from pathlib import Path

import pytest
from fakes import RedDetector
from shard_cases import encoded, image_folder, masks_in, records_in, rows_in, run, table_of

from automask.config import PipelineConfig
from automask.dataset.shards.opening import open_source
from automask.dataset.shards.samples import ShardDamaged
from automask.errors import ImageError
from automask.run.shards import redrawing

COUNT = 120
"""Damaged files of each kind: 4,500 of other seeds gave no other error than these."""


def small(seed):
    return encoded(seed, width_px=8, height_px=8, box=(0, 0, 4, 4))


def pax_tar():
    """A tar with long and foreign names and extended headers, which have many ways to be wrong."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for index in range(4):
            member = tarfile.TarInfo(f"d{'ü' * 60}/{index}.png")
            member.size, member.pax_headers = len(small(index)), {"comment": "x" * index}
            tar.addfile(member, io.BytesIO(small(index)))
        member = tarfile.TarInfo("x" * 200 + ".png")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


def table(folder: Path):
    rows = [{"key": str(index), "jpg": small(index)} for index in range(6)]
    return table_of(folder / "whole.pq", rows, group_rows=2).read_bytes()


def damaged(data: bytes, number: int, *, suffix):
    """The file with some bytes changed; every other one where its structure is."""
    chance, changed = random.Random(number), bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 10))):
        at = chance.randrange(len(data))
        if number % 2 and suffix == "tar":
            at = min(at // 512 * 512 + chance.randrange(300), len(data) - 1)
        if number % 2 and suffix == "parquet":
            at = chance.randrange(len(data) - 800, len(data))
        changed[at] = chance.choice((0, 255, 48, 57, chance.randrange(256)))
    return bytes(changed)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "parquet"])
def test_bytes_that_changed_are_damage_and_no_crash(tmp_path, suffix):
    whole = {"tar": pax_tar, "tar.gz": lambda: gzip.compress(pax_tar()), "parquet": lambda: table(tmp_path)}[suffix]()
    ends = {"damaged": 0, "whole": 0}
    for number in range(COUNT):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(damaged(whole, number, suffix=suffix))
        source = open_source(str(path), PipelineConfig().decode, target=str(tmp_path / "out"))
        try:
            for shard, _ in source.shards(3, on_progress=lambda seen: None):
                for sample in source.samples(shard, None, most_bytes=10**8):
                    with contextlib.suppress(ImageError):
                        sample.read()
            ends["whole"] += 1
        except ShardDamaged:
            ends["damaged"] += 1
    assert ends["damaged"] > COUNT / 5, ends


def test_rows_that_cannot_be_used_are_analysed_again(tmp_path, monkeypatch):
    """Their bytes are as they were written, so that only reading them tells."""
    folder = image_folder(tmp_path / "set", 3)
    run(folder, tmp_path / "target")

    def damaged_row(row, fingerprints):
        raise ValueError("run lengths add up to 3 pixels instead of 4")

    monkeypatch.setattr(redrawing, "found_of", damaged_row)
    grown = PipelineConfig(dataset_detectors=(), render={"growth_cells": 3})
    seen = RedDetector()
    assert dict(run(folder, tmp_path / "target", seen, config=grown).done) == {"analysed": 1}
    assert len(seen.seen) == 3
    assert len(masks_in(tmp_path / "target")) == len(rows_in(tmp_path / "target")) == 3


def test_a_damaged_shard_stays_one_when_its_masks_are_drawn_again(tmp_path):
    (tmp_path / "a.tar").write_bytes(pax_tar()[:4000])
    run(tmp_path / "a.tar", tmp_path / "target")
    before = records_in(tmp_path / "target")["a"]
    grown = PipelineConfig(dataset_detectors=(), render={"growth_cells": 3})
    summary = run(tmp_path / "a.tar", tmp_path / "target", config=grown)
    assert dict(summary.done) == {"rendered": 1}
    after = records_in(tmp_path / "target")["a"]
    assert before["error"] == after["error"] is not None
    assert json.dumps(before["fingerprints"]) != json.dumps(after["fingerprints"])
