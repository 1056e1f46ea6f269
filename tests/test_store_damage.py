"""A database that broke is named as broken, whatever about it did: never a new store, never a defect."""

import contextlib
import random
import sqlite3

import pytest
from store_cases import put, write_file

from automask.errors import AutomaskError, StoreError
from automask.store import Store


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


def execute(out, *statements):
    connection = sqlite3.connect(out / "automask.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def refused(code, out, **how):
    with pytest.raises(AutomaskError) as caught:
        Store.open(out, **how)
    assert caught.value.code == code
    return caught.value


def everything_in(store):
    store.counts(), store.last_run(), store.corrected(), store.outdated_masks(), store.templates_by_image()
    store.templates.all()
    for row in store.images():
        store.result(row.image_id), store.issues(row.image_id), store.regions(row.image_id), store.lookup(row.image_id)
        store.correction(row.content_sha256), store.decision(row.content_sha256)


@pytest.mark.parametrize("how", [{"create": True}, {}, {"read_only": True}])
def test_an_empty_database_beside_masks(out, root, how):
    """A disk that lost the file, or a cut-off copy: what lies beside it is somebody's work."""
    with Store.open(out, create=True) as store:
        put(store, write_file(root, "a.jpg", b"pixels"))
    (out / "automask.sqlite").write_bytes(b"")
    assert refused("store-corrupt", out, **how).exit_code == 5
    assert (out / "automask.sqlite").read_bytes() == b""
    assert (out / "masks" / "a.png").is_file()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("how", [{"create": True}, {"read_only": True}])
def test_a_cut_off_database(out, root, share, how):
    with Store.open(out, create=True) as store:
        put(store, write_file(root, "a.jpg", b"pixels"))
    path = out / "automask.sqlite"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(StoreError) as caught, Store.open(out, **how) as store:
        everything_in(store)
    assert (caught.value.code, caught.value.exit_code) == ("store-corrupt", 5)


@pytest.mark.parametrize("seed", range(6))
def test_changed_bytes_are_damage_and_no_defect(out, root, seed):
    """Wherever they are: what can be read is read, and the rest is said."""
    with Store.open(out, create=True) as store:
        for number in range(3):
            put(store, write_file(root, f"{number}.jpg", bytes([number])))
    path = out / "automask.sqlite"
    whole = path.read_bytes()
    rng = random.Random(seed)
    for _ in range(12):
        data = bytearray(whole)
        at, length = rng.randrange(len(data)), rng.choice([1, 1, 30, 500, 4096])
        data[at : at + length] = rng.choice([bytes, rng.randbytes])(len(data[at : at + length]))
        path.write_bytes(data)
        with contextlib.suppress(AutomaskError), Store.open(out) as store:
            list(store.verify())
            everything_in(store)
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE regions SET kind = 'ctstom'",
        "UPDATE regions SET patch_rle = x'00'",
        "UPDATE regions SET attributes_json = '{'",
        "UPDATE images SET verdict = 'later'",
        "UPDATE images SET image_id = CAST(x'ff' AS TEXT)",
        "DROP TABLE regions",
        "ALTER TABLE images RENAME COLUMN confidence TO other",
    ],
)
def test_values_that_no_automask_wrote(out, root, change):
    with Store.open(out, create=True) as store:
        put(store, write_file(root, "a.jpg", b"pixels"))
    execute(out, "PRAGMA ignore_check_constraints = 1", change)
    with pytest.raises(StoreError) as caught, Store.open(out) as store:
        everything_in(store)
    assert caught.value.code == "store-corrupt"
