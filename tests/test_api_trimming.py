"""Memory that is free goes back to the system."""

import subprocess
import sys
import time

import pytest
from cli_process import environment
from fakes import Slow, pipeline

pytest.importorskip("fastapi")

from api_server import png, serving

from automask_api import trimming
from automask_api.app import create_app
from automask_api.settings import ServiceSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc")

MOST_KEPT_MB = 20
IN_THREADS = """
import sys, threading
from pathlib import Path
from automask_api.trimming import give_back_memory, keep_little_free_memory
if sys.argv[1] == "bounded":
    keep_little_free_memory()
import numpy as np

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

def work():
    for _ in range(4):  # as pictures of a request do
        arrays = [np.ones(size, np.uint8) for size in (9_000_000, 27_000_000, 12_000_000)]
        small = bytes(1000)
        del arrays

before = resident_mb()
barrier = threading.Barrier(5)
def until_all():
    work()
    barrier.wait()
    barrier.wait()
threads = [threading.Thread(target=until_all) for _ in range(4)]
for thread in threads:
    thread.start()
barrier.wait()
give_back_memory()
sys.stdout.write(str(resident_mb() - before))
barrier.wait()
"""


def kept_mb(how) -> float:
    done = subprocess.run(
        [sys.executable, "-c", IN_THREADS, how], capture_output=True, text=True, check=True, env=environment()
    )
    return float(done.stdout)


def test_pixels_that_threads_were_done_with_are_given_back():
    assert kept_mb("bounded") < MOST_KEPT_MB
    assert kept_mb("as it is") > MOST_KEPT_MB, "else there is nothing to be bounded any more"


def test_memory_is_given_back_after_the_last_answer_too(tmp_path, monkeypatch):
    admitted = []
    monkeypatch.setattr(trimming, "_EVERY_S", 0.05)
    monkeypatch.setattr(trimming, "_of_glibc", lambda _: lambda _: admitted.append(service.admitted))
    app = create_app(pipeline(Slow(0.5)), None, ServiceSettings(data_dir=tmp_path))
    service = app.state.service
    with serving(tmp_path, app=app) as client:
        assert client.post("/v1/masks", content=png()).status_code == 200
        until = time.monotonic() + 5
        while admitted[-1:] != [0]:  # it began and ended between different looks
            assert time.monotonic() < until, admitted
            time.sleep(0.01)
