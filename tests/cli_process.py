"""Runs the command line as users do: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

TIMEOUT_S = 120
CHEAP = ("--detectors", "edges", "--dataset-detectors", "none")
"""No network, no weights, a few milliseconds an image; every image on its own."""


def environment(*paths: Path, **variables: str) -> dict[str, str]:
    """The environment of a user: no AUTOMASK_* variable, and `paths` in front of the module search path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTOMASK_")}
    inherited = [clean["PYTHONPATH"]] if clean.get("PYTHONPATH") else []
    return {**clean, "PYTHONPATH": os.pathsep.join([*map(str, paths), *inherited]), **variables}


def automask(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, **options):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env or environment(),
        timeout=TIMEOUT_S,
        check=False,
        **options,
    )


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "automask", *map(str, arguments)]


def draw_images(folder: Path, count: int, *, side_px: int = 96) -> Path:
    """Small pictures, every second one between black bars; names `sub/00.png`, `01.jpg`, ..."""
    for index in range(count):
        rng = np.random.default_rng(index)
        noise = rng.integers(60, 200, (side_px, side_px, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((2 * side_px, side_px))
        draw = ImageDraw.Draw(picture)
        draw.ellipse((20, 20, 70, 70), fill=(index * 5 % 256, 90, 160))
        if index % 2:
            draw.rectangle((0, 0, 2 * side_px, 11), fill=0)
            draw.rectangle((0, side_px - 12, 2 * side_px, side_px), fill=0)
        path = folder / "sub" / f"{index:03d}.png" if index % 3 == 0 else folder / f"{index:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=92)
    return folder


def masks_of(output: Path) -> dict[str, bytes]:
    """The mask files of a store by relative name."""
    root = output / "masks"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.png"))}


def install_detector(folder: Path, name: str, body: str) -> Path:
    """Make a package with one detector, as `pip install` would; put the folder on the module search path.

    Args:
        folder: Where to.
        name: Entry-point name.
        body: Statements of `detect(self, images)`; the module has os, sys, time and Region, Box, Kind.
    """
    module = f"fake_{name}"
    indented = "\n".join(f"        {line}" for line in body.splitlines())
    (folder / f"{module}-1.0.dist-info").mkdir(parents=True)
    (folder / f"{module}-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n"
    )
    entry = f"[automask.detectors]\n{name} = {module}:Fake\n"
    (folder / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (folder / f"{module}.py").write_text(
        f'''
import os, sys, time
from automask.config import FrozenModel
from automask.values.geometry import Box
from automask.protocols import stage_fingerprint
from automask.values.types import Kind, Region

class Fake:
    name = "{name}"
    Options = FrozenModel
    notices = ()
    fingerprint = stage_fingerprint("{name}", algorithm_version=1)
    from_options = classmethod(lambda cls, options, *, weights, runtime: cls())
    def load(self):
        pass
    def detect(self, images):
{indented}
'''
    )
    return folder
