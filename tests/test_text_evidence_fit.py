"""The fit of the text evidence model: regression, balance, leave one source out, labels, command. Runs no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from automask.bench.manifest import read_manifest
from automask.errors import EXIT_OK, InputError, OutputError
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask_models.text.evidence import Evidence, EvidenceModel
from automask_training import text_evidence
from automask_training.logistic import area_under_curve, balanced_weights, fit_logistic, leave_one_out
from automask_training.synth.index import Face
from automask_training.synth.lettering import FontCollection
from automask_training.synth.texts import TextDrawer
from automask_training.text_evidence import (
    CheckedFit,
    LabelledLines,
    described,
    fit_evidence,
    main,
    masks_scored,
    rounded,
    shares_kept,
    with_prior_odds,
)
from automask_training.text_lines import (
    SCRIPTS,
    LabelledLine,
    SearchedPicture,
    label,
    search_manifest,
    search_synthetic,
    text_picture,
)

FONTS = Path(__file__).parent / "data" / "fonts"
SQUARE = ((10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0))


def truth_with(share: float, *, value: int = 255) -> np.ndarray:
    """A truth of 40 px squared whose `SQUARE` holds a share of pixels of one value."""
    inside = np.zeros(400, dtype=np.uint8)
    inside[: round(share * 400)] = value
    truth = np.zeros((40, 40), dtype=np.uint8)
    truth[10:30, 10:30] = inside.reshape(20, 20)
    return truth


def drawn_rows(rows: int, *, intercept: float, coefficients: Sequence[float], seed: int = 0):
    """Features of unlike scale, and classes drawn with the odds of a known model."""
    rng = np.random.default_rng(seed)
    values = rng.normal((0.6, -2.0), (0.2, 1.5), (rows, 2))
    odds = intercept + values @ np.array(coefficients)
    return values, rng.random(rows) < 1 / (1 + np.exp(-odds))


class TestLogistic:
    def test_recovers_the_coefficients_that_drew_the_classes(self):
        values, positive = drawn_rows(40_000, intercept=-3.0, coefficients=(6.0, -0.8))
        fit = fit_logistic(values, positive, weights=np.ones(len(values)))
        assert fit.intercept == pytest.approx(-3.0, abs=0.2)
        assert fit.coefficients == pytest.approx((6.0, -0.8), rel=0.05)

    def test_ends_where_the_slope_of_the_penalised_loss_is_zero(self):
        values, positive = drawn_rows(300, intercept=-3.0, coefficients=(6.0, -0.8))
        weights = np.random.default_rng(1).uniform(0.2, 3.0, 300)
        fit = fit_logistic(values, positive, weights=weights, penalty=5.0)
        residual = weights * (fit.probability(values) - positive)
        standardised = (values - values.mean(axis=0)) / values.std(axis=0)
        slope = standardised.T @ residual + 5.0 * np.array(fit.coefficients) * values.std(axis=0)
        assert np.abs(slope).max() < 1e-4
        assert abs(residual.sum()) < 1e-4, "the intercept is not penalised"

    def test_a_row_of_weight_two_is_two_rows(self):
        values, positive = drawn_rows(200, intercept=-3.0, coefficients=(6.0, -0.8))
        twice = fit_logistic(np.tile(values, (2, 1)), np.tile(positive, 2), weights=np.ones(400))
        heavy = fit_logistic(values, positive, weights=np.full(200, 2.0))
        assert twice.coefficients == pytest.approx(heavy.coefficients)
        assert twice.intercept == pytest.approx(heavy.intercept)

    def test_separable_classes_have_finite_coefficients(self):
        values = np.linspace(-1, 1, 50)[:, None]
        fit = fit_logistic(values, values[:, 0] > 0, weights=np.ones(50))
        assert 0 < fit.coefficients[0] < 100

    def test_a_feature_that_never_changes_gets_no_weight(self):
        values, positive = drawn_rows(200, intercept=-3.0, coefficients=(6.0, -0.8))
        values[:, 1] = 7.0
        assert fit_logistic(values, positive, weights=np.ones(200)).coefficients[1] == 0

    @pytest.mark.parametrize(
        "call",
        [
            lambda positive: fit_logistic(np.arange(4.0)[:, None], positive, weights=np.ones(4)),
            lambda positive: balanced_weights(positive, np.array(["a"] * 4)),
            lambda positive: area_under_curve(positive, np.arange(4.0), weights=np.ones(4)),
        ],
    )
    @pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool)])
    def test_one_class_is_refused(self, call, positive):
        with pytest.raises(ValueError, match="both classes"):
            call(positive)


class TestBalance:
    def test_classes_weigh_the_same_and_sources_by_the_root_of_their_rows(self):
        positive = np.array([True] * 20 + [False] * 4)
        source = np.array(["large"] * 16 + ["small"] * 4 + ["clean"] * 4)
        weights = balanced_weights(positive, source)
        assert weights.sum() == pytest.approx(24)
        assert weights[positive].sum() == pytest.approx(12)
        large, small = weights[source == "large"].sum(), weights[source == "small"].sum()
        assert large / small == pytest.approx(np.sqrt(16 / 4))

    def test_area_under_the_curve_weighs_rows_and_halves_ties(self):
        positive = np.array([True, True, False, False])
        ones = np.ones(4)
        assert area_under_curve(positive, np.array([4.0, 3.0, 2.0, 1.0]), weights=ones) == 1
        assert area_under_curve(positive, np.array([1.0, 2.0, 3.0, 4.0]), weights=ones) == 0
        assert area_under_curve(positive, np.zeros(4), weights=ones) == 0.5
        scores = np.array([3.0, 1.0, 2.0, 0.0])  # the second text line is below one of two
        assert area_under_curve(positive, scores, weights=np.array([3.0, 1.0, 1.0, 1.0])) == pytest.approx(7 / 8)

    def test_every_source_is_left_out_once(self):
        source = np.array(["b", "a", "b", "c"])
        split = dict(leave_one_out(source))
        assert sorted(split) == ["a", "b", "c"]
        assert split["b"].tolist() == [False, True, False, True]


class TestLabels:
    @pytest.mark.parametrize(("share", "expected"), [(0.0, False), (0.02, None), (0.1, True)])
    def test_strokes(self, share, expected):
        assert label(SQUARE, truth_with(share)) is expected

    @pytest.mark.parametrize(("share", "expected"), [(0.02, False), (0.2, None), (0.6, True)])
    def test_whole_regions(self, share, expected):
        assert label(SQUARE, truth_with(share), whole_regions=True) is expected

    def test_unknown_pixels_say_nothing(self):
        assert label(SQUARE, truth_with(0.5, value=128)) is None

    def test_clean_images_hold_no_text(self):
        assert label(SQUARE, None) is False

    def test_outlines_may_reach_over_the_edge(self):
        over = tuple((x - 25, y) for x, y in SQUARE)
        assert label(over, truth_with(0.5)) is False
        assert label(tuple((x - 100, y) for x, y in SQUARE), truth_with(0.5)) is None


def pictures_of(sources: Sequence[str], *, seed: int = 0, lines: int = 60) -> list[SearchedPicture]:
    """Pictures of 64 px whose text lines differ from texture in score and shape, the same way in every source."""
    rng = np.random.default_rng(seed)
    found = []
    for source in sources:
        labelled = []
        for _ in range(lines):
            is_text = bool(rng.random() < 0.4)
            evidence = Evidence(
                score_det=float(np.clip(rng.normal(0.85 if is_text else 0.6, 0.12), 0, 1)),
                score_rec=float(np.clip(rng.normal(0.8 if is_text else 0.3, 0.2), 0, 1)),
                letters_share=float(rng.uniform(0.03, 0.1 if is_text else 0.6)),
                aspect=float(rng.uniform(2, 9) if is_text else rng.uniform(0.8, 3)),
            )
            labelled.append(LabelledLine(SQUARE, evidence, is_text))
        found.append(SearchedPicture(source, 64, 64, tuple(labelled)))
    return found


@pytest.fixture(scope="module")
def pictures() -> list[SearchedPicture]:
    return pictures_of(("a", "b", "c"))


@pytest.fixture(scope="module")
def fit(pictures) -> CheckedFit:
    return fit_evidence(LabelledLines.of(pictures), fitted_on="numbers made here")


class TestEvidenceFit:
    def test_finds_what_text_looks_like(self, fit):
        assert fit.full_auc > 0.95
        assert 0.5 < fit.blind_auc < fit.full_auc
        weights = fit.model.full.coefficients
        assert weights["score_det"] > 0
        assert weights["score_rec"] > 0
        assert weights["log_letters_share"] < 0 < weights["log_aspect"]
        assert "score_rec" not in fit.model.blind.coefficients

    def test_a_source_is_judged_by_a_model_that_never_saw_it(self, pictures, fit):
        first, *others = pictures
        turned = replace(first, lines=tuple(replace(line, is_text=not line.is_text) for line in first.lines))
        other = fit_evidence(LabelledLines.of([turned, *others]), fitted_on="")
        assert other.judge_of("a") == fit.judge_of("a")  # a's own labels are all wrong now
        assert other.judge_of("b") != fit.judge_of("b")
        assert fit.judge_of("without lines") is fit.model

    def test_lines_of_unknown_truth_are_left_out(self, pictures, fit):
        odd = LabelledLine(SQUARE, Evidence(0.0, 0.0, 1.0, 0.5), None)
        with_unknown = [replace(picture, lines=(odd, *picture.lines)) for picture in pictures]
        assert fit_evidence(LabelledLines.of(with_unknown), fitted_on="numbers made here").model == fit.model

    def test_one_source_cannot_be_checked(self):
        with pytest.raises(InputError, match="leaving one out needs two"):
            LabelledLines.of(pictures_of(("only",)))
        with pytest.raises(InputError, match="leaving one out needs two"):
            LabelledLines.of([])

    def test_prior_odds_multiply_the_odds(self, fit):
        features = Evidence(0.7, 0.5, 0.1, 3.0).features
        even = fit.model.full.probability(features)
        shifted = with_prior_odds(fit.model, 3.0).full.probability(features)
        assert shifted / (1 - shifted) == pytest.approx(3 * even / (1 - even))
        assert with_prior_odds(fit.model, 1.0) == fit.model

    def test_higher_odds_keep_more(self, pictures, fit):
        low, high = (shares_kept(pictures, fit, odds=odds) for odds in (0.2, 20.0))
        assert sum(each.lines for each in low) == 180
        assert all(a.share <= b.share for a, b in zip(low, high, strict=True))
        assert sum(each.share for each in low) < sum(each.share for each in high)

    def test_the_bundled_model_has_the_form_of_a_fit(self, fit):
        bundled = EvidenceModel.bundled()
        assert bundled.blind_share == fit.model.blind_share
        assert list(bundled.full.coefficients) == list(fit.model.full.coefficients)
        assert list(bundled.blind.coefficients) == list(fit.model.blind.coefficients)
        assert rounded(bundled) == bundled

    def test_says_what_it_was_fitted_on(self, pictures):
        text = described(pictures, prior_odds=3.0)
        assert text.startswith("180 lines that PP-OCRv6_det_small.onnx")
        assert "3 synthetic ones in 3 scripts" in text
        assert "prior odds of 3 to 1" in text


def made_manifest(folder: Path) -> Path:
    """Three sources: bars on grey that are text, the same bars that are texture, and a frame that says nothing."""
    entries = []
    for source, kind in (("one", "text"), ("two", "text"), ("three", "clean"), ("four", "clean"), ("five", "frame")):
        for number in range(3):
            pixels = np.full((96, 96, 3), 90, dtype=np.uint8)
            pixels[20:40, 8:88] = 200 if kind == "text" else 140
            name = f"{source}-{number}.png"
            PillowImage.fromarray(pixels).save(folder / name)
            entry = {"kind": kind, "source": source, "image": name, "truth": "nothing"}
            if kind != "clean":
                truth = np.zeros((96, 96), dtype=np.uint8)
                truth[24:36, 10:86] = 255
                PillowImage.fromarray(truth).save(folder / f"{source}-{number}-truth.png")
                entry |= {"mask": f"{source}-{number}-truth.png", "truth": "pixels"}
            entries.append(entry)
    entries.append({"kind": "text", "source": "six", "image": "not-there.png", "truth": "unknown"})
    path = folder / "manifest.json"
    path.write_text(json.dumps(entries))
    return path


@dataclass
class BarDetector:
    """Takes every bar for a line, and is surer of the bright ones."""

    name: str = "bars"

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        return [[_bar(image)] for image in images]


def _bar(image: Image) -> Region:
    bright = bool(image.pixels[30, 40, 0] > 170)
    noise = int(image.id[-5]) / 50 if image.id[-5].isdigit() else 0.0
    return Region(
        Kind.TEXT,
        Box(8, 20, 88, 40),
        0.5,
        "bars",
        polygon=((8.0, 20.0), (88.0, 20.0), (88.0, 40.0), (8.0, 40.0)),
        attributes={
            "score_det": 0.9 - noise if bright else 0.6 + noise,
            "score_rec": 0.9 if bright else 0.1,
            "letters_share": 0.2,
            "aspect": 4.0,
        },
    )


class TestManifest:
    def test_only_images_that_tell_about_text_are_searched(self, tmp_path):
        # The last entry's file does not exist: it would fail if its unknown truth did not keep it out.
        found = list(search_manifest(read_manifest(made_manifest(tmp_path)), BarDetector()))
        assert [picture.source for picture in found] == ["one"] * 3 + ["two"] * 3 + ["three"] * 3 + ["four"] * 3
        assert [picture.lines[0].is_text for picture in found] == [True] * 6 + [False] * 6
        assert found[0].lines[0].evidence == Evidence(0.9, 0.9, 0.2, 4.0)
        assert [picture.entry and picture.entry.image for picture in found[:2]] == ["one-0.png", "one-1.png"]

    def test_a_truth_of_another_size_is_refused(self, tmp_path):
        path = made_manifest(tmp_path)
        PillowImage.new("L", (40, 40)).save(tmp_path / "two-1-truth.png")
        with pytest.raises(InputError, match=r"two-1\.png has another size"):
            list(search_manifest(read_manifest(path), BarDetector()))

    def test_masks_are_scored_by_odds(self, tmp_path):
        manifest = read_manifest(made_manifest(tmp_path))
        found = list(search_manifest(manifest, BarDetector()))
        fit = fit_evidence(LabelledLines.of(found), fitted_on="")
        scored = masks_scored(found, fit, manifest, odds=(1e-9, 1.0, 1e9))
        leaks = {odds: [s.leak for e, s in rows if e.kind == "text"] for odds, rows in scored.items()}
        wastes = {odds: [s.waste for e, s in rows if e.kind == "clean"] for odds, rows in scored.items()}
        assert leaks == {1e-9: [1.0] * 6, 1.0: [0.0] * 6, 1e9: [0.0] * 6}
        assert wastes[1e-9] == wastes[1.0] == [0.0] * 6
        assert min(wastes[1e9]) > 0.1

    def test_synthetic_pictures_have_no_masks_to_score(self, pictures, fit, tmp_path):
        manifest = read_manifest(made_manifest(tmp_path))
        assert masks_scored(pictures, fit, manifest, odds=(1.0,)) == {1.0: []}


class TestSynthetic:
    def test_pictures_hold_the_script_asked_for_and_its_truth(self):
        face = Face("noto-sans-thai.ttf", 0, "plain", ("thai",))
        drawer = TextDrawer(FontCollection(FONTS, (face,)))
        for seed in range(4):
            ground = np.full((256, 256, 3), 120, dtype=np.uint8)
            picture = text_picture(np.random.default_rng(seed), ground.copy(), drawer, script="thai")
            changed = (picture.pixels != ground).any(axis=2)
            assert picture.instances
            assert not (picture.artefact() & ~changed).any()
            assert {each.kind for each in picture.instances} == {"text"}
            again = text_picture(np.random.default_rng(seed), ground.copy(), drawer, script="thai")
            assert (again.pixels == picture.pixels).all()

    def test_scripts_take_turns_and_each_is_a_source(self, tmp_path):
        self._write_materials(tmp_path, SCRIPTS)
        found = list(search_synthetic(tmp_path, BarDetector(), count=len(SCRIPTS) + 1))
        assert [picture.source for picture in found[:-1]] == [f"synthetic-{script}" for script in SCRIPTS]
        assert found[-1].source == found[0].source
        assert all(picture.entry is None for picture in found)

    def test_a_missing_script_is_an_error(self, tmp_path):
        self._write_materials(tmp_path, ("latin", "hangul"))
        with pytest.raises(InputError, match="arabic, cyrillic, han, thai"):
            next(search_synthetic(tmp_path, BarDetector(), count=1))

    def _write_materials(self, folder: Path, scripts: Sequence[str]) -> None:
        face = {"file": str(FONTS / "noto-sans-latin-cyrillic.ttf"), "index": 0, "style": "plain"}
        (folder / "materials.json").write_text(json.dumps({"faces": [{**face, "scripts": list(scripts)}]}))


class TestCommand:
    @pytest.fixture(autouse=True)
    def bars(self, monkeypatch):
        monkeypatch.setattr(text_evidence, "_detector", lambda runtime: BarDetector())

    def test_writes_a_model_that_the_detector_reads(self, tmp_path, capsys):
        out = tmp_path / "evidence.json"
        code = main([str(made_manifest(tmp_path)), "--synthetic", "0", "--prior-odds", "2.25", "--out", str(out)])
        assert code == EXIT_OK
        model = EvidenceModel.model_validate_json(out.read_text("utf-8"))
        assert "12 lines" in model.fitted_on
        assert "12 images (clean, text) of 4 sources" in model.fitted_on
        assert "odds of 2.25 to 1" in model.fitted_on
        assert model.confidence(Evidence(0.9, 0.9, 0.2, 4.0)) > 0.5 > model.confidence(Evidence(0.6, 0.1, 0.2, 4.0))
        shown = capsys.readouterr().out
        assert "Area under the curve: 1.0000" in shown
        assert "2.25:1" in shown
        assert "clean/*" in shown
        assert "text/one" in shown

    def test_a_folder_that_is_not_there_is_said_before_the_search(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr(text_evidence, "_detector", lambda runtime: pytest.fail("searched first"))
        out = tmp_path / "nowhere" / "evidence.json"
        assert main([str(made_manifest(tmp_path)), "--synthetic", "0", "--out", str(out)]) == OutputError.exit_code
        assert "does not exist" in caplog.text

    def test_a_bad_manifest_is_a_sentence(self, tmp_path, caplog):
        code = main([str(tmp_path / "none.json"), "--synthetic", "0", "--out", str(tmp_path / "evidence.json")])
        assert code == InputError.exit_code
        assert "Cannot read the manifest" in caplog.text
        assert not (tmp_path / "evidence.json").exists()

    @pytest.mark.parametrize(
        "wrong", [["--prior-odds", "0"], ["--synthetic", "-1"], ["--synthetic", "6"], ["--prior-odds", "inf"]]
    )
    def test_wrong_numbers_are_refused(self, tmp_path, wrong):
        given = [str(tmp_path / "manifest.json"), "--out", str(tmp_path / "evidence.json"), "--synthetic", "0"]
        with pytest.raises(SystemExit, match="2"):
            main([*given, *wrong])
