"""The default text detector on pictures made here: scripts, sizes, directions, texture, large and tiny images."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from automask.config import KindPolicy, PolicyConfig, RuntimeConfig
from automask.errors import StageError, WeightsError
from automask.mask.rendering import is_drawn
from automask.values.geometry import rasterise_polygon
from automask.values.types import Image, Kind
from automask.weights import WeightLibrary
from automask_models.text.evidence import EvidenceModel
from automask_models.text.lines import TextLine
from automask_models.text.ppocr import DETECTION_FILE, bundled_model
from automask_models.text.rapidocr import RapidOcrDetector, RapidOcrOptions
from automask_models.text.regions import Recognition, text_region

FONTS = Path(__file__).parent / "data" / "fonts"
SCRIPTS = {
    "latin": ("noto-sans-latin-cyrillic.ttf", ("Limited edition", "Harbour View", "Chapter seven", "Open until late")),
    "cyrillic": (
        "noto-sans-latin-cyrillic.ttf",
        ("Специальное предложение", "Гостиница у моря", "Глава седьмая", "Открыто допоздна"),  # noqa: RUF001
    ),
    "hangul": ("noto-sans-kr.otf", ("오늘의 특별 할인", "바다가 보이는 호텔", "제칠장 이야기", "늦게까지 영업합니다")),
    "arabic": ("noto-naskh-arabic.ttf", ("عرض خاص اليوم", "فندق منظر البحر", "الفصل السابع", "مفتوح حتى وقت متأخر")),
    "thai": ("noto-sans-thai.ttf", ("ข้อเสนอพิเศษวันนี้", "โรงแรมริมทะเล", "บทที่เจ็ด", "เปิดจนดึก")),
}


@pytest.fixture(scope="module")
def detector():
    built = RapidOcrDetector.from_options(
        RapidOcrOptions(), weights=WeightLibrary.discover(), runtime=RuntimeConfig(threads=2)
    )
    built.load()
    return built


def backdrop(width_px, height_px, seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    waves = 40 * np.sin(rows / 37.0) + 30 * np.sin((columns + rows) / 53.0)
    noise = rng.normal(0, 6, (height_px, width_px))
    grey = np.clip(110 + waves + noise, 0, 255)
    return PillowImage.fromarray(np.stack([grey, grey * 0.9, grey * 0.7], axis=2).astype(np.uint8))


def letter(canvas, text, *, font, size_px, at, angle=0, fill="white"):
    """Draw one line; returns the bool array of its ink."""
    face = ImageFont.truetype(FONTS / font, size_px)
    x0, y0, x1, y1 = face.getbbox(text)
    ink = PillowImage.new("L", (x1 - x0 + 4, y1 - y0 + 4))
    ImageDraw.Draw(ink).text((2 - x0, 2 - y0), text, fill=255, font=face)
    ink = ink.rotate(angle, expand=True, resample=PillowImage.Resampling.BICUBIC)
    canvas.paste(fill, at, ink)
    full = PillowImage.new("L", canvas.size)
    full.paste(ink, at)
    return np.asarray(full) > 64


def as_image(canvas):
    return Image(id="picture", pixels=np.asarray(canvas))


def drawn(regions, image):
    """Pixels inside regions that the default policy draws."""
    canvas = np.zeros((image.height_px, image.width_px), dtype=bool)
    for region in regions:
        if is_drawn(region, PolicyConfig()):
            canvas |= rasterise_polygon(region.polygon, image.box)
    return canvas


def recall(detector, script):
    font, texts = SCRIPTS[script]
    canvas, inks = backdrop(640, 640), []
    y = 12
    for i, size_px in enumerate((18, 22, 26, 30, 34, 38, 44, 50)):
        inks.append(letter(canvas, texts[i % 4], font=font, size_px=size_px, at=(20, y)))
        y += round(size_px * 2.1)
    image = as_image(canvas)
    covered = drawn(detector.detect([image])[0], image)
    return np.mean([(covered & ink).sum() >= 0.8 * ink.sum() for ink in inks])


@pytest.mark.parametrize("script", sorted(set(SCRIPTS) - {"latin"}))
def test_scripts_the_recogniser_cannot_read_are_found_like_latin(detector, script):
    latin = recall(detector, "latin")
    assert latin >= 0.9
    assert recall(detector, script) >= latin - 0.05


@pytest.mark.parametrize("angle", [90, 270, 20, -35])
def test_turned_lines_become_turned_outlines(detector, angle):
    canvas = backdrop(640, 480)
    ink = letter(canvas, "Limited edition", font="noto-sans-latin-cyrillic.ttf", size_px=40, at=(120, 60), angle=angle)
    image = as_image(canvas)
    covered = drawn(detector.detect([image])[0], image)
    assert (covered & ink).sum() >= 0.9 * ink.sum()
    ys, xs = np.nonzero(ink)
    upright_area = (np.ptp(ys) + 1) * (np.ptp(xs) + 1)
    if angle % 90:
        assert covered.sum() < 0.75 * upright_area, "an upright box around slanted text wastes the picture"


def test_small_lettering_in_a_large_picture_is_found(detector):
    canvas = backdrop(3000, 2200)
    inks = [
        letter(canvas, text, font="noto-sans-latin-cyrillic.ttf", size_px=34, at=at)
        for text, at in (("Harbour View", (200, 300)), ("Chapter seven", (1480, 1090)), ("Open", (2500, 1900)))
    ]
    image = as_image(canvas)
    covered = drawn(detector.detect([image])[0], image)
    assert all((covered & ink).sum() >= 0.9 * ink.sum() for ink in inks)


def textures():
    rng = np.random.default_rng(7)
    leaves = PillowImage.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).resize((640, 480), 3)
    fence = np.full((480, 640, 3), 150, dtype=np.uint8)
    fence[:, ::24] = fence[:, 1::24] = fence[:, 2::24] = 60
    fence[120:126] = fence[340:346] = 70
    water = np.asarray(backdrop(640, 480, seed=3)).copy()
    water[::7] = 230
    return {"leaves": np.asarray(leaves), "fence": fence, "water": water, "plain": np.full((90, 120, 3), 200, np.uint8)}


@pytest.mark.parametrize("name", sorted(textures()))
def test_texture_is_not_drawn(detector, name):
    image = Image(id=name, pixels=textures()[name])
    assert drawn(detector.detect([image])[0], image).mean() <= 0.01


def test_regions_carry_their_evidence(detector):
    canvas = backdrop(480, 200)
    letter(canvas, "Harbour View", font="noto-sans-latin-cyrillic.ttf", size_px=48, at=(40, 60))
    image = as_image(canvas)
    region = max(detector.detect([image])[0], key=lambda found: found.confidence)
    assert region.kind is Kind.TEXT
    assert region.source == "rapidocr"
    assert "Harbour" in region.attributes["text"]
    evidence = {"text", "score_det", "score_rec", "letters_share", "aspect"}
    assert set(region.attributes) == {*evidence, "ink", "score_text", "scene", "score_before_scene"}
    assert image.box.contains(region.box)


@pytest.mark.parametrize(
    ("height_px", "score", "drawn"), [(60, 0.3, True), (300, 0.3, False), (300, 0.9, True), (440, 0.0, False)]
)
def test_one_huge_line_that_cannot_be_read_is_proposed(height_px, score, drawn):
    corners = np.array([(20, 20), (620, 20), (620, 20 + height_px), (20, 20 + height_px)], dtype=np.float64)
    line = TextLine(corners=corners, outline=corners, score=0.95)

    def found_in(image):
        read = Recognition("A", score)
        return text_region(line, read, image=image, model=EvidenceModel.bundled(), source="rapidocr")

    wallpaper = found_in(Image("wallpaper", np.zeros((480, 640, 3), np.uint8)))
    assert wallpaper.proposed is not drawn
    assert is_drawn(wallpaper, PolicyConfig(text=KindPolicy(accept=0))) is drawn
    assert is_drawn(found_in(Image("larger", np.zeros((1440, 1920, 3), np.uint8))), PolicyConfig())


def test_detect_before_load_is_an_error():
    fresh = RapidOcrDetector.from_options(RapidOcrOptions(), weights=WeightLibrary.discover(), runtime=RuntimeConfig())
    with pytest.raises(StageError, match="before load"):
        fresh.detect([])


def test_fingerprint_depends_on_options():
    def fingerprint(**options):
        return RapidOcrDetector.from_options(
            RapidOcrOptions(**options), weights=WeightLibrary.discover(), runtime=RuntimeConfig()
        ).fingerprint

    assert fingerprint() == fingerprint()
    assert fingerprint() != fingerprint(detail=False)


def test_bundled_networks_go_by_the_hash_of_their_bytes():
    found = bundled_model(DETECTION_FILE)
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.sha256
    with pytest.raises(WeightsError, match=r"no other\.onnx"):
        bundled_model("other.onnx")
