"""`automask run` on what goes wrong: a documented exit code, one line and advice, nothing lost, no traceback."""

import json
import os
import resource
import sqlite3
import subprocess
import sys

import pytest
from cli_process import CHEAP, automask, command, draw_images, environment, install_detector, masks_of
from PIL import Image


def assert_refused(done, *, exit_code, code):
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert f"[{code}]" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    assert done.stdout == ""


def test_no_such_folder(tmp_path):
    assert_refused(automask("run", tmp_path / "none"), exit_code=3, code="input-not-a-folder")
    assert list(tmp_path.iterdir()) == []


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    assert_refused(automask("run", tmp_path / "a.png"), exit_code=3, code="input-not-a-folder")


def test_empty_folder_leaves_nothing_behind(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("no image")
    done = automask("run", tmp_path / "set", *CHEAP)
    assert_refused(done, exit_code=3, code="input-empty")
    assert "1 not-an-image" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_store_as_input(tmp_path):
    automask("run", draw_images(tmp_path / "set", 1), *CHEAP)
    assert_refused(automask("run", tmp_path / "set-masks", *CHEAP), exit_code=3, code="input-is-a-store")


def test_missing_list(tmp_path):
    done = automask("run", "--from", tmp_path / "none.txt", *CHEAP)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--config", "none.toml"], "config-invalid"),
        (["--detectors", "nosuch"], "plugin-unknown"),
        (["--refiner", "nosuch"], "plugin-unknown"),
        (["--policy", "text"], "config-invalid"),
        (["--policy", "txt=keep"], "config-invalid"),
        (["--policy", "text=drop"], "config-invalid"),
        (["--weight", "text=2"], "config-invalid"),
        (["--option", "rapidocr=1"], "config-invalid"),
        (["--option", "edges.nosuch=1"], "config-invalid"),
        (["--option", "edgse.nosuch=1"], "config-invalid"),
        (["--training-px", "7"], "config-invalid"),
        (["--device", "tpu"], "config-invalid"),
    ],
)
def test_wrong_options(tmp_path, arguments, code):
    folder = draw_images(tmp_path / "set", 1)
    assert_refused(automask("run", folder, *arguments, cwd=tmp_path), exit_code=2, code=code)
    assert not (tmp_path / "set-masks").exists()


@pytest.mark.parametrize("arguments", [[], ["--nosuch"], ["set", "--from", "list.txt"], ["set", "--threads", "many"]])
def test_wrong_usage(tmp_path, arguments):
    done = automask("run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path):
    for arguments in (("--debug", "run", tmp_path / "none"), ("run", tmp_path / "none", "--debug")):
        done = automask(*arguments)
        assert "Traceback" in done.stderr
        assert "InputError" in done.stderr


def test_output_is_the_input(tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    done = automask("run", folder, "--output", folder, *CHEAP)
    assert_refused(done, exit_code=4, code="output-is-input")


@pytest.mark.parametrize("place", ["other", "other/sub", "set/sub", "."])
def test_output_is_a_folder_of_images(tmp_path, place):
    folder = draw_images(tmp_path / "set", 1)  # in set/sub
    draw_images(tmp_path / "other", 2)
    done = automask("run", folder, "--output", tmp_path / place, *CHEAP)
    assert_refused(done, exit_code=4, code="output-holds-images")
    assert not (tmp_path / place / "automask.sqlite").exists()


@pytest.mark.parametrize("left", [None, "notes.txt", "report/a.jpg", "set/b.jpg"])
def test_output_is_a_folder_without_images(tmp_path, left):
    folder = draw_images(tmp_path / "out" / "set", 1)
    if left is not None:
        (tmp_path / "out" / left).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / left).write_bytes((folder / "sub" / "000.png").read_bytes())
    for _ in range(2):
        assert automask("run", folder, "--output", tmp_path / "out", *CHEAP, "--no-report").returncode == 0


def test_a_missing_list_is_not_told_about_places(tmp_path):
    draw_images(tmp_path, 1)
    done = automask("run", "--from", "nosuch.txt", *CHEAP, cwd=tmp_path)
    assert done.returncode == 3
    assert "output-inside-input" not in done.stderr


def test_output_inside_the_input_is_said_and_never_read_as_images(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    for expected in ({"analysed": 3}, {}):
        done = automask("run", folder, "--output", folder / "masks", *CHEAP, "--json")
        summary = json.loads(done.stdout)
        assert (done.returncode, summary["written"]) == (0, expected)
        assert [notice["code"] for notice in summary["notices"]] == ["output-inside-input"]
        assert "output-inside-input" in done.stderr


def test_output_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    done = automask("run", draw_images(tmp_path / "set", 1), "--output", tmp_path / "out", *CHEAP)
    assert_refused(done, exit_code=4, code="output-not-a-folder")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a folder that not even root may write")  # noqa: PTH112
def test_read_only_output(tmp_path):
    done = automask("run", draw_images(tmp_path / "set", 1), "--output", "/sys/kernel/masks", *CHEAP)
    assert_refused(done, exit_code=4, code="output-read-only")


def test_no_space_and_then_space_again(tmp_path):
    """A limit on file sizes stands for a full disk: the database cannot grow beyond it."""
    folder = draw_images(tmp_path / "set", 40)

    def little_space():
        resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))

    done = automask("run", folder, *CHEAP, preexec_fn=little_space)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    again = automask("run", folder, *CHEAP, "--json")
    assert again.returncode == 0, again.stderr
    assert len(masks_of(tmp_path / "set-masks")) == 40
    assert automask("status", tmp_path / "set-masks", "--verify").returncode == 0


def test_a_second_run_is_told_who_works_there(tmp_path):
    folder = draw_images(tmp_path / "set", 2)
    assert automask("run", folder, *CHEAP).returncode == 0
    hold = (
        "import sys, time; from pathlib import Path; from automask.store import Store\n"
        "with Store.open(Path(sys.argv[1])) as store, store.lock():\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path / "set-masks"], stdout=subprocess.PIPE, env=environment()
    )
    try:
        assert owner.stdout.readline() == b"held\n"
        done = automask("run", folder, *CHEAP)
        assert_refused(done, exit_code=5, code="store-locked")
        assert str(owner.pid) in done.stderr
        assert automask("status", tmp_path / "set-masks").returncode == 0
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert automask("run", folder, *CHEAP).returncode == 0


def test_store_of_another_folder(tmp_path):
    automask("run", draw_images(tmp_path / "one", 1), "--output", tmp_path / "out", *CHEAP)
    done = automask("run", draw_images(tmp_path / "two", 1), "--output", tmp_path / "out", *CHEAP)
    assert_refused(done, exit_code=5, code="store-other-input")


def test_store_of_a_newer_version(tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    automask("run", folder, *CHEAP)
    with sqlite3.connect(tmp_path / "set-masks" / "automask.sqlite") as database:
        database.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    database.close()
    before = masks_of(tmp_path / "set-masks")
    for arguments in (["run", folder, *CHEAP], ["status", tmp_path / "set-masks"], ["report", tmp_path / "set-masks"]):
        assert_refused(automask(*arguments), exit_code=5, code="store-too-new")
    assert masks_of(tmp_path / "set-masks") == before


def test_damaged_database(tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    automask("run", folder, *CHEAP)
    (tmp_path / "set-masks" / "automask.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    for leftover in ("-wal", "-shm"):
        (tmp_path / "set-masks" / f"automask.sqlite{leftover}").unlink(missing_ok=True)
    done = automask("run", folder, *CHEAP)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["status", "report", "render"])
def test_no_store_there(tmp_path, name):
    assert_refused(automask(name, tmp_path), exit_code=5, code="store-missing")
    assert list(tmp_path.iterdir()) == []


def test_bad_images_are_rows_and_the_others_get_masks(tmp_path):
    folder = draw_images(tmp_path / "set", 3)
    good = (folder / "001.jpg").read_bytes()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("this is no picture")
    (folder / "cut.jpg").write_bytes(good[: len(good) // 2])
    Image.new("RGB", (3000, 3000)).save(folder / "large.png")
    (folder / "folder.jpg").mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "really-a.jpg", format="PNG")
    (tmp_path / "c.toml").write_text("[decode]\nmax_megapixels = 4\n")
    done = automask("run", folder, *CHEAP, "--config", tmp_path / "c.toml", "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["failed"], summary["written"]) == (8, 4, {"analysed": 4})
    assert set(summary["issues"]) == {
        "image-empty",
        "image-unsupported",
        "image-truncated",
        "image-too-large",
        "wrong-extension",
    }
    page = (tmp_path / "set-masks" / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count('data-state="failed"') == 4
    again = json.loads(automask("run", folder, *CHEAP, "--config", tmp_path / "c.toml", "--json").stdout)
    assert (again["failed"], again["reused"]) == (4, 4)


def test_a_crashing_detector_fails_its_images_only(tmp_path):
    folder = draw_images(tmp_path / "set", 4)
    body = "assert '001' not in images[0].id, 'boom'\nreturn [[] for image in images]"
    plugins = install_detector(tmp_path / "plugins", "picky", body)
    done = automask("run", folder, "--detectors", "picky", "--json", env=environment(plugins))
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["failed"], summary["written"]) == (8, 1, {"analysed": 3})
    assert summary["issues"] == {"stage-failed": 1}


def test_closed_stdout_is_no_traceback(tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    process = subprocess.Popen(
        command("run", folder, *CHEAP), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    process.stdout.close()
    _, errors = process.communicate(timeout=60) if process.stdout is None else (None, process.stderr.read())
    process.wait(timeout=60)
    process.stderr.close()
    assert b"Traceback" not in errors
    assert len(masks_of(tmp_path / "set-masks")) == 1
