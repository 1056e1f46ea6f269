"""What one upload takes of the machine: all processes of a server with the default models."""

import io
import sys
import threading

import numpy as np
import pytest
from PIL import Image as PillowImage

pytest.importorskip("fastapi")

from api_process import ServeProcess
from measuring.hostile import shared_once_mb

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")]

MOST_MB = 1500
SIDE_PX = 10_000
ANSWER_S = 240


def deep_png() -> bytes:
    """100 megapixels of 16 bits: 200 MB before anything is made of them."""
    rows = np.arange(SIDE_PX, dtype=np.uint16)[:, None] * 6
    out = io.BytesIO()
    PillowImage.fromarray(np.broadcast_to(rows, (SIDE_PX, SIDE_PX)).copy()).save(out, "PNG", compress_level=1)
    return out.getvalue()


def test_the_largest_image_stays_within_the_memory_that_is_promised(tmp_path):
    body = deep_png()
    with ServeProcess(tmp_path, config="", AUTOMASK_SERVE_DEADLINE_S=str(ANSWER_S)) as server:
        ended, peak_mb = threading.Event(), [0.0]

        def watch():
            while not ended.wait(0.05):
                peak_mb[0] = max(peak_mb[0], shared_once_mb(server.process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            answer = server.client.post("/v1/masks", content=body, timeout=ANSWER_S)
        finally:
            ended.set()
            watcher.join()
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        assert PillowImage.open(io.BytesIO(answer.content)).size == (SIDE_PX, SIDE_PX)
    else:  # a slow machine: refused by the time on a core that one file may take
        assert answer.json()["code"] == "image-too-costly", answer.text
    sys.stdout.write(f"peak {peak_mb[0]:.0f} MB\n")
    assert 500 < peak_mb[0] < MOST_MB, "less than the models take would be no measurement"
