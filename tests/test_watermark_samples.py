"""What the watermark detector learns from: pictorial marks, codes, printed things, and samples on disk. No torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from training_cases import Squares

from automask_training.sample_blocks import BLOCK
from automask_training.synth.belongings import BelongingDrawer
from automask_training.synth.codes import code, ean_modules, qr_modules
from automask_training.synth.mark_pictures import MarkShares, MarkSynthesizer
from automask_training.synth.raster import Canvas
from automask_training.tables import RecipeError
from automask_training.watermark import DrawnMarks, WatermarkRecipe, WatermarkTask, repainted
from automask_training.watermark_samples import RenderedMarks, claim_features, render
from automask_training.watermark_truth import CLASSES, fitted

HEAD: Any = None
"""Samples are the same whatever learns from them."""
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@pytest.fixture(scope="module")
def no_materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that lists nothing: textures, Pillow's own face and drawn crests serve."""
    folder = tmp_path_factory.mktemp("materials")
    (folder / "materials.json").write_text("{}", encoding="utf-8")
    return folder


def synthesizer(folder: Path, **shares: float) -> MarkSynthesizer:
    return MarkSynthesizer(folder, seed=1, size_px=320, shares=MarkShares(**shares))


class TestCodes:
    def test_a_scanner_reads_the_qr_code(self) -> None:
        modules = np.pad(qr_modules("https://example.com/abc"), 4)
        picture = 255 - cv2.resize(modules, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
        assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == "https://example.com/abc"

    def test_a_scanner_reads_the_bar_code(self) -> None:
        modules = ean_modules("400638133393")
        assert len(modules) == 95
        bars = np.repeat(np.repeat([[each == "1" for each in modules]], 80, axis=0), 2, axis=1)
        picture = np.pad(np.where(bars, 0, 255).astype(np.uint8), 100, constant_values=255)
        found = cv2.barcode.BarcodeDetector().detectAndDecode(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB))
        assert found[0] == "4006381333931"

    def test_codes_are_as_large_as_asked_for(self) -> None:
        layers = [code(np.random.default_rng(seed), 60, BLACK, WHITE) for seed in range(30)]
        assert {layer.size_px[1] for layer in layers} == {60}
        assert {layer.size_px[0] == 60 for layer in layers} == {True, False}, "QR codes are square, bar codes wider"
        assert {bool((layer.alpha == 255).all()) for layer in layers} == {True, False}, "some have no plate"


class TestPictures:
    def test_pictorial_marks_and_codes_are_marked(self, no_materials: Path) -> None:
        source = synthesizer(no_materials, pictorial=1.0, belongings=0.0)
        labels = [each.label for index in range(60) for each in source.sample(index).instances]
        assert {"logo", "code", "ai_mark"} == set(labels)
        assert len(labels) > 30

    def test_a_picture_depends_on_its_number_only(self, no_materials: Path) -> None:
        first, again = synthesizer(no_materials), synthesizer(no_materials)
        again.sample(3)
        assert np.array_equal(first.sample(7).pixels, again.sample(7).pixels)

    def test_printed_things_are_part_of_the_picture(self, no_materials: Path) -> None:
        source = synthesizer(no_materials)
        drawer: BelongingDrawer = source._belongings
        plain = np.full((320, 320, 3), 128, np.uint8)
        changed = 0
        for seed in range(40):
            made = drawer.add(np.random.default_rng(seed), plain)
            assert made.shape == plain.shape
            changed += int((made != plain).any())
        assert changed > 35
        assert (plain == 128).all(), "the picture that was given stays as it is"
        canvas = Canvas(drawer.add(np.random.default_rng(0), plain))
        assert not canvas.instances

    def test_logos_are_held_out_by_file(self, tmp_path: Path) -> None:
        names = [f"logos/{number}.png" for number in range(200)]
        logos = [{"file": each, "source": "icons", "licence": "CC0"} for each in names]
        (tmp_path / "materials.json").write_text(json.dumps({"logos": logos}), encoding="utf-8")
        kept: dict[str, set[str]] = {}
        for part in ("train", "val", "all"):
            drawer = MarkSynthesizer(tmp_path, seed=0, part=part)._marks
            kept[part] = {each.file for each in drawer._index.logos}
        assert kept["all"] == set(names) == kept["train"] | kept["val"]
        assert not kept["train"] & kept["val"]
        assert len(kept["train"]) > len(kept["val"]) > 0


class TestFitted:
    def test_images_keep_marks_where_they_are_seen(self) -> None:
        image = Squares(empty_every=0).sample(0)
        recipe = WatermarkRecipe(size_px=160)
        kept = left = 0
        for seed in range(40):
            marked = fitted(image, recipe, np.random.default_rng(seed), is_cut=True)
            assert marked.pixels.shape == (160, 160, 3)
            left += len(marked.truth.ignored)
            for box, kind in zip(marked.truth.boxes.astype(int), marked.truth.classes, strict=True):
                kept += 1
                assert CLASSES[kind] == "logo"
                assert marked.pixels[box[1] : box[3], box[0] : box[2]].mean() > 110
        assert kept > 10
        assert left, "a small part of a logo counts neither way"

    def test_whole_pictures_are_shrunk_with_their_boxes(self) -> None:
        image, recipe = Squares(empty_every=0).sample(0), WatermarkRecipe(size_px=96)
        marked = fitted(image, recipe, np.random.default_rng(0), is_cut=False)
        assert marked.truth.boxes.tolist() == [pytest.approx([81.6, 81.6, 91.2, 91.2], abs=0.01)]

    def test_boxes_too_small_to_ask_for_count_neither_way(self) -> None:
        recipe = WatermarkRecipe(size_px=96, min_side_px=12.0)
        marked = fitted(Squares(empty_every=0).sample(0), recipe, np.random.default_rng(0), is_cut=False)
        assert (len(marked.truth.boxes), len(marked.truth.ignored)) == (0, 1)


class TestRendered:
    RECIPE = WatermarkRecipe(size_px=96)

    def test_what_is_read_is_what_was_drawn(self, tmp_path: Path) -> None:
        render(Squares(), self.RECIPE, tmp_path, count=BLOCK + 10)
        source = RenderedMarks(tmp_path)
        assert source.count() == BLOCK + 10
        image = Squares().sample(BLOCK // 2 + 1)
        rng = np.random.default_rng((0, BLOCK // 2 + 1, 0x574D))
        for step, is_cut in enumerate((False, True)):
            wanted = fitted(image, self.RECIPE, rng, is_cut=is_cut)
            stored = source.get(BLOCK + 2 + step)
            assert np.array_equal(stored.content, wanted.pixels)
            assert stored.truth.boxes == pytest.approx(wanted.truth.boxes, abs=0.01)
            assert stored.truth.classes.tolist() == wanted.truth.classes.tolist()

    def test_blocks_that_are_there_stay(self, tmp_path: Path) -> None:
        render(Squares(), self.RECIPE, tmp_path, count=2 * BLOCK, part=1, parts=2)
        assert RenderedMarks(tmp_path).count() == 0, "the first block is another's"
        before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        render(Squares(), self.RECIPE, tmp_path, count=2 * BLOCK)
        assert RenderedMarks(tmp_path).count() == 2 * BLOCK
        assert all((tmp_path / name).stat().st_mtime_ns == when for name, when in before.items())

    def test_with_an_encoder_features_are_kept_instead_of_pixels(self, tmp_path: Path) -> None:
        def encode(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return pixels.reshape(len(pixels), -1)[:, :7].astype(np.float16)

        render(Squares(), self.RECIPE, tmp_path, count=4, encode=encode)
        assert not list(tmp_path.glob("*.pixels.npy"))
        assert RenderedMarks(tmp_path).get(3).content.dtype == np.float16

    def test_features_of_another_network_are_refused(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.pt").write_bytes(name.encode())
        claim_features(tmp_path / "samples", tmp_path / "a.pt")
        claim_features(tmp_path / "samples", tmp_path / "a.pt")
        with pytest.raises(RecipeError, match="another ink network"):
            claim_features(tmp_path / "samples", tmp_path / "b.pt")

    def test_a_training_asks_only_for_what_is_surely_drawn(self) -> None:
        recipe = WatermarkRecipe(rendered=5000, reuse=2.0)
        places = [recipe.place(index) for index in range(0, 40_000, 7)]
        assert places == [recipe.place(index) for index in range(0, 40_000, 7)]
        assert all(place < max(250, index * 7 / 2) for index, place in enumerate(places))
        assert max(places) < 5000
        assert len(set(places)) > 2500

    def test_pictures_of_one_s_own_are_fitted_as_they_come(self) -> None:
        source = DrawnMarks(Squares(), self.RECIPE)
        assert np.array_equal(source.get(5).content, source.get(5).content)
        assert source.get(4).content.shape == (96, 96, 3)


class TestRepainted:
    GREY = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)

    def test_levels_keep_their_order_or_all_turn(self) -> None:
        for seed in range(20):
            shown = repainted(self.GREY, np.random.default_rng(seed))[0, :, 0].astype(int)
            steps = np.diff(shown)
            assert (steps >= 0).all() or (steps <= 0).all()
            assert np.ptp(shown) > 150, "what was faint must stay visible"

    def test_a_share_of_the_samples_is_shown_so_and_always_the_same(self) -> None:
        recipe = replace(WatermarkRecipe(size_px=96, rendered=8), repainted=0.5)
        plain = WatermarkTask(
            DrawnMarks(Squares(), replace(recipe, repainted=0.0)), replace(recipe, repainted=0.0), HEAD
        )
        task = WatermarkTask(DrawnMarks(Squares(), recipe), recipe, HEAD)
        changed = [bool((task.sample(i).content != plain.sample(i).content).any()) for i in range(40)]
        assert 10 <= sum(changed) <= 30
        assert all((task.sample(i).content == task.sample(i).content).all() for i in range(5))
        assert all((task.sample(i).truth.boxes == plain.sample(i).truth.boxes).all() for i in range(5))

    def test_features_have_no_colours(self, tmp_path: Path) -> None:
        recipe = replace(WatermarkRecipe(size_px=96, rendered=4), repainted=1.0)
        render(Squares(), recipe, tmp_path, count=4, encode=lambda pixels: pixels[:, 0, :, 0].astype(np.float16))
        samples = RenderedMarks(tmp_path)
        task = WatermarkTask(samples, recipe, HEAD)
        assert all((task.sample(i).content == samples.get(i).content).all() for i in range(4))
