"""The recipes of docs/client.md work word for word, but for the port, against a real server."""

import contextlib
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
from cli_process import command, environment
from PIL import Image, ImageDraw

from automask.config import PipelineConfig
from automask.run.pipeline import MaskPipeline

GUIDE = (Path(__file__).parent.parent / "docs" / "client.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8787"
SIZE_PX, BAR_PX = (96, 64), 8
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


def barred_pictures(folder):
    """Four pictures as `pictures/*.png`, with black bars at the top and the bottom, and as `clean/*.png` without."""
    for name in ("pictures", "clean"):
        (folder / name).mkdir()
    for index in range(4):
        rng = np.random.default_rng(index)
        blurred = Image.fromarray(rng.integers(100, 220, (4, 6, 3), dtype=np.uint8)).resize(SIZE_PX)
        pixels = (np.asarray(blurred) + rng.normal(0, 6, (SIZE_PX[1], SIZE_PX[0], 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "clean" / f"{index}.png")
        pixels[:BAR_PX] = pixels[-BAR_PX:] = 0
        Image.fromarray(pixels).save(folder / "pictures" / f"{index}.png")


@contextlib.contextmanager
def automask_serve(folder):
    """`automask serve` in a process of its own; its address."""
    (folder / "server.toml").write_text('detectors = ["edges"]\n')
    arguments = ("serve", "--port", "0", "--data-dir", folder / "data", "--config", folder / "server.toml")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=log, text=True, env=environment()
        )
    try:
        yield process.stdout.readline().split()[3].rstrip(",")
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


MEASURE = f"""
def darkness_of_the_bars(model):
    torch.manual_seed(1)
    clean = torch.stack([pixels for pixels, _ in Pictures(Path("clean"), None)])
    with torch.no_grad():
        painted = model(with_places(clean + 4 * torch.randn_like(clean)))
    darker = (clean - painted).mean(1) / 2
    return float(torch.cat([darker[:, :{BAR_PX}], darker[:, -{BAR_PX}:]], dim=1).mean())

print(darkness_of_the_bars(model))
if "compare" in __import__("sys").argv:
    print(darkness_of_the_bars(train(Path("pictures"), None, steps=40)))
"""


@pytest.mark.slow
def test_the_masked_training_keeps_the_bars_out_and_finds_its_masks_again_without_a_server(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two threads that wait for each other are slow on a busy machine
    barred_pictures(tmp_path)
    *_, definitions, use = blocks("python")
    with automask_serve(tmp_path) as url:
        script = definitions + use.replace(ADDRESS, url) + MEASURE
        masked, unmasked = map(float, carried_out([sys.executable, "-c", script, "compare"], tmp_path).split())
    assert abs(masked) < 0.05
    assert unmasked > 0.15
    kept = sorted((tmp_path / "masks-cache").rglob("*.png"))
    assert len(kept) == 4
    again = float(carried_out([sys.executable, "-c", script], tmp_path))
    assert again == pytest.approx(masked, abs=1e-3)
    assert sorted((tmp_path / "masks-cache").rglob("*.png")) == kept


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
    said = carried_out([sys.executable, "-c", blocks("python")[1].replace(ADDRESS, url)], folder)
    assert said.split() == ["done", "2"]
    with zipfile.ZipFile(folder / "masks.zip") as archive:
        assert {"masks/photo.png", "masks/poster.png"} <= set(archive.namelist())
    assert levels(folder / "smaller.png").shape == levels(folder / "mask.png").shape
