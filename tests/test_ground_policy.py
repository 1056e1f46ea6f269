"""The kind `ground`: kept unless somebody asks for its mask, and known wherever kinds are listed."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli_process import automask
from ground_pictures import product_picture
from PIL import Image as PillowImage
from store_cases import stored_image

from automask.captions.text import clean_caption
from automask.captions.words import load_words
from automask.config import PipelineConfig, PolicyConfig, layered_config
from automask.export.formats.coco import CATEGORIES
from automask.http.request import MaskOptions
from automask.importing.shapes import kind_of
from automask.mask.drawing import draw
from automask.report.cards import Card, card_html
from automask.report.overlay import KIND_COLOURS, Mark, outline
from automask.report.thumbnails import Thumbnails
from automask.run.reasons import region_words
from automask.values.geometry import Box
from automask.values.types import Fingerprints, Kind, MaskResult, Patch, Region, Verdict

CONFIG = PipelineConfig.model_validate({"review": {"audit": 0.0}})
MASKED = PipelineConfig.model_validate({"review": {"audit": 0.0}, "policy": {"ground": {"action": "mask"}}})
STATIC = Path(__file__).parent.parent / "api" / "automask_api" / "review" / "static"
SIDE_PX = 256


def ground(confidence: float = 0.95) -> tuple[Region, Patch]:
    artefact = np.ones((SIDE_PX, SIDE_PX), bool)
    artefact[80:180, 80:180] = False
    box = Box(0, 0, SIDE_PX, SIDE_PX)
    return Region(Kind.GROUND, box, confidence, "ground", artefact=artefact), Patch(box, artefact, 1.0, "polygon")


def text(confidence: float = 0.9) -> tuple[Region, Patch]:
    box = Box(100, 100, 160, 120)
    return Region(Kind.TEXT, box, confidence, "rapidocr"), Patch(box, np.ones(box.shape, bool), 1.0, "polygon")


def result(*pairs: tuple[Region, Patch]) -> MaskResult:
    return MaskResult(
        image_id="a.png",
        width_px=SIDE_PX,
        height_px=SIDE_PX,
        regions=[region for region, _ in pairs],
        patches=[patch for _, patch in pairs],
        confidence=1.0,
        verdict=Verdict.REVIEW,
        issues=(),
        fingerprints=Fingerprints("d", "r", "f"),
    )


@pytest.mark.parametrize("confidence", [0.3, 0.55, 0.95])
def test_kept_ground_changes_neither_mask_nor_confidence_nor_verdict(confidence):
    alone, beside = draw(result(text()), CONFIG), draw(result(text(), ground(confidence)), CONFIG)
    assert np.array_equal(alone.mask.levels, beside.mask.levels)
    assert alone.mask.masked_share == beside.mask.masked_share
    assert alone.judged.confidence == beside.judged.confidence
    assert alone.judged.verdict is beside.judged.verdict is Verdict.AUTO
    assert alone.drawn_count == beside.drawn_count


def test_whoever_asks_gets_it_masked_and_is_not_asked_about_the_area():
    drawn = draw(result(ground()), MASKED)
    assert drawn.mask.levels[20, 20] == 0
    assert drawn.mask.levels[130, 130] == 255
    assert drawn.mask.masked_share > CONFIG.review.masked_share
    assert drawn.judged.verdict is Verdict.AUTO
    doubtful = draw(result(ground(0.55)), MASKED)
    assert doubtful.mask.levels[20, 20] == 0
    assert doubtful.judged.verdict is Verdict.REVIEW, "what the detector doubts is asked about"


def test_ground_is_never_one_thing_with_what_lies_on_it():
    region, patch = ground()
    spots = np.zeros(patch.artefact.shape, bool)
    spots[::3] = True
    tiling = dataclasses.replace(region, kind=Kind.WATERMARK, source="tiling", confidence=0.4, artefact=spots)
    drawn = draw(result((region, patch), (tiling, Patch(region.box, spots, 1.0, "polygon"))), MASKED)
    assert [one.region.kind for one in drawn.things] == [Kind.GROUND, Kind.WATERMARK]
    assert drawn.mask.levels[130, 130] == 255, "what is only proposed stays so"


class TestPolicy:
    """Kept by default, however little else is said."""

    def test_default(self):
        assert PolicyConfig().ground.action == "keep"
        assert {PolicyConfig().of(kind).action for kind in Kind if kind is not Kind.GROUND} == {"mask"}

    def test_its_detector_runs_for_those_who_ask(self):
        assert "ground" not in PipelineConfig().detectors
        assert MASKED.detectors == (*PipelineConfig().detectors, "ground")
        again = PipelineConfig.model_validate(MASKED.model_dump())
        assert again.detectors == MASKED.detectors
        alone = PipelineConfig.model_validate({"detectors": ["ground"], "policy": {"ground": {"action": "review"}}})
        assert alone.detectors == ("ground",)

    def test_a_part_of_it_leaves_it_kept(self, tmp_path):
        path = tmp_path / "a.toml"
        path.write_text("[policy.ground]\nweight = 0.3\n")
        for rule in (
            layered_config(path).policy.ground,
            PolicyConfig.model_validate({"ground": {"weight": 0.3}}).ground,
        ):
            assert (rule.action, rule.weight) == ("keep", 0.3)

    def test_toml_and_environment(self, tmp_path, monkeypatch):
        path = tmp_path / "a.toml"
        path.write_text('[policy.ground]\naction = "mask"\n')
        assert layered_config(path).policy.ground.action == "mask"
        monkeypatch.setenv("AUTOMASK_POLICY__GROUND__ACTION", "review")
        assert layered_config().policy.ground.action == "review"

    def test_a_request(self):
        asked = MaskOptions(policy=["ground=mask"], weight=["ground=0.2"]).applied_to(PipelineConfig())
        assert (asked.policy.ground.action, asked.policy.ground.weight) == ("mask", 0.2)
        assert MaskOptions(weight=["ground=0.2"]).applied_to(PipelineConfig()).policy.ground.action == "keep"
        alone = MaskOptions(kinds=[Kind.GROUND]).applied_to(PipelineConfig()).policy
        assert [kind for kind in Kind if alone.of(kind).action == "mask"] == [Kind.GROUND]


class TestEverythingThatListsKinds:
    """Numbers of older exports stay, and every kind has its place and colour."""

    def test_numbers_of_exports(self):
        assert {kind.value: number for kind, number in CATEGORIES.items()} == {
            "text": 1, "frame": 2, "watermark": 3, "overlay": 4, "custom": 5, "ground": 6,
        }  # fmt: skip
        assert kind_of("Ground") is Kind.GROUND

    def test_the_page(self):
        regions, stage = (STATIC / "regions.js").read_text(), (STATIC / "stage.js").read_text()
        render, theme = (STATIC / "render.js").read_text(), (STATIC / "theme.css").read_text()
        kinds = [kind.value for kind in Kind]
        assert json.loads(re.search(r"export const KINDS = (\[.*?\]);", regions)[1]) == kinds
        assert json.loads(re.search(r"return (\[\"none\".*?\])\.map", stage)[1]) == ["none", *kinds, "hand"]
        assert int(re.search(r"const HAND = (\d+);", render)[1]) == len(kinds) + 1 <= 7, "three bits hold a class"
        colours = dict(re.findall(r"--mask-([a-z]+): (\d+ \d+ \d+);", theme))
        assert set(kinds) <= set(colours)
        assert len(set(colours.values())) == len(colours)
        assert all(f".kind-{kind} {{" in theme for kind in kinds)
        options = re.findall(
            r'<option value="([a-z]+)">', re.search(r'<select id="kind">.*', (STATIC / "index.html").read_text())[0]
        )
        assert set(kinds) <= set(options)

    def test_the_report(self):
        assert set(KIND_COLOURS) == set(Kind)
        style = (Path(__file__).parent.parent / "automask" / "report" / "style.css").read_text()
        assert all(f'[data-kind="{kind}"]' in style for kind in Kind)


class TestShown:
    """People see that it is there, and that nothing is asked about it."""

    def test_words(self):
        region, _ = ground()
        assert region_words(region, CONFIG) == "plain ground behind the subject, trained"
        assert region_words(region, MASKED) == "plain ground behind the subject"

    def test_it_is_not_outlined_while_it_is_kept(self):
        region, _ = ground(0.9)
        shots = []
        for config in (CONFIG, MASKED):
            picture = PillowImage.new("RGB", (SIDE_PX, SIDE_PX))
            outline(picture, [Mark.of(region, config.policy)])
            shots.append(np.asarray(picture).any())
        assert shots == [False, True]

    def test_a_card_with_kept_ground_alone_is_one_where_nothing_was_found(self):
        for config, kinds in ((CONFIG, "ground none"), (MASKED, "ground")):
            card = Card(stored_image(), [Mark.of(ground()[0], config.policy)], [], Thumbnails(None, None), None, None)
            html = card_html(card)
            assert f'data-kinds="{kinds}"' in html
            assert ("trained as you asked" in html) == (config is CONFIG)
            assert " ?</li>" not in html


@pytest.mark.parametrize(
    ("caption", "masked"),
    [
        ("a mug, white background, simple background, photo", "a mug, photo"),
        ("A red kettle with a plain background.", "A red kettle."),
        ("a street with people in the background", "a street with people in the background"),
        ("a cat, city, detailed background", "a cat, city, detailed background"),
    ],
)
def test_captions_lose_the_ground_where_it_is_masked(caption, masked):
    words = load_words()
    assert clean_caption(caption, words=words.of([Kind.GROUND])) == masked
    assert clean_caption(caption, words=words.of([Kind.TEXT])) == caption


def test_a_run_with_the_policy_and_a_new_rendering_without_it(tmp_path):
    folder, output = tmp_path / "set", tmp_path / "out"
    folder.mkdir()
    picture = product_picture(3)
    PillowImage.fromarray(picture.pixels).save(folder / "thing.png")
    stages = ("--detectors", "ground", "--dataset-detectors", "none", "--refiner", "polygon")
    made = automask("run", folder, "--output", output, *stages, "--policy", "ground=mask", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["written"] == {"analysed": 1}

    def levels():
        return np.asarray(PillowImage.open(output / "masks" / "thing.png"))

    assert (levels()[picture.ground] == 0).mean() >= 0.95
    assert (levels() == 255).any()
    kept = automask("render", output, "--policy", "ground=keep")
    assert kept.returncode == 0, kept.stderr
    assert (levels() == 255).all()
    again = automask("run", folder, "--output", output, *stages, "--json")
    assert "analysed" not in json.loads(again.stdout)["written"], "a policy runs no model"
    assert (levels() == 255).all()
    assert "ground on 1" in automask("status", output).stdout
    exported = automask("export", output, "--to", "coco", "--output", tmp_path / "coco")
    assert exported.returncode == 0, exported.stderr
    assert json.loads((tmp_path / "coco" / "annotations-rle.json").read_text())["annotations"] == []
    assert automask("render", output, "--policy", "ground=mask").returncode == 0
    exported = automask("export", output, "--to", "coco", "--output", tmp_path / "coco")
    written = json.loads((tmp_path / "coco" / "annotations-rle.json").read_text())
    assert [one["category_id"] for one in written["annotations"]] == [CATEGORIES[Kind.GROUND]]


def test_what_a_person_adds_on_ground_is_a_mark_and_no_ground():
    from automask_training.own.labels import IGNORED, LABEL_OF_KIND
    from automask_training.own.store_data import _label_of_addition

    added = np.ones((20, 20), bool)
    label = _label_of_addition(Box(10, 10, 30, 30), added, result(ground()))
    assert label == _label_of_addition(Box(10, 10, 30, 30), added, result())
    assert label != IGNORED
    assert set(LABEL_OF_KIND) == set(Kind)


def test_masks_of_stores_from_before_there_was_ground_are_still_the_ones():
    from automask.mask.drawing import fuse_fingerprint

    assert set(PolicyConfig().hashed) == {"text", "frame", "watermark", "overlay", "custom"}
    lighter = PipelineConfig.model_validate({"policy": {"ground": {"weight": 0.3}}})
    assert fuse_fingerprint(lighter, "r") == fuse_fingerprint(PipelineConfig(), "r"), "kept is kept"
    assert fuse_fingerprint(MASKED, "r") != fuse_fingerprint(CONFIG, "r")
