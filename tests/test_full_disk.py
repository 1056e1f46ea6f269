"""A full disk ends every command with the documented code, and costs nothing that was there before."""

import contextlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli_process import CHEAP, automask, command, environment
from one_mask_cases import make_set
from PIL import Image, ImageOps
from review_cases import served

from automask.store import Store

LEFT_KIB = (0, 40, 120, 250)
"""Room that is left: nothing at all, none for SQLite's own files, some for a mask or two."""
COMMANDS = {
    "run": ("run", "{images}", "--output", "{disk}/new", *CHEAP),
    "run again": ("run", "{images}", "--output", "{disk}/store", *CHEAP),
    "render": ("render", "{disk}/store", "--growth-cells", "3"),
    "export": ("export", "{disk}/store", "--to", "kohya", "--images", "copy"),
    "import": ("import", "{disk}/store", "--from", "{masks}", "--format", "masks", "--replace", "--keep-polarity"),
    "fill": ("fill", "{disk}/store", "--output", "{disk}/filled"),
    "report": ("report", "{disk}/store"),
    "show": ("show", "{disk}/store", "cut.png", "--output", "{disk}/shown.png"),
    "crop": ("crop", "{disk}/store", "--write", "--output", "{disk}/crops"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set"))


@pytest.fixture
def disk(tmp_path, made):
    """A small disk of its own with a store on it."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        shutil.copytree(made, place / "store")
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill_up(disk, left_kib):
    facts = os.statvfs(disk)
    with (disk / "filler").open("wb") as file:
        file.write(bytes(facts.f_bavail * facts.f_frsize - 1024 * left_kib))


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_has_its_code(name, disk, made, tmp_path):
    inverted = tmp_path / "masks"
    inverted.mkdir()
    for path in (made / "masks").iterdir():
        with Image.open(path) as mask:
            ImageOps.invert(mask).save(inverted / path.name)
    images = made.parent / "images"
    words = [word.format(images=images, disk=disk, masks=inverted) for word in COMMANDS[name]]
    with Store.open(disk / "store") as store:
        before = {row.image_id for row in store.images() if store.correction(row.content_sha256) is not None}
    codes = []
    for left_kib in LEFT_KIB:
        fill_up(disk, left_kib)
        done = automask(*words)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 4), done.stderr
        codes.append(done.returncode)
        assert ("[disk-full]" in done.stderr) is (done.returncode == 4), done.stderr
        (disk / "filler").unlink()
    assert codes[0] == 4
    with Store.open(disk / "store") as store:
        assert {problem.code for problem in store.verify()} <= {"mask-changed", "mask-unknown"}
        now = {row.image_id for row in store.images() if store.correction(row.content_sha256) is not None}
        assert now >= before
    done = automask(*words)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_page_of_a_store_on_a_full_disk_says_so_and_goes_on(disk):
    with served(disk / "store") as server:
        fill_up(disk, 0)
        with urllib.request.urlopen(server.address + "api/queue") as answer:
            token = "Y3V0LnBuZw"
            assert len(json.load(answer)["rows"]) == 4
        body = json.dumps({"replaces": True}).encode()
        headers = {"If-Match": '"1"', "Content-Type": "application/json", "Origin": f"http://127.0.0.1:{server.port}"}
        request = urllib.request.Request(
            f"{server.address}api/images/{token}/correction", data=body, headers=headers, method="PUT"
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert (caught.value.code, json.load(caught.value)["code"]) == (507, "disk-full")
        (disk / "filler").unlink()
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["revision"] == 2


@pytest.mark.slow
def test_a_store_on_a_full_disk_can_be_read(disk, tmp_path):
    fill_up(disk, 0)
    assert automask("status", disk / "store").returncode == 0
    assert automask("show", disk / "store", "cut.png", "--output", tmp_path / "shown.png").returncode == 0
    assert automask("export", disk / "store", "--to", "grey", "--output", tmp_path / "out").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_find_no_room_are_no_defect(made):
    with contextlib.ExitStack() as files:
        full = files.enter_context(Path("/dev/full").open("wb"))
        done = subprocess.run(
            command("status", made), stdout=full, stderr=subprocess.PIPE, env=environment(), text=True, timeout=120
        )
    assert (done.returncode, "[disk-full]" in done.stderr) == (4, True)
