"""The most doubtful images of a sharded run, in a store that people review."""

import hashlib
import json
import shutil
import threading
from pathlib import Path

import fsspec
import pytest
from cli_process import automask
from shard_cases import (
    copy_into,
    copy_out,
    encoded,
    image_folder,
    masks_in,
    records_in,
    rows_in,
    run_unsure,
    source_of,
    tar_bytes,
)

from automask.config import PipelineConfig
from automask.errors import OutputError, StoreError
from automask.run.redraw import redraw_store, stored_config
from automask.run.shards import gathering, selecting
from automask.run.shards.gathering import gather
from automask.run.shards.scattering import scatter
from automask.store import Decision, Status, Store


def doubtful_rows(target, count):
    """What should be chosen."""
    rows = [row for row in rows_in(target).values() if row["verdict"] == "review"]
    return sorted(rows, key=lambda row: row["confidence"])[:count]


def stored(root):
    """Rows of a store, by the content of their image."""
    with Store.open(root, read_only=True) as store:
        return {row.content_sha256: row for row in store.images(status=Status.DONE)}


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
def test_the_most_doubtful_come_with_all_that_is_known_of_them(tmp_path, kind):
    source = source_of(kind, tmp_path / "set", 8)
    run_unsure(source, tmp_path / "target")
    told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=5)
    assert (told.selected, told.gathered, told.refused) == (5, 5, {})
    expected = {row["content_sha256"]: row for row in doubtful_rows(tmp_path / "target", 5)}
    found, masks = stored(tmp_path / "store"), masks_in(tmp_path / "target")
    assert found.keys() == expected.keys()
    with Store.open(tmp_path / "store", read_only=True) as store:
        for content, row in found.items():
            there = expected[content]
            image = tmp_path / "store-images" / row.image_id
            assert hashlib.sha256(image.read_bytes()).hexdigest() == content
            assert (tmp_path / "store" / "masks" / row.mask_name).read_bytes() == masks[there["mask"]]
            assert (row.confidence, row.verdict, row.masked_share) == (
                there["confidence"], there["verdict"], there["masked_share"],
            )  # fmt: skip
            regions = store.regions(row.image_id)
            assert [(one.kind, one.confidence) for one in regions] == [
                (one["kind"], one["confidence"]) for one in there["regions"]
            ]
        assert list(store.verify()) == []
    again = redraw_store(tmp_path / "store", stored_config(tmp_path / "store"))
    assert (again.reused, again.images) == (5, 5), "its masks are those that would be drawn now"


def test_the_same_again_brings_nothing_and_more_brings_the_rest(tmp_path):
    run_unsure(image_folder(tmp_path / "set", 6), tmp_path / "target")
    gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)
    before = stored(tmp_path / "store")
    again = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)
    assert (again.gathered, again.present) == (0, 2)
    assert stored(tmp_path / "store") == before
    more = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=4)
    assert (more.gathered, more.present) == (2, 2)
    assert stored(tmp_path / "store").keys() == {row["content_sha256"] for row in doubtful_rows(tmp_path / "target", 4)}


def test_what_is_otherwise_in_the_target_by_now_is_told(tmp_path):
    run_unsure(image_folder(tmp_path / "set", 2), tmp_path / "target")
    gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)
    assert gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2).older == []
    grown = PipelineConfig(dataset_detectors=(), review={"audit": 1.0}, render={"growth_cells": 3})
    run_unsure(tmp_path / "set", tmp_path / "target", config=grown)
    told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)
    assert (told.present, sorted(told.older)) == (2, ["000.png", "sub/001.png"])
    said = automask("gather", "target", "--into", "store", "--doubtful", 2, cwd=tmp_path)
    assert "otherwise in the target by now" in said.stdout


def test_images_by_name(tmp_path):
    run_unsure(image_folder(tmp_path / "set", 4), tmp_path / "target")
    told = gather(str(tmp_path / "target"), tmp_path / "store", names={"000.png", "sub/001", "other"})
    assert (told.gathered, told.unknown) == (2, ["other"])


def test_a_stopped_one_goes_on(tmp_path, monkeypatch):
    run_unsure(image_folder(tmp_path / "set", 6), tmp_path / "target")
    stop = threading.Event()
    put = Store.put_result
    monkeypatch.setattr(Store, "put_result", lambda self, *args, **named: (put(self, *args, **named), stop.set()))
    first = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=6, stop=stop)
    assert (first.interrupted, first.gathered) == (True, 1)
    monkeypatch.undo()
    second = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=6)
    assert (second.gathered, second.present) == (5, 1)
    assert len(stored(tmp_path / "store")) == 6


def test_one_that_was_killed_goes_on(tmp_path, monkeypatch):
    run_unsure(image_folder(tmp_path / "set", 3), tmp_path / "target")
    put, calls = Store.put_result, []

    def dying(self, *args, **named):
        put(self, *args, **named)
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "put_result", dying)
    with pytest.raises(KeyboardInterrupt):
        gather(str(tmp_path / "target"), tmp_path / "store", doubtful=3)
    monkeypatch.undo()
    assert gather(str(tmp_path / "target"), tmp_path / "store", doubtful=3).gathered == 3
    assert len(stored(tmp_path / "store")) == 3


def test_targets_and_sources_by_url(tmp_path):
    files = fsspec.filesystem("memory")
    files.store.clear()
    copy_into(files, image_folder(tmp_path / "set", 4), "memory://gather/set")
    run_unsure("memory://gather/set", "memory://gather/target")
    told = gather("memory://gather/target", tmp_path / "store", doubtful=4)
    assert (told.gathered, told.refused) == (4, {})
    row = next(iter(stored(tmp_path / "store").values()))
    with Store.open(tmp_path / "store") as store:
        store.decide(row.content_sha256, Decision.EXCLUDED, author="ann")
    assert (scatter(tmp_path / "store").changed, scatter(tmp_path / "store").changed) == (1, 0)
    copy_out(files, "/gather/target", tmp_path / "copy")
    assert len(masks_in(tmp_path / "copy")) == 3
    files.store.clear()


class TestRefusals:
    def test_an_image_that_changed_or_is_gone(self, tmp_path):
        folder = image_folder(tmp_path / "set", 6)
        run_unsure(folder, tmp_path / "target")
        (folder / "000.png").write_bytes(encoded(77))
        (folder / "002.png").unlink()
        told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=6)
        assert told.gathered == 4
        assert "changed in the source" in told.refused["000.png"]
        assert "does not exist" in told.refused["002.png"]

    def test_a_tar_that_is_gone(self, tmp_path):
        source = source_of("tar", tmp_path / "set", 6)
        run_unsure(source, tmp_path / "target")
        (tmp_path / "set" / "00003.tar").unlink()
        told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=6)
        assert (told.gathered, len(told.refused)) == (3, 3)
        moved = shutil.move(tmp_path / "set", tmp_path / "moved")
        assert Path(moved).is_dir()
        told = gather(
            str(tmp_path / "target"), tmp_path / "other", doubtful=6, source=str(tmp_path / "moved" / "*.tar")
        )
        assert told.gathered == 3

    def test_a_mask_that_is_another_one(self, tmp_path):
        run_unsure(image_folder(tmp_path / "set", 2), tmp_path / "target")
        masks = masks_in(tmp_path / "target")
        swapped = [("000.png", masks["sub/001.png"][:-30]), ("sub/001.png", masks["sub/001.png"])]
        (tmp_path / "target" / "masks" / "000000.tar").write_bytes(tar_bytes(swapped))
        told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)
        assert (told.gathered, list(told.refused)) == (1, ["000.png"])

    def test_a_store_of_other_images_stays_alone(self, tmp_path):
        run_unsure(image_folder(tmp_path / "set", 2), tmp_path / "target")
        run_unsure(tmp_path / "set", tmp_path / "other")
        gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)
        with pytest.raises(OutputError):
            gather(str(tmp_path / "other"), tmp_path / "store", doubtful=2)
        with pytest.raises(OutputError):
            gather(str(tmp_path / "target"), tmp_path / "target", doubtful=2)
        with pytest.raises(StoreError):
            gather(str(tmp_path / "store"), tmp_path / "third", doubtful=2)

    def test_masks_of_another_version_are_drawn_again_first(self, tmp_path, monkeypatch):
        run_unsure(image_folder(tmp_path / "set", 2), tmp_path / "target")
        monkeypatch.setattr(gathering, "fuse_fingerprint", lambda config, refine: "another")
        with pytest.raises(StoreError, match="drawn otherwise by now"):
            gather(str(tmp_path / "target"), tmp_path / "store", doubtful=2)

    def test_shards_of_an_older_configuration_are_passed_over(self, tmp_path):
        run_unsure(image_folder(tmp_path / "set", 6), tmp_path / "target")
        grown = PipelineConfig(dataset_detectors=(), review={"audit": 1.0}, render={"growth_cells": 3})
        run_unsure(tmp_path / "set", tmp_path / "other", config=grown)
        for part in ("done", "masks", "regions", "configs"):
            for path in (tmp_path / "other" / part).iterdir():
                if not path.name.startswith("000000"):
                    shutil.copy(path, tmp_path / "target" / part / path.name)
        told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=6)
        assert (told.gathered, told.outdated) == (3, 1)


def test_memory_and_reads_do_not_grow_with_the_target(tmp_path, monkeypatch):
    run_unsure(image_folder(tmp_path / "set", 12), tmp_path / "target", shard_images=2)
    columns = []
    original = selecting.opened

    def noting(folder, name):
        columns.append(name)
        return original(folder, name)

    monkeypatch.setattr(selecting, "opened", noting)
    record = tmp_path / "target" / "done" / "000003.done"
    record.write_text(json.dumps({**json.loads(record.read_text()), "verdicts": {"auto": 2}}))
    target = gathering.ShardTarget.at(str(tmp_path / "target"))
    shards = [(shard, record) for shard, record in target.records(target.manifest()) if record is not None]
    assert len(shards) == len(records_in(tmp_path / "target")) == 6
    options = {"on_progress": lambda seen: None, "stop": threading.Event()}
    found = selecting.most_doubtful(target, shards, 3, **options)
    assert len(columns) == 5, "a shard without doubts is not opened"
    every = selecting.most_doubtful(target, shards, 100, **options)
    assert [one.image for one in found] == [one.image for one in every][:3]
    assert [one.confidence for one in every] == sorted(one.confidence for one in every)


def test_names_keep_images_apart(tmp_path):
    members = [(name, encoded(seed)) for seed, name in enumerate(["a/b.png", "a b.png", "A b.png", f"{'x' * 120}.png"])]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "0.tar").write_bytes(tar_bytes(members))
    run_unsure(tmp_path / "set" / "0.tar", tmp_path / "target")
    told = gather(str(tmp_path / "target"), tmp_path / "store", doubtful=9)
    assert told.gathered == 4
    names = [path.name for path in (tmp_path / "store-images" / "0").iterdir()]
    assert len({name.lower() for name in names}) == 4
    assert all(len(name) < 128 and name.endswith(".png") for name in names)


def test_the_command(tmp_path):
    run_unsure(image_folder(tmp_path / "set", 4), tmp_path / "target")
    (tmp_path / "keys.txt").write_text("# of the second round\n000.png \r\n\nnothing\n")
    said = automask("gather", "target", "--into", "store", "--keys", "keys.txt", cwd=tmp_path)
    assert said.returncode == 8, said.stderr
    assert "1 of 1 images came into" in said.stdout
    assert "without a result: nothing" in said.stdout
    told = json.loads(automask("gather", "target", "--into", "store", "--doubtful", 9, "--json", cwd=tmp_path).stdout)
    assert (told["gathered"], told["present"], told["exit_code"]) == (3, 1, 0)
    assert automask("gather", "target", "--into", "store", cwd=tmp_path).returncode == 2
    assert automask("status", tmp_path / "store").returncode == 0
