"""The stress measurement measures what it says, on pictures of the user's."""

import xml.etree.ElementTree as ElementTree

import pytest
from measuring import stress
from measuring.curve import curve_svg
from overlay_cases import picture
from PIL import Image

from automask.config import RuntimeConfig
from automask.errors import InputError
from automask.plugins import DATASET_DETECTORS, available, build_dataset_detector
from automask.weights import WeightLibrary
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions


@pytest.fixture
def pictures(tmp_path):
    for seed in range(8):
        Image.fromarray(picture(seed)).save(tmp_path / f"{seed}.png")
    return tmp_path


def test_a_plain_mark_is_recalled_and_clean_folders_stay_clean(pictures, monkeypatch):
    monkeypatch.setattr(stress, "CLEAN_COUNTS", (6,))
    monkeypatch.setattr(stress, "SIZE_PX", (320, 224))
    detector = OverlayDetector(OverlayOptions(reduced_px=320))
    figures = stress.run_stress(pictures, detector, opacities=[1.0], counts=[6], repeats=1, clean_folders=1)
    (point,) = figures.points
    assert (point.images, point.opacity, figures.pictures) == (6, 1.0, 8)
    assert point.recall >= 0.9
    assert point.waste <= 0.05
    assert (figures.clean_folders, figures.clean_applied) == (1, 0)
    again = stress.run_stress(pictures, detector, opacities=[1.0], counts=[6], repeats=1, clean_folders=1)
    assert again == figures
    curve = ElementTree.fromstring(curve_svg(figures))
    assert any("6 images" in (text.text or "") for text in curve.iter("{http://www.w3.org/2000/svg}text"))


def test_too_few_pictures_are_refused(pictures):
    with pytest.raises(InputError, match="holds 8 pictures; 100 are needed"):
        stress.run_stress(pictures, OverlayDetector(OverlayOptions()), repeats=1, clean_folders=0)


@pytest.mark.parametrize("name", sorted(available(DATASET_DETECTORS)))
def test_every_installed_dataset_detector_keeps_the_contract(name, pictures):
    stage = build_dataset_detector(name, options={}, weights=WeightLibrary.discover(), runtime=RuntimeConfig())
    assert stage.name == name
    assert stage.sample([]) == []
    assert stage.estimate([]) == []
    with pytest.raises(ValueError, match="template"):
        stage.read_template(b"not a template")
