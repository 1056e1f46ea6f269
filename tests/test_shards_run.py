"""Sharded runs: every kind of source, the same masks as a run on one machine, and bad files that end nothing."""

import hashlib

import numpy as np
import pytest
from fakes import CrashOn, RedDetector, pipeline
from shard_cases import (
    encoded,
    image_folder,
    masks_in,
    records_in,
    rows_in,
    run,
    table_of,
    tar_bytes,
    webdataset_tar,
)

from automask.config import PipelineConfig
from automask.errors import ConfigError, InputError, OutputError
from automask.run.runner import run_dataset
from automask.values import rle


def store_masks(folder, output, *detectors):
    config = PipelineConfig(dataset_detectors=())
    run_dataset(folder, output, config, pipeline=pipeline(*(detectors or (RedDetector(),)), config=config))
    root = output / "masks"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.png")}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_masks_are_those_of_a_run_on_one_machine(tmp_path, batch_size):
    folder = image_folder(tmp_path / "set", 7)
    (folder / "twin.png").write_bytes(encoded(20))
    (folder / "twin.jpg").write_bytes(encoded(21, "jpg"))
    expected = store_masks(folder, tmp_path / "store")
    config = PipelineConfig(dataset_detectors=(), runtime={"batch_size": batch_size})
    summary = run(folder, tmp_path / "target", config=config, shard_images=3)
    assert masks_in(tmp_path / "target") == expected
    assert len(expected) == 9
    assert (summary.shards, summary.images, summary.failed) == (3, 9, 0)


def test_batch_size_changes_no_byte_of_a_target(tmp_path):
    folder = image_folder(tmp_path / "set", 5)
    for size in (1, 4):
        config = PipelineConfig(dataset_detectors=(), runtime={"batch_size": size})
        run(folder, tmp_path / str(size), config=config, shard_images=3)
    files = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.*") if path.suffix != ".done"]
    assert len(files) >= 6
    for name in files:
        if name.name != "automask-shards.json":
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes(), name


def test_a_row_tells_everything_about_its_image(tmp_path):
    folder = image_folder(tmp_path / "set", 1)
    run(folder, tmp_path / "target")
    (row,) = rows_in(tmp_path / "target").values()
    assert row["content_sha256"] == hashlib.sha256((folder / "000.png").read_bytes()).hexdigest()
    assert (row["width_px"], row["height_px"], row["status"], row["mask"]) == (96, 64, "done", "000.png")
    assert 0 < row["masked_share"] < 1
    (region,) = row["regions"]
    assert [region[name] for name in ("x0", "y0", "x1", "y1")] == [16, 16, 48, 32]
    assert (region["kind"], region["source"], region["confidence"]) == ("text", "red", 0.99)
    box = [region[f"patch_{name}"] for name in ("x0", "y0", "x1", "y1")]
    patch = rle.decode(region["patch_rle"])
    assert patch.shape == (box[3] - box[1], box[2] - box[0])
    assert patch.sum() == 16 * 32, "the patch is not grown"


def test_reasons_say_why_an_image_waits(tmp_path):
    folder = image_folder(tmp_path / "set", 1)
    config = PipelineConfig(dataset_detectors=(), policy={"text": {"action": "review"}})
    run(folder, tmp_path / "target", config=config)
    (row,) = rows_in(tmp_path / "target").values()
    assert row["verdict"] == "review"
    assert row["reasons"] == ["You asked to see every image with text."]


class TestTars:
    def test_masks_have_the_keys_and_shards_the_names_of_the_source(self, tmp_path):
        for number in range(3):
            webdataset_tar(tmp_path / "data" / f"{number:03d}.tar", first=4 * number)
        summary = run(tmp_path / "data" / "{000..001}.tar", tmp_path / "target")
        assert summary.images == 8
        assert sorted(records_in(tmp_path / "target")) == ["000", "001"]
        assert list(masks_in(tmp_path / "target")) == [f"{index:05d}.png" for index in range(8)]
        assert rows_in(tmp_path / "target")["00003.jpg"]["key"] == "00003"
        everything = run(tmp_path / "data" / "*.tar", tmp_path / "other")
        assert everything.images == 12
        assert run(tmp_path / "data", tmp_path / "third").images == 12, "a folder of tars is one of tars"

    def test_masks_are_those_of_the_files_in_them(self, tmp_path):
        folder = image_folder(tmp_path / "set", 3, "jpg")
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
        (tmp_path / "a.tar").write_bytes(tar_bytes([(name, (folder / name).read_bytes()) for name in names]))
        run(tmp_path / "a.tar", tmp_path / "target")
        assert masks_in(tmp_path / "target") == store_masks(folder, tmp_path / "store")

    def test_keys_end_at_the_first_dot_and_the_plainest_image_counts(self, tmp_path):
        members = [("d/a.thumb.jpg", encoded(1, "jpg")), ("d/a.jpg", encoded(2, "jpg")), ("d/a.txt", b"")]
        members += [("../evil.jpg", encoded(3, "jpg")), ("d/only.txt", b"no image")]
        (tmp_path / "a.tar").write_bytes(tar_bytes(members))
        run(tmp_path / "a.tar", tmp_path / "target")
        assert list(rows_in(tmp_path / "target")) == ["d/a.jpg"]
        assert list(masks_in(tmp_path / "target")) == ["d/a.png"]

    def test_one_bad_image_is_a_row(self, tmp_path):
        members = [("a.jpg", encoded(1, "jpg")), ("b.jpg", b"not a picture"), ("c.jpg", encoded(2, "jpg")[:300])]
        members += [("crash.jpg", encoded(3, "jpg")), ("e.jpg", encoded(4, "jpg"))]
        (tmp_path / "a.tar").write_bytes(tar_bytes(members))
        summary = run(tmp_path / "a.tar", tmp_path / "target", CrashOn("crash"))
        assert list(masks_in(tmp_path / "target")) == ["a.png", "e.png"]
        codes = {image: [one["code"] for one in row["issues"]] for image, row in rows_in(tmp_path / "target").items()}
        assert codes == {
            "a.jpg": [],
            "b.jpg": ["image-unsupported"],
            "c.jpg": ["image-truncated"],
            "crash.jpg": ["stage-failed"],
            "e.jpg": [],
        }
        assert (summary.failed, summary.damaged) == (3, {})

    @pytest.mark.parametrize("damage", ["cut", "none", "gone", "gzip"])
    def test_one_bad_tar_is_not_the_end(self, tmp_path, damage):
        data = tmp_path / "data"
        for number in range(3):
            webdataset_tar(data / f"{number}.tar")
        bad = data / "1.tar"
        whole = bad.read_bytes()
        match damage:
            case "cut":
                bad.write_bytes(whole[: len(whole) // 2 + 100])
            case "none":
                bad.write_bytes(b"<html>404</html>" * 100)
            case "gone":
                bad.unlink()
            case "gzip":
                bad.write_bytes(b"\x1f\x8b\x08\x00" + whole[:500])
        summary = run(data / "{0..2}.tar", tmp_path / "target")
        assert list(summary.damaged) == ["1"]
        records = records_in(tmp_path / "target")
        assert records["0"]["images"] == records["2"]["images"] == 4
        assert records["1"]["error"][0] == ("shard-missing" if damage == "gone" else "shard-damaged")
        assert records["1"]["images"] == (3 if damage == "cut" else 0)
        again = run(data / "{0..2}.tar", tmp_path / "target")
        assert (again.reused, list(again.damaged)) == (3, ["1"]), "it is told again, and not done again"
        bad.write_bytes(whole)
        mended = run(data / "{0..2}.tar", tmp_path / "target")
        assert (mended.reused, dict(mended.done), mended.damaged) == (2, {"analysed": 1}, {})
        assert run(data / "{0..2}.tar", tmp_path / "target").reused == 3

    def test_a_tar_that_is_cut_off_anywhere_is_noticed(self, tmp_path):
        """`tarfile` takes a cut or damaged header for the end, and nobody would miss what came after."""
        whole = tar_bytes(
            [(f"{index}.png", encoded(index, width_px=8, height_px=8, box=(0, 0, 4, 4))) for index in range(3)]
        )
        member = 512 + 512 * -(-len(encoded(0, width_px=8, height_px=8, box=(0, 0, 4, 4))) // 512)
        cuts = [0, 100, 512, 600, member - 1, member, member + 100, 2 * member, 3 * member]
        assert whole[600:1024].strip(b"\0"), (
            "the cut at 600 is in the first picture, that at its end in the filling after it"
        )
        (tmp_path / "data").mkdir()
        for cut in cuts:
            (tmp_path / "data" / f"{cut}.tar").write_bytes(whole[:cut])
        (tmp_path / "data" / "header.tar").write_bytes(whole[:member] + b"x" * 512 + whole[member + 512 :])
        summary = run(tmp_path / "data", tmp_path / "target")
        assert sorted(summary.damaged) == sorted([*map(str, cuts), "header"])
        images = {name: record["images"] for name, record in records_in(tmp_path / "target").items()}
        assert images == {
            **dict.fromkeys(["0", "100", "512", "600"], 0),
            **dict.fromkeys([str(member - 1), str(member), str(member + 100), "header"], 1),
            str(2 * member): 2,
            str(3 * member): 3,
        }

    def test_a_tar_that_lacks_images_of_img2dataset_is_noticed(self, tmp_path):
        webdataset_tar(tmp_path / "00000.tar", count=3)
        rows = [{"key": f"{index:05d}", "status": "success" if index < 4 else "failed"} for index in range(6)]
        table_of(tmp_path / "00000.parquet", rows)
        run(tmp_path, tmp_path / "target")
        record = records_in(tmp_path / "target")["00000"]
        assert record["error"][0] == "shard-short"
        assert record["images"] == 3
        table_of(tmp_path / "00000.parquet", rows[:3])
        run(tmp_path, tmp_path / "other")
        assert records_in(tmp_path / "other")["00000"]["error"] is None


class TestParquet:
    def test_bytes_and_structs_are_read_and_cut_at_row_groups(self, tmp_path):
        rows = [{"id": f"x/{index}.jpg", "jpg": encoded(index, "jpg"), "caption": "c"} for index in range(6)]
        table_of(tmp_path / "plain" / "a.parquet", rows, group_rows=2)
        run(tmp_path / "plain" / "*.parquet", tmp_path / "target", shard_images=4)
        assert sorted(records_in(tmp_path / "target")) == ["a-0000", "a-0001"]
        assert list(masks_in(tmp_path / "target")) == [f"x/{index}.png" for index in range(6)]
        structs = [{"image": {"bytes": encoded(index, "jpg"), "path": f"{index}.jpg"}} for index in range(3)]
        table_of(tmp_path / "hub.parquet", structs)
        run(tmp_path / "hub.parquet", tmp_path / "other")
        assert list(masks_in(tmp_path / "other")) == [f"hub-{index:09d}.png" for index in range(3)]
        assert rows_in(tmp_path / "other")["2.jpg"]["key"] == "hub-000000002"

    def test_keys_cannot_lead_out_of_a_folder(self, tmp_path):
        table_of(tmp_path / "a.parquet", [{"key": "../../etc/x", "png": encoded(1)}, {"key": "/abs", "png": None}])
        run(tmp_path / "a.parquet", tmp_path / "target")
        rows = rows_in(tmp_path / "target")
        assert list(masks_in(tmp_path / "target")) == ["etc/x.png"]
        assert rows["abs"]["issues"][0]["code"] == "image-empty"

    @pytest.mark.parametrize("damage", ["cut", "columns"])
    def test_a_bad_file_is_not_the_end(self, tmp_path, damage):
        rows = [{"png": encoded(index)} for index in range(2)]
        table_of(tmp_path / "data" / "a.parquet", rows)
        path = table_of(tmp_path / "data" / "b.parquet", rows if damage == "cut" else [{"url": "http://x/a.png"}])
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        summary = run(tmp_path / "data", tmp_path / "target")
        assert list(summary.damaged) == ["b"]
        assert records_in(tmp_path / "target")["b"]["error"][0] == (
            "shard-damaged" if damage == "cut" else "shard-columns"
        )
        assert summary.images == 2


def test_sources_without_anything_are_refused_before_the_target_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", tmp_path / "missing", tmp_path / "empty" / "*.tar"):
        with pytest.raises(InputError):
            run(source, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_target_belongs_to_one_source(tmp_path):
    run(image_folder(tmp_path / "a", 1), tmp_path / "target")
    with pytest.raises(OutputError, match="holds masks of") as refused:
        run(image_folder(tmp_path / "b", 1), tmp_path / "target")
    assert refused.value.code == "shards-other-source"
    with pytest.raises(InputError):
        run(tmp_path / "a", tmp_path / "a")


def test_a_target_inside_its_source_is_no_input(tmp_path):
    folder = image_folder(tmp_path / "a", 3)
    (folder / "out").mkdir()
    (folder / "out" / "old.png").write_bytes(encoded(3))
    assert run(folder, folder / "out").images == 3


def test_a_source_that_went_away_is_not_a_set_of_bad_images(tmp_path):
    """A disk that is not mounted: no shard of it is ended, and the run says so soon."""
    folder = image_folder(tmp_path / "set", 24)
    run(folder, tmp_path / "target", shard_images=12)
    (folder.rename(tmp_path / "elsewhere"), folder.mkdir())
    summary = run(folder, tmp_path / "target", RedDetector(version=2), shard_images=12)
    assert sorted(summary.unfinished) == ["000000", "000001"]
    assert "not one of the 12 images" in summary.unfinished["000000"]
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    assert dict(run(folder, tmp_path / "target", RedDetector(version=2), shard_images=12).done) == {"analysed": 2}


def test_a_review_budget_is_refused(tmp_path):
    config = PipelineConfig(dataset_detectors=(), review={"budget": 0.1})
    with pytest.raises(ConfigError, match="budget"):
        run(image_folder(tmp_path / "a", 1), tmp_path / "target", config=config)


def test_memory_holds_few_images_at_once(tmp_path):
    """However many a shard has: what waits for the models is bounded."""
    seen, most = [], 0

    class Counting(RedDetector):
        def find(self, image):
            nonlocal most
            most = max(most, len(started) - len(seen))
            seen.append(image.id)
            return super().find(image)

    started = []
    folder = image_folder(tmp_path / "a", 60)
    from automask.run.shards import worker

    original = worker.decode_bytes

    def decode(data, **options):
        started.append(1)
        return original(data, **options)

    worker.decode_bytes = decode
    try:
        run(folder, tmp_path / "target", Counting())
    finally:
        worker.decode_bytes = original
    assert len(seen) == 60
    assert most <= 16
    assert np.isfinite(most)
