"""Parquet files with paths of images instead of their bytes."""

import shutil

import pytest
from shard_cases import encoded, image_folder, masks_in, records_in, rows_in, run, run_unsure, table_of

from automask.run.shards.gathering import gather

NAMES = ["000.png", "sub/001.png", "002.png", "sub/003.png"]


def source(folder, rows, name="list/x.parquet"):
    """A Parquet file beside a folder of images."""
    image_folder(folder / "list" / "images", 4)
    return table_of(folder / name, rows)


@pytest.mark.parametrize("column", ["image", "file_name", "Path"])
def test_masks_are_those_of_the_files(tmp_path, column):
    path = source(tmp_path, [{column: f"images/{name}", "id": name} for name in NAMES])
    summary = run(path, tmp_path / "target")
    assert (summary.images, summary.failed) == (4, 0)
    run(tmp_path / "list" / "images", tmp_path / "plain")
    assert masks_in(tmp_path / "target") == masks_in(tmp_path / "plain")
    assert sorted(rows_in(tmp_path / "target")) == sorted(f"images/{name}" for name in NAMES)


def test_structs_of_the_hub_without_bytes(tmp_path):
    rows = [{"image": {"bytes": None, "path": f"images/{name}"}} for name in NAMES[:3]]
    rows.append({"image": {"bytes": encoded(3), "path": "own.png"}})
    run(source(tmp_path, rows), tmp_path / "target")
    assert [row["status"] for row in rows_in(tmp_path / "target").values()] == ["done"] * 4
    assert sorted(masks_in(tmp_path / "target")) == [f"x-{number:09d}.png" for number in range(4)]


def test_what_is_no_file_there_is_a_row(tmp_path):
    (tmp_path / "secret.png").write_bytes(encoded(9))
    bad = [
        "../secret.png", str(tmp_path / "secret.png"), "images/../../secret.png", "images", "", "x" * 300, "gone.png",
        "a\0b", "..", "images/..", None,
    ]  # fmt: skip
    path = source(tmp_path, [{"image": name} for name in [f"images/{NAMES[0]}", *bad]])
    summary = run(path, tmp_path / "target")
    assert (summary.images, summary.failed, dict(summary.unfinished)) == (len(bad) + 1, len(bad), {})
    codes = {issue["code"] for row in rows_in(tmp_path / "target").values() for issue in row["issues"]}
    assert codes <= {"image-not-a-file", "image-missing", "image-empty"}


def test_addresses_are_told_to_be_downloaded_first(tmp_path):
    path = source(tmp_path, [{"image": "https://a.example/1.jpg"}, {"image": "https://a.example/2.jpg"}])
    summary = run(path, tmp_path / "target")
    assert "download them with img2dataset" in summary.damaged["x"]
    assert records_in(tmp_path / "target")["x"]["error"][0] == "shard-columns"


def test_they_are_gathered_and_grouped(tmp_path):
    path = source(tmp_path, [{"image": f"images/{name}", "key": name} for name in NAMES])
    run_unsure(path, tmp_path / "target")
    told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=4)
    assert (told.gathered, told.refused) == (4, {})
    shutil.rmtree(tmp_path / "list" / "images" / "sub")
    told = gather(str(tmp_path / "target"), tmp_path / "other", doubtful=4)
    assert (told.gathered, len(told.refused)) == (2, 2)
