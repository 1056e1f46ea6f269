"""The recipes of docs/client.md work word for word, but for the port, against a real server."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from api_server import serving
from PIL import Image, ImageDraw

from automask.config import PipelineConfig
from automask.pipeline import MaskPipeline

GUIDE = (Path(__file__).parent.parent / "docs" / "client.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8787"
EDGES = PipelineConfig(detectors=("edges",), refiner="polygon")


def blocks(language):
    found = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data"), pipeline=MaskPipeline.from_config(EDGES)) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def folder(tmp_path):
    for name, colour in (("photo.jpg", "navy"), ("poster.jpg", "teal")):
        picture = Image.effect_noise((192, 128), 60).convert("RGB")
        draw = ImageDraw.Draw(picture)
        draw.ellipse((60, 30, 130, 100), fill=colour)
        draw.rectangle((0, 0, 191, 15), fill=0)
        draw.rectangle((0, 112, 191, 127), fill=0)
        picture.save(tmp_path / name, quality=95)
    return tmp_path


def carried_out(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def levels(path):
    with Image.open(path) as mask:
        return np.asarray(mask)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(url, folder):
    (script,) = blocks("sh")
    carried_out(["sh", "-e", "-c", script.replace(ADDRESS, url)], folder)
    assert (levels(folder / "mask.png") == 0).any()
    assert '"kind":"frame"' in (folder / "found.json").read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / "masks.zip") as archive:
        assert {"masks/photo.png", "masks/poster.png"} <= set(archive.namelist())


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_node(url, folder):
    (script,) = blocks("js")
    (folder / "mask.mjs").write_text(script.replace(ADDRESS, url), encoding="utf-8")
    assert carried_out(["node", "mask.mjs"], folder).strip() in ("auto", "review")
    assert (levels(folder / "mask.png") == 0).any()


def test_python(url, folder):
    script = blocks("python")[0].replace(ADDRESS, url)
    said = carried_out([sys.executable, "-c", script], folder)
    assert "frame" in said
    assert (levels(folder / "mask.png") == 255).all()  # frames are not among the kinds that it asks for
    assert (levels(folder / "photo.mask.png") == 0).any()
    assert (levels(folder / "poster.mask.png") == 0).any()
