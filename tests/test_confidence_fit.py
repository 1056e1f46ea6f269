"""The fit of the confidence model, on images of known truth that no pipeline was run for."""

import dataclasses

import numpy as np
import pytest
from fakes import RedDetector, pipeline, red_on_grey
from PIL import Image

from automask.config import KindPolicy, PipelineConfig, PolicyConfig, ReviewConfig
from automask.errors import InputError
from automask.mask.confidence.features import FEATURES
from automask.mask.confidence.model import bundled_model
from automask.mask.metrics import MaskScore
from automask.run.runner import run_dataset
from automask.store import Store
from automask.values.types import Verdict

pytest.importorskip("automask_training")

from automask_training.confidence import main
from automask_training.confidence_data import LabelledImage, read_stores
from automask_training.confidence_fit import MOST_PASSED, THRESHOLDS, Outcome, Rows, fit_confidence, threshold_of
from automask_training.confidence_report import plot_reliability, report

SOURCES = {"first": ("clean-plain", "text-signs", "frame-cards"), "second": ("text-subtitles", "watermark-stock")}


def labelled(*, per_source=60, seed=0):
    """Images whose mask is bad the more often the larger `loose_share` is; the other features say nothing."""
    rng = np.random.default_rng(seed)
    images = []
    for manifest, sources in SOURCES.items():
        for source in sources:
            for number in range(per_source):
                values = dict(zip(FEATURES, rng.uniform(-1, 1, len(FEATURES)), strict=True))
                bad = rng.uniform() < 1 / (1 + np.exp(-4 * (values["loose_share"] - 0.3)))
                score = MaskScore(leak=None, waste=0.2 if bad else 0.0, unwanted_cells=0, far_cells=1)
                images.append(LabelledImage(source, f"{number}.png", values, score, asked=False, manifest=manifest))
    return images


@pytest.fixture(scope="module")
def rows():
    return Rows.of(labelled())


@pytest.fixture(scope="module")
def checked(rows):
    return fit_confidence(rows, fitted_on="a test")


def test_it_finds_what_spoils_masks_and_is_right_about_sources_that_it_did_not_see(rows, checked):
    assert tuple(checked.model.features) == FEATURES
    odds = {name: weight.log_odds for name, weight in checked.model.features.items()}
    assert odds["loose_share"] < -2
    assert max(abs(value) for name, value in odds.items() if name != "loose_share") < 1
    assert checked.left_out[rows.fine].mean() > checked.left_out[~rows.fine].mean() + 0.3
    assert not np.allclose(checked.left_out, checked.in_sample)
    assert checked.in_sample[0] == checked.model.probability(dict(zip(FEATURES, rows.values[0], strict=True)))


def test_a_source_that_is_only_reported_is_in_no_fit(rows, checked):
    without = fit_confidence(rows, fitted_on="", report_only=["subtitles"])
    changed = Rows.of(
        [image for image in labelled() if image.source != "text-subtitles"]
        + [image for image in labelled(seed=1) if image.source == "text-subtitles"]
    )
    again = fit_confidence(changed, fitted_on="", report_only=["text-subtitles"])
    assert without.model == again.model != checked.model
    elsewhere = changed.source != "text-subtitles"
    assert (without.left_out[rows.source != "text-subtitles"] == again.left_out[elsewhere]).all()
    assert without.below == again.below
    mine = rows.source == "text-subtitles"
    assert (without.used == ~mine).all()
    assert without.left_out[mine] == pytest.approx(without.in_sample[mine], abs=1e-3)
    with pytest.raises(InputError, match="nothing"):
        fit_confidence(rows, fitted_on="", report_only=["nothing"])


def test_the_threshold_is_the_lowest_at_which_few_bad_masks_pass(rows, checked):
    passed = {each: Outcome.of(rows, checked.left_out, each).passed / len(rows.fine) for each in THRESHOLDS}
    assert checked.below == min(each for each, share in passed.items() if share <= MOST_PASSED)
    assert threshold_of(rows, np.ones(len(rows.fine))) == THRESHOLDS[-1], "nothing is enough where all is believed"


def test_what_is_asked_about_anyway_counts_as_asked():
    images = labelled(per_source=2)
    asked = Rows.of([*images[:-1], LabelledImage("x", "x.png", images[-1].features, images[-1].score, asked=True)])
    sure = np.ones(len(asked.fine))
    assert Outcome.of(asked, sure, 0.5).unasked == len(images) - 1


def test_the_report_has_each_manifest_and_what_was_only_reported(rows, tmp_path):
    checked = fit_confidence(rows, fitted_on="", report_only=["stock"])
    told = report(rows, checked)
    for line in ("| all ", "| first ", "| second, fitted ", "| second, report only ", "| watermark-stock "):
        assert line in told
    assert "| first, fitted" not in told
    assert f"asked below {checked.below:.2f}" in told
    plot_reliability(rows, checked, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_one_kind_of_mask_is_no_fit():
    images = [image for image in labelled() if image.is_fine]
    with pytest.raises(InputError, match="fine and bad masks"):
        Rows.of(images)


def test_the_bundled_model_asks_more_the_more_is_doubtful():
    assert all(weight.log_odds <= 0 for weight in bundled_model().features.values())


def test_manifests_of_one_name_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "a" / "m.json"), str(tmp_path / "b" / "m.json"), "--work", str(tmp_path)])
    assert "names of their own" in capsys.readouterr().err


class Proposing(RedDetector):
    """Only proposes what is red on some images."""

    def find(self, image):
        regions = super().find(image)
        return [dataclasses.replace(one, proposed=image.id.startswith("proposed")) for one in regions]


@pytest.mark.parametrize("action", ["mask", "review"])
def test_images_are_asked_about_anyway_as_a_run_that_believes_every_mask_asks(tmp_path, action):
    config = PipelineConfig(
        policy=PolicyConfig(text=KindPolicy(action=action)), review=ReviewConfig(below=0.0, audit=0.0)
    )
    boxes = {"small.png": (16, 16, 48, 32), "much.png": (0, 0, 90, 60), "proposed.png": (16, 16, 48, 32)}
    folder, output = tmp_path / "set", tmp_path / "stores" / "reds"
    folder.mkdir()
    output.parent.mkdir()
    for name, box in boxes.items():
        Image.fromarray(red_on_grey(box=box)).save(folder / name)
    run_dataset(folder, output, config, pipeline=pipeline(Proposing(), config=config))
    sources = {"reds": [(folder / name, None) for name in boxes]}
    asked = {each.image_id: each.asked for each in read_stores(sources, tmp_path, config, manifest="m")}
    assert asked == {"small.png": action == "review", "much.png": True, "proposed.png": True}
    with Store.open(output, read_only=True) as store:
        assert asked == {name: store.lookup(name).verdict is Verdict.REVIEW for name in boxes}
