"""What the load command measures of the process alone."""

import pytest

pytest.importorskip("fastapi")

from api_server import png
from fakes import RedDetector, pipeline
from measuring.load import expected, images_per_s


def test_a_run_over_copies_analyses_every_one(tmp_path):
    images, detector = tmp_path / "images", RedDetector()
    images.mkdir()
    for name, seed in (("a.png", 1), ("b.png", 2), ("b-again.png", 2)):
        (images / name).write_bytes(png(seed=seed))
    alone = pipeline(detector)
    baseline = expected(images, tmp_path / "run", alone)
    assert len(baseline.images) == len(baseline.masks) == 2, "the same file twice tells nothing more"
    before = len(detector.seen)
    assert images_per_s(baseline, tmp_path / "copies", alone, seconds=1.0) > 0
    runs = [len(list(folder.iterdir())) for folder in (tmp_path / "copies").glob("*-images")]
    assert max(runs) > 2
    assert len(detector.seen) - before == sum(runs)
