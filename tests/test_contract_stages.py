"""What every detector and refiner on this machine promises, whoever wrote it."""

import math
import pickle

import numpy as np
import pytest

from automask.config import PipelineConfig, RuntimeConfig
from automask.errors import ConfigError
from automask.plugins import DETECTORS, REFINERS, available, build_detector, build_refiner
from automask.protocols import Detector, Refiner
from automask.values.geometry import Box
from automask.values.types import Image, Issue, Kind, Patch, Region
from automask.weights import WeightLibrary

NEEDS_AN_EXTRA = {"easyocr"}
NEEDS_WEIGHTS = {
    "sam",
    "sam2",
    "sam-hq",
    "edgetam",
    "sam3",
    "yolo",
}  # their own tests run them on files that they write


def names(group):
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in NEEDS_AN_EXTRA else [])
        for name in sorted(available(group))
        if name not in NEEDS_WEIGHTS
    ]


def picture(width_px, height_px, seed=0, alpha=False):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    if min(width_px, height_px) > 64:  # something like a picture with a bar and some strokes
        pixels[:] = np.linspace(40, 200, width_px, dtype=np.uint8)[None, :, None]
        pixels[: height_px // 8] = 0
        pixels[height_px // 2 : height_px // 2 + 12, 20:60:7] = 255
    opacity = np.full((height_px, width_px), 255, dtype=np.uint8) if alpha else None
    return Image(id=f"{width_px}x{height_px}-{seed}", pixels=pixels, alpha=opacity)


PICTURES = [
    picture(1, 1),
    picture(1, 90),
    picture(90, 1),
    picture(3, 2),
    picture(33, 47),
    picture(200, 150, alpha=True),
]


@pytest.fixture(scope="module")
def stages():
    built = {}

    def get(group, name):
        if (group, name) not in built:
            build = build_detector if group == DETECTORS else build_refiner
            stage = build(name, options={}, weights=WeightLibrary.discover(), runtime=RuntimeConfig(device="cpu"))
            stage.load()
            built[group, name] = stage
        return built[group, name]

    return get


@pytest.mark.parametrize("name", names(DETECTORS))
def test_detector_answers_per_image_inside_the_image(stages, name):
    detector = stages(DETECTORS, name)
    assert isinstance(detector, Detector)
    assert detector.name == name
    before = [image.pixels.copy() for image in PICTURES]
    answers = detector.detect(PICTURES)
    assert len(answers) == len(PICTURES)
    for image, regions, pixels in zip(PICTURES, answers, before, strict=True):
        np.testing.assert_array_equal(image.pixels, pixels, err_msg="a detector must not change its input")
        for region in regions:
            assert isinstance(region, Region)
            assert image.box.contains(region.box)
            assert 0 <= region.confidence <= 1
            assert region.source
            for value in region.attributes.values():
                assert isinstance(value, str | float | int | bool)
                assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("name", names(DETECTORS))
def test_detector_gives_the_same_answer_alone_and_in_a_batch(stages, name):
    detector = stages(DETECTORS, name)
    together = detector.detect(PICTURES)
    for image, expected in zip(PICTURES, together, strict=True):
        (alone,) = detector.detect([image])
        assert [(r.kind, r.box, round(r.confidence, 5)) for r in alone] == [
            (r.kind, r.box, round(r.confidence, 5)) for r in expected
        ]
    assert detector.detect([]) == []


@pytest.mark.parametrize("name", names(REFINERS))
def test_refiner_gives_one_ungrown_patch_per_region(stages, name):
    refiner = stages(REFINERS, name)
    assert isinstance(refiner, Refiner)
    image = picture(200, 150)
    box = Box(20, 70, 64, 92)
    ring = np.ones((150, 200), dtype=bool)
    ring[20:-20, 20:-20] = False
    regions = [
        Region(Kind.TEXT, box, 0.9, "test", polygon=((20, 70), (64, 72), (64, 92), (20, 90))),
        Region(Kind.WATERMARK, Box(0, 0, 1, 1), 0.9, "test"),
        Region(Kind.FRAME, Box(0, 0, 200, 150), 0.9, "test", artefact=ring),
        Region(Kind.WATERMARK, Box(150, 100, 200, 150), 0.3, "test"),
    ]
    patches = refiner.refine(image, regions)
    assert len(patches) == len(regions)
    for patch in patches:
        assert isinstance(patch, Patch)
        assert image.box.contains(patch.box)
    np.testing.assert_array_equal(patches[2].artefact, ring, err_msg="a shape that the detector knows must be kept")
    assert not patches[2].artefact[75, 100], "the art window must stay open"
    assert refiner.refine(image, []) == []


@pytest.mark.parametrize("name", names(REFINERS))
def test_refiner_on_tiny_images(stages, name):
    for image in PICTURES:
        region = Region(Kind.TEXT, image.box, 0.9, "test")
        (patch,) = stages(REFINERS, name).refine(image, [region])
        assert image.box.contains(patch.box)


@pytest.mark.parametrize(
    ("group", "name"),
    [pytest.param(g, p.values[0], marks=p.marks) for g in (DETECTORS, REFINERS) for p in names(g)],
)
def test_stage_says_who_it_is_and_refuses_unknown_options(group, name):
    build = build_detector if group == DETECTORS else build_refiner
    stage = build(name, options={}, weights=WeightLibrary.discover(), runtime=RuntimeConfig())
    again = build(name, options={}, weights=WeightLibrary.discover(), runtime=RuntimeConfig(threads=1))
    assert stage.fingerprint == again.fingerprint, "a fingerprint depends on results, not on where they are computed"
    assert all(isinstance(notice, Issue) for notice in stage.notices)
    assert pickle.loads(pickle.dumps(type(stage).Options())) == type(stage).Options()
    with pytest.raises(ConfigError, match="unknown option"):
        build(name, options={"no_such_option": 1}, weights=WeightLibrary.discover(), runtime=RuntimeConfig())
    for field in type(stage).Options.model_fields.values():
        assert field.description, "every option is described: the docs and --print-config show it"


def test_default_pipeline_names_exist():
    config = PipelineConfig()
    assert set(config.detectors) <= set(available(DETECTORS))
    assert config.refiner in available(REFINERS)
