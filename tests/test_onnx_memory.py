"""Networks of one process work in the same memory: each would otherwise keep the most that it ever needed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells the memory")

CODE = """
import numpy as np
from automask.config import RuntimeConfig
from automask.weights import WeightLibrary
from automask_models.ink.network import DEFAULT_WEIGHTS
from automask_models.onnx_session import OnnxSession

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

path = WeightLibrary.discover().find(DEFAULT_WEIGHTS).path
networks = [OnnxSession.open(path, runtime=RuntimeConfig(threads=1)) for _ in range(3)]
pixels = np.zeros((1, 3, 512, 512), dtype=np.float32)
seen = [resident_mb()]
for network in networks:
    network.run({"pixels": pixels})
    seen.append(resident_mb())
print(*(after - before for before, after in zip(seen, seen[1:])))
"""


def test_a_second_network_takes_the_memory_of_the_first():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, third = map(float, done.stdout.split())
    assert first > 20, "else nothing was measured"
    assert second + third < 0.5 * first, done.stdout
