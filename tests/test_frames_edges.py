"""The edges detector on frames of every kind that a program can draw, and on scenes that only look framed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from frame_cases import Pixels, bordered, jpeg, rendered, scene, score

from automask.config import PolicyConfig, RuntimeConfig
from automask.mask.rendering import is_drawn
from automask.values.types import Image, Kind
from automask_models.frames.bands import find_bands, tolerance_px
from automask_models.frames.detector import EdgesDetector, EdgesOptions, detect_frames
from automask_models.frames.sides import Line, Side, SideView


def smooth_sky(height_px: int, width_px: int) -> Pixels:
    rows = np.arange(height_px)[:, None, None]
    sky = np.array([150, 180, 220]) + rows * np.array([0.25, 0.15, 0.05])
    noise = np.random.default_rng(0).normal(0, 2, (height_px, width_px, 3))
    return np.clip(sky + noise, 0, 255).astype(np.uint8)


def geometry_alone() -> EdgesDetector:
    """The detector without its network."""
    return EdgesDetector(EdgesOptions.model_validate({}), weights=None, runtime=RuntimeConfig())


def thin(picture: Pixels) -> tuple[Pixels, Pixels]:
    return bordered(picture, (3, 3, 3, 3), (0, 0, 0))


def photo_frame(picture: Pixels) -> tuple[Pixels, Pixels]:
    return bordered(picture, (18, 18, 18, 18), (120, 40, 30))


def mat(picture: Pixels) -> tuple[Pixels, Pixels]:
    return bordered(picture, (60, 60, 60, 60), (255, 255, 255))


def polaroid(picture: Pixels) -> tuple[Pixels, Pixels]:
    framed, truth = bordered(picture, (30, 30, 30, 110), (250, 250, 246))
    cv2.putText(framed, "summer", (200, 570), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (40, 40, 90), 3)
    return framed, truth


def letterbox(picture: Pixels) -> tuple[Pixels, Pixels]:
    return bordered(picture, (0, 70, 0, 70), (0, 0, 0))


def pillarbox(picture: Pixels) -> tuple[Pixels, Pixels]:
    return bordered(picture, (120, 0, 118, 0), (16, 16, 16))


def caption(picture: Pixels) -> tuple[Pixels, Pixels]:
    framed, truth = bordered(picture, (0, 0, 0, 60), (255, 255, 255))
    cv2.putText(framed, "A caption of the picture", (60, 520), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2)
    return framed, truth


def frame_and_mat(picture: Pixels) -> tuple[Pixels, Pixels]:
    inner, truth = bordered(picture, (40, 40, 40, 40), (245, 245, 240))
    framed, _ = bordered(inner, (20, 20, 20, 20), (40, 25, 15))
    return framed, cv2.copyMakeBorder(truth, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255)


def key_line(picture: Pixels) -> tuple[Pixels, Pixels]:
    framed, truth = bordered(picture, (50, 50, 50, 50), (248, 248, 246))
    cv2.rectangle(framed, (30, 30), (framed.shape[1] - 31, framed.shape[0] - 31), (20, 20, 20), 3)
    return framed, truth


def blurred_bars(picture: Pixels) -> tuple[Pixels, Pixels]:
    height_px, width_px = picture.shape[:2]
    strip = picture[height_px // 4 : -height_px // 4]
    zoomed = cv2.resize(strip, (2 * width_px, height_px))[:, width_px // 2 : -width_px // 2]
    canvas = np.ascontiguousarray(cv2.GaussianBlur(zoomed, (0, 0), 20) * 0.7).astype(np.uint8)
    truth = np.full((height_px, width_px), 255, np.uint8)
    top = (height_px - strip.shape[0]) // 2
    canvas[top : top + strip.shape[0]] = strip
    truth[top : top + strip.shape[0]] = 0
    return canvas, truth


def wood(picture: Pixels) -> tuple[Pixels, Pixels]:
    framed, truth = bordered(picture, (36, 36, 36, 36), (0, 0, 0))
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.normal(0, 1, truth.shape).astype(np.float32), (0, 0), 2.5)
    grain = grain[..., None] / grain.std() * np.array([18, 15, 10]) + np.array([140, 95, 55])
    return np.where(truth[..., None] > 0, np.clip(grain, 0, 255), framed).astype(np.uint8), truth


def tilted_scan(picture: Pixels) -> tuple[Pixels, Pixels]:
    framed, truth = key_line(picture)
    height_px, width_px = truth.shape
    turn = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), 0.4, 1.0)
    framed = cv2.warpAffine(framed, turn, (width_px, height_px), borderValue=(248, 248, 246))
    truth = cv2.warpAffine(truth, turn, (width_px, height_px), flags=cv2.INTER_NEAREST, borderValue=255)
    rough = framed + np.random.default_rng(4).normal(0, 4, framed.shape)
    return np.clip(rough, 0, 255).astype(np.uint8), truth


def playing_card(picture: Pixels) -> tuple[Pixels, Pixels]:
    art = picture[:, 100:460]
    height_px, width_px = art.shape[:2]
    framed = np.full((height_px + 240, width_px + 40, 3), (60, 40, 30), np.uint8)
    truth = np.full(framed.shape[:2], 255, np.uint8)
    framed[20:60, 20:-20] = (220, 200, 150)
    cv2.putText(framed, "Dragon Knight", (60, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    framed[80 : 80 + height_px, 20:-20] = art
    truth[80 : 80 + height_px, 20:-20] = 0
    framed[100 + height_px : -20, 20:-20] = (230, 215, 180)
    for line in range(3):
        where = (40, 135 + height_px + 30 * line)
        cv2.putText(framed, "When it enters, draw", where, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
    return framed, truth


FRAMES = [
    thin,
    photo_frame,
    mat,
    polaroid,
    letterbox,
    pillarbox,
    caption,
    frame_and_mat,
    key_line,
    blurred_bars,
    wood,
    tilted_scan,
    playing_card,
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__name__)
def test_frames_are_masked_and_pictures_are_not(frame: Callable[[Pixels], tuple[Pixels, Pixels]], seed: int):
    framed, truth = frame(scene(seed=seed))
    found = score(jpeg(framed), truth)
    assert found.leak is not None
    assert found.leak <= 0.10
    assert found.waste is not None
    assert found.waste <= 0.02


def test_a_border_is_whole_where_the_picture_begins_in_its_colour():
    picture = scene()
    rows, columns = np.mgrid[:480, :640]
    picture[rows < 160 + 20 * np.sin(columns / 60)] = 255  # a sky without drawing
    framed, truth = bordered(picture, (9, 9, 9, 9), (255, 255, 255))
    found = score(jpeg(framed), truth)
    assert found.leak is not None
    assert found.leak <= 0.02
    assert found.waste is not None
    assert found.waste <= 0.02


def test_a_horizon_in_a_thin_border_is_no_window():
    picture = scene()
    picture[:220] = smooth_sky(220, 640)
    framed, truth = bordered(picture, (6, 6, 6, 6), (250, 250, 250))
    found = score(jpeg(framed), truth)
    assert found.leak is not None
    assert found.leak <= 0.02
    assert found.waste is not None
    assert found.waste <= 0.02


@pytest.mark.parametrize("frame", [letterbox, pillarbox, photo_frame, mat], ids=lambda frame: frame.__name__)
def test_ruled_edges_are_exact_to_the_pixel(frame: Callable[[Pixels], tuple[Pixels, Pixels]]):
    framed, truth = frame(scene())
    (region,) = detect_frames(framed)
    assert region.artefact is not None
    drawn = np.zeros(truth.shape, dtype=np.bool_)
    drawn[region.box.slices] = region.artefact
    assert np.abs(drawn.astype(int) - (truth > 0).astype(int)).sum() <= 0.002 * truth.size


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_without_frame_is_left_alone(seed: int):
    assert rendered(detect_frames(scene(seed=seed)), scene(seed=seed)).masked_share == 0


def test_a_straight_horizon_under_a_smooth_sky_is_no_bar():
    picture = scene()
    picture[:200] = smooth_sky(200, 640)
    assert score(jpeg(picture), None).waste == 0


def test_a_shadow_with_a_straight_edge_is_no_strip():
    picture = scene()
    picture[400:] = (picture[400:] * 0.5).astype(np.uint8)
    assert score(jpeg(picture), None).waste == 0


def test_a_figure_on_a_white_page_is_no_picture_in_a_mat():
    page = np.full((600, 500, 3), 255, np.uint8)
    cv2.ellipse(page, (250, 200), (90, 110), 0, 0, 360, (230, 190, 160), -1)
    cv2.rectangle(page, (170, 310), (330, 560), (60, 80, 160), -1)
    assert score(jpeg(page), None).waste == 0


def test_a_sign_on_a_page_is_only_proposed():
    page = np.full((500, 500, 3), 255, np.uint8)
    page[80:420, 80:420] = (200, 30, 30)
    cv2.circle(page, (250, 250), 100, (255, 255, 255), -1)
    regions = detect_frames(page)
    assert not any(is_drawn(region, PolicyConfig()) for region in regions)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (7, 9), (20, 20), (33, 64)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_tiny_and_constant_images_have_no_frame(shape: tuple[int, int], level: int):
    assert detect_frames(np.full((*shape, 3), level, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 17), (40, 25)])
def test_tiny_noise_is_left_alone(shape: tuple[int, int]):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert rendered(detect_frames(noise), noise).masked_share == 0


def test_no_size_is_too_small_to_be_looked_at():
    rng = np.random.default_rng(0)
    for side_px in range(1, 65):
        for shape in ((side_px, 48), (48, side_px)):
            noise = rng.integers(0, 256, (*shape, 3), np.uint8)
            assert rendered(detect_frames(noise), noise).masked_share == 0


def test_regions_say_what_they_are_and_repeat_exactly():
    framed, _ = key_line(scene())
    framed.setflags(write=False)
    detector = geometry_alone()
    detector.load()
    (first,), (second,) = detector.detect([Image("a", framed), Image("b", framed)])
    assert first.kind is Kind.FRAME
    assert first.source == "edges"
    assert first.confidence >= 0.5
    assert first.attributes["pattern"] == "ring"
    assert first.attributes == second.attributes
    assert np.array_equal(first.artefact, second.artefact)


def test_an_empty_batch_gives_an_empty_answer():
    assert geometry_alone().detect([]) == []


def test_a_small_picture_on_a_large_page_is_drawn_only_when_it_is_certain():
    picture = scene(150, 200)
    page, truth = bordered(picture, (200, 150, 200, 150), (255, 255, 255))
    page[150:300, 200:260] = 255  # a fifth of the picture fades into the page
    for region in detect_frames(jpeg(page)):
        assert region.proposed or region.confidence < 0.5 or region.confidence >= 0.9
    assert truth.mean() > 0.6 * 255


def test_a_view_that_is_shallower_than_the_search_is_looked_at_like_any_other():
    pixels = np.full((200, 3, 3), 240, dtype=np.uint8)
    pixels[:, 2] = 20
    position_px = np.linspace(0, 999, 200)
    view = SideView(Side.LEFT, pixels, position_px=position_px, length_px=1000, extent_px=800, line=Line())
    assert pixels.shape[1] < 2 * tolerance_px(view) + 1
    (band,) = find_bands(view)
    assert band.thickness_px == pytest.approx(2, abs=0.5)
