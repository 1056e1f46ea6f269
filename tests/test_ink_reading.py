"""Reading what the ink map found."""

import numpy as np
import pytest
from ink_cases import landscape, lettered, map_of
from PIL import Image as PillowImage
from PIL import ImageDraw

from automask.config import RuntimeConfig
from automask.errors import WeightsError
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_models.ink import detector as detector_module
from automask_models.ink.confidence import LARGE_SHARE, InkModel
from automask_models.ink.detector import InkDetector, InkOptions
from automask_models.ink.groups import InkGroup, groups_of, lines_of, parts_of, without_parts
from automask_models.ink.judging import GroupJudge
from automask_models.ink.network import DEFAULT_WEIGHTS, InkMap
from automask_models.ink.reading import GroupReader, line_of, without_ground
from automask_models.text import ppocr
from automask_models.text.ppocr import RECOGNITION_FILE, bundled_model
from automask_models.text.regions import Recognition


@pytest.fixture(scope="module")
def reader() -> GroupReader:
    recognition = bundled_model(RECOGNITION_FILE)
    return GroupReader.open(recognition, runtime=RuntimeConfig(threads=2))


def seen_as(is_ink: np.ndarray) -> tuple[InkMap, InkGroup]:
    """A map in which exactly these pixels are ink, in cells of 4 px, and its one group."""
    rows, columns = is_ink.shape
    cells = is_ink[: rows // 4 * 4, : columns // 4 * 4].reshape(rows // 4, 4, columns // 4, 4).any(axis=(1, 3))
    ink = map_of(cells * 0.6, width_px=columns)
    (group,) = groups_of(ink)
    return ink, group


@pytest.mark.parametrize("opacity", [1.0, 0.25])
def test_a_word_is_read_however_faint(reader, opacity):
    image, letters = lettered("Harbour", size_px=40, at=(60, 200), opacity=opacity)
    ink, group = seen_as(letters)
    reading = reader.read(image.pixels, ink, group)
    assert reading.text.casefold() == "harbour"
    assert reading.evidence > 1


def test_a_word_that_runs_askew_is_read(reader):
    image, letters = lettered("Northern Harbour", size_px=40, at=(200, 260), opacity=0.8)
    turned = np.asarray(PillowImage.fromarray(image.pixels).rotate(25))
    ink, group = seen_as(np.asarray(PillowImage.fromarray(letters.astype(np.uint8) * 255).rotate(25)) > 64)
    assert "orthern Harbour" in reader.read(turned, ink, group).text


def test_railings_are_not_read(reader):
    ground = landscape(800, 600)
    shape = PillowImage.new("L", ground.size)
    for x in range(100, 400, 14):
        ImageDraw.Draw(shape).line([(x, 300), (x, 340)], fill=255, width=3)
    ImageDraw.Draw(shape).line([(100, 300), (400, 300)], fill=255, width=4)
    railings = np.asarray(shape) > 64
    pixels = np.asarray(ground).copy()
    pixels[railings] = 40
    ink, group = seen_as(railings)
    assert reader.read(pixels, ink, group).evidence < 0.7  # what one sure letter says


def test_the_smallest_group_at_the_rim_can_be_read(reader):
    cells = np.zeros((10, 10))
    cells[0, 0] = cells[9, 9] = 0.9
    ink = map_of(cells, width_px=13)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 13, 3), np.uint8)
    groups = list(groups_of(ink))
    assert len(groups) == 2
    for group in groups:
        assert 0 <= reader.read(pixels, ink, group).evidence <= 1


def test_evidence_grows_with_score_and_different_letters():
    assert Recognition("", 0.0).evidence == Recognition("--", 1.0).evidence == 0
    assert Recognition("mmMm", 0.9).evidence < Recognition("ab", 0.9).evidence < Recognition("abcd", 0.9).evidence
    assert Recognition("abcd", 0.5).evidence < Recognition("abcd", 0.9).evidence


def test_rings_bars_and_boxes_are_no_letters():
    assert Recognition("00", 0.99).evidence == Recognition("口", 0.99).evidence == Recognition("Il1", 0.9).evidence == 0
    assert Recognition("Oil", 0.9).different == 3


def merged_with_a_blob(is_ink):
    """A map in which letters are sure and lie in something faint and large, and that one group."""
    rows, columns = is_ink.shape
    letters = is_ink.reshape(rows // 4, 4, columns // 4, 4).any(axis=(1, 3))
    cells = np.where(letters, 0.83, 0.0)
    ys, xs = np.nonzero(letters)
    cells[ys.min() - 2 : ys.max() + 85, xs.min() - 30 : xs.max() + 1] = np.maximum(
        cells[ys.min() - 2 : ys.max() + 85, xs.min() - 30 : xs.max() + 1], 0.41
    )
    cells[ys.max() + 20 : ys.max() + 30, xs.min() - 25 : xs.min() - 10] = 0.75
    ink = map_of(cells, mark=0.9, width_px=columns)
    (group,) = groups_of(ink)
    return ink, group


def found_in(image, ink, monkeypatch):
    """What the detector finds where the network sees that map."""
    monkeypatch.setattr(detector_module.InkNetwork, "map_of", lambda *_: ink)
    detector = InkDetector.from_options(InkOptions(), weights=WeightLibrary.discover(), runtime=RuntimeConfig())
    detector.load()
    return detector.detect([image])[0]


def test_a_word_that_touches_something_else_is_drawn_without_it(monkeypatch):
    image, letters = lettered("Harbour", size_px=40, at=(300, 200), opacity=0.7)
    ink, group = merged_with_a_blob(letters)
    drawn = [region for region in found_in(image, ink, monkeypatch) if region.confidence >= 0.5]
    (word,) = drawn
    assert letters[word.box.slices].sum() > 0.9 * letters.sum()
    assert word.box.height_px < 0.5 * group.box_in(ink).height_px


def test_a_part_that_is_not_read_is_no_word(monkeypatch):
    plain, letters = lettered("Harbour", size_px=40, at=(300, 200), opacity=0.0)
    ink, _ = merged_with_a_blob(letters)
    assert all(region.confidence < 0.5 for region in found_in(plain, ink, monkeypatch))


def test_what_is_drawn_loses_the_texture_that_it_touches():
    image, letters = lettered("Harbour", size_px=60, at=(300, 200), opacity=0.8)
    rows, columns = letters.shape
    in_cells = letters.reshape(rows // 4, 4, columns // 4, 4).any(axis=(1, 3))
    cells = np.where(in_cells, 0.97, 0.0)
    left = np.flatnonzero(in_cells.any(axis=0))[0]
    top = np.flatnonzero(in_cells.any(axis=1))[0]
    cells[top : top + 8, left - 30 : left] = 0.45  # a roof beside the word, surest in its middle
    cells[top + 3 : top + 6, left - 22 : left - 14] = 0.58
    ink = map_of(cells, mark=0.9, width_px=columns)
    (group,) = groups_of(ink)
    reader = GroupReader.open(bundled_model(RECOGNITION_FILE), runtime=RuntimeConfig())
    (judged,) = GroupJudge(InkModel.bundled(), reader).judge(image.pixels, ink, group)
    assert judged.confidence >= 0.5
    assert judged.group.columns.start > left - 10
    assert judged.group.count >= in_cells.sum()
    (whole,) = GroupJudge(InkModel.bundled(), None).judge(image.pixels, ink, group)
    assert whole.group is group


class PartsAreLettering:
    """A reader that reads nothing the first time and the same long word ever after, and counts."""

    def __init__(self):
        self.reads = 0

    def read(self, pixels, ink, group):
        self.reads += 1
        return Recognition("", 0.0) if self.reads == 1 else Recognition("lettering", 0.95)

    def read_lines(self, pixels, ink, group):
        return Recognition("", 0.0)


def judged(cells):
    ink = map_of(cells, mark=0.9)
    (group,) = groups_of(ink)
    reader = PartsAreLettering()
    pixels = np.zeros((ink.height_px, ink.width_px, 3), np.uint8)
    return GroupJudge(InkModel.bundled(), reader).judge(pixels, ink, group), reader.reads


def test_a_part_that_runs_around_the_picture_is_an_ornament_whatever_is_read_in_it():
    cells = np.full((100, 100), 0.45)
    cells[:4] = cells[-4:] = cells[:, :4] = cells[:, -4:] = cells[40:46, 30:60] = 0.8
    assert not next(groups_of(map_of(cells))).is_ring
    parts, _ = judged(cells)
    ring, word = sorted(parts, key=lambda part: -part.group.count)
    assert ring.group.is_ring
    assert ring.confidence <= 0.3
    assert word.confidence >= 0.5


def test_what_falls_into_many_parts_is_read_once():
    cells = np.full((128, 128), 0.45)
    cells[::7, ::7] = 0.7
    _, reads = judged(cells)
    assert reads <= 1


def test_cells_go_to_the_nearest_part():
    cells = np.zeros((20, 60))
    cells[8:12, 5:55] = 0.45
    cells[8:12, 10:15] = cells[8:12, 40:50] = 0.9
    ink = map_of(cells)
    (group,) = groups_of(ink)
    near, far = parts_of(group, ink, 0.6)
    left = without_parts(group, [near, far], [far])
    assert (left.columns.start, left.rows) == (5, slice(8, 12))
    assert left.columns.stop == pytest.approx((15 + 40) / 2, abs=1)
    assert left.count == 4 * (left.columns.stop - left.columns.start) == left.cells.sum()
    assert without_parts(group, [near, far], []) is group


def block_of_lines(opacity):
    """Four lines that follow closely, as the map shows them: one large group, sure and never a single line."""
    words = ("Northern Harbour", "opened in summer", "tickets at doors", "and on the quays")
    shown, letters = [], []
    for index, word in enumerate(words):
        image, own = lettered(word, size_px=30, at=(60, 150 + 34 * index), opacity=opacity)
        shown.append(image.pixels)
        letters.append(own)
    is_ink = np.any(letters, axis=0)
    pixels = shown[0].copy()
    for each, own in zip(shown, letters, strict=True):
        pixels[own] = each[own]
    rows, columns = is_ink.shape
    cells = is_ink[: rows // 4 * 4, : columns // 4 * 4].reshape(rows // 4, 4, columns // 4, 4).mean(axis=(1, 3))
    ink = map_of(np.where(cells > 0.05, 0.75, 0.0), width_px=columns)
    return pixels, ink, list(groups_of(ink))


def test_a_block_of_text_is_read_line_by_line(reader):
    pixels, ink, groups = block_of_lines(opacity=1.0)
    (block,) = groups
    assert block.share_in(ink) >= LARGE_SHARE
    assert reader.read_lines(pixels, ink, block).different > 5
    (found,) = GroupJudge(InkModel.bundled(), reader).judge(pixels, ink, block)
    assert found.confidence >= 0.5


def test_something_large_in_which_nothing_is_read_is_a_drawing_however_sure_the_map_is(reader):
    pixels, ink, groups = block_of_lines(opacity=0.0)
    (block,) = groups
    assert InkModel.bundled().of_group(block) >= 0.5  # by the map alone it would be drawn
    assert all(each.confidence < 0.5 for each in GroupJudge(InkModel.bundled(), reader).judge(pixels, ink, block))


def test_lines_of_a_group_lie_in_the_picture_and_hold_its_cells():
    _, ink, groups = block_of_lines(opacity=1.0)
    lines = lines_of(groups[0], ink, most=5)
    assert 4 <= len(lines) <= 10
    assert all(0 <= b.x0 < b.x1 <= ink.width_px and 0 <= b.y0 < b.y1 <= ink.height_px for b in lines)
    assert sum(line.height_px < 50 and line.width_px > 150 for line in lines) == 4


def test_a_group_is_a_line_with_a_margin():
    cells = np.zeros((40, 60))
    cells[10:14, 20:40] = 0.9
    (group,) = groups_of(map_of(cells))
    line = line_of(group, map_of(cells))
    xs, ys = zip(*line.corners, strict=True)
    assert (min(xs), max(xs)) == pytest.approx((80 - 1.92, 160 + 1.92), abs=0.01)
    assert (min(ys), max(ys)) == pytest.approx((40 - 1.92, 56 + 1.92), abs=0.01)


def test_the_ground_is_taken_away():
    assert (without_ground(np.full((20, 60, 3), 77, np.uint8)) == 128).all()
    slope = np.repeat(np.linspace(0, 255, 200)[None, :, None], 48, axis=0).repeat(3, axis=2).astype(np.uint8)
    lettered_slope = slope.copy()
    lettered_slope[20:28, 90:98] = np.minimum(lettered_slope[20:28, 90:98].astype(int) + 40, 255)
    found = without_ground(lettered_slope)
    assert found.shape == slope.shape
    assert found[24, 94, 0] > 200 > found[24, 60, 0]


def test_the_more_is_read_the_more_is_believed():
    cells = np.zeros((40, 40))
    cells[10:16, 8:28] = 0.55
    (group,) = groups_of(map_of(cells))
    model = InkModel.bundled()
    believed = [model.of_group(group, Recognition("abcdefghi"[:letters], 0.9)) for letters in (0, 1, 3, 9)]
    assert believed == sorted(believed)
    assert believed[0] < 0.5 < believed[-1]
    assert model.is_doubtful(group)


def test_what_is_sure_is_not_read():
    cells = np.zeros((40, 40))
    cells[10:20, 8:28] = 0.99
    (group,) = groups_of(map_of(cells))
    assert not InkModel.bundled().is_doubtful(group)


def test_the_detector_reads_what_is_doubtful_unless_told_not_to(monkeypatch):
    library = WeightLibrary.discover()
    assert library.find(DEFAULT_WEIGHTS) is not None
    image = Image(id="a", pixels=np.asarray(landscape(320, 240)))
    cells = np.zeros((60, 80))
    cells[10:16, 8:28] = 0.55
    monkeypatch.setattr(detector_module.InkNetwork, "map_of", lambda *_: map_of(cells))
    found = {}
    for reading in (True, False):
        options = InkOptions(reading=reading, min_confidence=0)
        detector = InkDetector.from_options(options, weights=library, runtime=RuntimeConfig())
        detector.load()
        (region,) = detector.detect([image])[0]
        assert ("read_evidence" in region.attributes) is reading
        found[reading] = region.confidence, detector.fingerprint
    assert found[True][0] < found[False][0]
    assert found[True][1] != found[False][1]


def test_what_it_reads_with_counts_for_its_results(monkeypatch):
    def fingerprint():
        library = WeightLibrary.discover()
        return InkDetector.from_options(InkOptions(), weights=library, runtime=RuntimeConfig()).fingerprint

    before = fingerprint()
    monkeypatch.setattr(ppocr, "_sha256_of", lambda _: "0" * 64)
    assert fingerprint() != before


def test_without_a_recogniser_it_says_how_to_do_without(monkeypatch):
    monkeypatch.setattr(ppocr, "find_spec", lambda _: None)
    library = WeightLibrary.discover()
    with pytest.raises(WeightsError) as caught:
        InkDetector.from_options(InkOptions(), weights=library, runtime=RuntimeConfig())
    assert "ink.reading=false" in caught.value.advice
    InkDetector.from_options(InkOptions(reading=False), weights=library, runtime=RuntimeConfig()).load()
