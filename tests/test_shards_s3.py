"""Sharded runs against an S3-compatible server: the command line as users call it, keys from the environment."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from cli_process import CHEAP, automask, command, environment
from gather_cases import act, is_masked, painted
from s3_server import KEYS, s3_server
from shard_cases import copy_into, copy_out, image_folder, masks_in, webdataset_tar

from automask.store import Decision

pytestmark = pytest.mark.slow
pytest.importorskip("moto", reason="pip install 'moto[server]'")
pytest.importorskip("s3fs", reason="the extra `s3`")

CODES = re.compile(r"\[([a-z0-9-]+)\]")


@pytest.fixture(scope="module")
def variables():
    with s3_server() as found:
        yield found


@pytest.fixture
def bucket(variables, monkeypatch, request):
    """A bucket, and its files as fsspec sees them."""
    import s3fs

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    name = "b-" + re.sub("[^a-z0-9]", "-", request.node.name.lower())[:50].strip("-")
    files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    files.mkdir(name)
    return name, files


def run(*arguments, variables, cwd):
    return automask("run", *arguments, *CHEAP, "--json", cwd=cwd, env=environment(**variables))


def test_images_in_a_bucket_get_the_masks_of_a_folder(bucket, variables, tmp_path):
    name, files = bucket
    folder = image_folder(tmp_path / "set", 7)
    copy_into(files, folder, f"{name}/set")
    done = run(f"s3://{name}/set", "-o", f"s3://{name}/masks", "--shard-images", "3", variables=variables, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["shards"], told["images"], told["source"]) == (3, 7, f"s3://{name}/set")
    local = run(folder, "-o", tmp_path / "local", "--shard-images", "3", variables=variables, cwd=tmp_path)
    assert local.returncode == 0, local.stderr
    copy = copy_out(files, f"{name}/masks", tmp_path / "copy")
    assert masks_in(copy) == masks_in(tmp_path / "local")
    for part in ("masks", "regions"):
        for path in (copy / part).iterdir():
            assert path.read_bytes() == (tmp_path / "local" / part / path.name).read_bytes()
    again = run(f"s3://{name}/set", "-o", f"s3://{name}/masks", variables=variables, cwd=tmp_path)
    assert json.loads(again.stdout)["reused"] == 3
    status = automask("status", f"s3://{name}/masks", "--verify", "--json", env=environment(**variables))
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["done"] == 3
    assert files.find(f"{name}/masks/claims") == []


def test_no_key_is_told_anywhere(bucket, variables, tmp_path):
    name, files = bucket
    webdataset_tar(tmp_path / "data" / "0.tar")
    (tmp_path / "data" / "1.tar").write_bytes(b"no tar")
    copy_into(files, tmp_path / "data", f"{name}/data")
    arguments = (f"s3://{name}/data/*.tar", "-o", f"s3://{name}/out", "--log-file", "log.txt", "--debug")
    done = run(*arguments, variables=variables, cwd=tmp_path)
    assert done.returncode == 8, done.stderr
    refused = run(
        f"s3://{name}-nowhere/x", "-o", f"s3://{name}/other", "--log-file", "log.txt", variables=variables, cwd=tmp_path
    )
    assert refused.returncode == 3, refused.stderr
    said = done.stdout + done.stderr + refused.stdout + refused.stderr + (tmp_path / "log.txt").read_text()
    written = b"".join(path.read_bytes() for path in copy_out(files, f"{name}/out", tmp_path / "copy").rglob("*.*"))
    assert len(written) > 1000
    for secret in KEYS.values():
        assert secret not in said
        assert secret.encode() not in written


def test_images_are_gathered_and_what_was_done_is_scattered(bucket, variables, tmp_path):
    name, files = bucket
    copy_into(files, image_folder(tmp_path / "set", 4), f"{name}/set")
    arguments = (f"s3://{name}/set", "-o", f"s3://{name}/masks", "--shard-images", "2", "--review-below", "1")
    assert run(*arguments, variables=variables, cwd=tmp_path).returncode == 0
    env = environment(**variables)
    options = ("--into", "store", "--doubtful", 9, "--json")
    told = automask("gather", f"s3://{name}/masks", *options, cwd=tmp_path, env=env)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["gathered"] == 4
    act(tmp_path / "store", "000.png", layers=painted())
    act(tmp_path / "store", "002.png", decision=Decision.EXCLUDED)
    done = [automask("scatter", "store", "--json", cwd=tmp_path, env=env) for _ in range(2)]
    assert [json.loads(one.stdout)["changed"] for one in done] == [2, 0], done[0].stderr
    again = run(*arguments, "--growth-cells", "2", variables=variables, cwd=tmp_path)
    assert json.loads(again.stdout)["done"] == {"rendered": 2}
    copy = copy_out(files, f"{name}/masks", tmp_path / "copy")
    assert is_masked(copy, "000.png")
    assert len(masks_in(copy)) == 3
    said = [told.stdout, told.stderr, *(one.stdout + one.stderr for one in done)]
    kept = [path.read_bytes().decode("latin-1") for path in (*copy.rglob("*.*"), *(tmp_path / "store").rglob("*.*"))]
    assert not [key for key in KEYS.values() for text in (*said, *kept) if key in text]


def test_wrong_keys_are_an_error_soon(bucket, variables, tmp_path):
    """moto takes any key; a server that refuses all of them stands for one that refuses ours."""
    name, _ = bucket
    nowhere = {**variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    began = time.monotonic()
    done = run(f"s3://{name}/x", "-o", tmp_path / "out", variables=nowhere, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert CODES.findall(done.stderr)[0] == "source-unreachable"
    assert time.monotonic() - began < 100
    assert not (tmp_path / "out").exists()


def test_a_claim_is_made_once(bucket):
    from automask.files.places import folder_at

    name, _ = bucket
    folder = folder_at(f"s3://{name}/target")
    assert folder.create("claims/a.json", b"1")
    assert not folder.create("claims/a.json", b"2")
    # past the look whether it is there: the server itself refuses the second one
    folder.facts = lambda name: None
    assert not folder.create("claims/a.json", b"3")
    assert folder.read("claims/a.json") == b"1"


def test_a_killed_driver_and_two_drivers_on_one_bucket(bucket, variables, tmp_path):
    name, files = bucket
    folder = image_folder(tmp_path / "set", 30)
    copy_into(files, folder, f"{name}/set")
    arguments = ("run", f"s3://{name}/set", "-o", f"s3://{name}/out", "--shard-images", "5", *CHEAP)
    env = environment(**variables)
    first = subprocess.Popen(command(*arguments), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(files.find(f"{name}/out/done")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path: files.info(path)["LastModified"] for path in files.find(f"{name}/out/done")}
    assert 2 <= len(kept) < 6
    two = [
        subprocess.Popen(command(*arguments, "--json"), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    told = []
    for process in two:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        told.append(json.loads(out))
    assert sum(sum(one["done"].values()) for one in told) == 6 - len(kept)
    assert {path: files.info(path)["LastModified"] for path in kept} == kept
    run(folder, "-o", tmp_path / "local", "--shard-images", "5", variables=variables, cwd=tmp_path)
    assert masks_in(copy_out(files, f"{name}/out", tmp_path / "copy")) == masks_in(tmp_path / "local")
