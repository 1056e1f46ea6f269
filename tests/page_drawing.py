"""What the review page draws, without a browser: its own modules under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).with_suffix(".mjs")


def page_levels(documents: Sequence[dict[str, Any]], folder: Path) -> list[np.ndarray]:
    """(H, W) uint8 levels as the page draws them, for `ImageDocument`s as JSON.

    Args:
        documents: What the server tells the page.
        folder: Empty, for a copy of the page: Node wants to be told that its files are modules.
    """
    from automask_api.review.routes import STATIC

    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node: apt-get install nodejs")
    page = folder / "page"
    if not page.is_dir():
        shutil.copytree(STATIC, page)
        (page / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    lines = "".join(json.dumps(one) + "\n" for one in documents)
    done = subprocess.run([node, SCRIPT, page], input=lines.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    levels, at = [], 0
    for one in documents:
        size = one["height_px"] * one["width_px"]
        drawn = np.frombuffer(done.stdout, np.uint8, size, at)
        levels.append(drawn.reshape(one["height_px"], one["width_px"]))
        at += size
    assert at == len(done.stdout)
    return levels
