"""`check` finds every trap that files can show, in each trainer that it applies to, and nothing in right datasets."""

import itertools
import zipfile

import numpy as np
import pytest
from check_cases import ALL, BESIDE, GROWN, MASK_FOLDER, NAMES, SIZE_PX, age, mask_of, picture, right, told
from PIL import Image, ImageDraw, ImageFont

from automask.errors import ConfigError, InputError
from automask.trainers.conventions import trainer_named

WITH_FILES = tuple(name for name in ALL if name != "kohya-alpha")
NEEDS_STEMS = ("kohya", "ai-toolkit", "diffusion-pipe", "musubi-fork", *BESIDE)


def found(case, code, **options):
    findings = [finding for finding in case.check(**options).findings if finding.code == code]
    assert findings, f"{code} not in {[str(f.code) for f in case.check(**options).findings]}"
    return findings[0]


@pytest.mark.parametrize("with_config", [True, False])
@pytest.mark.parametrize("trainer", ALL)
def test_nothing_is_said_about_a_right_dataset(tmp_path, trainer, with_config):
    report = right(tmp_path, trainer).check(with_config=with_config)
    assert told(report) == ()
    assert [len(image.regions) for image in report.images] == [1, 1, 0]
    assert all(image.effective_weight < 0.03 for image in report.images)
    assert (report.lens.training_px, report.lens.cell_px) == (256, 8)


# G1: masked, but nothing says so


@pytest.mark.parametrize("trainer", WITH_FILES)
def test_g1_one_mask_is_missing(tmp_path, trainer):
    case = right(tmp_path, trainer)
    case.mask_path("b.png").unlink()
    finding = found(case, "masks-missing")
    assert finding.count == 1
    assert "b.png" in finding.examples[0]
    assert (finding.severity == "warning") is (trainer in ("diffusion-pipe", "musubi-fork", *BESIDE))


WRONG_NAMES = ("{stem}_mask.png", "{stem}.jpg.png", "sub/{stem}.png")


@pytest.mark.parametrize(
    ("trainer", "wrong"),
    # Beside the image, only another ending is a wrong name; the others are files of another kind.
    [*itertools.product(MASK_FOLDER, WRONG_NAMES), *itertools.product(BESIDE, WRONG_NAMES[:1])],
)
def test_g1_masks_under_wrong_names_are_recognised(tmp_path, trainer, wrong):
    case = right(tmp_path, trainer)
    if case.masks is None:
        wrong = wrong.replace("_mask.png", "_mask" + trainer_named(trainer).naming.ending)
    for name in NAMES:
        source = case.mask_path(name)
        target = source.with_name("x").parent / wrong.format(stem=name[0])
        target.parent.mkdir(exist_ok=True)
        source.rename(target)
    finding = found(case, "masks-missing")
    assert finding.severity == "error"
    assert finding.count == 3
    assert "found" in finding.examples[0]


@pytest.mark.parametrize("trainer", MASK_FOLDER)
def test_g1_a_mask_without_an_image(tmp_path, trainer):
    case = right(tmp_path, trainer)
    Image.fromarray(mask_of()).save(case.masks / "zebra.png")
    finding = found(case, "masks-extra")
    assert finding.severity == ("error" if trainer == "kohya" else "warning")


@pytest.mark.parametrize("trainer", ALL)
def test_g1_masks_as_tight_as_ink_hardly_mask(tmp_path, trainer):
    case = right(tmp_path, trainer)
    canvas = Image.new("L", SIZE_PX, 255)
    draw = ImageDraw.Draw(canvas)
    for row in range(4):
        draw.text((20, 20 + 50 * row), "Tight ink masks", fill=0, font=ImageFont.load_default(size=24))
    case.put_mask("a.png", np.where(np.asarray(canvas) < 128, 0, 255).astype(np.uint8))
    finding = found(case, "masks-too-tight")
    assert finding.count == 1
    report = case.check()
    assert report.images[0].effective_weight > 0.2


@pytest.mark.parametrize("trainer", ALL)
def test_g1_white_masks_only(tmp_path, trainer):
    case = right(tmp_path, trainer)
    for name in NAMES:
        case.put_mask(name, mask_of())
    assert case.codes() == {"nothing-masked"}


# G2: polarity


def inverted_text():
    levels = 255 - mask_of((40, 30, 120, 60), (40, 90, 200, 120), (220, 180, 300, 220))
    return levels.astype(np.uint8)


@pytest.mark.parametrize("trainer", ALL)
def test_g2_inverted_masks(tmp_path, trainer):
    case = right(tmp_path, trainer)
    for name in NAMES[:2]:
        case.put_mask(name, inverted_text())
    assert found(case, "polarity").count == 2


def test_g2_a_card_frame_is_not_taken_for_an_inverted_mask(tmp_path):
    case = right(tmp_path, "kohya")
    window = np.zeros(SIZE_PX[::-1], dtype=np.uint8)
    window[60:160, 80:240] = 255
    case.put_mask("a.png", window)
    assert case.codes() == {"much-masked"}


def test_g2_inverted_by_a_setting(tmp_path):
    case = right(tmp_path, "ai-toolkit")
    line = case.edit("mask_min_value: 0.0", "mask_min_value: 0.0\n      invert_mask: true")
    finding = found(case, "config-key")
    assert finding.line == line + 1
    assert "mask-all-black" in case.codes()


# G3: stale caches


@pytest.mark.parametrize("trainer", ["onetrainer", "musubi"])
def test_g3_a_cache_older_than_the_masks(tmp_path, trainer):
    case = right(tmp_path, trainer)
    cache = tmp_path / "cache" / "latent_0.pt"
    cache.parent.mkdir()
    cache.write_bytes(b"x")
    age(cache, hours=1)
    assert case.codes() == set()
    age(cache, hours=-1)
    assert case.codes() == {"cache-stale"}
    assert case.codes(with_config=False, cache_folders=[cache.parent]) == {"cache-stale"}


def test_g3_simpletuner_and_diffusion_pipe(tmp_path):
    for trainer, place in (("simpletuner", "vae/a.pt"), ("diffusion-pipe", "images/cache/sdxl/x.arrow")):
        case = right(tmp_path / trainer, trainer)
        cache = tmp_path / trainer / place
        cache.parent.mkdir(parents=True)
        cache.write_bytes(b"x")
        age(cache, hours=1)
        assert case.codes() == set()
        age(cache, hours=-1)
        assert case.codes() == {"cache-stale"}


def test_g3_latents_of_sd_scripts(tmp_path):
    case = right(tmp_path, "kohya-alpha")
    cache = case.images / "a_0256x0256_sdxl.npz"
    for member, hours, codes in (("alpha_mask_32x32", 1, set()), ("latents_32x32", 1, {"cache-stale"})):
        with zipfile.ZipFile(cache, "w") as archive:
            archive.writestr(f"{member}.npy", b"")
        age(cache, hours=hours)
        assert case.codes() == codes
    with zipfile.ZipFile(cache, "w") as archive:
        archive.writestr("alpha_mask.npy", b"")
    age(cache, hours=-1)
    assert case.codes() == {"cache-stale"}


@pytest.mark.parametrize("trainer", ["kohya", "ai-toolkit"])
def test_g3_trainers_that_read_masks_anew_have_no_stale_cache(tmp_path, trainer):
    case = right(tmp_path, trainer)
    (case.images / "a.npz").write_bytes(b"x")
    age(case.images / "a.npz", hours=-1)
    assert case.codes() == set()


# G4: masks inside of the image folder


GO_BY_FOLDERS = tuple(name for name in ALL if name not in ("onetrainer", "invoke"))  # invoke goes by a list


@pytest.mark.parametrize("trainer", GO_BY_FOLDERS)
def test_g4_nested_mask_folder(tmp_path, trainer):
    case = right(tmp_path, trainer)
    if trainer in MASK_FOLDER:
        case.masks = case.masks.rename(case.images / "masks")
        finding = found(case, "masks-nested", with_config=False)
        assert (finding.severity == "warning") is trainer_named(trainer).naming.one_entry_per_folder
    else:
        (case.images / "masks").mkdir()
        for name in NAMES:
            Image.fromarray(mask_of(GROWN)).save(case.images / "masks" / name)
        assert "masks-nested" in case.codes()


@pytest.mark.parametrize(
    "trainer", ["kohya", "ai-toolkit", "diffusion-pipe", "simpletuner", "animalora", "kohya-alpha"]
)
def test_g4_masks_between_the_images(tmp_path, trainer):
    case = right(tmp_path, trainer)
    for name in NAMES:
        Image.fromarray(mask_of(GROWN)).save(case.images / f"{name[0]}-masklabel.png")
    assert "masks-among-images" in case.codes()


# G5: EXIF


def turn(case, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(case.images / name, exif=exif)


@pytest.mark.parametrize("trainer", [name for name in WITH_FILES if name != "ai-toolkit"])
def test_g5_a_mask_in_the_wrong_orientation(tmp_path, trainer):
    case = right(tmp_path, trainer)
    turn(case, "a.png", 6)
    upright = mask_of((60, 80, 140, 200), size_px=SIZE_PX[::-1])
    stored = mask_of(GROWN)
    transposes = trainer_named(trainer).transposes_exif
    case.put_mask("a.png", stored if transposes else upright)
    assert case.codes() == {"exif-mismatch"}
    case.put_mask("a.png", upright if transposes else stored)
    assert case.codes() == set()


def test_g5_where_sizes_cannot_tell_a_person_is_asked(tmp_path):
    case = right(tmp_path, "kohya")
    turn(case, "a.png", 3)
    finding = found(case, "exif-unsure")
    assert finding.severity == "warning"


@pytest.mark.parametrize("trainer", WITH_FILES)
def test_masks_of_another_shape(tmp_path, trainer):
    case = right(tmp_path, trainer)
    case.put_mask("a.png", mask_of(size_px=(300, 300)))
    assert case.codes() == {"size-mismatch"}


@pytest.mark.parametrize("trainer", WITH_FILES)
def test_masks_of_half_the_size(tmp_path, trainer):
    case = right(tmp_path, trainer)
    case.put_mask("a.png", mask_of((40, 30, 100, 70), size_px=(160, 120)))
    must_be_equal = trainer not in ("onetrainer", "musubi", "musubi-fork", "ai-toolkit")
    assert case.codes() == ({"size-mismatch"} if must_be_equal else set())


# G6: stems and folders


@pytest.mark.parametrize("trainer", NEEDS_STEMS)
def test_g6_two_images_share_a_mask(tmp_path, trainer):
    case = right(tmp_path, trainer)
    picture(9).save(case.images / "a.jpg")
    assert "a.jpg = a.png" in found(case, "stem-collision").examples[0]


def test_g6_simpletuner_keeps_the_extension(tmp_path):
    case = right(tmp_path, "simpletuner", names=("a.png", "a.jpg", "b.png"))
    assert case.codes() == set()


def test_g6_stems_across_folders_where_masks_are_flat(tmp_path):
    case = right(tmp_path, "ai-toolkit")
    (case.images / "sub").mkdir()
    picture(9).save(case.images / "sub" / "a.png")
    assert "sub/a.png" in found(case, "stem-collision").examples[0]


@pytest.mark.parametrize("trainer", ["kohya", "diffusion-pipe"])
def test_g6_folders_below_need_an_entry_of_their_own(tmp_path, trainer):
    case = right(tmp_path, trainer)
    (case.images / "sub").mkdir()
    picture(9).save(case.images / "sub" / "z.png")
    Image.fromarray(mask_of()).save(case.masks / "z.png")
    assert found(case, "subfolders-not-read").examples == ("sub/z.png",)


# G7: heavily masked images


@pytest.mark.parametrize("trainer", ALL)
def test_g7_more_than_half_masked(tmp_path, trainer):
    case = right(tmp_path, trainer)
    case.put_mask("a.png", mask_of((0, 0, 320, 150)))
    finding = found(case, "much-masked")
    assert finding.severity == "warning"
    assert ("not normalised" in finding.message) is not trainer_named(trainer).normalises


@pytest.mark.parametrize("trainer", ALL)
def test_black_masks(tmp_path, trainer):
    case = right(tmp_path, trainer)
    case.put_mask("a.png", mask_of((0, 0, *SIZE_PX)))
    assert ("NaN" in found(case, "mask-all-black").message) is trainer_named(trainer).fully_masked_is_nan


# G9: alpha


def test_g9_images_without_alpha(tmp_path):
    case = right(tmp_path, "kohya-alpha")
    picture().save(case.images / "b.png")
    finding = found(case, "alpha-missing")
    assert finding.count == 1
    assert case.codes() == {"alpha-missing"}


def test_g9_alpha_mask_in_ai_toolkit(tmp_path):
    case = right(tmp_path, "ai-toolkit")
    line = case.edit(f"mask_path: {case.masks}", "alpha_mask: true")
    codes = case.codes()
    assert {"alpha-missing", "config-key"} <= codes
    assert found(case, "config-key").line == line


@pytest.mark.parametrize("trainer", WITH_FILES)
@pytest.mark.parametrize("kind", ["alpha", "colour", "0 and 1"])
def test_g9_masks_that_are_not_plain_grey(tmp_path, trainer, kind):
    case = right(tmp_path, trainer)
    levels = mask_of(GROWN)
    if kind == "alpha":
        mask = Image.new("RGBA", SIZE_PX, "white")
        mask.putalpha(Image.fromarray(levels))
    elif kind == "colour":
        red = np.full((*levels.shape, 3), 255, dtype=np.uint8)
        red[levels == 0] = (255, 0, 0)
        mask = Image.fromarray(red)
    else:
        mask = Image.fromarray(levels // 255)
    mask.save(case.mask_path("a.png"), "PNG")
    assert "mask-channel" in case.codes()


# G13: cells


@pytest.mark.parametrize("trainer", ALL)
def test_g13_masks_for_cells_of_8_px_do_not_do_for_32(tmp_path, trainer):
    case = right(tmp_path, trainer)
    lines = mask_of((40, 20, 280, 40), (40, 77, 280, 97), (40, 126, 280, 146), (40, 190, 280, 210))
    case.put_mask("a.png", lines)  # thin lettering grown by one cell of 8 px
    assert case.codes() == set()
    assert "masks-too-tight" in case.codes(cell_px=32)


# What cannot be checked


def test_unreadable_files_are_named(tmp_path):
    case = right(tmp_path, "kohya")
    case.mask_path("a.png").write_bytes(b"not an image")
    assert found(case, "file-unreadable").count == 1


def test_no_folder_no_image_no_masks(tmp_path):
    case = right(tmp_path, "kohya")
    case.images = tmp_path / "nowhere"
    with pytest.raises(InputError, match="not a folder"):
        case.check()
    case.images = tmp_path / "empty"
    case.images.mkdir()
    with pytest.raises(InputError, match="no image"):
        case.check()
    case = right(tmp_path / "x", "kohya")
    case.masks = case.images
    with pytest.raises(InputError, match="of the images and of the masks"):
        case.check(with_config=False)
    case.masks = None
    with pytest.raises(ConfigError, match="folder of its own"):
        case.check(with_config=False)
