from __future__ import annotations

import io
import os
import struct
import sys
import threading
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from dataset_samples import codes, encoded, image_file, png, png_chunk, read, read_file, scene, sha256, tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from automask.config import DecodeConfig
from automask.dataset.codes import Refusal
from automask.dataset.decode import decode
from automask.errors import ImageError


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def refusal_of(data: bytes, **config: object) -> str:
    with pytest.raises(ImageError) as caught:
        read(data, **config)
    assert caught.value.advice
    assert "sub/picture" in caught.value.message
    return caught.value.code


def refusal_of_file(path, **config: object) -> str:
    with pytest.raises(ImageError) as caught:
        read_file(path, **config)
    assert caught.value.advice
    return caught.value.code


def noisy(width: int = 60, height: int = 50) -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 60, (height, width, 3))
    return (scene(width, height) // 2 + noise).astype(np.uint8)


WHOLE_FILES = {
    "png": encoded(noisy(), "PNG"),
    "png-interlaced-grey": encoded(noisy()[..., 0], "PNG"),
    "jpeg": encoded(noisy(), "JPEG"),
    "jpeg-progressive": encoded(noisy(), "JPEG", progressive=True),
    "webp": encoded(noisy(), "WEBP"),
    "webp-lossless": encoded(noisy(), "WEBP", lossless=True),
    "avif": encoded(noisy(), "AVIF"),
    "bmp": encoded(noisy(), "BMP"),
    "gif": encoded(PillowImage.fromarray(noisy()).quantize(64), "GIF"),
    "tiff": encoded(noisy(), "TIFF"),
    "tiff-lzw": encoded(noisy(), "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encoded(noisy(), "TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
@settings(deadline=None)
@given(share=st.floats(0.0, 0.97))
def test_a_file_cut_anywhere_is_truncated(name, share):
    data = WHOLE_FILES[name]
    kept = data[: max(16, int(share * len(data)))]
    assert refusal_of(kept) == "image-truncated"


@pytest.mark.parametrize("name", ["png", "jpeg", "jpeg-progressive", "gif"])
@settings(deadline=None)
@given(share=st.floats(0.05, 0.97))
def test_a_file_whose_end_is_zeros_is_truncated(name, share):
    data = WHOLE_FILES[name]
    kept = data[: int(share * len(data))]
    assert refusal_of(kept.ljust(len(data), b"\0")) == "image-truncated"


def test_a_thumbnail_does_not_pass_for_the_end_of_the_picture():
    thumbnail = encoded(scene(16, 16), "JPEG")
    block = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(thumbnail)) + b"Thumb\0" + thumbnail
    data = WHOLE_FILES["jpeg"]
    whole = data[:2] + block + data[2:]
    assert read(whole).issues == ()
    assert refusal_of(whole[: len(whole) * 3 // 4].ljust(len(whole), b"\0")) == "image-truncated"


def outcome_of(data: bytes) -> str:
    try:
        decoded = read(data, max_megapixels=4)
    except ImageError as error:
        return error.code
    return "decoded" if decoded.image.pixels.shape[2] == 3 else "wrong shape"


@pytest.mark.parametrize("name", WHOLE_FILES)
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 30))
def test_damage_is_a_coded_error_or_an_image_and_nothing_else(name, seed, changes):
    rng = np.random.default_rng(seed)
    data = bytearray(WHOLE_FILES[name])
    for at in rng.integers(0, len(data), changes):
        data[at] = rng.integers(0, 256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow remarks on damaged metadata; it must not be more than a remark
        assert outcome_of(bytes(data)) in {"decoded", *Refusal}


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_coded_error(data):
    with pytest.raises(ImageError) as caught:
        read(data)
    assert caught.value.code in set(Refusal)


def test_empty_file(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    assert refusal_of_file(path) == "image-empty"
    assert refusal_of(b"") == "image-empty"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"just some words\n", "text file"),
        ("Grüße\n".encode(), "text file"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b'<?xml version="1.0"?><svg xmlns="x"/>', "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "PostScript"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"8BPS\0\x01", "Photoshop"),
        (bytes(5000), "zero bytes"),
        (b"\x93\x10\x00\xfe\xdc", "another kind"),
    ],
)
def test_other_content_is_named(data, named):
    with pytest.raises(ImageError) as caught:
        read(data)
    assert caught.value.code == "image-unsupported"
    assert named in caught.value.message


@pytest.mark.parametrize("file_format", ["EPS", "PPM", "ICO", "TGA", "PCX", "JPEG2000", "SGI", "DDS"])
def test_other_formats_that_pillow_reads_are_refused(file_format):
    assert refusal_of(encoded(scene(), file_format)) == "image-unsupported"


def test_sound_tiff_of_an_unknown_layout_is_not_called_damaged():
    tags = {
        256: ("I", (2,)),
        257: ("I", (2,)),
        258: ("H", (32, 32, 32)),
        259: ("H", (1,)),
        262: ("H", (2,)),
        277: ("H", (3,)),
        339: ("H", (3, 3, 3)),
    }
    assert refusal_of(tiff(tags, np.zeros((2, 2, 3), dtype="<f4").tobytes(), order="<")) == "image-unsupported"


def test_missing_file_and_folder_and_pipe(tmp_path):
    assert refusal_of_file(tmp_path / "gone.png") == "image-missing"
    folder = tmp_path / "a.jpg"
    folder.mkdir()
    assert refusal_of_file(folder) == "image-not-a-file"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert refusal_of_file(tmp_path / "pipe.png") == "image-not-a-file"


def test_file_that_vanishes_between_looking_and_opening(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE_FILES["png"])

    def open_too_late(self, *_args, **_kwargs):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(type(path), "open", open_too_late)
    assert refusal_of_file(path) == "image-missing"


def test_file_without_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE_FILES["png"])
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # root may read everything

        def refuse(self, *_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "open", refuse)
    else:
        path.chmod(0)
    assert refusal_of_file(path) == "image-unreadable"


def test_disk_error_while_reading(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE_FILES["png"])

    class Broken(io.BytesIO):
        def read(self, *_args):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(path), "open", lambda *_args, **_kwargs: Broken())
    assert refusal_of_file(path) == "image-unreadable"


@pytest.mark.parametrize("name", ["n" * 300 + ".png", "a\0b.png"])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(ImageError) as caught:
        decode(image_file(tmp_path / name, size_bytes=0), DecodeConfig())
    assert caught.value.code == "image-unreadable"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="such names need a file system of bytes")
def test_name_that_is_not_unicode(tmp_path):
    path = tmp_path / os.fsdecode(b"b\xff.png")
    path.write_bytes(WHOLE_FILES["png"])
    decoded = read_file(path)
    assert codes(decoded) == ["name-not-unicode"]


def header_only_png(width: int, height: int) -> bytes:
    return png(width=width, height=height, bits=8, colour_type=2, rows=[b""])


def header_only_webp(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def header_only_gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"


def header_only_bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def header_only_jpeg(width: int, height: int) -> bytes:
    data = bytearray(encoded(scene(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def header_only_tiff(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("1", (width, height)).save(buffer, "TIFF", compression="group4")
    return buffer.getvalue()


BOMBS = {
    "png": header_only_png,
    "webp": header_only_webp,
    "gif": header_only_gif,
    "bmp": header_only_bmp,
    "jpeg": header_only_jpeg,
    "tiff": header_only_tiff,
}


@pytest.mark.parametrize("name", BOMBS)
def test_pixel_limit_is_checked_before_decoding(name):
    data = BOMBS[name](15000, 14000)
    tracemalloc.start()
    assert refusal_of(data) == "image-too-large"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF"])
def test_pixel_limit_holds_for_every_format(file_format):
    picture = PillowImage.fromarray(scene(100, 100))
    data = encoded(picture.quantize(64) if file_format == "GIF" else picture, file_format)
    assert read(data, max_megapixels=0.01).image.pixels.shape == (100, 100, 3)
    assert refusal_of(data, max_megapixels=0.0099) == "image-too-large"


@pytest.mark.parametrize("name", ["png", "jpeg", "jpeg-progressive", "avif", "bmp", "tiff", "tiff-lzw", "tiff-jpeg"])
def test_pillows_own_limit_is_out_of_the_way(name, monkeypatch):
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 100)
    assert read(WHOLE_FILES[name]).issues == ()
    assert PillowImage.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_pillows_own_limit_where_it_cannot_be_avoided(file_format, monkeypatch):
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 100)
    picture = PillowImage.fromarray(scene())
    data = encoded(picture.quantize(64) if file_format == "GIF" else picture, file_format)
    try:
        read(data)  # Pillow before 13 has no limit in its WebP plug-in
    except ImageError as error:
        assert error.code == "image-too-large"  # noqa: PT017
    else:
        assert file_format == "WEBP"


def test_pillows_limit_was_never_touched():
    assert PillowImage.MAX_IMAGE_PIXELS == 1024 * 1024 * 1024 // 4 // 3


def test_gif_frame_that_reaches_over_its_canvas():
    data = bytearray(header_only_gif(8, 8))
    data[14:18] = struct.pack("<HH", 60000, 60000)
    assert refusal_of(bytes(data)) == "image-too-large"


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_zero_size(size):
    assert refusal_of(header_only_png(*size)) in ("image-corrupt", "image-truncated")


def test_file_larger_than_any_image(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as stream:
        stream.write(WHOLE_FILES["png"])
        stream.truncate(10_000_000_000)  # sparse
    tracemalloc.start()
    assert refusal_of_file(path) == "image-too-large"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_large_file_of_another_kind_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as stream:
        stream.write(b"\x1aE\xdf\xa3")
        stream.truncate(500_000_000)
    tracemalloc.start()
    assert refusal_of_file(path) == "image-unsupported"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_errors_and_limits_do_not_meet_between_threads():
    good, bomb = WHOLE_FILES["png"], header_only_png(15000, 14000)
    start = threading.Barrier(8)

    def work(index: int) -> str:
        start.wait()
        for _ in range(20):
            try:
                read(good if index % 2 else bomb, max_megapixels=1)
            except ImageError as error:
                result = error.code
            else:
                result = "decoded"
        return str(result)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == ["image-too-large", "decoded"] * 4


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"tEXt", b"workflow\0" + b"x" * 3_000_000),
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 3_000_000)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
        png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"x" * 3_000_000)),
        png_chunk(b"tEXt", b"workflow\0" + b"x" * 70_000_000),
    ],
    ids=["long", "packed", "packed-xmp", "packed-profile", "huge"],
)
def test_oversized_metadata_is_no_reason_to_refuse_a_png(chunk):
    data = png(width=1, height=1, bits=8, colour_type=0, rows=[b"\7"], extra=chunk)
    decoded = read(data)
    assert decoded.image.pixels[0, 0, 0] == 7
    assert decoded.content_sha256 == sha256(data)
