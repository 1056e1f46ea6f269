"""The synthesizer of training images, on tiny materials made here."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automask.bench.manifest import read_manifest
from automask.errors import InputError
from automask_training.synth import (
    KIND_OF_LABEL,
    Synthesizer,
    SyntheticImage,
    SyntheticInstance,
    SynthRecipe,
    labelled,
    textures,
)
from automask_training.synth.dhash import NeverTrain, dhash
from automask_training.synth.downloads import download_npm, matching
from automask_training.synth.drawings import redrawn
from automask_training.synth.index import MaterialIndex, Picture
from automask_training.synth.lettering import FontCollection, InkStyle, arched, line, paint
from automask_training.synth.materials import (
    DEFAULT_RECIPE,
    Collector,
    faces_in,
    main,
    mark_with_alpha,
)
from automask_training.synth.raster import VISIBLE_DELTA, Canvas, solid
from automask_training.synth.scripts import SAMPLES
from automask_training.synth.structures import STRUCTURES, Structure, add_structures
from automask_training.synth.synthesizer import MARK_LABELS

SIDE_PX = 256


def _photo(seed: int, side_px: int = 320) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("materials")
    for name in ("backgrounds", "sprites", "logos", "marks", "frames"):
        (folder / name).mkdir()
    for number in range(30):
        _photo(number).save(folder / "backgrounds" / f"photo-{number}.jpg")
    disc = Image.fromarray((np.hypot(*np.mgrid[-64:64, -64:64]) < 60).astype(np.uint8) * 255)
    figure = _photo(90, 128).convert("RGBA")
    figure.putalpha(disc)
    figure.save(folder / "sprites" / "figure.png")
    disc.save(folder / "logos" / "disc.png")
    mark = Image.new("RGBA", (120, 40), (255, 255, 255, 0))
    mark.paste((255, 255, 255, 255), (10, 10, 110, 30))
    mark.save(folder / "marks" / "bar.png")
    ring = np.zeros((200, 140, 4), dtype=np.uint8)
    ring[..., :] = (90, 60, 20, 255)
    ring[20:-20, 20:-20, 3] = 0
    Image.fromarray(ring).save(folder / "frames" / "ring.png")
    listed = {
        "backgrounds": [
            {"file": f"backgrounds/photo-{n}.jpg", "source": f"s{n % 3}", "licence": "CC0"} for n in range(30)
        ],
        "sprites": [{"file": "sprites/figure.png", "source": "s", "licence": "CC0"}],
        "logos": [{"file": "logos/disc.png", "source": "s", "licence": "CC0"}],
        "marks": [{"file": "marks/bar.png", "source": "s", "licence": "CC0"}],
        "frames": [{"file": "frames/ring.png", "source": "s", "licence": "CC0"}],
        "faces": [],
    }
    (folder / "materials.json").write_text(json.dumps(listed))
    return folder


@pytest.fixture(scope="module")
def images(materials: Path) -> list[SyntheticImage]:
    synthesizer = Synthesizer(materials, seed=5, size_px=SIDE_PX)
    return [synthesizer.sample(index) for index in range(240)]


def _same(first: SyntheticImage, second: SyntheticImage) -> bool:
    return np.array_equal(first.pixels, second.pixels) and [
        (each.label, each.box, each.mask.tobytes()) for each in first.instances
    ] == [(each.label, each.box, each.mask.tobytes()) for each in second.instances]


def test_a_sample_depends_on_seed_and_index_only(materials: Path) -> None:
    synthesizer = Synthesizer(materials, seed=1, size_px=SIDE_PX)
    first = [synthesizer.sample(index) for index in range(12)]
    again = Synthesizer(materials, seed=1, size_px=SIDE_PX)
    assert all(_same(first[index], again.sample(index)) for index in reversed(range(12)))
    other = Synthesizer(materials, seed=2, size_px=SIDE_PX)
    assert not any(_same(first[index], other.sample(index)) for index in range(12))


def test_it_pickles_for_workers(materials: Path) -> None:
    synthesizer = Synthesizer(materials, seed=3, size_px=SIDE_PX)
    expected = synthesizer.sample(4)
    packed = pickle.dumps(synthesizer)
    assert len(packed) < 2_000
    assert _same(pickle.loads(packed).sample(4), expected)


def test_pixels_and_masks_have_the_promised_shapes(images: list[SyntheticImage]) -> None:
    for image in images:
        assert image.pixels.shape == (SIDE_PX, SIDE_PX, 3)
        assert image.pixels.dtype == np.uint8
        for each in image.instances:
            x0, y0, x1, y1 = each.box
            assert 0 <= x0 < x1 <= SIDE_PX
            assert 0 <= y0 < y1 <= SIDE_PX
            assert each.mask.shape == (y1 - y0, x1 - x0)
            assert each.mask.dtype == np.bool_
            assert all(edge.any() for edge in (each.mask[0], each.mask[-1], each.mask[:, 0], each.mask[:, -1]))
            assert each.kind == KIND_OF_LABEL[each.label]
            assert 0 < each.opacity <= 1


def test_every_label_occurs(images: list[SyntheticImage]) -> None:
    seen = Counter(each.label for image in images for each in image.instances)
    assert set(seen) == set(KIND_OF_LABEL) - {"code"}, "codes are for the detector of marks: `MarkSynthesizer`"


def test_a_quarter_or_so_of_the_images_is_clean(images: list[SyntheticImage]) -> None:
    share = sum(not image.instances for image in images) / len(images)
    assert 0.18 <= share <= 0.36


def test_union_selects_kinds(images: list[SyntheticImage]) -> None:
    image = next(image for image in images if len({each.kind for each in image.instances}) > 1)
    kinds = {each.kind for each in image.instances}
    parts = [image.artefact({kind}) for kind in kinds]
    assert np.array_equal(np.logical_or.reduce(parts), image.artefact())
    assert not image.artefact(()).any()
    assert image.artefact().sum() > max(part.sum() for part in parts) - 1


def test_splits_share_no_background(materials: Path) -> None:
    index = MaterialIndex.read(materials)
    train, val = index.of_split("train"), index.of_split("val")
    assert len(train.backgrounds) + len(val.backgrounds) == len(index.backgrounds)
    assert not set(train.backgrounds) & set(val.backgrounds)
    share = sum(Picture(f"backgrounds/{n}.jpg", "", "").split == "val" for n in range(4000)) / 4000
    assert 0.03 < share < 0.07


def test_a_folder_without_materials_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"synth\.materials"):
        Synthesizer(tmp_path, seed=0)


def test_empty_materials_still_give_images(tmp_path: Path) -> None:
    (tmp_path / "materials.json").write_text("{}")
    synthesizer = Synthesizer(tmp_path, seed=0, size_px=128, recipe=SynthRecipe(empty=0.0))
    found = [synthesizer.sample(index) for index in range(8)]
    assert sum(bool(image.instances) for image in found) >= 6


@pytest.mark.parametrize("opacity", [0.08, 0.2, 1.0])
def test_masks_are_the_pixels_that_changed(opacity: float) -> None:
    before = np.asarray(_photo(7, 200)) // 2
    canvas = Canvas(before.copy())
    coverage = np.zeros((40, 90), dtype=np.uint8)
    coverage[10:30, 10:80] = 255
    layer = paint(coverage, InkStyle(fill=(255, 255, 255), shadow_px=(4, 4), shadow_blur_px=1.5))
    assert canvas.stamp(layer, 30, 50, label="copyright", opacity=opacity)
    delta = np.abs(canvas.pixels.astype(int) - before).max(axis=-1)
    union = SyntheticImage(canvas.pixels, tuple(canvas.instances)).artefact()
    assert np.array_equal(union, delta > VISIBLE_DELTA)
    assert canvas.instances[0].opacity == opacity


def test_an_invisible_mark_is_not_drawn() -> None:
    canvas = Canvas(np.full((64, 64, 3), 255, dtype=np.uint8))
    assert not canvas.stamp(solid(np.full((20, 20), 255, dtype=np.uint8), (254, 255, 255)), 4, 4, label="logo")
    assert not canvas.instances
    assert (canvas.pixels == 255).all()


def test_frames_hold_pixels_that_match_by_chance() -> None:
    canvas = Canvas(np.full((64, 64, 3), 255, dtype=np.uint8))
    canvas.pixels[:32] = 0
    ring = np.full((64, 64), 255, dtype=np.uint8)
    ring[8:-8, 8:-8] = 0
    assert canvas.stamp(solid(ring, (0, 0, 0)), 0, 0, label="border", geometric=True)
    assert canvas.instances[0].mask.sum() == 64 * 64 - 48 * 48


def test_what_hides_a_mark_takes_it_out_of_the_mask() -> None:
    canvas = Canvas(np.zeros((64, 64, 3), dtype=np.uint8))
    white = solid(np.full((20, 20), 255, dtype=np.uint8), (255, 255, 255))
    assert canvas.stamp(white, 4, 4, label="text_line")
    canvas.stamp(solid(np.full((64, 40), 255, dtype=np.uint8), (200, 0, 0)), 14, 0, label=None)
    assert canvas.instances[0].box == (4, 4, 14, 24)


def test_an_instance_refuses_a_mask_of_another_size() -> None:
    with pytest.raises(ValueError, match="mask of shape"):
        SyntheticInstance(
            kind="text", label="text_line", box=(0, 0, 5, 5), mask=np.ones((4, 5), dtype=bool), opacity=1.0
        )


def test_an_arc_keeps_the_ink() -> None:
    bar = solid(np.pad(np.full((10, 120), 255, dtype=np.uint8), 2), (255, 255, 255))
    for sweep in (60.0, -60.0, 150.0):
        bent = arched(bar, sweep)
        assert bent.size_px[1] > bar.size_px[1]
        assert 0.7 < bent.alpha.astype(float).sum() / bar.alpha.astype(float).sum() < 1.6


def test_dhash_of_known_pictures() -> None:
    rising = Image.fromarray(np.tile(np.arange(0, 252, 28, dtype=np.uint8), (8, 1)))
    assert dhash(rising) == 0xFFFFFFFFFFFFFFFF
    assert dhash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
    top = np.zeros((8, 9), dtype=np.uint8)
    top[0, 1] = 255
    assert dhash(Image.fromarray(top)) == 1 << 63
    assert dhash(_photo(3)) == dhash(_photo(3).resize((160, 160), Image.Resampling.BOX))


def test_never_train_forbids_near_pictures_and_mirrors(tmp_path: Path) -> None:
    photo = _photo(11)
    listed = tmp_path / "never.txt"
    listed.write_text(f"# hashes\n{dhash(photo) ^ 0b111111:016x}\n\n")
    never = NeverTrain.from_file(listed)
    assert len(never) == 1
    assert never.distance_bits(dhash(photo)) == 6
    assert never.forbids(photo)
    assert never.forbids(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert not never.forbids(_photo(12))
    listed.write_text(f"{dhash(photo) ^ 0b1111111:016x}\n")
    assert not NeverTrain.from_file(listed).forbids(photo)


def test_collecting_drops_forbidden_pictures(tmp_path: Path) -> None:
    source = tmp_path / "package" / "art"
    source.mkdir(parents=True)
    for number in range(3):
        _photo(number).save(source / f"{number}.png")
    (source / "map.txt").write_text("no picture")
    assert [path.name for path in matching(tmp_path / "package", ["*/art/*"], exclude=["*/2.png"])] == [
        "0.png",
        "1.png",
    ]
    assert [path.name for path in matching(tmp_path / "package", ["*/art/*"], one_per_folder=True)] == ["0.png"]
    never = NeverTrain(np.array([dhash(_photo(1))], dtype=np.uint64))
    collector = Collector(tmp_path / "out", never_train=never, long_side_px=200)
    for path in matching(tmp_path / "package", ["*/art/*"]):
        collector.add_picture(path, "package", "CC0")
    index = collector.write_index()
    assert collector.dropped == 1
    assert len(index.backgrounds) == 2
    assert MaterialIndex.read(tmp_path / "out") == index
    with Image.open(tmp_path / "out" / index.backgrounds[0].file) as kept:
        assert max(kept.size) == 200


@pytest.mark.parametrize("texture", textures.PLAIN + textures.BUSY, ids=lambda each: each.__name__)
def test_textures_fill_the_square(texture: textures.Texture) -> None:
    for seed in range(4):
        drawn = texture(np.random.default_rng(seed), 97)
        assert drawn.shape == (97, 97, 3)
        assert drawn.dtype == np.uint8


@pytest.mark.parametrize("structure", sorted(set(STRUCTURES), key=lambda each: each.__name__))
@pytest.mark.parametrize("side_px", [16, 90])
def test_structures_are_layers(structure: Structure, side_px: int) -> None:
    for seed in range(4):
        layer = structure(np.random.default_rng(seed), side_px)
        assert layer.rgb.shape == (*layer.alpha.shape, 3)
        assert layer.rgb.dtype == layer.alpha.dtype == np.uint8
        assert layer.alpha.max() > 128


def test_structures_belong_to_the_picture_and_leave_the_original_alone() -> None:
    plain = np.full((120, 120, 3), 128, dtype=np.uint8)
    changed = [(add_structures(np.random.default_rng(seed), plain) != plain).any() for seed in range(10)]
    assert sum(changed) >= 8
    assert (plain == 128).all()


def test_drawings_are_of_the_picture_and_leave_the_original_alone() -> None:
    halves = np.full((120, 120, 3), 200, dtype=np.uint8)
    halves[:, 60:] = 90
    for seed in range(12):
        drawn = redrawn(np.random.default_rng(seed), halves)
        assert drawn.shape == halves.shape
        assert drawn.dtype == np.uint8
        # Something much darker than the light half runs along the edge.
        assert drawn[:, 50:64].min() < drawn[:, 20:40].mean() - 20
    assert set(np.unique(halves)) == {90, 200}


def test_packages_of_npm_are_unpacked_by_their_plain_name(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    _photo(3).save(picture)
    for archive in ("scope-art-1.0.0.tgz", "scope-art-extra-2.0.0.tgz"):
        with tarfile.open(tmp_path / archive, "w:gz") as packed:
            packed.add(picture, f"package/{archive}.png")
    folder = download_npm("@scope/art", tmp_path)
    assert [path.name for path in folder.rglob("*.png")] == ["scope-art-1.0.0.tgz.png"]
    assert download_npm("@scope/art", tmp_path) == folder


def _write_font(path: Path, characters: str) -> None:
    builder_module = pytest.importorskip("fontTools.fontBuilder")
    pen_module = pytest.importorskip("fontTools.pens.ttGlyphPen")
    names = {each: f"u{ord(each):04X}" for each in characters}
    pen = pen_module.TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, 700), (450, 700), (450, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyph = pen.glyph()
    builder = builder_module.FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(each): name for each, name in names.items()})
    builder.setupGlyf(dict.fromkeys([".notdef", *names.values()], glyph))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (500, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def test_faces_are_listed_by_what_they_can_write(tmp_path: Path) -> None:
    (tmp_path / "fonts").mkdir()
    _write_font(tmp_path / "fonts" / "boxes.ttf", SAMPLES["latin"] + SAMPLES["han"] + SAMPLES["cyrillic"][:-1])
    faces = list(faces_in(tmp_path / "fonts" / "boxes.ttf", "plain", "fonts/boxes.ttf"))
    assert [face.scripts for face in faces] == [("latin", "han")]
    fonts = FontCollection(tmp_path, faces)
    rng = np.random.default_rng(0)
    assert fonts.scripts() == {"latin", "han"}
    assert fonts.choose(rng, "han", ("brush",)) == faces[0]
    assert fonts.choose(rng, "latin", also="copyright") is None
    ink = line("AB", fonts.font(faces[0], 100, "latin"))
    assert ink.max() == 255
    assert 60 <= ink.shape[0] <= 80


def test_the_command_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    never = tmp_path / "never.txt"
    never.write_text("")
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "out"), "--never-train", str(never), "--recipe", str(tmp_path / "none.toml")])
    assert stopped.value.code == InputError.exit_code
    assert "--recipe" in capsys.readouterr().err


def test_mark_artwork_becomes_transparent(tmp_path: Path) -> None:
    grey = np.zeros((40, 80), dtype=np.uint8)
    grey[10:30, 20:60] = 200
    Image.fromarray(grey).save(tmp_path / "alpha.png")
    white = mark_with_alpha(tmp_path / "alpha.png")
    assert white.size == (40, 20)
    assert white.getpixel((5, 5)) == (255, 255, 255, 200)
    opaque = Image.new("RGB", (80, 40), (255, 255, 255))
    opaque.paste((200, 0, 0), (20, 10, 60, 30))
    opaque.save(tmp_path / "opaque.png")
    keyed = mark_with_alpha(tmp_path / "opaque.png")
    assert keyed.size == (40, 20)
    assert keyed.getpixel((5, 5)) == (200, 0, 0, 255)


def test_labelled_pictures_have_one_mark_each_and_a_manifest(
    materials: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labelled.main([str(materials), str(tmp_path), "--each", "2", "--size-px", "320"]) == 0
    assert "automask bench" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "manifest.json")
    assert len(manifest.entries) == 2 * len(MARK_LABELS)
    for entry in manifest.entries:
        assert entry.mask is not None
        truth = np.asarray(Image.open(tmp_path / entry.mask))
        assert set(np.unique(truth)) == {0, 255}
        assert truth.shape == Image.open(tmp_path / entry.image).size[::-1]
    assert labelled.main([str(tmp_path / "nothing"), str(tmp_path)]) != 0


def test_the_list_of_materials_is_found_without_naming_it():
    assert DEFAULT_RECIPE.is_file()
