"""Images with truth for tests of `automask bench`, and a detector that is right on some of them."""

import json
from pathlib import Path

import numpy as np
from cli_process import environment, install_detector
from PIL import Image

SIDE_PX, BAR_PX = 256, 64
TOP = f"return [[Region(Kind.FRAME, Box(0, 0, image.width_px, {BAR_PX}), 0.9, 'top')] for image in images]"
"""Masks the upper quarter of every image."""


def write_manifest(folder: Path, *, barred: int = 2, clean: int = 1) -> Path:
    """Images with a bar at the top (kind frame, source `bars`), and images without one (clean, source `plain`)."""
    truth = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)
    truth[:BAR_PX] = 255
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(truth).save(folder / "truth.png")
    entries = []
    for index in range(barred + clean):
        noise = np.random.default_rng(index).integers(60, 200, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{index}.png")
        shown = {"image": f"{index}.png"}
        if index < barred:
            shown |= {"kind": "frame", "source": "bars", "mask": "truth.png", "truth": "pixels"}
        else:
            shown |= {"kind": "clean", "source": "plain", "mask": None, "truth": "nothing"}
        entries.append(shown)
    path = folder / "manifest.json"
    path.write_text(json.dumps(entries))
    return path


def top_environment(folder: Path) -> dict[str, str]:
    """The environment of a user who has installed the detector `top`."""
    return environment(install_detector(folder, "top", TOP))


def table_rows(text: str, header: str) -> list[dict[str, str]]:
    """The rows of the printed table that has a column of a name, each by column name."""
    for block in text.split("\n\n"):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if "|" in line]
        if lines and header in lines[0]:
            return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
    raise AssertionError(f"no table with a column {header!r} in:\n{text}")
