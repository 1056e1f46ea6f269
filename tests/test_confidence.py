"""The probability that a mask is fine: its features, its model, the verdict that follows, and how it is judged."""

import dataclasses

import numpy as np
import pytest
from store_cases import make_result, put, write_file

from automask.config import KindPolicy, PipelineConfig, PolicyConfig, ReviewConfig
from automask.errors import ConfigError
from automask.mask.confidence.calibration import calibrate, calibration_error, equal_weights, queue_capture, reliability
from automask.mask.confidence.features import FEATURES, image_features
from automask.mask.confidence.model import ConfidenceModel, FeatureWeight, bundled_model, is_fine
from automask.mask.drawing import draw
from automask.mask.judging import is_audited
from automask.mask.rendering import SURE_FRAME, Mask, frame_belief, is_settled
from automask.run.loaded import is_current
from automask.run.redraw import redraw_store
from automask.store import Decision, Store
from automask.values.geometry import Box
from automask.values.types import PROPOSED_AT_MOST, Kind, MaskResult, Patch, Region, Verdict

SIDE_PX = 64


def result_of(*found: tuple[Kind, Box, float, str]) -> MaskResult:
    regions = tuple(Region(kind, box, confidence, source) for kind, box, confidence, source in found)
    patches = tuple(Patch(r.box, np.ones(r.box.shape, dtype=np.bool_), 0.8, "polygon") for r in regions)
    whole = make_result("a.png")
    return dataclasses.replace(whole, regions=regions, patches=patches, width_px=SIDE_PX, height_px=SIDE_PX)


def features_of(result: MaskResult, policy: PolicyConfig | None = None) -> dict[str, float]:
    policy = policy or PolicyConfig()
    mask = draw(result, PipelineConfig(policy=policy)).mask
    return image_features(result, mask, policy)


def test_features_have_their_names_and_are_finite():
    features = features_of(result_of((Kind.TEXT, Box(2, 2, 30, 10), 0.9, "rapidocr")))
    assert tuple(features) == FEATURES
    assert all(np.isfinite(value) for value in features.values())
    assert tuple(bundled_model().features) == FEATURES


def test_a_rejected_proposal_is_the_risk_of_a_missed_mark():
    nothing = features_of(result_of())["missed_share"]
    missed = result_of((Kind.WATERMARK, Box(2, 2, 30, 10), 0.4, "ink"))
    assert features_of(missed)["missed_share"] > nothing
    asked = dataclasses.replace(missed.regions[0], confidence=0.9, proposed=True)
    assert features_of(dataclasses.replace(missed, regions=(asked,)))["missed_share"] == pytest.approx(
        features_of(result_of((Kind.WATERMARK, Box(2, 2, 30, 10), PROPOSED_AT_MOST, "ink")))["missed_share"]
    ), "as in the fit"
    kept = PolicyConfig(watermark=KindPolicy(action="keep"))
    assert features_of(missed, kept)["missed_share"] == nothing
    covered = result_of(
        (Kind.OVERLAY, Box(0, 0, 34, 14), 0.9, "overlay"), (Kind.WATERMARK, Box(2, 2, 30, 10), 0.4, "tiling")
    )
    assert features_of(covered)["missed_share"] == nothing, "what is masked anyway is not missed"


def framed(confidence: float, *others: tuple[Kind, Box, float, str], **attributes: float) -> MaskResult:
    """An image that a frame covers by three quarters, and what else was found."""
    whole = Box(0, 0, SIDE_PX, SIDE_PX)
    result = result_of((Kind.FRAME, whole, confidence, "edges"), *others)
    artefact = np.ones(whole.shape, dtype=np.bool_)
    artefact[16:48, 16:48] = False
    region = dataclasses.replace(result.regions[0], attributes=attributes)
    patch = dataclasses.replace(result.patches[0], artefact=artefact)
    return dataclasses.replace(result, regions=(region, *result.regions[1:]), patches=(patch, *result.patches[1:]))


def test_a_frame_is_beyond_doubt_where_edges_and_layout_map_agree():
    sure, unsure = framed(0.95, layout_inside=0.9), framed(SURE_FRAME - 0.05, layout_inside=0.9)
    denied, unjudged = framed(0.95, layout_inside=0.3), framed(0.95)
    assert [is_settled(each.regions[0]) for each in (sure, unsure, denied, unjudged)] == [True, False, False, False]
    transparent = dataclasses.replace(sure.regions[0], source="alpha+edges")
    of_another_type = dataclasses.replace(
        sure.regions[0], attributes={"layout_inside": 0.9, "template": "t", "score": 0.7}
    )
    assert frame_belief(transparent) == frame_belief(of_another_type) == 0.0
    config = PipelineConfig.model_validate({"review": {"audit": 0}, "render": {"growth_cells": 0}})
    verdicts = [draw(each, config).judged.verdict for each in (sure, unsure, denied, unjudged)]
    assert verdicts == [Verdict.AUTO, Verdict.REVIEW, Verdict.REVIEW, Verdict.REVIEW], "very much is masked"
    words = (Kind.TEXT, Box(2, 2, 40, 10), 0.55, "rapidocr")
    assert (
        draw(framed(0.95, words, layout_inside=0.9), config).judged.confidence == draw(sure, config).judged.confidence
    )


def test_the_doubt_about_a_frame_is_seen():
    def loose(confidence, **attributes):
        return features_of(framed(confidence, **attributes))["loose_share"]

    assert loose(0.95, layout_inside=0.9) < loose(0.55, layout_inside=0.9) < loose(0.95, layout_inside=0.3)
    assert loose(0.95) == loose(0.95, layout_inside=0.3), "what no map judged is believed by nobody"


def test_large_lines_are_those_that_were_read():
    result = result_of((Kind.TEXT, Box(2, 2, 50, 40), 0.95, "rapidocr"))
    assert features_of(result)["largest_text"] == 0.0
    line = dataclasses.replace(result.regions[0], attributes={"letters_share": 0.5})
    assert features_of(dataclasses.replace(result, regions=(line,)))["largest_text"] > 0.5


def test_a_person_is_asked_about_what_only_a_person_can_say():
    config = PipelineConfig.model_validate({"review": {"audit": 0}})

    def verdict(result, **review):
        changed = config.model_copy(update={"review": config.review.model_copy(update=review)})
        return draw(result, changed).judged.verdict

    def proposed(*found):
        result = result_of(*found)
        asked = dataclasses.replace(result.regions[0], proposed=True)
        return dataclasses.replace(result, regions=(asked, *result.regions[1:]))

    frame = (Kind.FRAME, Box(0, 0, 64, 3), 0.8, "edges")
    assert verdict(proposed(frame)) is Verdict.REVIEW
    assert verdict(proposed(frame), budget=0.1) is Verdict.AUTO, "the budget decides"
    assert verdict(proposed((Kind.FRAME, Box(0, 0, 64, 3), 0.3, "edges"))) is Verdict.AUTO, "nobody would draw it"
    covered = proposed(frame, (Kind.OVERLAY, Box(0, 0, 64, 4), 0.99, "overlay"))
    assert verdict(covered) is Verdict.AUTO, "it changes nothing"


@pytest.mark.parametrize(
    ("share", "inside", "verdict"),
    [(0.3, 0.05, Verdict.REVIEW), (0.3, 0.9, Verdict.AUTO), (0.04, 0.05, Verdict.AUTO), (0.3, None, Verdict.AUTO)],
)
def test_a_frame_that_the_layout_map_denies_is_asked_about_where_it_matters(share, inside, verdict):
    """The features alone cannot ask: a frame is one of four, and the least probable of one is .9."""
    attributes = {} if inside is None else {"layout_inside": inside}
    found = framed(0.95, **attributes)
    artefact = np.zeros((SIDE_PX, SIDE_PX), dtype=np.bool_)
    artefact[: round(share * SIDE_PX)] = True
    found = dataclasses.replace(found, patches=(dataclasses.replace(found.patches[0], artefact=artefact),))
    config = PipelineConfig.model_validate({"review": {"audit": 0}, "render": {"growth_cells": 0}})
    assert draw(found, config).judged.verdict is verdict


def test_of_a_large_image_a_part_of_the_pixels_tells_enough():
    """Nothing lies on the grid of the pixels that are looked at; the same things on a 49th of the area do."""

    def features(scale):
        boxes = Box(7, 11, 304, 47), Box(201, 301, 333, 353), Box(107, 31, 400, 100)  # a part of the last is masked
        result = result_of(
            *(
                (kind, Box(*(value * scale + scale // 2 for value in box.xyxy)), confidence, "rapidocr")
                for kind, confidence, box in zip(
                    (Kind.TEXT, Kind.WATERMARK, Kind.TEXT), (0.8, 0.7, 0.4), boxes, strict=True
                )
            )
        )
        regions = tuple(dataclasses.replace(each, attributes={"letters_share": 0.1}) for each in result.regions)
        result = dataclasses.replace(result, regions=regions, width_px=500 * scale, height_px=500 * scale)
        mask = draw(result, PipelineConfig.model_validate({"render": {"growth_cells": 0}})).mask
        return image_features(result, mask, PolicyConfig())

    assert features(7) == pytest.approx(features(1), rel=0.02)


def test_doubt_lowers_the_probability():
    model = bundled_model()
    sure = model.probability(features_of(result_of((Kind.TEXT, Box(2, 2, 30, 10), 0.99, "rapidocr"))))
    unsure = model.probability(features_of(result_of((Kind.TEXT, Box(2, 2, 30, 10), 0.55, "rapidocr"))))
    assert 0.0 < unsure < sure < 1.0


def test_the_model_does_not_extrapolate():
    model = ConfidenceModel(
        fitted_on="", intercept=0.0, features={"size": FeatureWeight(log_odds=1.0, lowest=-1.0, highest=1.0)}
    )
    assert model.probability({"size": 50.0}) == model.probability({"size": 1.0}) > 0.7
    assert model.log_odds({"size": -50.0}) == {"size": -1.0}


@pytest.mark.parametrize(
    ("leak", "waste", "fine"), [(None, None, True), (0.1, 0.05, True), (0.11, 0.0, False), (0.0, 0.06, False)]
)
def test_what_a_fine_mask_is(leak, waste, fine):
    assert is_fine(leak, waste) is fine


class TestCalibration:
    def test_a_perfect_order_fills_the_queue(self):
        fine = np.arange(10) >= 2
        weights = np.ones(10)
        assert queue_capture(np.arange(10) / 10, fine, weights) == 1.0
        assert queue_capture(1 - np.arange(10) / 10, fine, weights) == 0.0
        assert queue_capture(np.arange(10) / 10, np.ones(10, dtype=np.bool_), weights) == 1.0

    def test_an_image_at_the_end_of_the_queue_counts_in_part(self):
        fine = np.array([False, True, True])
        assert queue_capture(np.array([0.1, 0.2, 0.3]), fine, np.ones(3)) == pytest.approx(1.0)
        assert queue_capture(np.array([0.2, 0.1, 0.3]), fine, np.ones(3), share=0.5) == pytest.approx(0.5)

    def test_calibrated_probabilities_have_no_error(self):
        rng = np.random.default_rng(1)
        probability = rng.uniform(size=20_000)
        fine = rng.uniform(size=20_000) < probability
        assert calibration_error(probability, fine, np.ones(20_000)) < 0.02
        assert calibration_error(1 - probability, fine, np.ones(20_000)) > 0.3
        assert [round(mass, 3) for _, _, mass in reliability(probability, fine, np.ones(20_000))] == [0.2] * 5

    def test_sources_count_the_same(self):
        source = np.array(["a"] * 9 + ["b"])
        assert equal_weights(source).tolist() == [pytest.approx(5 / 9)] * 9 + [5.0]
        found = calibrate(np.full(10, 0.5), np.arange(10) < 9, source)
        assert found.bad_share == pytest.approx(0.5)
        assert found.brier == pytest.approx(0.25)
        assert found.area_under_curve == pytest.approx(0.5)
        low, high = found.calibration_interval
        assert low <= found.calibration_error <= high


class TestVerdict:
    def test_the_audit_sample_is_the_same_every_time_and_of_the_size_asked_for(self):
        contents = [f"{number * 2654435761 % 2**32:08x}{'0' * 56}" for number in range(5000)]
        picked = [is_audited(content, share=0.02) for content in contents]
        assert 60 < sum(picked) < 140
        assert not any(is_audited(content, share=0.0) for content in contents)

    def test_an_audited_image_is_looked_at_however_sure_the_model_is(self):
        result = result_of()
        config = PipelineConfig(review=ReviewConfig(below=0.0))
        assert draw(result, config, content_sha256="0" * 64).judged.verdict is Verdict.REVIEW
        assert draw(result, config, content_sha256="f" * 64).judged.verdict is Verdict.AUTO
        assert draw(result, config).judged.verdict is Verdict.AUTO

    def test_the_confidence_is_the_probability_of_the_model(self):
        result = result_of((Kind.TEXT, Box(2, 2, 30, 10), 0.7, "rapidocr"))
        drawn = draw(result, PipelineConfig())
        mask, judged = drawn.mask, drawn.judged
        assert isinstance(mask, Mask)
        assert judged.confidence == bundled_model().probability(features_of(result))

    def test_a_budget_takes_the_least_probable_and_can_be_taken_back(self, tmp_path):
        with Store.open(tmp_path / "out", create=True) as store:
            contents = [
                put(store, write_file(tmp_path / "in", f"{n}.png", b"%d" % n), confidence=n / 10) for n in range(10)
            ]
            store.apply_review_budget(0.25)
            assert [row.image_id for row in store.images(verdict=Verdict.REVIEW)] == ["0.png", "1.png", "2.png"]
            store.decide(contents[0], Decision.ACCEPTED, author="ann")
            store.apply_review_budget(0.25)
            assert [row.image_id for row in store.images(verdict=Verdict.REVIEW)] == ["1.png", "2.png"]
            store.decide(contents[0], None, author="ann")
            assert store.counts().review == 3
            store.apply_review_budget(None)
            assert store.counts().review == 0

    def test_a_store_of_an_older_model_is_judged_again_without_its_images(self, tmp_path):
        with Store.open(tmp_path / "out", create=True) as store:
            file = write_file(tmp_path / "in", "a.png", b"gone by then")
            put(store, file, confidence=0.123, verdict=Verdict.REVIEW)
            run = store.begin_run(config_json=PipelineConfig().model_dump_json(), input_root="in", version="0")
            store.finish_run(run, status="done")
        file.path.unlink()
        config = PipelineConfig(review=ReviewConfig(audit=0))
        summary = redraw_store(tmp_path / "out", config)
        assert summary.written == {"rendered": 1}
        with Store.open(tmp_path / "out", read_only=True) as store:
            row, result = store.lookup("a.png"), store.result("a.png")
            assert row.confidence == draw(result, config).judged.confidence != 0.123
            assert is_current(row, config, correction_revision=None)
        assert redraw_store(tmp_path / "out", config).written == {}

    def test_flags(self):
        from automask.cli.options import review_flags

        assert review_flags(below=None, budget="10%") == {"review": {"budget": 0.1}}
        assert review_flags(below=0.4, budget=None) == {"review": {"below": 0.4}}
        for wrong in ("ten", "110%", "-1", "10%x"):
            with pytest.raises(ConfigError):
                review_flags(below=None, budget=wrong)
        with pytest.raises(ConfigError, match="exclude each other"):
            review_flags(below=0.4, budget="10%")
