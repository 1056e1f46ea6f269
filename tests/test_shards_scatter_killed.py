"""Scatterings and drivers that work on one target at once and are killed at any moment, as real processes."""

import random
import signal
import subprocess

import pytest
from cli_process import CHEAP, automask, command, environment
from gather_cases import act, is_masked, painted
from shard_cases import image_folder, rows_in

from automask.run.shards.status import status_of, verify
from automask.store import Decision

pytestmark = pytest.mark.slow
IMAGES = 60


def started(*arguments, cwd):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(), **quiet)


def test_nothing_that_a_person_did_is_lost(tmp_path):
    image_folder(tmp_path / "set", IMAGES)
    arguments = ("run", "set", "--output", "out", "--shard-images", "3", "--review-below", "1", "--quiet", *CHEAP)
    assert automask(*arguments, cwd=tmp_path).returncode == 0
    assert automask("gather", "out", "--into", "store", "--doubtful", IMAGES, cwd=tmp_path).returncode == 0
    rng = random.Random(1)
    names = rng.sample(sorted(rows_in(tmp_path / "out")), 30)
    corrected, excluded = names[:20], names[20:]
    for name in corrected:
        act(tmp_path / "store", name, layers=painted())
    for name in excluded:
        act(tmp_path / "store", name, decision=Decision.EXCLUDED)
    for cells in ("2", "3"):
        driver = started(*arguments, "--growth-cells", cells, cwd=tmp_path)
        for _ in range(2):
            scattering = started("scatter", "store", cwd=tmp_path)
            try:
                scattering.wait(rng.uniform(2.0, 5.0))
            except subprocess.TimeoutExpired:
                scattering.send_signal(signal.SIGKILL)
                scattering.wait()
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert automask("scatter", "store", cwd=tmp_path).returncode == 0
    assert automask(*arguments, "--growth-cells", "3", cwd=tmp_path).returncode == 0
    assert automask("scatter", "store", cwd=tmp_path).stdout.startswith("nothing is new")
    found = status_of(str(tmp_path / "out"))
    assert (found.undrawn, found.outdated, found.decisions) == (0, 0, {"excluded": len(excluded)})
    assert list(verify(str(tmp_path / "out"))) == []
    rows = rows_in(tmp_path / "out")
    assert all(is_masked(tmp_path / "out", name) for name in corrected)
    assert {name for name, row in rows.items() if row["corrected"]} == set(corrected)
    assert {name for name, row in rows.items() if row["mask"] is None} == set(excluded)
