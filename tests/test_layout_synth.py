"""Pictures that the layout network learns from: framed ones and others, with their truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automask_training.layout_samples import RenderedSamples, render, synthesizer_of
from automask_training.synth.layout.card_layouts import grammar_card
from automask_training.synth.layout.cards import CARD_KINDS
from automask_training.synth.layout.framed import CHANNELS, IGNORED, Framed, surrounded
from automask_training.synth.layout.isolated import ISOLATED
from automask_training.synth.layout.kinds import SIMPLE_KINDS, LayoutShares, draw
from automask_training.synth.layout.laid import LAID, corner_ornaments, titled_poster
from automask_training.synth.layout.mounts import MOUNTS
from automask_training.synth.layout.ovals import OVALS, soft_oval
from automask_training.synth.layout.pages import drawn_page
from automask_training.synth.layout.pictures import PictureShelf
from automask_training.synth.layout.plain_pictures import PLAIN
from automask_training.synth.layout.prints import PRINTS, sheet_on_table
from automask_training.synth.layout.screens import SCREENS
from automask_training.synth.layout.shop import SHOP
from automask_training.synth.layout.synthesizer import CELLS, SIDE_PX, UNKNOWN, LayoutSynthesizer, cell_shares

FRAMED = {**SIMPLE_KINDS, **CARD_KINDS, **MOUNTS, **PRINTS, **LAID, **OVALS, "grammar_card": grammar_card}
UNFRAMED_ON_A_SHELF = {**ISOLATED, **SHOP, **SCREENS, **PLAIN, "drawn_page": drawn_page}


def picture(seed: int = 0, height_px: int = 240, width_px: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return np.array(coarse.resize((width_px, height_px), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("materials")
    listed: dict[str, list[dict[str, str]]] = {"backgrounds": [], "sprites": []}
    for number, source in enumerate(("near", "near", "far")):
        (folder / "backgrounds").mkdir(exist_ok=True)
        Image.fromarray(picture(number)).save(folder / "backgrounds" / f"{source}-{number}.png")
        listed["backgrounds"].append({"file": f"backgrounds/{source}-{number}.png", "source": source, "licence": "CC0"})
    figure = np.dstack([picture(9, 90, 60), (np.hypot(*np.mgrid[-45:45, -30:30]) < 28).astype(np.uint8) * 255])
    (folder / "sprites").mkdir()
    Image.fromarray(figure).save(folder / "sprites" / "near-9.png")
    listed["sprites"].append({"file": "sprites/near-9.png", "source": "near", "licence": "CC0"})
    (folder / "materials.json").write_text(json.dumps(listed))
    return folder


@pytest.mark.parametrize("kind", FRAMED)
def test_a_framed_picture_has_a_frame_and_a_picture_and_repeats(kind: str):
    for seed in range(3):
        framed = FRAMED[kind](picture(seed), np.random.default_rng(seed))
        again = FRAMED[kind](picture(seed), np.random.default_rng(seed))
        assert np.array_equal(framed.pixels, again.pixels)
        assert framed.pixels.dtype == framed.truth.dtype == np.uint8
        assert framed.pixels.shape == (*framed.truth.shape, 3)
        assert {0, 255} <= set(np.unique(framed.truth)) <= {0, IGNORED, 255}
        for other in framed.others.values():
            assert other.shape == framed.truth.shape


@pytest.mark.parametrize("kind", UNFRAMED_ON_A_SHELF)
def test_a_picture_without_a_frame_has_none(kind: str, materials: Path):
    shelf = PictureShelf(materials)
    for seed in range(3):
        found = UNFRAMED_ON_A_SHELF[kind](shelf, np.random.default_rng(seed))
        assert found.pixels.shape == (*found.truth.shape, 3)
        assert set(np.unique(found.truth)) <= {0, IGNORED}
        assert (found.truth == 0).any()


def test_plates_over_a_picture_are_told_from_the_rest_of_the_frame():
    plates = 0
    for seed in range(12):
        card = grammar_card(picture(seed), np.random.default_rng(seed))
        assert card.truth[card.others["plate"] > 0].min(initial=255) == 255
        plates += (card.others["plate"] > 0).any()
    assert plates >= 4


def test_shares_of_cells_are_those_of_the_truth():
    framed = surrounded(picture(0, 128, 128), (64, 64, 64, 64), (255, 255, 255))
    shares = cell_shares(framed)
    assert shares.shape == (len(CHANNELS), CELLS, CELLS)
    assert (shares[0, :16] == 100).all()
    assert (shares[0, 16:48, 16:48] == 0).all()
    unknown = framed.truth.copy()
    unknown[:64] = IGNORED
    assert (cell_shares(Framed(framed.pixels, unknown))[0, :16] == UNKNOWN).all()


def test_half_of_the_samples_have_no_frame(materials: Path):
    shelf, rng, drawn = PictureShelf(materials), np.random.default_rng(0), 200
    framed = sum((draw(shelf, rng, LayoutShares())[1].truth == 255).any() for _ in range(drawn))
    assert framed / drawn == pytest.approx(0.52, abs=0.08)


def test_lone_corners_lie_over_the_picture_and_leave_its_middle():
    covered = set()
    for seed in range(30):
        found = corner_ornaments(picture(seed), np.random.default_rng(seed))
        assert np.array_equal(found.truth, found.others["plate"])
        assert not found.truth[100:140, 120:180].any()
        quarters = [found.truth[:120, :150], found.truth[:120, 150:], found.truth[120:, :150], found.truth[120:, 150:]]
        covered.add(sum(bool(each.any()) for each in quarters))
    assert covered == {1, 2, 4}


def test_a_title_plate_is_a_plate_where_it_lies_over_the_picture():
    posters = [titled_poster(picture(seed), np.random.default_rng(seed)) for seed in range(6)]
    assert all((each.truth[each.others["plate"] > 0] == 255).all() for each in posters)
    assert all((each.others["plate"] > 0).any() for each in posters)


def test_where_a_portrait_melts_into_its_paper_nobody_can_say():
    found = soft_oval(picture(3), np.random.default_rng(3))
    middle = found.truth[found.truth.shape[0] // 2]
    order = middle[: middle.size // 2].astype(int)
    assert set(order) == {0, IGNORED, 255}
    assert (np.diff(order) <= 0).all()


def test_a_sample_depends_on_seed_and_number_only(materials: Path):
    first, again = (LayoutSynthesizer(materials, seed=3) for _ in range(2))
    for index in (0, 5):
        one, other = first.sample(index), again.sample(index)
        assert one.pixels.shape == (SIDE_PX, SIDE_PX, 3)
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.shares, other.shares)
        assert one.kind == other.kind


def test_held_out_sources_are_seen_by_the_validation_alone(materials: Path):
    table = {"render": {"held_out": ["far"]}}
    train, held_out = (synthesizer_of(table, materials, split=split) for split in ("train", "val"))
    assert list(train._shelf._backgrounds) == ["near"]
    assert list(held_out._shelf._backgrounds) == ["far"]


def test_rendered_samples_are_those_of_the_synthesizer_and_rendering_goes_on(materials: Path, tmp_path: Path):
    synthesizer = LayoutSynthesizer(materials, seed=1)
    render(synthesizer, tmp_path, count=4)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    render(synthesizer, tmp_path, count=4)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    samples = RenderedSamples(tmp_path)
    wanted = synthesizer.sample(2)
    pixels, shares = samples.get(2)
    assert np.array_equal(pixels, wanted.pixels)
    assert np.array_equal(shares, wanted.shares)
    assert samples.kind(2) == wanted.kind


def test_a_sheet_on_a_table_is_a_scene():
    found = sheet_on_table(picture(1), np.random.default_rng(1))
    assert not found.truth.any()
    assert found.pixels.shape[:2] == found.truth.shape
