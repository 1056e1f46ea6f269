"""Memory of a run does not grow with the number of images."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = """
import resource, sys
from pathlib import Path
from automask.config import PipelineConfig
from automask.run.runner import run_dataset
summary = run_dataset(Path(sys.argv[1]), Path(sys.argv[2]), PipelineConfig(detectors=("edges",)))
print(summary.images, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mb(folder, count):
    images = folder / f"images{count}"
    images.mkdir()
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    picture[:40] = 0
    for index in range(count):
        picture[50, :3] = index % 256, index // 256, 7  # no two files are the same
        Image.fromarray(picture).save(images / f"{index}.png", compress_level=1)
    command = [sys.executable, "-c", PROGRAM, str(images), str(folder / f"masks{count}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    images_done, peak = done.stdout.split()
    assert int(images_done) == count
    return float(peak)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_peak_memory_is_flat_between_100_and_2000_images(tmp_path: Path):
    small, large = peak_mb(tmp_path, 100), peak_mb(tmp_path, 2000)
    assert large <= small + 16, f"peak grew from {small:.0f} MB to {large:.0f} MB"
