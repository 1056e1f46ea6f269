"""Sources and targets of sharded runs for tests: small, real files."""

import dataclasses
import io
import json
import tarfile
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
from fakes import RedDetector, pipeline, red_on_grey
from PIL import Image

from automask.config import PipelineConfig
from automask.run.shards.driver import run_shards


def encoded(seed=0, suffix="png", **options):
    """Bytes of a small picture with a red box."""
    out = io.BytesIO()
    Image.fromarray(red_on_grey(seed=seed, **options)).save(out, {"jpg": "JPEG"}.get(suffix, suffix.upper()))
    return out.getvalue()


def image_folder(folder: Path, count=5, suffix="png"):
    """A folder of pictures, some in a sub-folder."""
    for index in range(count):
        path = folder / ("sub" if index % 2 else "") / f"{index:03d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(index, suffix))
    return folder


def tar_bytes(members):
    """A tar of (name, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def webdataset_tar(path: Path, count=4, first=0):
    """A tar with pictures, captions and metadata under WebDataset keys."""
    members = []
    for index in range(first, first + count):
        members += [
            (f"{index:05d}.jpg", encoded(index, "jpg")),
            (f"{index:05d}.txt", b"a red box"),
            (f"{index:05d}.json", b"{}"),
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(members))
    return path


def source_of(kind, folder: Path, count=6):
    """Pictures as a folder, tars of three or a Parquet file; gives what a run is told."""
    if kind == "folder":
        return image_folder(folder, count)
    if kind == "tar":
        for first in range(0, count, 3):
            webdataset_tar(folder / f"{first:05d}.tar", min(3, count - first), first)
        return folder / "*.tar"
    rows = [{"key": f"k/{index:03d}", "image": encoded(index)} for index in range(count)]
    return table_of(folder / "part.parquet", rows, group_rows=3)


class Unsure(RedDetector):
    """Is as sure of the red box as the picture's noise says: every image has a confidence of its own."""

    name = "unsure"

    def find(self, image):
        sure = 0.5 + 0.49 * (int(image.pixels[0, :8, 1].sum()) % 97) / 97
        return [dataclasses.replace(region, confidence=sure) for region in super().find(image)]


REVIEWED = PipelineConfig(dataset_detectors=(), review={"audit": 1.0})
"""Every image waits for a person."""


def run_unsure(source, target, **options):
    """A sharded run of which every image waits for a person, by a confidence of its own."""
    options = {"shard_images": 3, "config": REVIEWED, **options}
    return run(source, target, options.pop("detector", None) or Unsure(), **options)


def run(source, target, *detectors, config=None, **options):
    """A sharded run with cheap detectors."""
    config = config or PipelineConfig(dataset_detectors=())
    made = pipeline(*(detectors or (RedDetector(),)), config=config)
    return run_shards(str(source), str(target), config, pipeline=made, **options)


def masks_in(target: Path):
    """Masks of all shards by name."""
    found = {}
    for path in sorted((target / "masks").rglob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                found[member.name] = tar.extractfile(member).read()
    return found


def rows_in(target: Path):
    """Rows of all shards, by image."""
    rows = {}
    for path in sorted((target / "regions").rglob("*.parquet")):
        rows.update({row["image"]: row for row in parquet.read_table(path).to_pylist()})
    return rows


def records_in(target: Path):
    """Records of all shards, by name."""
    found = [json.loads(path.read_bytes()) for path in sorted((target / "done").rglob("*.done"))]
    return {record["shard"]: record for record in found}


def table_of(path: Path, rows, *, group_rows=None):
    """A Parquet file of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(rows), path, row_group_size=group_rows)
    return path


def copy_into(files, folder, url):
    """Put the files of a folder below a URL of an fsspec file system."""
    for path in folder.rglob("*.*"):
        files.pipe_file(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def copy_out(files, url, folder):
    """Fetch what is below a URL into a folder."""
    for name in files.find(url):
        path = folder / name.removeprefix(url).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files.cat_file(name))
    return folder
