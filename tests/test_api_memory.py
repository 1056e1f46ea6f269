"""A server that runs for days: its memory does not grow with what it was asked."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

from api_process import ServeProcess
from api_server import png

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells another process's memory"),
]

WARM, MEASURED = 80, 200
MOST_GROWTH_BYTES = 50_000_000
REFINED = 40
REFINED_SIZE_PX = (1200, 800)


def served(folder: Path, **settings: str) -> ServeProcess:
    """Without its result cache."""
    return ServeProcess(folder, AUTOMASK_SERVE_CACHE_BYTES="0", **settings)


def refined(server: ServeProcess, seed: int) -> int:
    width_px, height_px = REFINED_SIZE_PX
    form = {"image": ("a.png", png(width_px=width_px, height_px=height_px, seed=seed))}
    return server.client.post("/v1/refine", files=form, data={"points": "30,24"}).status_code


def test_masks_of_ever_new_images_leave_nothing_behind(tmp_path):
    rng = np.random.default_rng(5)
    with served(tmp_path) as server:
        before = 0
        for number in range(WARM + MEASURED):
            width_px, height_px = (int(side) for side in rng.integers(300, 1000, 2))
            answer = server.client.post("/v1/masks", content=png(width_px=width_px, height_px=height_px, seed=number))
            assert answer.status_code == 200
            if number == WARM:
                before = server.memory_bytes()
        growth = server.memory_bytes() - before
    # The images that were measured are 250 MB of pixels, their masks 80 MB.
    assert growth < MOST_GROWTH_BYTES, f"{growth / 1e6:.0f} MB more after {MEASURED} images"


@pytest.mark.parametrize(("embeddings", "grows"), [(2, False), (1000, True)])
def test_images_that_clicks_were_on_are_forgotten(tmp_path, embeddings, grows):
    with served(tmp_path, AUTOMASK_SERVE_EMBEDDINGS=str(embeddings)) as server:
        assert {refined(server, seed) for seed in range(10)} == {200}
        before = server.memory_bytes()
        assert {refined(server, seed) for seed in range(10, 10 + REFINED)} == {200}
        growth = server.memory_bytes() - before
    assert (growth > MOST_GROWTH_BYTES) == grows, f"{growth / 1e6:.0f} MB more after {REFINED} images"
