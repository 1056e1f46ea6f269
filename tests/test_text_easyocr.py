"""EasyOCR as a detector: weights, side effects, and one real run."""

import os
import sys

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.config import RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.values.types import Image, Kind
from automask.weights import WeightLibrary
from automask_models.text.easyocr import EasyOcrDetector, EasyOcrOptions, weights_folder


def build(**options):
    return EasyOcrDetector.from_options(
        EasyOcrOptions(**options), weights=WeightLibrary.discover(), runtime=RuntimeConfig(device="cpu", threads=2)
    )


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        weights_folder(str(tmp_path / "nothing"))


@pytest.mark.slow
def test_detect_before_load_is_an_error():
    with pytest.raises(StageError, match="before load"):
        build().detect([])


@pytest.mark.slow
def test_fingerprint_depends_on_languages_not_on_threads():
    assert build().fingerprint == build().fingerprint
    assert build().fingerprint != build(languages=("en", "fr")).fingerprint


@pytest.mark.slow
def test_reads_a_line_offline_and_leaves_the_process_alone():
    capacity, path = os.environ.get("LRU_CACHE_CAPACITY"), list(sys.path)
    detector = build()
    detector.load()
    assert os.environ.get("LRU_CACHE_CAPACITY") == capacity
    assert sys.path == path
    canvas = PillowImage.new("RGB", (420, 160), "#335577")
    ImageDraw.Draw(canvas).text((40, 50), "HARBOUR VIEW", fill="white", font=ImageFont.load_default(44))
    (regions,) = detector.detect([Image(id="line", pixels=np.asarray(canvas))])
    best = max(regions, key=lambda region: region.confidence)
    assert best.kind is Kind.TEXT
    assert best.confidence >= 0.5
    assert "HARBOUR" in str(best.attributes["text"]).upper()


@pytest.mark.slow
def test_weights_of_another_language_are_missing(tmp_path):
    (tmp_path / "other.pth").write_bytes(b"not a network")
    with pytest.raises(WeightsError, match="no networks"):
        build(weights=str(tmp_path)).load()
