"""What repeats in small synthetic datasets: found, and nothing else."""

import dataclasses
import hashlib
import io
import zipfile

import numpy as np
import pytest
from overlay_cases import WIDTH_PX, card, card_truth, lettering, marked, picture

from automask.config import PolicyConfig, RenderConfig
from automask.mask.metrics import score_mask
from automask.mask.rendering import Mask, is_drawn
from automask.protocols import ImageFacts, ReducedImage
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Patch
from automask_models.overlay import estimator, finding
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.matching import Match
from automask_models.overlay.options import OverlayOptions
from automask_models.overlay.template import Template


def detector(**options):
    return OverlayDetector(OverlayOptions(reduced_px=WIDTH_PX, **options))


def facts_of(image):
    content = hashlib.sha256(image.pixels.tobytes()).hexdigest()
    return ImageFacts(image.id, content, image.width_px, image.height_px)


def reduced(image):
    return ReducedImage(facts_of(image), detector().reduce(image))


def find(template, image):
    return finding.find(template, reduced(image))


def find_all(templates, image):
    return finding.find_all(templates, reduced(image))


def estimate(images, **options):
    by_id = {image.id: image for image in images}
    sample = detector(**options).sample(map(facts_of, images))
    return estimator.estimate(
        [ReducedImage(facts, detector().reduce(by_id[facts.id])) for facts in sample],
        OverlayOptions(reduced_px=WIDTH_PX, **options),
    )


def score(regions, image, truth):
    patches = [Patch(box=r.box, artefact=r.artefact, score=r.confidence, refiner="polygon") for r in regions]
    mask = Mask.from_patches(
        patches,
        regions,
        width_px=image.width_px,
        height_px=image.height_px,
        render=RenderConfig(),
        policy=PolicyConfig(),
    )
    return score_mask(mask.levels, truth)


def mean_figures(templates, images, truth):
    scores = [score(find_all(templates, image), image, truth) for image in images]
    return np.mean([s.leak for s in scores]), np.mean([s.waste for s in scores])


@pytest.mark.parametrize(("images", "opacity"), [(6, 0.5), (6, 1.0), (20, 0.2)])
def test_a_mark_at_one_place_is_found_and_masked(images, opacity):
    ink = lettering()
    dataset = [marked(seed, ink, opacity=opacity) for seed in range(images)]
    templates = estimate(dataset)
    assert [t.kind for t in templates if not t.needs_review] == ["overlay"]
    assert templates[0].support >= 0.8
    leak, waste = mean_figures(templates, dataset, np.where(ink > 0.1, 255, 0).astype(np.uint8))
    assert leak <= 0.05
    assert waste <= 0.02


def test_pictures_without_a_mark_are_left_alone():
    dataset = [Image(str(seed), picture(seed)) for seed in range(15)]
    assert [t for t in estimate(dataset) if not t.needs_review] == []


def test_a_clean_image_among_marked_ones_gets_no_region():
    templates = estimate([marked(seed, lettering(), opacity=0.6) for seed in range(12)])
    assert [r for r in find_all(templates, Image("clean", picture(99))) if is_drawn(r, PolicyConfig())] == []


@pytest.mark.parametrize(
    ("score", "support", "drawn"),
    [(16.0, 0.3, True), (5.0, 0.3, True), (4.2, 0.3, False), (4.2, 0.9, True), (2.5, 0.9, False), (1.0, 0.9, None)],
)
def test_an_answer_counts_beside_those_of_the_images_that_have_the_mark(monkeypatch, score, support, drawn):
    (template,) = [
        t for t in estimate([marked(seed, lettering(), opacity=1.0) for seed in range(8)]) if not t.needs_review
    ]
    assert template.typical_score > 8
    template = dataclasses.replace(template, typical_score=16.0, support=support)
    answer = Match(box=template.box, score=score, correlation=0.2)
    monkeypatch.setattr(finding, "match_near", lambda *_: answer)
    monkeypatch.setattr(finding, "match_anywhere", lambda *_: None)
    regions = find(template, Image("clean", picture(99)))
    assert [is_drawn(region, PolicyConfig()) for region in regions] == ([] if drawn is None or score < 4 else [drawn])


def test_a_mark_that_is_weak_at_its_place_is_looked_for_elsewhere(monkeypatch):
    template = estimate([marked(seed, lettering(), opacity=1.0) for seed in range(10)])[0]
    weak = Match(box=template.box, score=4.1, correlation=0.1)
    monkeypatch.setattr(finding, "match_near", lambda *_: weak)
    template = dataclasses.replace(template, typical_score=16.0, support=0.3)
    (region,) = find(template, marked(60, lettering(at=(20, 40)), opacity=1.0))
    assert region.attributes["placed"] == "elsewhere"
    assert is_drawn(region, PolicyConfig())
    (region,) = find(template, Image("clean", picture(60)))
    assert region.attributes["placed"] == "usual"
    assert (region.confidence, region.proposed) == (template.confidence, True)


def test_a_template_without_a_typical_score_is_what_it_was_before_there_was_one():
    template = estimate([marked(seed, lettering(), opacity=1.0) for seed in range(10)])[0]
    plain = dataclasses.replace(template, typical_score=0.0)
    assert b"typical_score" not in zipfile.ZipFile(io.BytesIO(plain.to_bytes())).read("header.npy")
    assert Template.from_bytes(plain.to_bytes()).id == plain.id != template.id
    assert Template.from_bytes(template.to_bytes()).typical_score == template.typical_score > 0


def test_four_images_are_too_few():
    assert estimate([marked(seed, lettering(), opacity=1.0) for seed in range(4)]) == []


def test_copies_of_one_image_confirm_nothing():
    base = picture(3).astype(np.int16)
    copies = [Image(str(k), np.clip(base + k, 0, 255).astype(np.uint8)) for k in range(12)]
    assert [t for t in estimate(copies) if not t.needs_review] == []


def test_a_subject_before_a_fixed_background_is_not_applied():
    rng = np.random.default_rng(5)
    background = picture(1)
    dataset = []
    for seed in range(12):
        import cv2

        pixels = background.copy()
        centre = (160 + int(rng.integers(-40, 41)), 130 + int(rng.integers(-20, 21)))
        cv2.ellipse(pixels, centre, (50, 80), 0, 0, 360, [int(v) for v in rng.integers(0, 255, 3)], -1)
        dataset.append(Image(str(seed), pixels))
    assert [t for t in estimate(dataset) if not t.needs_review] == []


def test_a_card_frame_is_masked_with_its_plate():
    dataset = [card(seed) for seed in range(8)]
    templates = [t for t in estimate(dataset) if not t.needs_review]
    assert [t.kind for t in templates] == ["frame"]
    leak, waste = mean_figures(templates, dataset, card_truth())
    assert leak <= 0.02
    assert waste <= 0.05


def test_a_ground_that_pictures_share_is_no_part_of_their_frame():
    dataset = []
    for seed in range(8):
        image = card(seed, window=(40, 30, 280, 210), plate=False)
        pixels = image.pixels.copy()
        rng = np.random.default_rng(seed)
        for x in range(110, 210):  # a meadow, whose edge is never where it was
            top = 165 + int(12 * np.sin(x / 25 + seed)) + int(rng.integers(-3, 4))
            pixels[top:210, x] = (190, 170, 60)
        dataset.append(Image(image.id, pixels))
    templates = [t for t in estimate(dataset) if not t.needs_review]
    assert [t.kind for t in templates] == ["frame"]
    leak, waste = mean_figures(templates, dataset, card_truth((40, 30, 280, 210)))
    assert leak <= 0.02
    assert waste <= 0.02


def titled(seed):
    """A card whose title stands on a plate inside the window, under a line."""
    import cv2

    image = card(seed, window=(40, 30, 280, 215), plate=False)
    image.pixels[169:172, 40:280] = 15
    image.pixels[172:215, 40:280] = (225, 215, 190)
    cv2.putText(image.pixels, f"W {seed * 7919 % 9973}", (60, 204), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2)
    return image


def test_a_ground_of_the_colour_of_a_plate_is_no_plate():
    import cv2

    untitled = [card(seed, window=(40, 30, 280, 215), plate=False) for seed in range(50, 62)]
    templates = [*estimate([titled(seed) for seed in range(12)]), *estimate(untitled)]
    assert [t.kind for t in templates if not t.needs_review] == ["frame", "frame"]
    with_ground = []
    for image in untitled[:6]:
        slope = np.array([(40, 150), (280, 185), (280, 215), (40, 215)])
        cv2.fillPoly(image.pixels[:, :], [slope], (225, 215, 190))
        with_ground.append(image)
    _, waste = mean_figures(templates, with_ground, card_truth((40, 30, 280, 215)))
    assert waste <= 0.02
    leak, waste = mean_figures(templates, [titled(seed) for seed in range(12)], card_truth((40, 30, 280, 169)))
    assert leak <= 0.02
    assert waste <= 0.02


def test_two_frame_types_in_one_folder_are_told_apart():
    other = (60, 60, 200, 220)
    first = [card(seed) for seed in range(8)]
    second = [card(100 + seed, window=other, plate=False) for seed in range(7)]
    templates = [t for t in estimate([*first, *second]) if not t.needs_review]
    assert len(templates) == 2
    for images, truth in ((first, card_truth()), (second, card_truth(other))):
        leak, waste = mean_figures(templates, images, truth)
        assert leak <= 0.02
        assert waste <= 0.05


def test_frames_cut_with_a_few_pixels_of_play_are_followed():
    rng = np.random.default_rng(8)
    dataset, truths = [], []
    for seed in range(10):
        dy, dx = (int(v) for v in rng.integers(-2, 3, 2))
        image = card(seed)
        dataset.append(Image(image.id, np.roll(image.pixels, (dy, dx), (0, 1))))
        truths.append(np.roll(card_truth(), (dy, dx), (0, 1)))
    templates = estimate(dataset)
    leaks = [score(find_all(templates, i), i, truth).leak for i, truth in zip(dataset, truths, strict=True)]
    assert np.mean(leaks) <= 0.05


def test_the_order_of_images_does_not_matter():
    dataset = [marked(seed, lettering(), opacity=0.5) for seed in range(14)]
    forwards = estimate(dataset, max_images_per_group=9)
    backwards = estimate(dataset[::-1], max_images_per_group=9)
    assert [t.id for t in forwards] == [t.id for t in backwards]
    assert forwards


def test_a_template_survives_its_file():
    template = estimate([marked(seed, lettering(), opacity=0.8) for seed in range(8)])[0]
    content = template.to_bytes()
    again = Template.from_bytes(content)
    assert again.id == template.id
    assert again.to_bytes() == content
    image = marked(50, lettering(), opacity=0.8)
    assert [r.box for r in find(again, image)] == [r.box for r in find(template, image)]


@pytest.mark.parametrize("content", [b"", b"not a template", b"PK\x03\x04 damaged"])
def test_damaged_templates_are_refused(content):
    with pytest.raises(ValueError, match="template"):
        Template.from_bytes(content)


def test_cut_short_templates_are_refused():
    content = estimate([marked(seed, lettering(), opacity=0.8) for seed in range(8)])[0].to_bytes()
    with pytest.raises(ValueError, match="template"):
        Template.from_bytes(content[: len(content) // 2])


def test_a_mark_is_found_on_another_corner_and_in_another_size():
    template = estimate([marked(seed, lettering(), opacity=1.0) for seed in range(10)])[0]
    moved = lettering(at=(20, 40))
    other_size = lettering(width_px=420, height_px=400, at=(250, 380))
    for ink in (moved, other_size):
        (region,) = find(template, marked(60, ink, opacity=1.0))
        truth = Box.of_artefact(ink > 0.1)
        assert region.kind is Kind.OVERLAY
        assert region.attributes["placed"] == "elsewhere"
        assert region.box.contains(truth)
        assert region.box.area_px <= 3 * truth.area_px


@pytest.mark.parametrize("shape", [(1, 1), (3, 500)])
def test_icons_are_not_looked_at(shape):
    icon = Image("icon", np.zeros((*shape, 3), np.uint8))
    assert detector().reduce(icon) is None
    assert detector().sample([facts_of(icon)]) == []


def test_constant_images_are_harmless():
    flat = [Image(str(k), np.full((64, 64, 3), 40 * k, np.uint8)) for k in range(6)]
    assert estimate(flat) == []
    template = estimate([marked(seed, lettering(), opacity=1.0) for seed in range(8)])[0]
    assert find(template, flat[0]) == []
