"""Resuming by shard and fingerprint, several drivers on one target, drivers that are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_process import environment
from fakes import RedDetector, Slow, pipeline
from shard_cases import image_folder, masks_in, records_in, rows_in, run, webdataset_tar

from automask.config import PipelineConfig
from automask.errors import StoreLocked
from automask.files.folders import LocalFolder
from automask.run.engines import local
from automask.run.shards import claims as claims_module
from automask.run.shards.claims import EXPIRY_S, Claim, Claims
from automask.run.shards.driver import run_shards
from automask.run.shards.records import ShardFingerprints

FINGERPRINTS = ShardFingerprints("d", "r", "", "f")


def files_of(target):
    """Bytes of all masks and rows."""
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for name in ("masks", "regions")
        for path in sorted((target / name).rglob("*.*"))
    }


class TestFingerprints:
    def test_what_is_done_is_not_done_again(self, tmp_path):
        folder = image_folder(tmp_path / "set", 5)
        run(folder, tmp_path / "target", shard_images=2)
        seen = RedDetector()
        summary = run(folder, tmp_path / "target", seen, shard_images=2)
        assert (summary.reused, dict(summary.done), seen.seen) == (3, {}, [])

    def test_a_shard_whose_record_is_gone_or_damaged_is_done_alone(self, tmp_path):
        folder = image_folder(tmp_path / "set", 6)
        run(folder, tmp_path / "target", shard_images=2)
        before = files_of(tmp_path / "target")
        (tmp_path / "target" / "done" / "000001.done").unlink()
        (tmp_path / "target" / "done" / "000002.done").write_bytes(b"{")
        seen = RedDetector()
        summary = run(folder, tmp_path / "target", seen, shard_images=2)
        assert (summary.reused, dict(summary.done), len(seen.seen)) == (1, {"analysed": 2}, 4)
        assert files_of(tmp_path / "target") == before

    def test_another_detector_does_all_again(self, tmp_path):
        folder = image_folder(tmp_path / "set", 4)
        run(folder, tmp_path / "target", shard_images=2)
        summary = run(folder, tmp_path / "target", RedDetector(version=2), shard_images=2)
        assert dict(summary.done) == {"analysed": 2}

    def test_another_rendering_is_drawn_from_the_rows_without_a_model_or_an_image(self, tmp_path):
        folder = image_folder(tmp_path / "set", 4)
        (folder / "bad.png").write_bytes(b"no picture")
        run(folder, tmp_path / "target", shard_images=3)
        grown = PipelineConfig(dataset_detectors=(), render={"growth_cells": 3})
        expected = run(folder, tmp_path / "fresh", config=grown, shard_images=3)
        for path in folder.rglob("*.png"):
            path.unlink()
        seen = RedDetector()
        summary = run(folder, tmp_path / "target", seen, config=grown, shard_images=3)
        assert (dict(summary.done), seen.seen) == ({"rendered": 2}, [])
        assert masks_in(tmp_path / "target") == masks_in(tmp_path / "fresh")
        assert files_of(tmp_path / "target") == files_of(tmp_path / "fresh")
        assert (summary.failed, summary.verdicts) == (expected.failed, expected.verdicts)
        assert run(folder, tmp_path / "target", config=grown, shard_images=3).reused == 2

    def test_rows_that_changed_since_are_not_drawn_from(self, tmp_path):
        folder = image_folder(tmp_path / "set", 2)
        run(folder, tmp_path / "target")
        with (tmp_path / "target" / "regions" / "000000.parquet").open("ab") as file:
            file.write(b"x")
        grown = PipelineConfig(dataset_detectors=(), render={"growth_cells": 3})
        assert dict(run(folder, tmp_path / "target", config=grown).done) == {"analysed": 1}

    def test_the_list_of_shards_is_that_of_the_first_run(self, tmp_path):
        folder = image_folder(tmp_path / "set", 4)
        run(folder, tmp_path / "target", shard_images=2)
        image_folder(tmp_path / "set", 8)
        told = []
        summary = run(folder, tmp_path / "target", shard_images=3, events=told.append)
        assert (summary.reused, summary.shards) == (2, 2)
        assert "shards-kept" in [issue.code for issue in summary.notices]
        (folder / "000.png").unlink()
        summary = run(folder, tmp_path / "target", RedDetector(version=2), shard_images=2)
        assert rows_in(tmp_path / "target")["000.png"]["issues"][0]["code"] == "image-missing"
        assert summary.failed == 1


class TestClaims:
    def claims(self, folder, **options):
        return Claims(LocalFolder(folder), FINGERPRINTS, pause=lambda seconds: None, **options)

    def other(self, folder, name="a", **changes):
        """A claim of another machine."""
        values = {"owner": "x", "host": "elsewhere", "pid": 1, "time_s": time.time(), "fuse": "f-", **changes}
        (folder / "claims").mkdir(exist_ok=True)
        (folder / "claims" / f"{name}.json").write_text(json.dumps(values))

    def test_one_of_two_gets_a_shard(self, tmp_path):
        first = self.claims(tmp_path)
        assert first.take("a") is None
        assert first.holds("a")
        self.other(tmp_path, "b")
        assert first.take("b").host == "elsewhere"
        assert not first.holds("b")
        first.release("a")
        assert first.holder("a") is None
        first.release("b")
        assert first.holder("b") is not None, "that of somebody else stays"

    def test_one_that_expired_is_taken_over(self, tmp_path):
        self.other(tmp_path, time_s=time.time() - EXPIRY_S - 1)
        assert self.claims(tmp_path).take("a") is None
        self.other(tmp_path, time_s=time.time() - EXPIRY_S + 30)
        assert self.claims(tmp_path).take("a") is not None

    def test_one_of_a_dead_process_of_this_machine_is_taken_over_at_once(self, tmp_path):
        ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
        host = Claim.ours(FINGERPRINTS).host
        self.other(tmp_path, host=host, pid=int(ended.stdout))
        assert self.claims(tmp_path).take("a") is None
        self.other(tmp_path, "b", host=host, pid=os.getpid())  # a container that was started again: the same number
        assert self.claims(tmp_path).take("b") is None
        self.other(tmp_path, "c", host=host, pid=os.getppid())
        assert self.claims(tmp_path).take("c") is not None

    def test_a_damaged_one_is_taken_over(self, tmp_path):
        (tmp_path / "claims").mkdir()
        (tmp_path / "claims" / "a.json").write_bytes(b"")
        assert self.claims(tmp_path).take("a") is None

    def test_it_is_renewed_while_the_driver_works(self, tmp_path, monkeypatch):
        monkeypatch.setattr(claims_module, "RENEWAL_S", 0.02)
        now = [1000.0]
        with self.claims(tmp_path, clock=lambda: now[0]) as ours:
            ours.take("a")
            now[0] = 2000.0
            deadline = time.monotonic() + 10
            while ours.holder("a").time_s != 2000.0 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert ours.holder("a").time_s == 2000.0
        assert ours.holder("a") is None

    def test_exactly_one_of_many_threads_creates_a_file(self, tmp_path):
        folder, start, made = LocalFolder(tmp_path), threading.Barrier(8), []

        def create(number):
            start.wait()
            if folder.create("x/claim", str(number).encode()):
                made.append(str(number).encode())

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [folder.read("x/claim")] == made
        assert [path.name for path in (tmp_path / "x").iterdir()] == ["claim"]


def test_a_driver_that_lost_its_claim_ends_nothing(tmp_path):
    """It slept through the expiry, say in a laptop: somebody else has the shard by now."""
    folder, target = image_folder(tmp_path / "set", 2), tmp_path / "target"

    class Robbed(RedDetector):
        def find(self, image):
            TestClaims().other(target, "000000", fuse=json.loads(claim.read_text())["fuse"])
            return super().find(image)

    claim = target / "claims" / "000000.json"
    run(folder, target, Robbed())
    assert records_in(target) == {}
    assert not (target / "masks").exists()
    assert json.loads(claim.read_text())["host"] == "elsewhere"


def test_two_drivers_share_the_work_and_the_result_is_that_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "WAIT_S", 0.1)
    folder = image_folder(tmp_path / "set", 16)
    run(folder, tmp_path / "alone", Slow(0.0), shard_images=2)
    summaries = {}

    def drive(name):
        config = PipelineConfig(dataset_detectors=())
        made = pipeline(Slow(0.05), config=config)
        summaries[name] = run_shards(str(folder), str(tmp_path / "target"), config, pipeline=made, shard_images=2)

    # In one process both would own the same claims.
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from fakes import Slow; from shard_cases import run\n"
        "summary = run(sys.argv[1], sys.argv[2], Slow(0.05), shard_images=2)\n"
        "print(sum(summary.done.values()), summary.elsewhere, summary.reused)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, folder, tmp_path / "target", Path(__file__).parent],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "target" / "shards.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    drive("ours")
    theirs = [int(number) for number in other.communicate(timeout=60)[0].split()]
    assert other.returncode == 0
    ours = summaries["ours"]
    assert sum(ours.done.values()) + theirs[0] == 8, "no shard was done twice"
    assert sum(ours.done.values()) >= 1
    assert ours.elsewhere + ours.reused + sum(ours.done.values()) == 8, "it waits for what the other one works on"
    assert files_of(tmp_path / "target") == files_of(tmp_path / "alone")
    assert list((tmp_path / "target" / "claims").iterdir()) == []


def test_a_driver_under_another_configuration_is_refused(tmp_path):
    folder, target = image_folder(tmp_path / "set", 4), tmp_path / "target"
    run(folder, target, shard_images=2)
    (target / "done" / "000000.done").unlink()
    TestClaims().other(target, "000000", fuse="another-")
    with pytest.raises(StoreLocked) as refused:
        run(folder, target, shard_images=2)
    assert refused.value.code == "shards-other-config"


def test_a_killed_driver_costs_the_shard_in_hand(tmp_path):
    for number in range(4):
        webdataset_tar(tmp_path / "data" / f"{number}.tar", first=4 * number)
    run(tmp_path / "data", tmp_path / "whole", Slow(0.0))
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from fakes import Slow; from shard_cases import run\n"
        "run(sys.argv[1], sys.argv[2], Slow(0.15))\n"
    )
    target = tmp_path / "target"
    driver = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "data", target, Path(__file__).parent], env=environment()
    )
    deadline = time.monotonic() + 60
    while len(list((target / "done").glob("*.done"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in (target / "done").iterdir()}
    assert 2 <= len(kept) < 4
    seen = Slow(0.0)
    summary = run(tmp_path / "data", target, seen)
    assert (summary.reused, sum(summary.done.values())) == (len(kept), 4 - len(kept))
    assert len(seen.seen) == 4 * (4 - len(kept))
    assert {name: (target / "done" / name).stat().st_mtime_ns for name in kept} == kept
    assert files_of(target) == files_of(tmp_path / "whole")


def test_a_listing_that_was_cut_short_is_begun_again(tmp_path):
    folder, target = image_folder(tmp_path / "set", 4), tmp_path / "target"
    run(folder, target, shard_images=2)
    (target / "shards.jsonl").unlink()
    for path in (target / "done").iterdir():
        path.unlink()
    TestClaims().other(target, "listing", time_s=time.time() - EXPIRY_S - 1)
    summary = run(folder, target, shard_images=2)
    assert (summary.shards, dict(summary.done)) == (2, {"analysed": 2})


def test_a_stopped_run_ends_soon_and_goes_on(tmp_path):
    folder, stop = image_folder(tmp_path / "set", 12), threading.Event()

    def tell(event):
        if type(event).__name__ == "ImageDone" and event.image_id == "004.png":
            stop.set()

    first = run(folder, tmp_path / "target", shard_images=2, events=tell, stop=stop)
    assert first.interrupted
    assert 1 <= len(records_in(tmp_path / "target")) < 6
    before = len(records_in(tmp_path / "target"))
    second = run(folder, tmp_path / "target", shard_images=2)
    assert not second.interrupted
    assert (second.reused, sum(second.done.values())) == (before, 6 - before)
    assert len(masks_in(tmp_path / "target")) == 12
