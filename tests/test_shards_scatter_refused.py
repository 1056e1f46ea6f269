"""Scattering that is stopped, that meets others, and what it refuses."""

import dataclasses
import json
import time

import pytest
from gather_cases import (
    CORNER,
    GROWN,
    act,
    gathered_target,
    is_masked,
    mask_in_store,
    mask_in_target,
    painted,
)
from shard_cases import (
    REVIEWED,
    Unsure,
    encoded,
    image_folder,
    rows_in,
    run_unsure,
    source_of,
    tar_bytes,
)

from automask.errors import StoreError
from automask.run.shards import gathering, scattering
from automask.run.shards.claims import Claims
from automask.run.shards.gathering import gather
from automask.run.shards.scattering import scatter
from automask.run.shards.status import status_of, verify
from automask.run.shards.target import ShardTarget
from automask.store import Decision
from automask.values.types import Kind


@pytest.fixture
def target(tmp_path):
    return gathered_target(tmp_path)


@pytest.fixture
def store(target, tmp_path):
    return tmp_path / "store"


class TestStopped:
    @pytest.mark.parametrize("moment", ["regions", "masks", "record", "kept"])
    @pytest.mark.parametrize("by", ["scatter", "run"])
    def test_it_is_ended_without_a_model(self, target, store, tmp_path, monkeypatch, moment, by):
        act(store, "000.png", layers=painted())

        def dying(original, when):
            def call(self, *args, **named):
                if when(args):
                    raise KeyboardInterrupt
                return original(self, *args, **named)

            return call

        folder = type(ShardTarget.at(str(target)).folder)
        if moment == "record":
            monkeypatch.setattr(ShardTarget, "write_record", dying(ShardTarget.write_record, lambda args: True))
        elif moment == "kept":
            monkeypatch.setattr(ShardTarget, "write_coming", dying(ShardTarget.write_coming, lambda args: True))
        else:
            monkeypatch.setattr(
                folder, "upload", dying(folder.upload, lambda args: args[1].startswith(moment)), raising=True
            )
        with pytest.raises(KeyboardInterrupt):
            scatter(store)
        monkeypatch.undo()
        assert status_of(str(target)).undrawn == 1
        if by == "scatter":
            told = scatter(store)
            assert (told.shards, told.later) == (1, {})
        else:
            seen = Unsure()
            summary = run_unsure(tmp_path / "set", target, detector=seen)
            assert (dict(summary.done), summary.reused, seen.seen) == ({"rendered": 1}, 1, [])
        assert mask_in_target(target, "000.png") == mask_in_store(store, "000.png")
        assert list(verify(str(target))) == []
        assert not list((target / "done").glob("*.coming"))
        assert (scatter(store).changed, scatter(store).shards) == (0, 0)


class TestTwoStores:
    def test_different_images_of_one_shard(self, target, tmp_path):
        for name, image in (("a", "000.png"), ("b", "002.png")):
            gather(str(target), tmp_path / name, names={image})
            act(tmp_path / name, image, layers=painted())
        assert [scatter(tmp_path / name).changed for name in ("a", "b", "a", "b")] == [1, 1, 0, 0]
        assert is_masked(target, "000.png")
        assert is_masked(target, "002.png")

    @pytest.mark.parametrize("later", ["a", "b"])
    def test_the_newer_change_of_one_image_counts(self, target, tmp_path, later):
        places = {"a": CORNER, "b": (slice(0, 8), slice(0, 8))}
        for name in places:
            gather(str(target), tmp_path / name, names={"000.png"})
        for name in sorted(places, key=lambda name: name == later):
            act(tmp_path / name, "000.png", layers=painted(places[name]), author=name)
            time.sleep(0.02)
        assert not scatter(tmp_path / "a").notes
        told = scatter(tmp_path / "b")
        assert f"{'that' if later == 'a' else 'this'} one is newer" in told.notes["000.png"]
        assert "a changed it too" in told.notes["000.png"]
        assert mask_in_target(target, "000.png") == mask_in_store(tmp_path / later, "000.png")
        lines = [json.loads(line) for line in (target / "corrections" / "000000.jsonl").read_text().splitlines()]
        assert {line["author"] for line in lines} == {"a", "b"}, "the other one is kept as well"
        count = len(lines)
        scatter(tmp_path / "b")
        scatter(tmp_path / "a")
        assert mask_in_target(target, "000.png") == mask_in_store(tmp_path / later, "000.png")
        assert len((target / "corrections" / "000000.jsonl").read_text().splitlines()) == count


class TestRefusals:
    @pytest.mark.parametrize("kind", ["folder", "tar"])
    def test_an_image_that_changed_in_the_source(self, tmp_path, kind):
        source = source_of(kind, tmp_path / "set", 3)
        run_unsure(source, tmp_path / "target")
        gather(str(tmp_path / "target"), tmp_path / "store", doubtful=3)
        first, second, _ = sorted(rows_in(tmp_path / "target"))
        act(tmp_path / "store", first, layers=painted())
        act(tmp_path / "store", second, layers=painted())
        if kind == "folder":
            (tmp_path / "set" / first).write_bytes(encoded(91))
        else:
            names = (
                ("00000.jpg", encoded(91, "jpg")),
                ("00001.jpg", encoded(1, "jpg")),
                ("00002.jpg", encoded(2, "jpg")),
            )
            (tmp_path / "set" / "00000.tar").write_bytes(tar_bytes(names))
        told = scatter(tmp_path / "store")
        assert (told.changed, list(told.refused)) == (1, [first])
        assert "changed in the source" in told.refused[first]
        assert is_masked(tmp_path / "target", second)
        assert not is_masked(tmp_path / "target", first)

    def test_an_image_whose_row_is_of_other_pixels(self, target, store, tmp_path):
        act(store, "000.png", layers=painted())
        (tmp_path / "set" / "000.png").write_bytes(encoded(91))
        run_unsure(tmp_path / "set", target, detector=Unsure(version=2))
        told = scatter(store)
        assert "other pixels" in told.refused["000.png"]
        assert told.changed == 0

    def test_a_shard_that_somebody_works_on_is_left_and_told(self, target, store, tmp_path):
        act(store, "000.png", layers=painted())
        act(store, "sub/005.png", layers=painted())
        claim = {"owner": "x", "host": "node7", "pid": 4, "time_s": time.time(), "fuse": "f"}
        (target / "claims").mkdir(exist_ok=True)
        (target / "claims" / "000000.json").write_text(json.dumps(claim))
        told = scatter(store, wait_s=0.0)
        assert (told.changed, told.busy) == (1, {"000000": "process 4 on node7"})
        (target / "claims" / "000000.json").unlink()
        assert (scatter(store).changed, is_masked(target, "000.png")) == (1, True)

    def test_one_that_is_given_free_meanwhile_is_waited_for(self, target, store, monkeypatch):
        act(store, "000.png", layers=painted())
        path = target / "claims" / "000000.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"owner": "x", "host": "node7", "pid": 4, "time_s": time.time(), "fuse": "f"}))
        monkeypatch.setattr(scattering, "_POLL_S", 0.05)
        take = scattering.Claims.take

        def taking(self, name):
            other = take(self, name)
            path.unlink() if other is not None else None
            return other

        monkeypatch.setattr(scattering.Claims, "take", taking)
        told = scatter(store)
        assert (told.changed, told.busy) == (1, {})

    def test_a_run_waits_for_scattering_whatever_its_configuration(self, target, tmp_path, monkeypatch):
        held = Claims(ShardTarget.at(str(target)).folder, None)
        assert held.take("000000") is None
        path = target / "claims" / "000000.json"
        claim = json.loads(path.read_text())
        path.write_text(json.dumps({**claim, "owner": "x", "host": "elsewhere"}))
        told = []

        def noting(event):
            told.append(event)
            if getattr(event, "stage", "") == "waiting":
                path.unlink(missing_ok=True)

        summary = run_unsure(tmp_path / "set", target, config=GROWN, events=noting)
        assert dict(summary.done) == {"rendered": 2}

    def test_a_shard_that_is_not_done_keeps_them_for_the_run(self, target, store, tmp_path):
        act(store, "000.png", layers=painted())
        (target / "done" / "000000.done").unlink()
        told = scatter(store)
        assert (told.changed, told.shards, list(told.later)) == (1, 0, ["000000"])
        run_unsure(tmp_path / "set", target)
        assert is_masked(target, "000.png")
        assert scatter(store).changed == 0

    def test_a_shard_of_another_version_keeps_them_for_the_run(self, target, store, tmp_path, monkeypatch):
        act(store, "000.png", layers=painted())
        monkeypatch.setattr(gathering, "fuse_fingerprint", lambda config, refine: "another")
        told = scatter(store)
        assert (told.changed, list(told.later)) == (1, ["000000"])
        monkeypatch.undo()
        assert dict(run_unsure(tmp_path / "set", target).done) == {"rendered": 1}
        assert is_masked(target, "000.png")

    def test_a_target_that_was_moved_or_is_another_one(self, target, store, tmp_path):
        act(store, "000.png", layers=painted())
        moved = target.rename(tmp_path / "moved")
        with pytest.raises(StoreError, match="no sharded target") as gone:
            scatter(store)
        assert "--target" in gone.value.advice
        run_unsure(image_folder(tmp_path / "few", 2, "jpg"), target, shard_images=1)
        told = scatter(store)  # at the same address, with other shards
        assert (told.changed, told.refused["000.png"][:14]) == (0, "the target has")
        (target / "shards.jsonl").write_text((target / "shards.jsonl").read_text().replace("000000", "x"))
        assert "no shard 000000" in scatter(store).refused["000.png"]
        assert scatter(store, address=str(moved)).changed == 1
        assert is_masked(moved, "000.png")

    def test_a_correction_of_another_size_waits(self, target, store, tmp_path):
        act(store, "000.png", layers=painted())
        scatter(store)
        path = target / "corrections" / "000000.jsonl"
        line = json.loads(path.read_text())
        path.write_text(json.dumps({**line, "layers": {**line["layers"], "shape": [8, 9]}}) + "\n")
        assert dict(run_unsure(tmp_path / "set", target).done) == {"rendered": 1}
        row = rows_in(target)["000.png"]
        assert ([one["code"] for one in row["issues"]], row["corrected"]) == (["correction-stale"], False)

    def test_a_store_of_a_folder_has_no_target(self, tmp_path):
        with pytest.raises(StoreError, match="not gathered"):
            scatter(tmp_path)

    def test_an_acceptance_of_what_is_not_found_any_more_is_told(self, target, store, tmp_path):
        act(store, "000.png", decision=Decision.ACCEPTED)

        class Frames(Unsure):
            name = "frames"

            def find(self, image):
                return [dataclasses.replace(one, kind=Kind.WATERMARK) for one in super().find(image)]

        run_unsure(tmp_path / "set", target, detector=Frames(), config=REVIEWED)
        told = scatter(store)
        assert "look at it again" in told.notes["000.png"]
        assert rows_in(target)["000.png"]["decision"] is None
