"""As a user does it, in processes: a run that lacks weights, the line that it prints, and the run again."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from cli_process import automask, draw_images, environment
from hub_server import hub_server
from sam_checkpoints import write_sam2_video

pytestmark = pytest.mark.slow


def test_a_run_says_what_to_pull_and_runs_when_it_is_there(tmp_path):
    write_sam2_video(tmp_path / "net")
    files = {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()}
    images = draw_images(tmp_path / "set", 2)
    with hub_server() as hub:
        commit = hub.publish("facebook/sam2.1-hiera-tiny", {**files, "README.md": b"hello"})
        here = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_ENDPOINT": hub.endpoint}
        env = environment(**here)
        flags = ("--detectors", "edges", "--refiner", "sam2:tiny", "--dataset-detectors", "none", "--no-report")
        run = ("run", images, "-o", tmp_path / "out", *flags, "--option", "sam2.kinds=['frame']")
        refused = automask(*run, env=env)
        assert refused.returncode == 6, refused.stderr
        assert hub.asked == [], "a run asked for the network"
        (line,) = re.findall(r"`automask (models pull [^`]+)`", " ".join(refused.stderr.split()))
        pulled = automask(*shlex.split(line), env=env)
        assert pulled.returncode == 0, pulled.stderr
        hub.asked.clear()
        done = automask(*run, env=env)
        assert done.returncode == 0, done.stderr
        doctor = automask("models", "doctor", "sam2:tiny", "--json", env=env)
        assert hub.asked == []
    (found,) = json.loads(doctor.stdout)
    assert (doctor.returncode, found["is_sane"]) == (6, False), "these weights were never trained"
    record = json.loads((tmp_path / "cache" / "automask" / "weights" / "sam2-tiny.pulled.json").read_text())
    assert (record["hub"], record["revision"], record["is_whole"]) == ("facebook/sam2.1-hiera-tiny", commit, True)
    assert (tmp_path / "out" / "masks" / "001.png").is_file()
