"""`automask run --shard-images` and `automask status` on what it makes."""

import gzip
import json
import time

import pytest
from cli_process import CHEAP, automask
from shard_cases import encoded, image_folder, masks_in, table_of, tar_bytes, webdataset_tar


def run(*arguments, cwd):
    return automask("run", *arguments, *CHEAP, cwd=cwd)


@pytest.fixture
def target(tmp_path):
    """A sharded target with one bad image, one bad tar and two good shards."""
    for number in range(2):
        webdataset_tar(tmp_path / "data" / f"{number}.tar", first=4 * number)
    (tmp_path / "data" / "2.tar").write_bytes(b"no tar")
    done = run("data/*.tar", "--output", "out", cwd=tmp_path)
    assert done.returncode == 8, done.stderr
    return tmp_path / "out"


def test_a_run_tells_what_it_did(tmp_path):
    image_folder(tmp_path / "set", 5)
    (tmp_path / "set" / "bad.png").write_bytes(b"no picture")
    done = run("set", "--output", "out", "--shard-images", 4, "--json", cwd=tmp_path)
    assert done.returncode == 8, done.stderr
    told = json.loads(done.stdout)
    assert told["output"] == str(tmp_path / "out")
    assert (told["shards"], told["images"], told["failed"]) == (2, 6, 1)
    assert told["issues"] == {"image-unsupported": 1}
    assert told["exit_code"] == 8
    again = run("set", "--output", "out", cwd=tmp_path)  # a sharded target stays one
    assert again.returncode == 0, again.stderr
    assert "none of 2, 2 up to date" in again.stdout
    assert not (tmp_path / "out" / "automask.sqlite").exists()
    assert len(masks_in(tmp_path / "out")) == 5


@pytest.mark.parametrize("name", ["x.pq", "x.PARQUET", "x.tar", "x.tar.gz", "x.tgz"])
def test_one_file_that_only_shards_read_is_a_source(tmp_path, name):
    if name.lower().startswith("x.p"):
        table_of(tmp_path / name, [{"key": "a", "image": encoded(0)}])
    else:
        packed = tar_bytes([("a.png", encoded(0))])
        (tmp_path / name).write_bytes(gzip.compress(packed) if name.endswith("gz") else packed)
    done = run(name, "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(masks_in(tmp_path / "out")) == ["a.png"]


def test_a_lance_dataset_is_told_what_to_do(tmp_path):
    (tmp_path / "set.lance" / "data").mkdir(parents=True)
    (tmp_path / "set.lance" / "data" / "0.lance").write_bytes(b"LANC")
    done = run("set.lance", "--output", "out", "--shard-images", 4, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "Lance" in done.stderr
    assert "Parquet" in done.stderr
    assert not (tmp_path / "out").exists()


def test_status_adds_the_shards_up(target):
    said = automask("status", target)
    assert said.returncode == 0, said.stderr
    assert "3 of 3 shards done (100 %), 0 being worked on, 0 to do" in said.stdout
    assert "images: 8, 8 masks, 0 failed" in said.stdout
    assert "damaged 2: " in said.stdout
    (target / "done" / "1.done").unlink()
    (target / "done" / "0.done").unlink()
    claim = {"owner": "x", "host": "node7", "pid": 4, "time_s": time.time(), "fuse": "f"}
    (target / "claims" / "1.json").write_text(json.dumps(claim))
    told = json.loads(automask("status", target, "--json").stdout)
    assert (told["shards"], told["done"], told["claimed"], told["missing"]) == (3, 1, 1, 1)
    assert told["owners"] == ["process 4 on node7"]
    assert list(told["damaged"]) == ["2"]
    assert told["problems"] is None


def test_verify_finds_what_changed(target):
    assert automask("status", target, "--verify").returncode == 0
    with (target / "masks" / "0.tar").open("ab") as file:
        file.write(b"\0")
    (target / "regions" / "1.parquet").unlink()
    said = automask("status", target, "--verify", "--json")
    assert said.returncode == 5
    problems = {(one["code"], one["shard"]) for one in json.loads(said.stdout)["problems"]}
    assert problems == {("shard-file-changed", "0"), ("shard-file-missing", "1")}
    assert "done/SHARD.done" in said.stderr


def test_status_of_nothing_is_an_error(tmp_path):
    said = automask("status", "file:///nowhere/at/all", cwd=tmp_path)
    assert said.returncode == 5
    assert "store-missing" in said.stderr
    assert automask("status", tmp_path / "nothing").returncode == 5


def test_an_unknown_engine_is_refused_with_those_that_there_are(tmp_path):
    image_folder(tmp_path / "set", 1)
    said = run("set", "--output", "out", "--engine", "slurm", cwd=tmp_path)
    assert said.returncode == 2
    assert "plugin-unknown" in said.stderr
    assert "local" in said.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("extra", [("--from", "list.txt"), ("--server", "http://x"), ()])
def test_what_does_not_go_with_shards_is_refused(tmp_path, extra):
    image_folder(tmp_path / "set", 1)
    (tmp_path / "list.txt").write_text("set/000.png\n")
    output = ("--output", "out") if extra else ()  # without a target there is nothing to write to
    said = run("set", "--shard-images", 4, *output, *extra, cwd=tmp_path)
    assert said.returncode == 2, said.stderr
    assert not (tmp_path / "out").exists()


def test_a_store_does_not_become_a_target(tmp_path):
    image_folder(tmp_path / "set", 1)
    assert run("set", "--output", "out", "--no-report", cwd=tmp_path).returncode == 0
    said = run("set", "--output", "out", "--shard-images", 4, cwd=tmp_path)
    assert said.returncode == 4
    assert "shards-other-source" in said.stderr
