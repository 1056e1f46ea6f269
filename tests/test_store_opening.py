"""Which folders are stores, which are refused, and how old ones are brought up to date."""

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from store_cases import FINGERPRINTS, file_at, put, write_file

from automask.errors import AutomaskError, OutputError, StoreError, StoreLocked, StoreTooNew
from automask.store import Store, Work, database, is_store, placing, schema

NOW = schema.SCHEMA_VERSION


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


def database_of(out):
    return sqlite3.connect(out / "automask.sqlite")


def execute(out, *statements):
    connection = database_of(out)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def refused(code, out, **how):
    with pytest.raises(AutomaskError) as caught:
        Store.open(out, **how)
    assert caught.value.code == code
    assert caught.value.advice
    return caught.value


class TestOpening:
    def test_makes_folders_and_opens_again(self, tmp_path):
        out = tmp_path / "a #1" / "b?c %20"
        Store.open(out, create=True).close()
        assert is_store(out)
        Store.open(out, create=True).close()
        Store.open(out).close()

    def test_no_store(self, out):
        refused("store-missing", out)
        assert not out.exists()
        out.mkdir()
        refused("store-missing", out)
        refused("store-missing", out, create=True, read_only=True)
        assert not list(out.iterdir())

    def test_output_is_a_file(self, out):
        out.write_bytes(b"")
        error = refused("name-impossible", out, create=True)
        assert isinstance(error, OutputError)

    def test_somebody_elses_masks_are_not_touched(self, out):
        (out / "masks").mkdir(parents=True)
        (out / "masks" / "mine.png").write_bytes(b"precious")
        assert isinstance(refused("output-not-ours", out, create=True), OutputError)
        assert [path.name for path in out.rglob("*")] == ["masks", "mine.png"]

    def test_killed_while_creating(self, out):
        out.mkdir()
        (out / "automask.sqlite").touch()
        refused("store-missing", out)
        with Store.open(out, create=True) as store:
            assert store.counts().images == 0

    @pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(200), os.urandom(9000)])
    def test_damaged(self, out, content):
        out.mkdir()
        (out / "automask.sqlite").write_bytes(content)
        error = refused("store-corrupt", out, create=True)
        assert isinstance(error, StoreError)
        assert (out / "automask.sqlite").read_bytes() == content

    def test_foreign_database(self, out):
        out.mkdir()
        execute(out, "CREATE TABLE meta (key, value)", "INSERT INTO meta VALUES ('schema_version', '1')")
        refused("store-foreign", out, create=True)

    def test_damaged_in_the_middle(self, out, root):
        with Store.open(out, create=True) as store:
            put(store, write_file(root, "a.jpg", b"pixels"))
        (page,) = database_of(out).execute("SELECT rootpage FROM sqlite_master WHERE name = 'regions'").fetchone()
        path = out / "automask.sqlite"
        data = bytearray(path.read_bytes())
        data[(page - 1) * 4096 : page * 4096] = os.urandom(4096)
        path.write_bytes(data)
        with Store.open(out) as store:
            assert "database-damaged" in {problem.code for problem in store.verify()}
            with pytest.raises(StoreError) as caught:
                store.result("a.jpg")
            assert caught.value.code == "store-corrupt"

    def test_a_closed_store_says_so(self, out):
        store = Store.open(out, create=True)
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.counts()


class TestReadOnly:
    def test_reads_and_never_writes(self, out, root):
        file = write_file(root, "a.jpg", b"pixels")
        with Store.open(out, create=True) as store:
            put(store, file)
        with Store.open(out, read_only=True) as store:
            assert store.plan(file, FINGERPRINTS).work is Work.NONE
            with pytest.raises(StoreError, match="reading only"):
                put(store, file)
        assert sorted(path.name for path in out.iterdir()) == ["automask.sqlite", "masks"]

    def test_where_nothing_can_be_created(self, out, root, monkeypatch):
        with Store.open(out, create=True) as store:
            put(store, write_file(root, "a.jpg", b"pixels"))
        real = database.sqlite3.connect

        def connect(name, **options):  # what SQLite answers for a write-ahead log on a read-only disk
            if "immutable" not in name:
                error = sqlite3.OperationalError("unable to open database file")
                error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
                raise error
            return real(name, **options)

        monkeypatch.setattr(database.sqlite3, "connect", connect)
        with Store.open(out, read_only=True) as store:
            assert store.counts().done == 1
        (out / "automask.sqlite-wal").write_bytes(b"something to replay")
        refused("store-read-only", out, read_only=True)


class TestFullDisk:
    def test_a_failed_disk_that_is_full(self, out, monkeypatch):
        """SQLite calls it an error of the disk where it cannot make its own files larger."""
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        out.mkdir()
        for free, code in ((0, "disk-full"), (10**9, "output-unwritable")):
            monkeypatch.setattr(database.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
            with pytest.raises(OutputError) as caught, database.translated_errors(out / "automask.sqlite"):
                raise error
            assert caught.value.code == code

    @pytest.fixture
    def small(self, monkeypatch):
        """Databases that report a full disk at 200 kB, through SQLite's own limit."""
        real = database.Database._configured

        def configured(self, mode):
            connection = real(self, mode)
            connection.execute("PRAGMA max_page_count = 50")
            return connection

        monkeypatch.setattr(database.Database, "_configured", configured)

    def test_database(self, out, root, small):
        with Store.open(out, create=True) as store:
            stored = []

            def fill():
                for number in range(1000):
                    file = write_file(root, f"{number}.jpg", number.to_bytes(2, "big"))
                    put(store, file)
                    stored.append(file)

            with pytest.raises(OutputError) as caught:
                fill()
            assert caught.value.code == "disk-full"
            assert len(stored) > 5
            assert not list(out.rglob("*tmp*"))
            assert {row.image_id for row in store.images()} == {file.id for file in stored}
            assert all(store.is_current(file, FINGERPRINTS) for file in stored)
            assert {problem.code for problem in store.verify()} <= {"mask-unknown"}  # drawn, then no room for its row

    def test_mask(self, out, root, monkeypatch):
        import errno

        from automask.files import atomic

        with Store.open(out, create=True) as store:
            file = write_file(root, "a.jpg", b"pixels")
            put(store, file)

            def fail(_descriptor):
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(atomic.os, "fsync", fail)
            with pytest.raises(OutputError) as caught:
                put(store, file, confidence=0.1)
            assert caught.value.code == "disk-full"
            assert store.lookup("a.jpg").confidence == 0.8
            assert list(store.verify()) == []


class TestJournal:
    def test_network_disks_get_a_rollback_journal(self, out, root, monkeypatch):
        monkeypatch.setattr(database, "is_local", lambda folder: False)
        with Store.open(out, create=True) as store:
            put(store, write_file(root, "a.jpg", b"pixels"))
        assert database_of(out).execute("PRAGMA journal_mode").fetchone() == ("delete",)
        monkeypatch.setattr(database, "is_local", lambda folder: True)
        Store.open(out).close()
        assert database_of(out).execute("PRAGMA journal_mode").fetchone() == ("wal",)

    @pytest.mark.parametrize(
        ("folder", "kind"),
        [
            ("/data/set", "ext4"),
            ("/mnt/nas/a b/set", "nfs4"),
            ("/mnt/nas", "ext4"),
            ("/tmp/x", "tmpfs"),
            ("/tmpx", "ext4"),
        ],
    )
    def test_file_system_by_longest_mount_point(self, folder, kind):
        lines = [
            "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw",
            "41 22 0:37 / /mnt/nas/a\\040b rw - nfs4 host:/export rw",
            "42 22 0:38 / /tmp rw - tmpfs tmpfs rw",
            "a line without the rest",
        ]
        assert database.file_system_of(Path(folder), lines) == kind


class TestVersions:
    def test_newer_is_refused_untouched(self, out):
        Store.open(out, create=True).close()
        execute(out, "UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        before = (out / "automask.sqlite").read_bytes()
        with pytest.raises(StoreTooNew) as caught:
            Store.open(out, create=True)
        assert "99" in caught.value.message
        assert (caught.value.code, caught.value.exit_code) == ("store-too-new", 5)
        assert (out / "automask.sqlite").read_bytes() == before
        refused("store-too-new", out, read_only=True)

    @pytest.fixture
    def old(self, out, root, monkeypatch):
        """A store of two versions before the current one, and the steps from it to now."""
        with Store.open(out, create=True) as store:
            put(store, write_file(root, "a.jpg", b"pixels"))
        monkeypatch.setattr(schema, "SCHEMA_VERSION", NOW + 2)

        def first(connection):
            connection.execute("ALTER TABLE images ADD COLUMN added TEXT NOT NULL DEFAULT 'by step 1'")

        def second(connection):
            connection.execute("UPDATE images SET added = added || ', then step 2'")

        monkeypatch.setattr(schema, "MIGRATIONS", {NOW: first, NOW + 1: second})
        return out

    def test_older_is_updated_after_a_backup(self, old, root):
        with Store.open(old) as store:
            assert store.is_current(file_at(root, "a.jpg"), FINGERPRINTS)
        connection = database_of(old)
        assert connection.execute("SELECT added FROM images").fetchone() == ("by step 1, then step 2",)
        assert connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (str(NOW + 2),)
        backup = sqlite3.connect(old / f"automask.v{NOW}.backup.sqlite")
        assert backup.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (str(NOW),)
        assert backup.execute("SELECT count(*) FROM images").fetchone() == (1,)
        Store.open(old).close()

    def test_a_failing_step_changes_nothing(self, old, monkeypatch):
        def broken(connection):
            connection.execute("DROP TABLE issues")
            raise RuntimeError("step 2 is broken")

        monkeypatch.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, NOW + 1: broken})
        with pytest.raises(RuntimeError, match="step 2"):
            Store.open(old)
        monkeypatch.setattr(schema, "SCHEMA_VERSION", NOW)
        with Store.open(old) as store:
            assert store.issues("a.jpg") == []
            assert list(store.verify()) == []

    def test_not_for_readers_nor_beside_a_run(self, old):
        refused("store-outdated", old, read_only=True)
        with placing.exclusive_lock(old / "automask.lock"), pytest.raises(StoreLocked):
            Store.open(old)

    def test_too_old(self, old, monkeypatch):
        monkeypatch.setattr(schema, "MIGRATIONS", {NOW + 1: schema.MIGRATIONS[NOW + 1]})
        refused("store-too-old", old)


class TestInputRoot:
    def begin(self, store, root, **how):
        return store.begin_run(config_json="{}", input_root=str(root), version="1", **how)

    def test_another_dataset_is_refused(self, out, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        with Store.open(out, create=True) as store:
            assert self.begin(store, first) == 1
            assert self.begin(store, first) == 2
            with pytest.raises(StoreError) as caught:
                self.begin(store, second)
            assert caught.value.code == "store-other-input"
            assert self.begin(store, second, accept_other_input=True) == 3

    def test_a_moved_dataset_is_welcome(self, out, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        with Store.open(out, create=True) as store:
            self.begin(store, first)
            first.rename(second)
            self.begin(store, second)
            first.symlink_to(second)
            self.begin(store, first)

    def test_runs_that_were_killed(self, out, tmp_path):
        with Store.open(out, create=True) as store:
            first = self.begin(store, tmp_path)
            second = self.begin(store, tmp_path)
            assert store.last_run().status == "running"
            store.finish_run(second, status="done")
            assert (store.last_run().run_id, store.last_run().status) == (second, "done")
        row = database_of(out).execute("SELECT status FROM runs WHERE run_id = ?", (first,)).fetchone()
        assert row == ("interrupted",)
