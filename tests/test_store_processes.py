"""Killed writers, two runs at once, readers beside a writer: real processes."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from store_cases import FINGERPRINTS, make_levels, put, write_file

from automask.errors import StoreLocked
from automask.mask.rendering import CorrectionLayers
from automask.store import LockOwner, Store, Work, locking, placing

HERE = Path(__file__).parent

WRITER = """
import sys
from pathlib import Path
from store_cases import file_at, make_levels, put
from automask.store import Store

images, out = Path(sys.argv[1]), Path(sys.argv[2])
with Store.open(out, create=True) as store, store.lock():
    store.begin_run(config_json="{}", input_root=str(images), version="1")
    print("writing", flush=True)
    for turn in range(1, 10_000):
        for path in sorted(images.iterdir()):
            put(store, file_at(images, path.name), levels=make_levels(turn % 24), confidence=turn % 7 / 7)
"""
HOLDER = """
import sys, time
from pathlib import Path
from automask.store import Store

with Store.open(Path(sys.argv[1]), create=True) as store, store.lock():
    print("locked", flush=True)
    time.sleep(120)
"""


def start(code, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def images(tmp_path):
    for number in range(4):
        write_file(tmp_path / "images", f"{number}.jpg", bytes([number]))
    return tmp_path / "images"


def assert_consistent(out, images):
    """What a killed writer leaves: whole masks only, and no row without its mask."""
    with Store.open(out) as store, store.lock():
        problems = {problem.code for problem in store.verify()}
        # A mask that was drawn but not noted is work to do, not damage.
        assert problems <= {"mask-changed", "mask-unknown"}
        changed = [problem for problem in store.verify() if problem.code == "mask-changed"]
        assert len(changed) <= 1
        for path in store.masks_root.rglob("*"):
            from PIL import Image

            assert not path.name.endswith("tmp")
            with Image.open(path) as mask:
                mask.load()
                assert len(np.unique(np.asarray(mask))) <= 2
        for path in sorted(images.iterdir()):
            file = write_file(images, path.name, path.read_bytes())
            plan = store.plan(file, FINGERPRINTS)
            assert plan.work in (Work.NONE, Work.RENDER, Work.DETECT)
            if plan.work is Work.NONE:
                assert store.result(file.id) is not None
            put(store, file)
            assert store.is_current(file, FINGERPRINTS)
        assert list(store.verify()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_at_any_instant(tmp_path, images):
    moments = random.Random(20)
    for round_number in range(10):
        out = tmp_path / f"out{round_number % 3}"  # some stores are killed again and again
        process, said = start(WRITER, images, out)
        assert said == "writing"
        time.sleep(moments.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        process.stdout.close()
        assert_consistent(out, images)


def test_two_writers_of_one_mask_never_mix_file_and_row(tmp_path, images):
    """A service that draws a corrected mask while a run draws the old one: the last one wins, wholly."""
    file = write_file(images, "0.jpg", b"\0")
    failures = []

    def write(first_row):
        try:
            with Store.open(tmp_path / "out", create=True) as store:
                for turn in range(12):
                    put(store, file, levels=make_levels(first_row + turn % 3))
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(row,)) for row in (1, 8, 16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    with Store.open(tmp_path / "out") as store:
        assert list(store.verify()) == []


def test_second_run_is_refused_and_told_who(tmp_path):
    out = tmp_path / "out"
    process, said = start(HOLDER, out)
    assert said == "locked"
    try:
        with Store.open(out) as store:
            owner = store.lock_owner()
            assert owner.pid == process.pid
            with pytest.raises(StoreLocked) as caught, store.lock():
                pass
            assert str(process.pid) in caught.value.message
            assert owner.host in caught.value.message
            assert caught.value.exit_code == 5
            store.put_correction("c", CorrectionLayers(replaces=True), author="ann", tool="review", based_on=None)
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdout.close()
    with Store.open(out) as store:
        assert locking.read_owner(out / placing.LOCK_NAME) is not None  # the dead one's name is still there
        assert store.lock_owner() is None  # and does not count
        with store.lock():
            assert store.lock_owner().pid == os.getpid()
            with pytest.raises(StoreLocked), store.lock():
                pass
        assert store.lock_owner() is None
        with store.lock():
            pass


@pytest.mark.parametrize(
    ("owner", "free"),
    [
        ({"pid": 2**22 + 7}, True),  # above every Linux process id
        ({"pid": os.getpid()}, False),
        ({"host": "another-host", "pid": 2**22 + 7}, False),
    ],
)
def test_without_system_locks_the_owners_text_decides(tmp_path, monkeypatch, owner, free):
    import errno

    def unsupported(_descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking, "_lock", unsupported)
    path = tmp_path / "automask.lock"
    mine = LockOwner.this_process()
    fields = {"pid": mine.pid, "host": mine.host, "started_s": mine.started_s, "command": "x"} | owner
    path.write_text(json.dumps(fields))
    if free:
        with locking.exclusive_lock(path):
            assert locking.read_owner(path).pid == os.getpid()
    else:
        with pytest.raises(StoreLocked), locking.exclusive_lock(path):
            pass


def test_reading_and_correcting_while_a_run_writes(tmp_path, images):
    out = tmp_path / "out"
    process, said = start(WRITER, images, out)
    assert said == "writing"
    try:
        with Store.open(out) as store:
            seen = set()
            deadline = time.monotonic() + 30
            while store.counts().images == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            for number in range(20):
                based_on = number or None
                add = np.zeros((24, 32), dtype=np.bool_)
                store.put_correction("c", CorrectionLayers(add=add), author="ann", tool="review", based_on=based_on)
                rows = list(store.images(order="confidence"))
                seen.update((row.image_id, row.confidence) for row in rows)
                for row in rows:
                    assert store.result(row.image_id) is not None
            assert len(store.correction_history("c")) == 20
            while len(seen) < 5 and time.monotonic() < deadline:  # it goes on writing meanwhile
                seen.update((row.image_id, row.confidence) for row in store.images())
            assert len(seen) >= 5
            assert process.poll() is None
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdout.close()
