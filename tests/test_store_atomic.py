"""Files that are wholly there or not at all."""

import errno
import os
import subprocess
import sys
import time

import pytest

from automask.errors import OutputError
from automask.files import atomic


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "deep" / "er" / "a.png"
    written = atomic.write_atomic(path, b"one")
    assert path.read_bytes() == b"one"
    assert (written.size_bytes, written.mtime_ns) == (3, path.stat().st_mtime_ns)
    atomic.write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk-full"), (errno.EROFS, "output-read-only"), (errno.EACCES, "output-read-only")],
)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, number, code, call):
    path = tmp_path / "a.png"
    atomic.write_atomic(path, b"old")

    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, call, fail)
    with pytest.raises(OutputError) as caught:
        atomic.write_atomic(path, b"new")
    monkeypatch.undo()
    assert caught.value.code == code
    assert caught.value.advice
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_names_that_cannot_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / ("x" * 300), tmp_path / "file" / "a.png", tmp_path / "folder"):
        with pytest.raises(OutputError) as caught:
            atomic.write_atomic(path, b"x")
        assert caught.value.code == atomic.IMPOSSIBLE_NAME
    assert not list(atomic.find_temporaries(tmp_path))


def test_sweeps_only_what_dead_writers_left(tmp_path):
    code = (
        "import os, pathlib, sys; from automask.files import atomic;"
        "print(atomic.write_temporary(pathlib.Path(sys.argv[1], 'sub', 'a.png'), b'half').name); os._exit(9)"
    )
    dead = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert dead.returncode == 9, dead.stderr
    living = atomic.write_temporary(tmp_path / "sub" / "b.png", b"in work")
    old = tmp_path / f".x.otherhost.77.abc{living.name[living.name.rindex('.automask') :]}"
    old.write_bytes(b"")
    fresh = old.with_name("." + old.name)
    fresh.write_bytes(b"")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    (tmp_path / "a.png").write_bytes(b"mask")
    assert atomic.sweep_temporaries(tmp_path) == 2
    assert {path.name for path in atomic.find_temporaries(tmp_path)} == {living.name, fresh.name}
    assert (tmp_path / "a.png").exists()


def test_sweeps_what_an_earlier_process_with_this_id_left(tmp_path):
    mine = atomic.write_temporary(tmp_path / "a.png", b"")
    parts = mine.name.split(".")
    parts[4] = "00000000"
    mine.rename(mine.with_name(".".join(parts)))
    assert atomic.sweep_temporaries(tmp_path) == 1
