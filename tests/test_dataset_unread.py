"""Images that are not read, and masks among the images: noticed, named, and never in silence."""

import io
import json
from importlib.util import find_spec

import numpy as np
import pytest
from cli_process import CHEAP, automask, draw_images
from fakes import pipeline
from PIL import Image

from automask.check import check_folder
from automask.config import DecodeConfig, PipelineConfig
from automask.dataset import names, sniff
from automask.dataset.among import masks_among
from automask.dataset.decode import decode_bytes
from automask.dataset.foreign import unread_image
from automask.dataset.image_file import ImageFile
from automask.dataset.walk import walk
from automask.errors import ImageError, InputError
from automask.report.pages import write_report
from automask.run.runner import run_dataset
from automask.trainers.conventions import trainer_named

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
JXL = b"\xff\x0a" + bytes(64)
TIFF = b"II*\0\x08\0\0\0" + bytes(64)


@pytest.fixture
def without_heif(monkeypatch):
    for module in (names, sniff):
        monkeypatch.setattr(module, "reads_heif", lambda: False)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 120, 30)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.heic", HEIC, "HEIC"),
        ("a.HEIF", HEIC, "HEIC"),
        ("a.dat", HEIC, "HEIC"),  # the bytes decide, not the name
        ("a", JXL, "JPEG XL"),
        ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        ("a.j2k", b"\xff\x4f\xff\x51", "JPEG 2000"),
        ("a.psd", b"8BPS\0\x01", "Photoshop"),
        ("a.xcf", b"gimp xcf v011", "GIMP"),
        ("a.clip", b"CSFCHUNK", "Clip Studio"),
        ("a.kra", b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/x-kritaPK", "Krita"),
        ("a.ora", b"PK\x03\x04" + bytes(26) + b"mimetypeimage/openrasterPK", "OpenRaster"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0", "raw"),
        ("a.tif_", b"II*\0\x10\0\0\0CR\x02\0", "raw"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "raw"),
        ("a.dng", TIFF, "raw"),  # a TIFF by its bytes, but only of a preview
        ("a.nef", TIFF, "raw"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201", "raw"),
        ("a.raw", b"\x01\x02\x03\x04", "raw"),  # no mark at all: the name
        ("a.tga", bytes(18), "Targa"),
        ("a.svg", b"<?xml version='1.0'?><svg/>", "SVG"),
        ("a.svgz", b"\x1f\x8b\x08", "SVG"),
        ("a.exr", b"\x76\x2f\x31\x01", "OpenEXR"),
        ("a.hdr", b"#?RADIANCE\n", "Radiance"),
        ("a.dds", b"DDS |", "DDS"),
        ("a.qoi", b"qoif", "QOI"),
        ("a.ppm", b"P6\n4 4\n255\n", "Netpbm"),
        ("a.ico", b"\0\0\x01\0", "icon"),
        ("a.heic", b"", "HEIC"),  # cut off by a full disk: still an image that is missing a mask
        ("photo", png(), "PNG under a name"),
        ("a.jpg_large", b"\xff\xd8\xff\xe0", "JPEG under a name"),
    ],
)
def test_images_that_are_not_read_are_told_by_their_content(tmp_path, without_heif, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in unread_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", HEIC),  # a caption is never opened
        ("notes", b"a plain text"),
        ("a.dat", bytes(64)),
        ("a.xyz", b"PK\x03\x04" + bytes(60)),
        ("a.doc", b"%PDF-1.7"),
        ("a.clip2", b"\x1aE\xdf\xa3"),
    ],
)
def test_other_files_are_no_images(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert unread_image(tmp_path / name) is None


def dataset(folder):
    draw_images(folder, 4)
    (folder / "b.heic").write_bytes(HEIC)
    (folder / "sub" / "c.jxl").write_bytes(JXL)
    (folder / "001.txt").write_text("a caption")
    (folder / "001_mask.png").write_bytes(png())
    (folder / "002-masklabel.png").write_bytes(png())
    return folder


def test_a_run_its_report_and_a_check_name_them(tmp_path, without_heif):
    folder = dataset(tmp_path / "set")
    summary = run_dataset(folder, tmp_path / "out", PipelineConfig(), pipeline=pipeline())
    assert summary.skipped == {"unread-image": 2, "not-an-image": 1, "mask-sidecar": 1}
    said = {notice.code: notice.message for notice in summary.notices}
    for name in ("b.heic", "sub/c.jxl", "a HEIC image (1)", "a JPEG XL image (1)", "the extra `heif`"):
        assert name in said["unread-images"]
    for name in ("001_mask.png", "002-masklabel.png", "1 of them are left out", "1 of them are taken"):
        assert name in said["masks-among-images"]
    page = write_report(tmp_path / "out").read_text()
    assert "b.heic, sub/c.jxl" in page
    assert "001_mask.png" in page
    (finding,) = [each for each in check_folder(folder, trainer_named("kohya"), masks_root=tmp_path / "out" / "masks")
                  .findings if each.code == "images-not-read"]  # fmt: skip
    assert (finding.count, set(finding.examples), finding.severity) == (2, {"b.heic", "sub/c.jxl"}, "warning")
    for path in (folder / "b.heic", folder / "sub" / "c.jxl", folder / "001_mask.png", folder / "002-masklabel.png"):
        path.unlink()
    run_dataset(folder, tmp_path / "out", PipelineConfig(), pipeline=pipeline())
    assert "b.heic" not in write_report(tmp_path / "out").read_text()  # tidied up: no more said


def test_the_summary_of_the_command_names_them(tmp_path):
    folder = dataset(tmp_path / "set")
    done = automask("run", folder, *CHEAP, "--no-report")
    told = " ".join(done.stdout.split())
    assert "[unread-images]" in told
    assert "sub/c.jxl" in told
    assert "[masks-among-images]" in told


def test_a_folder_of_nothing_else_says_what_is_in_it(tmp_path, without_heif):
    (tmp_path / "a.heic").write_bytes(HEIC)
    told = []
    with pytest.raises(InputError, match="unread-image"):
        run_dataset(tmp_path, tmp_path / "out", PipelineConfig(), pipeline=pipeline(), events=told.append)
    assert any("a.heic" in str(event) for event in told)


def test_many_are_counted_and_few_are_named(tmp_path, without_heif):
    for index in range(300):
        (tmp_path / f"{index}.heic").write_bytes(HEIC)
    told = []
    assert all(item.reason == "unread-image" for item in walk(tmp_path, on_issue=told.append))
    assert told[0].message.startswith("300 images are not read: ")
    assert "and 290 more" in told[0].message


@pytest.mark.parametrize(
    "mask",
    ["a_mask.png", "a_mask.jpg", "a-mask.webp", "A_MASK.png", "mask_a.png", "mask-a.jpg", "a.mask.png", "a_masks.png",
     "a.jpg_mask.png"],
)  # fmt: skip
def test_one_mask_among_many_images_is_noticed(tmp_path, mask):
    for name in ("a.jpg", "b.jpg", "c.jpg", mask):
        (tmp_path / name).write_bytes(png())
    told = []
    taken = [item.id for item in walk(tmp_path, on_issue=told.append) if isinstance(item, ImageFile)]
    assert mask in taken  # nothing is left out by a guess
    assert [issue.code for issue in told] == ["masks-among-images"]
    assert mask in told[0].message


@pytest.mark.parametrize("mask", ["a-masklabel.png", "a.mask", "a_wmask.png", "a-condlabel.png"])
def test_masks_that_are_left_out_are_noticed_as_well(tmp_path, mask):
    for name in ("a.jpg", "b.jpg", mask):
        (tmp_path / name).write_bytes(png())
    told = []
    list(walk(tmp_path, on_issue=told.append))
    assert "left out" in told[0].message


@pytest.mark.parametrize("name", ["gas_mask.png", "mask_of_zorro.png", "_mask.png", "unmasked.png", "mask_.png"])
def test_a_name_that_belongs_to_no_image_is_none(name):
    assert masks_among(["a.jpg", "b.jpg", name]) == []


@pytest.mark.parametrize("folder", ["masks", "mask", "set_masks", "a masks"])
@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("ending", ["", "_mask", ".jpg"])
def test_a_folder_of_masks_for_a_few_images_is_noticed(tmp_path, folder, count, ending):
    (tmp_path / "images").mkdir()
    (tmp_path / folder).mkdir()
    for index in range(40):
        (tmp_path / "images" / f"{index}.jpg").touch()
    for index in range(count):
        (tmp_path / folder / f"{index}{ending}.png").touch()
    told = []
    list(walk(tmp_path, on_issue=told.append))
    assert [issue.code for issue in told] == ["mirrored-folder"]
    assert repr(folder) in told[0].message


def test_numbered_concepts_with_other_telling_names_are_two_concepts(tmp_path):
    for name, count in (("10_pose", 5), ("20_dog", 40)):
        (tmp_path / name).mkdir()
        for index in range(count):
            (tmp_path / name / f"{index}.png").touch()
    told = []
    list(walk(tmp_path, on_issue=told.append))
    assert told == []


def test_check_takes_the_masks_out_whichever_folder_comes_first(tmp_path):
    for folder, count in (("a_masks", 3), ("pictures", 12)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for index in range(count):
            (tmp_path / "set" / folder / f"x{index}.png").write_bytes(png())
    report = check_folder(tmp_path / "set", trainer_named("kohya"), masks_root=tmp_path)
    assert report.layout.nested == ("a_masks",)
    assert len(report.layout.pairs) == 12


def heic_bytes(size, *, orientation=None) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    ramp = np.linspace(0, 255, size[0], dtype=np.uint8)[None, :, None].repeat(size[1], 0).repeat(3, 2)
    picture = Image.fromarray(ramp)
    picture.paste((255, 0, 0), (0, 0, size[0] // 4, size[1] // 4))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    file = pillow_heif.from_pillow(picture)
    out = io.BytesIO()
    file.save(out, quality=95, exif=exif.tobytes())
    return out.getvalue()


@pytest.mark.slow
def test_heic_is_read_with_its_extra():
    image = decode_bytes(heic_bytes((96, 64)), image_id="a.heic", config=DecodeConfig())
    assert (image.format, image.image.pixels.shape, image.orientation) == ("heif", (64, 96, 3), 1)
    red, green, _ = image.image.pixels[4, 4].astype(int)
    assert red > green + 150


@pytest.mark.slow
def test_a_turned_heic_comes_out_upright():
    image = decode_bytes(heic_bytes((96, 64), orientation=6), image_id="a.heic", config=DecodeConfig()).image
    assert image.pixels.shape == (96, 64, 3)
    red, green, _ = image.pixels[4, -5].astype(int)  # a quarter turn clockwise: top left goes to top right
    assert red > green + 150


@pytest.mark.slow
@pytest.mark.parametrize("cut", [100, 400, -50])
def test_a_damaged_heic_is_one_bad_image(cut):
    data = heic_bytes((96, 64))
    with pytest.raises(ImageError) as caught:
        decode_bytes(data[:cut], image_id="a.heic", config=DecodeConfig())
    assert caught.value.code in ("image-truncated", "image-corrupt")


@pytest.mark.slow
def test_a_heic_that_is_too_large_is_not_decoded():
    with pytest.raises(ImageError) as caught:
        decode_bytes(heic_bytes((96, 64)), image_id="a.heic", config=DecodeConfig(max_megapixels=0.001))
    assert caught.value.code == "image-too-large"


@pytest.mark.slow
def test_a_run_masks_heic_images(tmp_path):
    assert find_spec("pillow_heif") is not None
    draw_images(tmp_path / "set", 1)
    (tmp_path / "set" / "phone.HEIC").write_bytes(heic_bytes((96, 64)))
    done = automask("run", tmp_path / "set", *CHEAP, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 2
    with Image.open(tmp_path / "set-masks" / "masks" / "phone.png") as mask:
        assert mask.size == (96, 64)


def test_heic_without_its_extra_says_what_to_install(tmp_path, without_heif):
    with pytest.raises(ImageError) as caught:
        decode_bytes(HEIC, image_id="a.jpg", config=DecodeConfig())
    assert caught.value.code == "image-unsupported"
    assert "extra `heif`" in caught.value.advice
