"""Text lines weighed with their picture: the numbers, the shipped model, and its fit."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ink_cases import lettered, manifest_of

from automask.config import RuntimeConfig
from automask.errors import ConfigError
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.ink.confidence import DRAWN, LINE_FEATURES, InkModel, line_features
from automask_models.text.evidence import Evidence, EvidenceModel, LogisticModel
from automask_models.text.rapidocr import RapidOcrDetector, RapidOcrOptions
from automask_training import line_judge
from automask_training.ink_confidence import Picture
from automask_training.line_judge import Drawn, KnownLine, KnownPicture, collect, fit, known_lines, main, report

SIDE_PX = 1000
MODEL, EVIDENCE = InkModel.bundled(), EvidenceModel.bundled()
SHARES = st.floats(0.0, 1.0)
WORDS = st.text("abcdefghijklmnop0123456789 愛中", max_size=12)


def line(share: float, *, confidence: float = 0.9, text: str = "", read: float = 0.0, letters: float = 0.1) -> Region:
    """A square region of this share of a picture of `SIDE_PX`."""
    side_px = max(1, round(SIDE_PX * math.sqrt(share)))
    corners = ((0.0, 0.0), (side_px, 0.0), (side_px, side_px), (0.0, side_px))
    attributes = {"score_rec": read, "text": text, "letters_share": letters}
    return Region(Kind.TEXT, Box(0, 0, side_px, side_px), confidence, "t", polygon=corners, attributes=attributes)


def believed(*lines: Region, ink: float = 0.05) -> list[float]:
    found = line_features(lines, [ink] * len(lines), picture_px=SIDE_PX**2)
    return [MODEL.of_line(each) for each in found]


class TestFeatures:
    def test_there_are_none_of_no_lines(self):
        assert line_features([], [], picture_px=1) == []

    @settings(deadline=None, max_examples=60)
    @given(share=SHARES, confidence=SHARES, text=WORDS, read=SHARES, ink=SHARES)
    def test_they_are_finite_and_have_the_names_that_models_weigh(self, share, confidence, text, read, ink):
        shown = line(share, confidence=confidence, text=text, read=read)
        (found,) = line_features([shown], [ink], picture_px=SIDE_PX**2)
        assert tuple(found) == LINE_FEATURES
        assert all(math.isfinite(value) for value in found.values())
        assert found["unread_size"] >= 0
        assert found["company"] == 0

    def test_a_line_of_another_detector_was_not_read(self):
        bare = dataclasses.replace(line(0.2), attributes={})
        (found,) = line_features([bare], [0.0], picture_px=SIDE_PX**2)
        assert found["read_letters"] == 0
        assert found["unread_size"] == pytest.approx(math.log(20), rel=0.01)

    @pytest.mark.parametrize(("ink", "text", "read"), [(1.0, "", 0.0), (0.0, "harbour", 1.0)])
    def test_size_says_nothing_of_what_is_read_or_has_ink(self, ink, text, read):
        (found,) = line_features([line(0.5, text=text, read=read)], [ink], picture_px=SIDE_PX**2)
        assert found["unread_size"] == 0

    def test_lines_of_one_height_keep_each_other_company(self):
        alike = [line(0.01, letters=0.05) for _ in range(3)]
        other = line(0.01, letters=0.2)
        found = [each["company"] for each in line_features([*alike, other], [0.5] * 4, picture_px=SIDE_PX**2)]
        assert found[0] == found[1] == found[2] == pytest.approx(math.log(2.8), abs=0.01)
        assert found[3] < 0.01

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.tuples(SHARES, SHARES, WORDS, SHARES, SHARES), min_size=2, max_size=5))
    def test_they_do_not_depend_on_the_order_of_lines(self, drawn):
        lines = [line(share, confidence=sure, text=text, read=read) for share, sure, text, read, _ in drawn]
        ink = [each[-1] for each in drawn]
        found = line_features(lines, ink, picture_px=SIDE_PX**2)
        turned = line_features(lines[::-1], ink[::-1], picture_px=SIDE_PX**2)[::-1]
        for one, two in zip(found, turned, strict=True):
            assert one == pytest.approx(two)


class TestShippedModel:
    @settings(deadline=None, max_examples=60)
    @given(share=SHARES, confidence=SHARES, read=SHARES, ink=SHARES, more=SHARES)
    def test_more_evidence_never_makes_a_line_less_sure(self, share, confidence, read, ink, more):
        def of(**changed: float) -> float:
            given = {"confidence": confidence, "read": read, "ink": ink} | changed
            shown = line(share, confidence=given["confidence"], text="harbour", read=given["read"])
            return believed(shown, ink=given["ink"])[0]

        before = of() - 1e-9
        assert of(confidence=max(more, confidence)) >= before
        assert of(read=max(more, read)) >= before
        assert of(ink=max(more, ink)) >= before

    @settings(deadline=None, max_examples=60)
    @given(
        score=st.floats(RapidOcrOptions().min_score, 1.0),
        letters=st.floats(0.005, 0.6),
        aspect=st.floats(4.0, 20.0),
        ink=st.floats(0.01, 1.0),
    )
    def test_a_long_line_that_is_surely_read_is_drawn_whatever_its_size(self, score, letters, aspect, ink):
        evidence = Evidence(score_det=score, score_rec=0.95, letters_share=letters, aspect=aspect)
        share = min(1.0, letters**2 * aspect)
        sure = EVIDENCE.confidence(evidence)
        assert believed(line(share, confidence=sure, text="harbour lights", read=0.95), ink=ink)[0] >= DRAWN

    @settings(deadline=None, max_examples=60)
    @given(share=st.floats(0.2, 1.0), confidence=st.floats(0.0, 0.75), read=st.floats(0.0, 0.6))
    def test_one_letter_as_large_as_the_subject_is_not_drawn(self, share, confidence, read):
        for text in ("X", "I", "O", "動", ""):
            assert believed(line(share, confidence=confidence, text=text, read=read))[0] < DRAWN

    @pytest.mark.parametrize("text", ["'98 7 24", "10:01", "04 10 1998"])
    def test_digits_of_a_stamp_are_drawn_over_bright_ground(self, text):
        stamp = line(0.012, confidence=0.7, text=text, read=0.75, letters=0.03)
        assert believed(stamp, ink=0.1)[0] >= DRAWN

    def test_large_letters_of_a_script_that_cannot_be_read_are_drawn(self):
        assert believed(line(0.15, confidence=0.6, text="ت", read=0.2), ink=0.95)[0] >= DRAWN

    def test_it_is_the_shipped_file(self):
        assert tuple(InkModel.bundled().lines.coefficients) == LINE_FEATURES


def test_a_file_of_another_version_is_refused(tmp_path: Path):
    content = json.loads(InkModel.bundled().model_dump_json())
    content["lines"]["coefficients"]["lines_beside"] = 0.2
    (tmp_path / "other.json").write_text(json.dumps(content))
    options = RapidOcrOptions(ink_models=str(tmp_path / "other.json"))
    with pytest.raises(ConfigError, match="lines_beside, which is not measured"):
        RapidOcrDetector.from_options(options, weights=WeightLibrary.discover(), runtime=RuntimeConfig(threads=1))


def known(*, is_text: bool | None, share: float = 0.01, sure: float = 0.0) -> KnownLine:
    features = dict.fromkeys(LINE_FEATURES, 0.0) | {"text_log_odds": sure, "log_share": math.log(share)}
    return KnownLine(features, is_text, share, 0.0 if is_text else share, share if is_text else 0.0)


def sources(*names: str) -> list[KnownPicture]:
    true, false = known(is_text=True, sure=2.0), known(is_text=False, sure=-2.0)
    odd = known(is_text=False, share=0.5, sure=1.0)
    return [KnownPicture(name, [true, true, false, odd, known(is_text=None)]) for name in names]


class TestFit:
    def test_prior_odds_move_the_intercept_alone(self):
        one, four = (fit(sources("a", "b"), prior_odds=odds) for odds in (1, 4))
        assert four.intercept - one.intercept == pytest.approx(math.log(4), abs=0.002)
        assert one.coefficients == four.coefficients

    def test_large_false_lines_weigh_more(self, monkeypatch: pytest.MonkeyPatch):
        weighed = fit(sources("a", "b"), prior_odds=1)
        monkeypatch.setattr(line_judge, "_costs", lambda lines: np.ones(len(lines)))
        assert weighed.coefficients["log_share"] < fit(sources("a", "b"), prior_odds=1).coefficients["log_share"]

    def test_one_class_is_refused(self, tmp_path: Path, caplog):
        assert main([str(manifest_of(tmp_path)), "--threads", "1", "--report-only", "texts"]) != 0
        assert "one class" in caplog.text

    def test_what_is_drawn_is_counted(self):
        counted = Drawn()
        counted.add(sources("a")[0], LogisticModel(intercept=0.0, coefficients={"text_log_odds": 1.0}))
        assert counted.row() == ["1", "0.5000", "1", "1 of 2", "0 of 2", "0.0000"]

    def test_the_report_tells_fits_apart(self):
        never = LogisticModel(intercept=-9.0, coefficients={})
        told = report(sources("a", "b", "c"), report_only=["c"], prior_odds=1.0, before=never)
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in told.splitlines()[2:]]
        assert [row[0] for row in rows[::2]] == [
            "a", "b", "c (no fit)", "all, each source left out", "all, in no fit",
        ]  # fmt: skip
        assert [row[1] for row in rows[:2]] == ["this fit", "before"]
        assert rows[1][-2] == "2 of 2"
        assert rows[0][-2] == "0 of 2"


def test_lines_are_looked_for_once_in_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image, letters = lettered("Harbour", size_px=150, at=(60, 200), opacity=1.0)
    picture = Picture(image, letters.astype(np.uint8) * 255, "a", "text")
    (found,) = collect([picture], cache=tmp_path / "lines", threads=1)
    assert [each.is_text for each in found.lines] == [True]
    assert found.lines[0].unwanted > 0.9
    assert found.lines[0].features["read_letters"] > 1
    monkeypatch.setattr(line_judge, "known_lines", lambda *args: pytest.fail("looked again"))
    assert collect([picture], cache=tmp_path / "lines", threads=1) == [found]
    with pytest.raises(pytest.fail.Exception, match="looked again"):
        collect([Picture(image, None, "a", "clean")], cache=tmp_path / "lines", threads=1)


def test_a_truth_of_frames_holds_areas():
    image = Image(id="card", pixels=np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8))
    truth = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    truth[:, :20] = 255  # a tenth of the line
    shown = line(0.04)
    for kind, expected in (("text", True), ("frame", None)):
        (found,) = known_lines(Picture(image, truth, "a", kind), [shown], [0.5])
        assert found.is_text is expected
