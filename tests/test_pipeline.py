"""The pipeline: contracts enforced, faults contained, fingerprints that know what changed."""

import dataclasses

import numpy as np
import pytest
from fakes import CrashOn, NanScore, OutsideBox, RedDetector, TooManyPatches, WrongLength, image, pipeline
from PIL import Image as PillowImage

from automask.config import KindPolicy, PipelineConfig, PolicyConfig, RenderConfig, ReviewConfig, RuntimeConfig
from automask.errors import ConfigError, PluginError
from automask.run.pipeline import MaskPipeline, transparent_regions
from automask.values.types import Image, Kind, Verdict
from automask_models.refiners.polygon import PolygonRefiner


def test_regions_become_a_mask():
    pipe = pipeline()
    (result,) = pipe.run([image()])
    assert [region.kind for region in result.regions] == [Kind.TEXT]
    assert result.patches[0].artefact.all()
    mask = pipe.render(result)
    assert (mask.levels[16:32, 16:48] == 0).all()
    assert pipe.judged(result, mask).verdict is Verdict.AUTO
    assert {"red", "refine"} <= set(result.timings_s)


@pytest.mark.parametrize(
    ("detector", "code"),
    [(OutsideBox(), "stage-contract"), (NanScore(), "stage-failed"), (WrongLength(), "stage-contract")],
)
def test_a_detector_that_breaks_its_contract_fails_the_image_loudly(detector, code):
    pipe = pipeline(detector)
    (result,) = pipe.run([image()])
    assert [(issue.code, issue.severity) for issue in result.issues] == [(code, "error")]
    assert not result.regions
    assert pipe.judged(result, pipe.render(result)).verdict is Verdict.REVIEW


def test_one_bad_image_does_not_harm_its_batch():
    pipe = pipeline(CrashOn("bad"), RedDetector())
    good, bad, other = pipe.run([image("good.png"), image("bad.png"), image("other.png")])
    assert len(good.regions) == len(other.regions) == 2
    assert not bad.regions
    assert "out of cheese" in bad.issues[0].message


def test_a_refiner_that_does_not_answer_one_to_one_fails_the_image():
    (result,) = pipeline(refiner=TooManyPatches(PolygonRefiner.Options())).run([image()])
    assert result.issues[0].code == "stage-contract"
    assert not result.patches


def test_transparent_pixels_around_a_picture_are_a_frame():
    alpha = np.full((64, 96), 255, dtype=np.uint8)
    alpha[:, :10] = 0
    alpha[:, 90:] = 128  # half transparent is still picture
    picture = dataclasses.replace(image(), alpha=alpha)
    (result,) = pipeline().run([picture])
    frame = next(region for region in result.regions if region.kind is Kind.FRAME)
    assert frame.source == "alpha"
    assert frame.box.xyxy == (0, 0, 10, 64)


@pytest.mark.parametrize("action", ["keep", "mask"])
def test_transparent_pixels_around_a_thing_cut_out_are_its_ground(action):
    rows, columns = np.mgrid[:64, :96]
    is_opaque = ((rows - 32) / 25) ** 2 + ((columns - 48) / 30) ** 2 < 1
    picture = dataclasses.replace(image(), alpha=np.where(is_opaque, 255, 0).astype(np.uint8))
    config = PipelineConfig(
        policy=PolicyConfig.model_validate({"ground": {"action": action}}), review=ReviewConfig(below=0)
    )
    one = pipeline(config=config)
    (result,) = one.run([picture])
    assert [region.kind for region in result.regions if region.source == "alpha"] == [Kind.GROUND]
    weight = one.render(result).weight
    assert (weight[columns < 6] == (0 if action == "mask" else 1)).all()


@pytest.mark.parametrize("degrees", [0.5, 3, -7])
def test_a_picture_that_lies_askew_on_transparent_pixels_is_framed(degrees):
    card = PillowImage.new("RGBA", (300, 200), (90, 60, 30, 255)).rotate(degrees, expand=True, resample=2)
    levels = np.asarray(card)
    picture = Image(id="a", pixels=np.ascontiguousarray(levels[..., :3]), alpha=np.ascontiguousarray(levels[..., 3]))
    assert [region.kind for region in transparent_regions(picture)] == [Kind.FRAME]


@pytest.mark.parametrize("turned", [0, 5, 45])
def test_a_rhombus_is_no_picture_that_stands_on_a_corner(turned):
    rows, columns = np.mgrid[:200, :200] - 100.0
    at = np.deg2rad(45 + turned)
    x, y = columns * np.cos(at) - rows * np.sin(at), columns * np.sin(at) + rows * np.cos(at)
    is_opaque = (abs(x) < 55) & (abs(y) < 55) if turned != 45 else x**2 + 2 * y**2 < 6000
    alpha = np.where(is_opaque, 255, 0).astype(np.uint8)
    picture = Image(id="a", pixels=np.zeros((200, 200, 3), np.uint8), alpha=alpha)
    assert [region.kind for region in transparent_regions(picture)] == [Kind.GROUND]


def test_nothing_but_transparent_pixels_is_a_frame():
    picture = dataclasses.replace(image(), alpha=np.zeros((64, 96), dtype=np.uint8))
    (result,) = pipeline().run([picture])
    assert next(region for region in result.regions if region.source == "alpha").kind is Kind.FRAME


def test_text_is_dropped_on_demand():
    (with_text,) = pipeline().run([image()])
    (without,) = pipeline(config=PipelineConfig(store_text=False)).run([image()])
    assert with_text.regions[0].attributes["text"] == "red"
    assert "text" not in without.regions[0].attributes


def test_fingerprints_change_with_what_they_cover_and_nothing_else():
    base = pipeline().fingerprints

    def of(**changes):
        return pipeline(config=PipelineConfig(**changes)).fingerprints

    for harmless in ({"runtime": RuntimeConfig(threads=1)}, {"runtime": RuntimeConfig(batch_size=8)}):
        assert of(**harmless) == base
    for fuse_only in (
        {"render": RenderConfig(growth_cells=2)},
        {"policy": PolicyConfig(text=KindPolicy(action="keep"))},
        {"review": ReviewConfig(below=0.9)},
    ):
        changed = of(**fuse_only)
        assert (changed.detect, changed.refine) == (base.detect, base.refine)
        assert changed.fuse != base.fuse
    other = pipeline(RedDetector(version=2)).fingerprints
    assert other.detect != base.detect
    assert other.refine != base.refine
    assert other.fuse != base.fuse


def test_verdict_asks_for_doubt_coverage_and_policy():
    def verdict(confidence=0.95, **changes):
        pipe = pipeline(RedDetector(confidence=confidence), config=PipelineConfig(**changes))
        (result,) = pipe.run([small_text])
        return pipe.judged(result, pipe.render(result)).verdict

    small_text = Image("small.png", np.pad(image().pixels, ((0, 192), (0, 192), (0, 0)), mode="edge"))
    assert verdict() is Verdict.AUTO
    assert verdict(confidence=0.55) is Verdict.AUTO, "drawn in doubt, but too small to spoil the mask"
    assert verdict(policy=PolicyConfig(text=KindPolicy(action="review"))) is Verdict.REVIEW
    assert verdict(policy=PolicyConfig(text=KindPolicy(action="keep")), confidence=0.5) is Verdict.AUTO
    assert verdict(review=ReviewConfig(masked_share=0.005)) is Verdict.REVIEW


def test_the_less_sure_of_what_is_drawn_the_less_sure_of_the_mask():
    def confidence(of_text):
        pipe = pipeline(RedDetector(confidence=of_text))
        (result,) = pipe.run([image()])
        return pipe.judged(result, pipe.render(result)).confidence

    sure, doubtful, left = confidence(0.99), confidence(0.55), confidence(0.45)
    assert doubtful < sure - 0.05
    assert left < confidence(0.001)


def test_unknown_stages_and_options_are_refused_before_anything_is_loaded():
    with pytest.raises(PluginError, match="no plug-in 'nope'"):
        MaskPipeline.from_config(PipelineConfig(detectors=("nope",)))
    with pytest.raises(ConfigError, match=r"options\.edges\.nope"):
        MaskPipeline.from_config(PipelineConfig(detectors=("edges",), options={"edges": {"nope": 1}}))


def test_refining_known_regions_runs_no_detector():
    detector = RedDetector()
    pipe = pipeline(detector)
    (result,) = pipe.run([image()])
    again = pipe.refine(image(), result.regions)
    assert detector.seen == ["a.png"]
    np.testing.assert_array_equal(again.patches[0].artefact, result.patches[0].artefact)


def test_images_are_checked():
    with pytest.raises(ValueError, match="pixels must be"):
        Image(id="x", pixels=np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match="alpha must be"):
        Image(id="x", pixels=np.zeros((4, 4, 3), dtype=np.uint8), alpha=np.zeros((4, 5), dtype=np.uint8))
