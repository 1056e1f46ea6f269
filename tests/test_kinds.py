"""What a person calls a region is what exports, captions, reports and training call it."""

import dataclasses

import numpy as np
import pytest
from export_cases import export
from PIL import Image
from review_cases import make_store, region_at
from store_cases import make_result

from automask.config import PipelineConfig
from automask.export.drawing import Drawing
from automask.export.protocol import Orientation
from automask.fill.source import StoreSource
from automask.importing.run import ImportOptions, import_masks
from automask.mask.correcting import Touched, drawn_as_called
from automask.mask.rendering import CorrectionLayers, grow
from automask.propagate.propagation import Proposal, apply, undo
from automask.report.source import ReportSource
from automask.run.edited import adopt_edited_mask
from automask.run.redraw import redraw_image, stored_config
from automask.store import Store
from automask.values.geometry import Box
from automask.values.kinds import called, region_keys
from automask.values.types import Kind, MaskResult, Region
from automask_training.own.store_data import _label_of, store_labelled

IMAGE = "coffee.jpg"  # text at (600, 500), a watermark at (100, 100)
SHAPE = (60, 80)
CONFIG = PipelineConfig.model_validate(
    {"policy": {"watermark": {"weight": 0.25}, "overlay": {"weight": 0.75}, "frame": {"action": "keep"}}}
)
FREE = Box(10, 10, 30, 20)


@pytest.fixture
def root(tmp_path):
    return make_store(tmp_path)


def put(root, layers, *, based_on=None, tool="review"):
    with Store.open(root) as store:
        content = store.lookup(IMAGE).content_sha256
        return store.put_correction(content, layers, author="ann", tool=tool, based_on=based_on)


def name(root, kind, *, position=0, **layers):
    """Call a region of the image another kind, as the page does."""
    with Store.open(root, read_only=True) as store:
        key = region_keys(store.regions(IMAGE))[position]
    put(root, CorrectionLayers(kinds={key: kind}, **layers))
    return key


def newest(root):
    with Store.open(root, read_only=True) as store:
        return store.correction(store.lookup(IMAGE).content_sha256).layers


class TestKeys:
    def test_tell_regions_apart_and_outlive_kind_and_confidence(self):
        regions = make_result("a").regions
        keys = region_keys(regions)
        assert len(set(keys)) == len(regions)
        again = [dataclasses.replace(one, kind=Kind.CUSTOM, confidence=0.1, polygon=None) for one in regions]
        assert region_keys(again) == keys

    def test_tell_regions_with_the_same_box_apart(self):
        (region, _), box = region_at(FREE), FREE
        others = [dataclasses.replace(region, kind=Kind.FRAME), dataclasses.replace(region, source="another")]
        keys = region_keys([region, *others])
        assert len(set(keys)) == 3
        assert keys[0] == f"test {box.x0},{box.y0},{box.x1},{box.y1}"
        kinds = [one.kind for one in called([region, *others], {keys[1]: Kind.OVERLAY, "nobody": Kind.CUSTOM})]
        assert kinds == [Kind.TEXT, Kind.OVERLAY, Kind.TEXT]


def one_region(kind=Kind.TEXT, *, confidence=0.9):
    region, patch = region_at(FREE, kind=kind, confidence=confidence)
    return dataclasses.replace(
        make_result("a"), width_px=SHAPE[1], height_px=SHAPE[0], regions=(region,), patches=(patch,)
    )


def pixels(box=FREE):
    artefact = np.zeros(SHAPE, dtype=np.bool_)
    artefact[box.slices] = True
    return artefact


def instances(result: MaskResult, kind: Kind | None, **layers):
    drawing = Drawing(CONFIG, CONFIG.render, None, 0.0, Orientation.UPRIGHT)
    kinds = {region_keys(result.regions)[0]: kind} if kind is not None else {}
    return [
        (one.kind, int(one.artefact.sum()))
        for one in drawing.instances(result, CorrectionLayers(kinds=kinds, **layers))
    ]


def weighed(share):
    """What the page keeps for a region with a weight of its own: out of the mask, and grown with that weight."""
    around = grow(pixels(), 1)
    return {"remove": pixels(), "weight_set": around, "weight_levels": np.full(SHAPE, round(255 * share), np.uint8)}


class TestInstances:
    """Each thing once, whatever layers the page made of the kind."""

    AREA = FREE.area_px

    def test_of_a_kind_with_the_same_weight(self):
        assert instances(one_region(), Kind.CUSTOM) == [(Kind.CUSTOM, self.AREA)]

    @pytest.mark.parametrize(("kind", "share"), [(Kind.WATERMARK, 0.25), (Kind.OVERLAY, 0.75)])
    def test_of_a_kind_with_another_weight(self, kind, share):
        assert instances(one_region(), kind, **weighed(share)) == [(kind, self.AREA)]

    def test_of_a_kind_that_is_kept(self):
        assert instances(one_region(), Kind.FRAME, remove=pixels()) == []

    def test_of_a_kind_that_was_kept_and_is_masked_now(self):
        assert instances(one_region(Kind.FRAME), None) == []
        assert instances(one_region(Kind.FRAME), Kind.TEXT) == [], "off, as the page shows it"
        assert instances(one_region(Kind.FRAME), Kind.TEXT, add=pixels()) == [(Kind.TEXT, self.AREA)]
        assert instances(one_region(Kind.FRAME), Kind.WATERMARK, **weighed(0.25)) == [(Kind.WATERMARK, self.AREA)]

    def test_beside_what_was_drawn_by_hand(self):
        mine = pixels(Box(50, 40, 55, 45))
        made = instances(one_region(confidence=0.1), Kind.FRAME, add=pixels() | mine)
        assert made == [(Kind.FRAME, self.AREA), (Kind.CUSTOM, 25)]

    def test_where_a_person_drew_the_mask(self):
        assert instances(one_region(), Kind.WATERMARK, replaces=True) == []
        made = instances(one_region(), Kind.WATERMARK, replaces=True, add=pixels(), already_grown=True)
        assert made == [(Kind.WATERMARK, self.AREA)]

    def test_nobody_called_anything(self):
        assert instances(one_region(), None, **weighed(0.75)) == [], "as ever: a weight says wanted or unwanted"
        assert instances(one_region(), None, add=pixels(Box(50, 40, 55, 45))) == [
            (Kind.TEXT, self.AREA),
            (Kind.CUSTOM, 25),
        ]


def test_regions_merge_as_what_they_were_found_as():
    """Otherwise the outline of what is exported would not be the mask's."""
    text, mark = region_at(FREE), region_at(FREE, kind=Kind.WATERMARK, confidence=0.7)
    mark = (dataclasses.replace(mark[0], source="another"), mark[1])
    result = dataclasses.replace(one_region(), regions=(text[0], mark[0]), patches=(text[1], mark[1]))
    key = region_keys(result.regions)[0]
    ((region, _),) = drawn_as_called(result, CONFIG, CorrectionLayers(kinds={key: Kind.FRAME}))
    assert (region.kind, region.source) == (Kind.FRAME, "another+test")


def test_nobody_touched_anything():
    touched = Touched.by(None, shape=SHAPE)
    assert sum(int(layer.sum()) for layer in (touched.added, touched.removed, touched.weighed)) == 0


EXPECTED = {
    "coco": "annotations-rle.json", "labelme": "coffee.json", "cvat": "*.xml", "labelstudio": "*.json",
    "yolo-seg": "coffee.txt",
}  # fmt: skip


@pytest.mark.parametrize("exporter", sorted(EXPECTED))
def test_exports_say_the_kind_also_where_it_changes_no_pixel(root, tmp_path, exporter):
    def written():
        export(root, exporter, output=tmp_path / "out")
        (path,) = (path for path in (tmp_path / "out").rglob(EXPECTED[exporter]))
        return path.read_text()

    before = written()
    name(root, Kind.OVERLAY)
    with Store.open(root) as store:
        redraw_image(store, store.lookup(IMAGE), stored_config(root))
    after = written()
    assert before != after
    if exporter == "yolo-seg":
        numbers = [sorted(line.split()[0] for line in text.splitlines()) for text in (before, after)]
        assert numbers[0] != numbers[1]


def test_what_is_filled_and_what_captions_lose(root):
    with StoreSource.open(root) as source:
        assert source.masked_kinds(source.store.lookup(IMAGE)) == {Kind.TEXT, Kind.WATERMARK}
    name(root, Kind.FRAME)
    with StoreSource.open(root) as source:
        row = source.store.lookup(IMAGE)
        assert source.masked_kinds(row) == {Kind.FRAME, Kind.WATERMARK}
        assert [region.kind for region, _ in source.drawn(row)] == [Kind.FRAME, Kind.WATERMARK]
        assert source.is_corrected(row)


def test_the_report_and_its_filters(root):
    name(root, Kind.OVERLAY)
    with ReportSource.open(root) as source:
        row = source.store.lookup(IMAGE)
        marks = source.marks(row)
        assert [(mark.region.kind, mark.drawn) for mark in marks] == [(Kind.OVERLAY, True), (Kind.WATERMARK, True)]
        assert row.kinds == (Kind.OVERLAY, Kind.WATERMARK)
        assert source.store.counts().kinds[Kind.OVERLAY] == 1


def test_training_on_ones_own_store(root):
    name(root, Kind.FRAME)
    (labelled,) = store_labelled(root, with_accepted=False)
    assert [thing.label for thing in labelled.things(900, 600)] == ["border", "corner"]


def test_the_class_of_a_detector_does_not_speak_for_another_kind(root):
    region = Region(Kind.TEXT, FREE, 0.9, "yolo", attributes={"label": "logo"})
    result = dataclasses.replace(one_region(), regions=(region,))
    (found,) = called(result.regions, {region_keys([region])[0]: Kind.WATERMARK})
    assert _label_of(found, FREE, result) == "corner"


class TestOtherChanges:
    """A kind is of one region of one image, and stays through what happens to pixels."""

    def proposal(self, root):
        with Store.open(root, read_only=True) as store:
            row = store.lookup(IMAGE)
        box = Box(300, 300, 310, 310)
        return Proposal(IMAGE, row.content_sha256, box, np.ones(box.shape, dtype=np.bool_), 1.0, (300, 300))

    def test_a_mark_from_another_image_comes_and_goes(self, root):
        key = name(root, Kind.OVERLAY)
        with Store.open(root) as store:
            operation = apply(store, [self.proposal(root)], mode="add", author="bob", source_sha256="5" * 64)
            assert dict(newest(root).kinds) == {key: Kind.OVERLAY}
            undo(store, operation, author="bob")
        assert dict(newest(root).kinds) == {key: Kind.OVERLAY}

    def test_named_after_the_mark_came(self, root):
        with Store.open(root) as store:
            operation = apply(store, [self.proposal(root)], mode="add", author="bob", source_sha256="5" * 64)
            key = region_keys(store.regions(IMAGE))[0]
            put(root, dataclasses.replace(newest(root), kinds={key: Kind.OVERLAY}), based_on=1)
            undo(store, operation, author="bob")
        assert not newest(root).add.any()
        assert dict(newest(root).kinds) == {key: Kind.OVERLAY}

    def test_a_mask_that_was_painted_over_or_imported(self, root, tmp_path):
        key = name(root, Kind.OVERLAY)
        with Store.open(root) as store:
            row = store.lookup(IMAGE)
            levels = np.full((row.height_px, row.width_px), 255, dtype=np.uint8)
            levels[500:560, 600:820] = 0
            Image.fromarray(levels).save(store.mask_path(row.mask_name))
            assert adopt_edited_mask(store, row).code == "mask-edited"
        assert dict(newest(root).kinds) == {key: Kind.OVERLAY}
        with StoreSource.open(root) as source:
            assert source.masked_kinds(source.store.lookup(IMAGE)) == {Kind.OVERLAY}
        (tmp_path / "mine").mkdir()
        Image.fromarray(levels).point(lambda level: level or 40).save(tmp_path / "mine" / "coffee.png")
        import_masks(root, tmp_path / "mine", ImportOptions(format="masks", replaces=True))
        assert newest(root).weight_levels.min() == 40
        assert dict(newest(root).kinds) == {key: Kind.OVERLAY}
