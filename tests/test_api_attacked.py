"""What honest clients notice while others attack the server, and what is left in its memory."""

import sys

import pytest

pytest.importorskip("fastapi")

from api_process import CHEAP_CONFIG
from api_server import png
from measuring.hostile import measure

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")]

MOST_SLOWER = 3.0
"""The aim is 2, the median of three rounds of 100 requests on a machine that does nothing else: this is one of 40."""
MOST_MEMORY = 1.1


def test_honest_clients_hardly_notice_an_attack_and_nothing_of_it_is_kept(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for seed in range(6):
        (images / f"{seed}.png").write_bytes(png(width_px=900, height_px=600, seed=seed))
    config = tmp_path / "cheap.toml"
    config.write_text(CHEAP_CONFIG + 'refiner = "polygon"\n')
    report = measure(
        images, config, rounds=1, requests=40, hostile=16, attackers=4, half_open=200, settle_s=40
    )  # fmt: skip
    sys.stdout.write(f"{report}\n")
    assert report.lost == 0
    assert sum(report.hostile.values()) == 16
    assert not [kind for kind in report.hostile if kind.rpartition(" ")[2] not in {"200", "422", "503", "504"}]
    assert report.p95_ratio < MOST_SLOWER, report
    assert report.memory_ratio < MOST_MEMORY, report
