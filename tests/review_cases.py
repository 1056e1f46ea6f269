"""Stores of real pictures for the tests of the review page, and the page itself in a process and a browser."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cli_process import environment
from PIL import Image as PillowImage
from store_cases import file_at

from automask.config import PipelineConfig
from automask.mask.drawing import draw, fuse_fingerprint
from automask.store import Store
from automask.values import rle
from automask.values.geometry import Box
from automask.values.types import Fingerprints, Kind, MaskResult, Patch, Region, Verdict

EXAMPLES = Path(__file__).parent.parent / "automask" / "examples"
CHROMIUM = Path("/usr/bin/chromium")
CONFIG = PipelineConfig.model_validate({"detectors": ["edges"], "review": {"audit": 1.0}})
"""Every image waits for a person, whatever is found on it."""
FINGERPRINTS = Fingerprints("detect", "refine", fuse_fingerprint(CONFIG, "refine"))
START_S = 90


def region_at(box: Box, *, kind: Kind = Kind.TEXT, confidence: float = 0.9, text: str = "") -> tuple[Region, Patch]:
    """A region that fills its box."""
    attributes = {"text": text} if text else {}
    region = Region(kind=kind, box=box, confidence=confidence, source="test", attributes=attributes)
    return region, Patch(box=box, artefact=np.ones(box.shape, dtype=np.bool_), score=1.0, refiner="polygon")


def packed(artefact: np.ndarray) -> str:
    """A mask of the image's size as the page sends it."""
    return base64.b64encode(rle.encode(artefact)).decode()


def put_image(
    store: Store,
    images: Path,
    name: str,
    pairs: list[tuple[Region, Patch]],
    *,
    confidence: float,
    config: PipelineConfig = CONFIG,
) -> None:
    """Keep a result for an image file, with its mask."""
    file = file_at(images, name)
    with PillowImage.open(file.path) as picture:
        width_px, height_px = picture.size
    result = MaskResult(
        image_id=name,
        width_px=width_px,
        height_px=height_px,
        regions=tuple(region for region, _ in pairs),
        patches=tuple(patch for _, patch in pairs),
        confidence=confidence,
        verdict=Verdict.REVIEW,
        issues=(),
        fingerprints=FINGERPRINTS,
    )
    mask = draw(result, config).mask
    store.put_result(file, result, mask.levels, content_sha256=hashlib.sha256(file.path.read_bytes()).hexdigest())


def make_store(folder: Path) -> Path:
    """A store over four of the bundled pictures, each with one right region and some with a false one."""
    images, root = folder / "images", folder / "store"
    for name in ("cat.jpg", "coffee.jpg", "rocket.jpg", "deep-field.jpg"):
        images.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / "photos" / name, images / name)
    with begun(root, images) as store:
        put_image(store, images, "cat.jpg", [region_at(Box(60, 200, 360, 260), text="sample")], confidence=0.2)
        put_image(
            store,
            images,
            "coffee.jpg",
            [region_at(Box(600, 500, 820, 560)), region_at(Box(100, 100, 220, 180), kind=Kind.WATERMARK)],
            confidence=0.3,
        )
        put_image(store, images, "deep-field.jpg", [], confidence=0.4)
        put_image(store, images, "rocket.jpg", [region_at(Box(0, 0, 400, 60), kind=Kind.FRAME)], confidence=0.5)
    return root


@contextlib.contextmanager
def begun(root: Path, images: Path, config: PipelineConfig = CONFIG) -> Iterator[Store]:
    """A new store with a finished run over a folder."""
    with Store.open(root, create=True) as store:
        run = store.begin_run(config_json=config.model_dump_json(), input_root=str(images), version="test")
        yield store
        store.finish_run(run, status="done")


def stored_levels(root: Path, name: str) -> np.ndarray:
    """The mask file of an image."""
    with PillowImage.open(root / "masks" / Path(name).with_suffix(".png")) as mask:
        return np.asarray(mask.convert("L"))


@dataclass
class ReviewServer:
    """`automask review STORE` in a process of its own."""

    root: Path
    port: int
    author: str = "ann"
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/review/"

    def start(self) -> None:
        arguments = ["review", self.root, "--no-browser", "--port", self.port, "--author", self.author]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "automask", *map(str, arguments)], env=environment(), stderr=subprocess.PIPE
        )
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(self.address, timeout=10).close()
                return
            except OSError:
                assert self.process.poll() is None, self.process.communicate()[1].decode()
                time.sleep(0.1)
        raise AssertionError("the review server did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
            self.process = None


@contextlib.contextmanager
def served(root: Path, *, author: str = "ann") -> Iterator[ReviewServer]:
    """The page of a store, served."""
    server = ReviewServer(root, free_port(), author)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def browser_arguments() -> list[str]:
    """What Debian's Chromium needs to run as root, without a screen and without calling home."""
    return [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
    ]


def need_chromium() -> None:
    """Skip where there is no browser."""
    pytest.importorskip("playwright.sync_api", reason="needs Playwright for Python: pip install playwright")
    if not CHROMIUM.is_file():
        pytest.skip("needs Debian's chromium: apt-get install chromium")


def processes_below(parent: int) -> list[int]:
    """Ids of the processes that a process started, and theirs."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, pending = [], [parent]
    while pending:
        for child in children.get(pending.pop(), []):
            found.append(child)
            pending.append(child)
    return found


def chromium_below(parent: int) -> list[int]:
    """Ids of the browser's processes; there is at least one."""
    found = []
    for process in processes_below(parent):
        with contextlib.suppress(OSError):
            if "chromium" in str(Path(f"/proc/{process}/exe").readlink()):
                found.append(process)
    assert found, "the browser runs"
    return found


def kill_all(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
