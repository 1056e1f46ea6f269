"""`check` says of each trainer what its own code was seen to do (docs/trainers/conformance.md)."""

import json

import numpy as np
import pytest
from check_cases import mask_of, picture, right
from export_cases import export, make_store, photograph
from PIL import Image, ImageDraw

from automask.check import check_folder
from automask.trainers.conventions import TRAINERS, trainer_named

MASKS_IN_FILES = tuple(name for name in TRAINERS if name != "kohya-alpha")


def check_export(name, images, output, **options):
    """The check of a fresh export, with the configuration that it printed."""
    has_images = (output / "images").is_dir()
    snippet = next(path for path in output.iterdir() if path.suffix in (".toml", ".yaml", ".json"))
    return check_folder(
        output / "images" if has_images else images,
        trainer_named(name),
        masks_root=output / "masks" if (output / "masks").is_dir() and name != "invoke" else None,
        config_files=[snippet],
        **options,
    )


def codes(report, *, but=()):
    return {str(finding.code) for finding in report.findings} - set(but)


@pytest.fixture(scope="module")
def edged(tmp_path_factory):
    """Images whose buckets crop what is painted on their edges, one of them stored upside down."""
    folder = tmp_path_factory.mktemp("edged") / "images"
    folder.mkdir()
    for number, size_px in enumerate(((900, 600), (513, 750), (1500, 500), (640, 427))):
        painted = photograph("rocket.jpg", size_px)
        draw = ImageDraw.Draw(painted)
        draw.rectangle((0, 0, 5, size_px[1]), fill=(255, 0, 0))
        draw.rectangle((0, size_px[1] - 4, size_px[0], size_px[1]), fill=(255, 0, 0))
        draw.rectangle((40, 60, 120, 90), fill=(255, 0, 0))
        painted.save(folder / f"{number}.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    painted.save(folder / "turned.jpg", quality=100, subsampling=0, exif=exif)
    for path in list(folder.iterdir()):
        path.with_suffix(".txt").write_text("x")
    return folder


@pytest.fixture(scope="module", params=sorted(TRAINERS))
def exported(request, edged, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / request.param
    export(make_store(edged), request.param, output=output)
    return request.param, output


def test_nothing_is_said_about_a_fresh_export(exported, edged):
    """Least of all that a region is too tight of which the bucket leaves a sliver of the margin."""
    name, output = exported
    assert codes(check_export(name, edged, output), but=["config-key"] if name == "kohya" else []) == set()


def test_a_mask_that_was_turned_since_is_doubted(exported, edged):
    name, output = exported
    if name == "kohya-alpha":
        return  # its files are new ones without an orientation
    mask = next(path for path in output.rglob("turned*") if path.suffix not in (".txt",) and not path.is_symlink())
    before = mask.read_bytes()
    with Image.open(mask) as opened:
        turned = opened.transpose(Image.Transpose.ROTATE_180)
    turned.save(mask, "PNG")
    try:
        found = [f for f in check_export(name, edged, output).findings if f.code == "exif-unsure"]
        assert [finding.count for finding in found] == [1]
    finally:
        mask.write_bytes(before)


@pytest.mark.parametrize("name", ["onetrainer", "ai-toolkit", "musubi"])
def test_nearly_square_images_do_not_tell_which_way_their_mask_lies(tmp_path, name):
    """These trainers compare shapes, not sizes."""
    case = right(tmp_path, name)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(size_px=(300, 301)).save(case.images / "a.png", exif=exif)
    case.put_mask("a.png", mask_of((60, 80, 140, 200), size_px=(301, 300)))
    assert "exif-unsure" in case.codes()


def test_a_thin_mask_is_still_too_tight_at_a_cropped_edge(tmp_path):
    case = right(tmp_path, "animalora")
    levels = mask_of((0, 100, 320, 104))
    case.put_mask("a.png", levels)
    assert "masks-too-tight" in case.codes()


@pytest.mark.parametrize("entry", [0, 1])
def test_simpletuner_crops_at_random_unless_told(tmp_path, entry):
    case = right(tmp_path, "simpletuner")
    for value in (None, "random"):
        entries = json.loads(case.config[0].read_text())
        entries[entry].pop("crop_style", None)
        if value is not None:
            entries[entry]["crop_style"] = value
        case.config[0].write_text(json.dumps(entries))
        (finding,) = case.check().findings
        assert finding.code == "config-key"
        assert "crop_style" in finding.message
        assert "center" in finding.fix


def test_simpletuner_takes_masks_as_images_are_stored(tmp_path):
    case = right(tmp_path, "simpletuner")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(case.images / "a.png", exif=exif)
    assert case.codes() == set()
    case.put_mask("a.png", mask_of((60, 80, 140, 200), size_px=(240, 320)))
    assert case.codes() == {"exif-mismatch"}


def test_simpletuner_finds_sub_folders_from_a_version_on(tmp_path):
    case = right(tmp_path, "simpletuner")
    for root in (case.images, case.masks):
        (root / "sub").mkdir()
        (root / "a.png").rename(root / "sub" / "a.png")
    (finding,) = case.check().findings
    assert (finding.code, finding.severity) == ("subfolders-not-read", "warning")
    assert trainer_named("simpletuner").subfolders_since in finding.fix


@pytest.mark.parametrize(("family", "expected"), [("omnigen", {"model-unsupported"}), ("sdxl", set())])
def test_the_loss_of_omnigen_has_no_mask(tmp_path, family, expected):
    case = right(tmp_path, "simpletuner")
    main = tmp_path / "main.json"
    main.write_text(json.dumps({"model_family": family, "data_backend_config": str(case.config[0])}))
    case.config = [main]
    assert case.codes() == expected


@pytest.mark.parametrize("value", ['resize_interpolation = "bicubic"', 'resize_interpolation = "lanczos"', ""])
def test_alpha_is_not_to_be_multiplied_into_colours(tmp_path, value):
    case = right(tmp_path, "kohya-alpha")
    case.edit('resize_interpolation = "bicubic"', value)
    assert case.codes() == (set() if "bicubic" in value else {"config-key"})
    assert case.check().errors == 0


WRONG_LANGUAGE = {"animalora": ".toml", "onetrainer": ".toml", "invoke": ".json", "diffusion-pipe": ".yaml"}


@pytest.mark.parametrize(("trainer", "ending"), WRONG_LANGUAGE.items())
def test_a_configuration_in_a_language_that_the_trainer_does_not_read(tmp_path, trainer, ending):
    case = right(tmp_path, trainer)
    path = tmp_path / f"wrong{ending}"
    path.write_text({".toml": "masked_loss = true\n", ".yaml": "masked_loss: true\n", ".json": "{}"}[ending])
    case.config = [path]
    assert "config-format" in case.codes()


@pytest.mark.parametrize(("trainer", "name"), [("kohya", "z.Png"), ("musubi", "z.Jpg"), ("ai-toolkit", "z.bmp")])
def test_images_that_a_trainer_does_not_read_are_named(tmp_path, trainer, name):
    case = right(tmp_path, trainer)
    picture(9).save(case.images / name)
    (finding,) = (found for found in case.check().findings if found.code == "images-not-read")
    assert finding.examples == (name,)
    assert "masks-missing" not in case.codes()


def test_masks_that_old_versions_of_sd_scripts_would_shift(edged, tmp_path):
    """Masks made for the new way only; the export's own fit both."""
    output = tmp_path / "grey"
    export(make_store(edged), "grey", output=output)
    as_stored = output / "masks" / "turned.png"
    Image.open(as_stored).transpose(Image.Transpose.ROTATE_180).save(as_stored)
    report = check_folder(edged, trainer_named("kohya"), masks_root=output / "masks")
    (finding,) = (found for found in report.findings if found.code == "masks-shifted")
    assert finding.severity == "warning"
    assert finding.count >= 3
    assert np.all([image.effective_weight < 0.1 for image in report.images])
