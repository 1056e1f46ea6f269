"""What masks drawn on a page, imported, or boxed say about pixels: unwanted, wanted, or neither. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from own_data_cases import draw_pictures, make_coco, make_yolo, mark_box, truth

from automask.config import PipelineConfig
from automask.mask.rendering import CorrectionLayers, grow
from automask.run.runner import run_dataset
from automask.store import Store
from automask_training.own.before_after import write_manifest
from automask_training.own.images import Extent, OwnImage, OwnThing
from automask_training.own.reading import DataOptions, OwnData, read_data
from automask_training.own.source import square_view
from automask_training.own.strokes import StrokeReader, band_of, without_growth
from automask_training.own.uses import USES

SIZE_PX = (640, 480)
LINE = (120, 200, 520, 240)
"""Where the lettering of `lettered` lies, xyxy."""
COUNT = 12


def lettered() -> tuple[np.ndarray, np.ndarray]:
    """A soft picture with a white line of text in black outline, and the text's pixels."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 170, (4, 5, 3), dtype=np.uint8)
    pixels = np.ascontiguousarray(cv2.resize(coarse, SIZE_PX, interpolation=cv2.INTER_CUBIC))
    ink = np.zeros(SIZE_PX[::-1], np.uint8)
    at = (LINE[0], LINE[3] - 10)
    for thickness, colour in ((6, (0, 0, 0)), (2, (255, 255, 255))):
        cv2.putText(pixels, "where are you going?", at, cv2.FONT_HERSHEY_SIMPLEX, 1.1, colour, thickness, cv2.LINE_AA)
    cv2.putText(ink, "where are you going?", at, cv2.FONT_HERSHEY_SIMPLEX, 1.1, 255, 6)
    return pixels, ink > 0


def resolved(pixels: np.ndarray, drawn: np.ndarray, extent: Extent) -> tuple[np.ndarray, np.ndarray]:
    """Surely unwanted and unknown pixels, (H, W) bool each, where `drawn` was masked."""
    thing = OwnThing.of("text_line", drawn, extent=extent)
    found = StrokeReader().resolved(pixels, [thing], kinds=("text", "watermark"))
    wanted = np.zeros_like(drawn)
    for one in found.things:
        wanted[one.box.slices] |= one.wanted_artefact
    assert not (wanted & found.unknown).any()
    return wanted, found.unknown


def region() -> np.ndarray:
    out = np.zeros(SIZE_PX[::-1], bool)
    out[LINE[1] - 12 : LINE[3] + 12, LINE[0] - 12 : LINE[2] + 12] = True
    return out


class TestStrokes:
    @pytest.mark.parametrize("extent", [Extent.TIGHT, Extent.AROUND, Extent.GROWN])
    def test_strokes_are_taken_as_they_are(self, extent: Extent) -> None:
        """An imported mask may be tight: nothing so fine was ever grown."""
        pixels, ink = lettered()
        wanted, unknown = resolved(pixels, ink, extent)
        assert np.array_equal(wanted, ink)
        assert not unknown.any(), "beside it nothing is unknown, or the network would learn to spread"

    @pytest.mark.parametrize("mask", ["grown", "region"])
    def test_of_what_was_drawn_around_strokes_the_strokes_are_learned(self, mask: str) -> None:
        pixels, ink = lettered()
        cell_px = 2 * band_of(*SIZE_PX)
        drawn = grow(ink, cell_px) if mask == "grown" else region()
        wanted, unknown = resolved(pixels, drawn, Extent.GROWN)
        assert (wanted & grow(ink, 3)).sum() > 0.97 * wanted.sum()
        assert (wanted & ink).sum() > 0.8 * ink.sum()
        assert unknown[drawn & ~grow(ink, 3)].mean() > 0.5, "what lies between strokes is no truth"
        assert not unknown[~drawn].any()
        assert not wanted[~drawn].any()

    def test_a_plate_that_is_masked_whole_is_wanted_whole(self) -> None:
        pixels, _ = lettered()
        drawn = np.zeros(SIZE_PX[::-1], bool)
        drawn[300:350, 200:420] = True
        pixels[drawn] = (10, 10, 12)
        cv2.putText(pixels, "thunder", (220, 335), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
        wanted, _ = resolved(pixels, drawn, Extent.GROWN)
        assert np.array_equal(wanted, drawn)

    def test_where_nothing_tells_strokes_apart_nothing_is_learned(self) -> None:
        noise = np.random.default_rng(1).integers(0, 255, (*SIZE_PX[::-1], 3), dtype=np.uint8)
        wanted, unknown = resolved(noise, region(), Extent.AROUND)
        assert not wanted.any()
        assert unknown[region()].all()

    def test_a_box_says_where_alone(self) -> None:
        pixels, _ = lettered()
        wanted, unknown = resolved(pixels, region(), Extent.BOX)
        assert not wanted.any()
        assert unknown[region()].all()

    @pytest.mark.parametrize("at", [(0, 0), (200, 100)])
    def test_growth_is_taken_off_finished_masks_alone(self, at: tuple[int, int]) -> None:
        """Beyond the edge of an image nothing was cut off."""
        cell_px = 2 * band_of(*SIZE_PX)
        mark = np.zeros(SIZE_PX[::-1], bool)
        mark[at[1] : at[1] + 40, at[0] : at[0] + 90] = True
        grown = grow(mark, cell_px)
        size = {"width_px": SIZE_PX[0], "height_px": SIZE_PX[1]}
        for extent, expected in ((Extent.GROWN, mark), (Extent.AROUND, grown)):
            (thing,) = without_growth([OwnThing.of("logo", grown, extent=extent)], **size)
            left = np.zeros_like(mark)
            left[thing.box.slices] = thing.artefact
            assert np.array_equal(left, expected), extent


def read(path: Path, *, task: str = "ink", **options: Any) -> OwnData:
    return read_data([path], DataOptions(**{"classes": {}, **options}), USES[task], progress=lambda done, total: None)


def images_of(data: OwnData) -> list[OwnImage]:
    return sorted((*data.training, *data.held_out), key=lambda image: image.path.name)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "set", COUNT)
    run_dataset(tmp_path / "set", tmp_path / "store", PipelineConfig(detectors=("edges",), dataset_detectors=()))
    return tmp_path / "store"


def put(store: Path, layers_of: Any) -> None:
    """Give every image of the store the layers that `layers_of(seed)` makes."""
    with Store.open(store) as opened:
        for seed, path in enumerate(sorted((store.parent / "set").iterdir())):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            opened.put_correction(digest, layers_of(seed), author="me", tool="import-masks", based_on=None)


def imported(levels: np.ndarray) -> CorrectionLayers:
    everywhere = np.ones(levels.shape, bool)
    return CorrectionLayers(replaces=True, weight_levels=levels, weight_set=everywhere, already_grown=True)


def painted(seed: int) -> np.ndarray:
    """The whole place of a mark, as a brush leaves it."""
    out = np.zeros_like(truth(seed))
    box = mark_box(seed)
    if box is not None:
        out[slices_of(box)] = True
    return out


def slices_of(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    return slice(box[1], box[3]), slice(box[0], box[2])


class TestStores:
    @pytest.mark.parametrize("way", ["imported", "imported grown", "painted"])
    def test_whatever_way_a_mask_came_its_marks_are_learned(self, store: Path, way: str) -> None:
        def layers(seed: int) -> CorrectionLayers:
            if way == "painted":
                return CorrectionLayers(replaces=True, add=painted(seed))
            drawn = truth(seed) if way == "imported" else grow(truth(seed), 2)
            return imported(np.where(drawn, 0, 255).astype(np.uint8))

        put(store, layers)
        data = read(store)
        assert (data.left_out, data.silent) == ("", "")
        images = images_of(data)
        assert len(images) == COUNT
        for seed, image in enumerate(images):
            found = image.load().artefact()
            assert not found[~grow(truth(seed), 2)].any()
            assert (found & truth(seed)).sum() >= 0.9 * truth(seed).sum()
            assert all(not thing.is_kind_known for thing in image.things), "nobody said whether it is text"

    def test_half_weights_count_neither_way(self, store: Path) -> None:
        def layers(seed: int) -> CorrectionLayers:
            levels = np.where(truth(seed), 0, 255).astype(np.uint8)
            levels[150:, 200:] = 127
            return imported(levels)

        put(store, layers)
        for image in images_of(read(store)):
            shown = image.load()
            assert shown.unknown is not None
            assert (shown.unknown | shown.artefact())[150:, 200:].all()

    def test_bars_along_a_side_are_no_marks(self, store: Path) -> None:
        def layers(seed: int) -> CorrectionLayers:
            drawn = truth(seed)
            drawn[:10] = True
            return imported(np.where(drawn, 0, 255).astype(np.uint8))

        put(store, layers)
        data = read(store)
        assert all(thing.label == "border" for image in images_of(data) for thing in image.things if thing.box.y0 == 0)

    def test_figures_leave_out_what_counts_neither_way(self, store: Path, tmp_path: Path) -> None:
        drawn = [grow(painted(seed), 12) for seed in range(COUNT)]
        put(store, lambda seed: imported(np.where(drawn[seed], 0, 255).astype(np.uint8)))
        data = read(store, held_out=0.5)
        manifest = write_manifest(data.held_out, tmp_path / "bench", USES["ink"])
        wanted, false = 0, 0
        for image, entry in zip(data.held_out, manifest.entries, strict=True):
            seed = int(image.path.stem)
            if not entry.mask:
                assert not truth(seed).any()
                continue
            held = cv2.imread(str(tmp_path / "bench" / entry.mask), cv2.IMREAD_GRAYSCALE)
            wanted += int((held == 255).sum())
            false += int((held == 255)[~grow(truth(seed), 2)].sum())
            assert set(np.unique(held)) == {0, 128, 255}
            assert (held == 255)[truth(seed)].mean() > 0.9
            assert not held[~drawn[seed]].any()
            assert (held == 128)[drawn[seed] & ~grow(truth(seed), 8)].mean() > 0.5, "beside the strokes of the mask"
        assert wanted
        assert false < 0.15 * wanted, "colours of the picture that lie in a wide mask, on one picture of ten"

    def test_views_take_the_unknown_along(self, store: Path) -> None:
        put(store, lambda seed: CorrectionLayers(replaces=True, add=painted(seed)))
        image = next(image for image in images_of(read(store)) if image.things)
        view = square_view(image.load(), size_px=480, rng=np.random.default_rng(0))
        assert view.unknown is not None
        assert view.unknown.shape == (480, 480)
        assert 0 < view.unknown.mean() < 0.3


class TestMessages:
    def test_boxes_among_outlines_are_named_and_cost_no_image(self, tmp_path: Path) -> None:
        """Inside of a box nothing is learned; that there is nothing elsewhere still is."""
        import json

        path = make_coco(tmp_path, COUNT)
        content = json.loads(path.read_text())
        content["annotations"][0].pop("segmentation")
        content["annotations"][0]["bbox"] = [5, 5, 80, 40]
        path.write_text(json.dumps(content))
        data = read(path)
        assert len(images_of(data)) == COUNT
        assert data.silent.startswith("boxes instead of outlines (1: 000.png): give outlines")

    def test_boxes_are_all_that_detectors_need(self, tmp_path: Path) -> None:
        assert read(make_yolo(tmp_path / "set", COUNT), task="watermark").silent == ""
