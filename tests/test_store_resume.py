"""What a run finds to do: the resume rules, and who owns which mask file."""

import os
import shutil
import sqlite3
from dataclasses import replace

import pytest
from store_cases import (
    FINGERPRINTS,
    assert_same_result,
    file_at,
    make_levels,
    make_result,
    put,
    touch,
    write_file,
)

from automask.errors import ImageError
from automask.store import Status, Store, Work
from automask.values.types import Fingerprints


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "out", create=True) as opened:
        yield opened


def work(store, file, fingerprints=FINGERPRINTS):
    return store.plan(file, fingerprints).work


def settled(store, *files):
    return set(store.settled(files, FINGERPRINTS)) == {file.id for file in files}


def old_file(root, name, data):
    """A file that says it was written long ago, as one that was copied with its times does."""
    file = write_file(root, name, data)
    os.utime(file.path, ns=(10**18, 10**18))
    return file_at(root, name)


class TestPlan:
    def test_new_then_current(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        assert work(store, file) is Work.DETECT
        put(store, file)
        assert work(store, file) is Work.NONE
        assert store.is_current(file, FINGERPRINTS)

    def test_fingerprints_say_where_to_start(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        assert work(store, file, Fingerprints("detect-1", "refine-1", "fuse-2")) is Work.RENDER
        assert work(store, file, Fingerprints("detect-1", "refine-2", "fuse-2")) is Work.REFINE
        assert work(store, file, Fingerprints("detect-2", "refine-2", "fuse-2")) is Work.DETECT

    def test_touched_file_is_read_once(self, store, root, monkeypatch):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        touched = touch(file, root)
        assert work(store, touched) is Work.NONE
        touched.path.unlink()  # would fail to hash now
        assert work(store, touched) is Work.NONE

    def test_changed_pixels(self, store, root):
        put(store, write_file(root, "a.jpg", b"pixels"))
        assert work(store, touch(write_file(root, "a.jpg", b"PIXELS"), root)) is Work.DETECT

    @pytest.mark.parametrize("by_name", [False, True], ids=["written into", "put in its place"])
    def test_other_pixels_of_the_same_size_and_time(self, store, root, by_name):
        file = old_file(root, "a.jpg", b"pixels")
        put(store, file)
        assert settled(store, file)
        replaced = old_file(root, "b.jpg" if by_name else "a.jpg", b"PIXELS")
        if by_name:
            replaced.path.replace(file.path)
            replaced = file_at(root, "a.jpg")
        assert (replaced.size_bytes, replaced.mtime_ns) == (file.size_bytes, file.mtime_ns)
        assert not settled(store, replaced)
        assert work(store, replaced) is Work.DETECT

    @pytest.mark.parametrize("change", ["chmod", "copy"])
    def test_a_change_of_anything_but_the_file_reads_it_once(self, store, root, change):
        file = old_file(root, "a.jpg", b"pixels")
        put(store, file)
        if change == "chmod":
            file.path.chmod(0o600)
        else:
            copied = root / "copied.jpg"
            shutil.copy2(file.path, copied)
            copied.replace(file.path)
        changed = file_at(root, "a.jpg")
        assert (changed.mtime_ns, changed.ctime_ns > file.ctime_ns) == (file.mtime_ns, True)
        assert not settled(store, changed)
        assert work(store, changed) is Work.NONE
        changed.path.unlink()  # would fail to hash now
        assert settled(store, changed)
        assert work(store, changed) is Work.NONE

    def test_a_renamed_file_is_known_by_its_new_change_time(self, store, root):
        put(store, old_file(root, "a.jpg", b"pixels"))
        (root / "a.jpg").rename(root / "b.jpg")
        renamed = file_at(root, "b.jpg")
        assert work(store, renamed) is Work.RENDER
        assert store.lookup("b.jpg").ctime_ns == renamed.ctime_ns

    def test_change_times_are_learned_without_reading_or_saying_that_anything_changed(self, store, root, tmp_path):
        files = [old_file(root, name, name.encode()) for name in ("a.jpg", "b.jpg")]
        for file in files:
            put(store, file)
        with sqlite3.connect(tmp_path / "out" / "automask.sqlite") as connection:
            connection.execute("UPDATE images SET ctime_ns = NULL")  # as of a store from before version 6
        before = store.state()
        for file in files:
            file.path.unlink()  # would fail to hash now
        assert settled(store, *files)
        assert [store.lookup(file.id).ctime_ns for file in files] == [file.ctime_ns for file in files]
        assert store.state() == before

    def test_vanished_file_is_for_decoding_to_report(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        file.path.unlink()
        assert work(store, replace(file, size_bytes=0, mtime_ns=0, ctime_ns=0)) is Work.DETECT

    @pytest.mark.parametrize("damage", [None, b"", b"not the mask"])
    def test_damaged_mask_is_drawn_again(self, store, root, damage):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        path = store.mask_path("a.png")
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        assert work(store, file) is Work.RENDER

    def test_copied_store_stays_current(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        path = store.mask_path("a.png")
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        assert work(store, file) is Work.NONE
        assert store.lookup("a.jpg").mask_mtime_ns == path.stat().st_mtime_ns

    def test_same_length_mask_of_other_bytes(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        path = store.mask_path("a.png")
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
        assert work(store, file) is Work.RENDER
        assert [problem.code for problem in store.verify()] == ["mask-damaged"]

    def test_renamed_file_takes_its_result_along(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        file.path.rename(root / "b.jpg")
        renamed = file_at(root, "b.jpg")
        assert work(store, renamed) is Work.RENDER
        assert_same_result(store.result("b.jpg"), make_result("b.jpg"))
        assert store.lookup("b.jpg").status is Status.MISSING  # no row claims a mask that is not there
        put(store, renamed)
        assert work(store, renamed) is Work.NONE
        assert store.mark_missing(lambda image_id: not (root / image_id).exists()) == 1
        assert not store.mask_path("a.png").exists()
        assert list(store.verify()) == []

    def test_same_size_other_pixels_is_no_rename(self, store, root):
        put(store, write_file(root, "a.jpg", b"pixels"))
        assert work(store, write_file(root, "b.jpg", b"PIXELS")) is Work.DETECT
        assert store.lookup("b.jpg") is None


class TestMaskNames:
    def test_new_name_removes_the_old_file(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        collided = replace(file, mask_name="a.jpg.png")
        assert work(store, collided) is Work.RENDER
        put(store, collided)
        assert [path.name for path in store.masks_root.iterdir()] == ["a.jpg.png"]

    def test_name_that_moves_to_another_image(self, store, root):
        old = write_file(root, "a.jpg", b"pixels")
        put(store, old)
        old.path.unlink()
        new = write_file(root, "a.webp", b"other pixels")
        put(store, new, levels=make_levels(9))
        assert store.lookup("a.jpg").mask_name is None
        store.mark_missing(lambda image_id: not (root / image_id).exists())
        assert work(store, new) is Work.NONE
        assert list(store.verify()) == []

    @pytest.mark.parametrize("name", ["../a.png", "/a.png", "", "b/../../a.png"])
    def test_never_outside(self, store, root, name):
        file = replace(write_file(root, "a.jpg", b"pixels"), mask_name=name)
        with pytest.raises(ValueError, match="not a mask name"):
            put(store, file)

    def test_impossible_name_is_the_images_problem(self, store, root):
        put(store, write_file(root, "a.jpg", b"pixels"))
        file = write_file(root, "b.jpg", b"other", mask_name="a.png/b.png")
        with pytest.raises(ImageError) as caught:
            put(store, file)
        assert caught.value.code == "name-impossible"
        assert store.lookup("b.jpg") is None
