"""The guide to the service is typed word for word against the server that it tells to start."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_process import automask, environment
from PIL import Image

pytest.importorskip("fastapi")

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "service.md"
START = "automask serve --root datasets"
PORT = 8787


def blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def folder_of_a_user(folder: Path) -> Path:
    examples = ROOT / "automask" / "examples"
    (folder / "datasets" / "portraits").mkdir(parents=True)
    shutil.copy(examples / "photos" / "coffee.jpg", folder / "photo.jpg")
    shutil.copy(examples / "art" / "poster.jpg", folder / "poster.jpg")
    for name in ("photo.jpg", "poster.jpg"):
        shutil.copy(folder / name, folder / "datasets" / "portraits" / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the guide is about curl")
def test_the_guide_works_word_for_word(tmp_path):
    assert START in GUIDE.read_text(encoding="utf-8")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"something listens on port {PORT}")
    here = folder_of_a_user(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(XDG_DATA_HOME=str(here / "home"), PATH=path)
    with (here / "server.log").open("w") as log:
        server = subprocess.Popen(START.split(), cwd=here, env=env, stdout=log, stderr=log)
    try:
        script = "set -e\n" + "\n".join(blocks())
        done = subprocess.run(["bash", "-c", script], cwd=here, env=env, capture_output=True, text=True, timeout=170)
    finally:
        server.terminate()
        server.wait(30)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr + (here / "server.log").read_text()[-3000:]
    assert "event: end" in done.stdout
    check_files(here)
    run = automask("run", here / "datasets" / "portraits", "--output", here / "cli", env=env)
    assert run.returncode == 0, run.stderr
    assert (here / "mask.png").read_bytes() == (here / "cli" / "masks" / "photo.png").read_bytes()
    with zipfile.ZipFile(here / "masks.zip") as archive:
        for name in ("photo.png", "poster.png"):
            assert archive.read(f"masks/{name}") == (here / "cli" / "masks" / name).read_bytes()


def check_files(here: Path) -> None:
    size = picture(here / "mask.png").shape
    assert picture(here / "wide.png").shape == picture(here / "refined.png").shape == size
    assert (picture(here / "refined.png") <= picture(here / "mask.png")).all()
    assert picture(here / "adjusted.png").shape == size
    assert "x-automask-verdict: " in (here / "headers.txt").read_text()
    assert json.loads((here / "answer.json").read_text())["image_id"] == "photo.jpg"
    assert [json.loads(line)["name"] for line in (here / "masks.ndjson").read_text().splitlines()] == [
        "photo.jpg",
        "poster.jpg",
    ]
    assert json.loads((here / "upload.json").read_text())["id"] == json.loads((here / "again.json").read_text())["id"]
    assert len(json.loads((here / "page.json").read_text())) == 1
    assert 'rel="next"' in (here / "page-headers.txt").read_text()
    version = json.loads((here / "setup.json").read_text())["model_version"]
    predictions = json.loads((here / "predictions.json").read_text())
    assert predictions["model_version"] == version
    assert predictions["results"][0]["result"][0]["value"]["brushlabels"] == ["text"]
    assert json.loads((here / "done.json").read_text())["state"] == "done"
    assert len((here / "manifest.ndjson").read_text().splitlines()) == 2
    for name in ("job-masks.zip", "kohya.zip"):
        with zipfile.ZipFile(here / name) as archive:
            assert archive.testzip() is None
    assert json.loads((here / "problem.json").read_text())["code"] == "image-unsupported"
    assert "automask_ready 1.0" in (here / "metrics.txt").read_text()
    assert json.loads((here / "models.json").read_text())["detectors"]


def test_every_route_is_in_the_guide():
    guide = GUIDE.read_text(encoding="utf-8")
    described = json.loads((ROOT / "tests" / "data" / "openapi.json").read_text(encoding="utf-8"))
    for path in described["paths"]:
        if path.startswith("/v1/jobs/{job_id}"):
            path = path.rpartition("}")[2].strip("/") or "/v1/jobs/$JOB"
        assert path in guide, path
