from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from dataset_samples import cmyk_scene, codes, encoded, png, png_chunk, read, read_file, scene, sha256, tiff
from PIL import Image as PillowImage

LOSSLESS = {
    "png": ("PNG", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("TIFF", {"compression": "tiff_deflate"}),
    "tiff-big": ("TIFF", {"big_tiff": True}),
    "webp": ("WEBP", {"lossless": True}),
}
LOSSY = {
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg-progressive": ("JPEG", {"quality": 95, "progressive": True}),
    "webp": ("WEBP", {"quality": 95}),
    "avif": ("AVIF", {"quality": 95}),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg", "quality": 95}),
}


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_pixels_back(name):
    file_format, options = LOSSLESS[name]
    data = encoded(scene(), file_format, **options)

    decoded = read(data)

    np.testing.assert_array_equal(decoded.image.pixels, scene())
    assert decoded.image.alpha is None
    assert decoded.image.id == "sub/picture"
    assert decoded.content_sha256 == sha256(data)
    assert (decoded.orientation, decoded.has_more_frames, decoded.issues) == (1, False, ())
    assert decoded.format == file_format.lower()


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_come_close(name):
    file_format, options = LOSSY[name]
    decoded = read(encoded(scene(), file_format, **options))

    assert np.abs(decoded.image.pixels.astype(int) - scene()).mean() < 3
    assert decoded.format == file_format.lower()
    assert decoded.issues == ()


def test_pixels_are_writable_and_own_their_memory():
    pixels = read(encoded(scene(), "PNG")).image.pixels
    assert pixels.flags.c_contiguous
    assert pixels.flags.owndata or pixels.base is None or isinstance(pixels.base, np.ndarray)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(file_format):
    values = np.linspace(0, 65535, 64 * 8).astype(np.uint16).reshape(8, 64)

    pixels = read(encoded(values, file_format)).image.pixels

    expected = np.rint(values / 257).astype(np.uint8)
    assert np.abs(pixels[..., 0].astype(int) - expected).max() <= 1
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert (pixels == pixels[..., :1]).all()


def test_sixteen_bit_colour_is_scaled():
    rows = [struct.pack(">12H", *(65535, 0, 32768) * 4)] * 3
    pixels = read(png(width=4, height=3, bits=16, colour_type=2, rows=rows)).image.pixels
    assert pixels.shape == (3, 4, 3)
    assert tuple(pixels[0, 0]) == (255, 0, 128)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_in_both_byte_orders(order):
    strip = struct.pack(order + "6H", 0, 13107, 26214, 39321, 52428, 65535)
    tags = {256: ("I", (3,)), 257: ("I", (2,)), 258: ("H", (16,)), 259: ("H", (1,)), 262: ("H", (1,)), 277: ("H", (1,))}
    pixels = read(tiff(tags, strip, order=order)).image.pixels
    assert pixels[..., 0].tolist() == [[0, 51, 102], [153, 204, 255]]


def test_sixteen_bit_tiff_that_counts_from_white():
    tags = {256: ("I", (2,)), 257: ("I", (1,)), 258: ("H", (16,)), 259: ("H", (1,)), 262: ("H", (0,)), 277: ("H", (1,))}
    pixels = read(tiff(tags, struct.pack("<2H", 0, 65535), order="<")).image.pixels
    assert pixels[0, :, 0].tolist() == [255, 0]


def test_twelve_bit_tiff_uses_its_own_full_scale():
    tags = {256: ("I", (2,)), 257: ("I", (1,)), 258: ("H", (12,)), 259: ("H", (1,)), 262: ("H", (1,)), 277: ("H", (1,))}
    pixels = read(tiff(tags, bytes((0xFF, 0xF0, 0x00)), order="<")).image.pixels
    assert pixels[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_colour_tiff_in_both_byte_orders(order):
    strip = scene(5, 4).tobytes()
    tags = {
        256: ("I", (5,)),
        257: ("I", (4,)),
        258: ("H", (8, 8, 8)),
        259: ("H", (1,)),
        262: ("H", (2,)),
        277: ("H", (3,)),
    }
    np.testing.assert_array_equal(read(tiff(tags, strip, order=order)).image.pixels, scene(5, 4))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_tiff_in_a_usual_range(top):
    share = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    decoded = read(encoded(share * np.float32(top), "TIFF"))
    assert np.abs(decoded.image.pixels[..., 0] - share * 255).max() <= 0.51
    assert decoded.issues == ()


def test_float_tiff_in_an_unusual_range_is_stretched_with_a_remark():
    values = np.linspace(-3, 5, 256, dtype=np.float32).reshape(16, 16)
    decoded = read(encoded(values, "TIFF"))
    assert decoded.image.pixels.min() == 0
    assert decoded.image.pixels.max() == 255
    assert codes(decoded) == ["range-guessed"]


def test_float_tiff_with_holes():
    values = np.full((4, 4), 0.5, dtype=np.float32)
    values[0, 0], values[1, 1] = np.nan, np.inf
    decoded = read(encoded(values, "TIFF"))
    assert decoded.image.pixels[2, 2, 0] == 128
    assert decoded.image.pixels[0, 0, 0] == 0
    assert codes(decoded) == ["range-guessed"]


def test_constant_float_tiff():
    assert (read(encoded(np.full((4, 4), -7, dtype=np.float32), "TIFF")).image.pixels == 0).all()


def test_one_bit():
    bits = scene(16, 8)[..., 0] > 128
    for file_format in ("PNG", "BMP", "TIFF"):
        pixels = read(encoded(PillowImage.fromarray(bits), file_format)).image.pixels
        np.testing.assert_array_equal(pixels[..., 1], np.where(bits, 255, 0))


def test_grey_and_grey_with_alpha():
    grey = scene()[..., 0]
    np.testing.assert_array_equal(read(encoded(grey, "PNG")).image.pixels, np.stack([grey] * 3, axis=-1))

    alpha = np.full_like(grey, 255)
    alpha[:4] = 0
    decoded = read(encoded(PillowImage.merge("LA", [PillowImage.fromarray(grey), PillowImage.fromarray(alpha)]), "PNG"))
    np.testing.assert_array_equal(decoded.image.alpha, alpha)
    assert (decoded.image.pixels[:4] == 255).all()
    np.testing.assert_array_equal(decoded.image.pixels[4:, :, 2], grey[4:])


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_alpha_is_kept_and_laid_on_the_background(file_format):
    alpha = np.full(scene().shape[:2], 255, dtype=np.uint8)
    alpha[:, :8], alpha[:, 8:16] = 0, 128
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 100} if file_format == "AVIF" else {}
    data = encoded(np.dstack([scene(), alpha]), file_format, **options)

    decoded = read(data, background="#204060")

    assert decoded.image.alpha is not None
    tolerance = 3 if file_format == "AVIF" else 0
    assert np.abs(decoded.image.alpha.astype(int) - alpha).max() <= tolerance
    assert np.abs(decoded.image.pixels[:, :8].astype(int) - (0x20, 0x40, 0x60)).max() <= tolerance
    half = scene()[:, 8:16] * (128 / 255) + np.array((0x20, 0x40, 0x60)) * (127 / 255)
    assert np.abs(decoded.image.pixels[:, 8:16] - half).max() <= 1 + 3 * tolerance


def test_alpha_without_a_transparent_pixel_is_dropped():
    assert read(encoded(PillowImage.fromarray(scene()).convert("RGBA"), "PNG")).image.alpha is None


def test_palette_with_one_transparent_entry():
    picture = PillowImage.new("P", (6, 4), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.paste(1, (0, 0, 3, 4))
    for file_format in ("PNG", "GIF"):
        decoded = read(encoded(picture, file_format, transparency=1), background="#000000")
        assert decoded.image.alpha is not None
        assert (decoded.image.alpha[:, :3] == 0).all()
        assert (decoded.image.alpha[:, 3:] == 255).all()
        assert tuple(decoded.image.pixels[0, 0]) == (0, 0, 0)
        assert tuple(decoded.image.pixels[0, 5]) == (255, 0, 0)


def test_palette_with_several_alphas():
    picture = PillowImage.new("P", (3, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.putdata([0, 1, 2])
    decoded = read(encoded(picture, "PNG", transparency=bytes((0, 100, 255))))
    assert decoded.image.alpha is not None
    assert decoded.image.alpha[0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("bits", "colour_type", "row", "key", "expected"),
    [
        (8, 0, bytes((7, 200)), (7,), [0, 255]),
        (4, 0, bytes((0x3F,)), (3,), [0, 255]),
        (2, 0, bytes((0b10_01_0000,)), (2,), [0, 255]),
        (1, 0, bytes((0b10_000000,)), (1,), [0, 255]),
        (16, 0, struct.pack(">2H", 300, 301), (300,), [0, 255]),
        (8, 2, bytes((1, 2, 3, 1, 2, 4)), (1, 2, 3), [0, 255]),
        (16, 2, struct.pack(">6H", 300, 600, 900, 30000, 600, 900), (300, 600, 900), [0, 255]),
    ],
)
def test_transparent_colour_of_a_png_at_every_depth(bits, colour_type, row, key, expected):
    chunk = png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    decoded = read(png(width=2, height=1, bits=bits, colour_type=colour_type, rows=[row], extra=chunk))
    assert decoded.image.alpha is not None
    assert decoded.image.alpha[0].tolist() == expected


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk(file_format):
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    data = encoded(cmyk_scene(), file_format, **options)
    assert file_format != "JPEG" or b"Adobe" in data
    assert np.abs(read(data).image.pixels.astype(int) - scene()).mean() < 2


def test_ycck():
    # libjpeg turns YCC into RGB and takes that as 1 - CMY; Adobe's CMY is upside down, so that RGB is the ink.
    ycc = np.asarray(PillowImage.fromarray(255 - scene()).convert("YCbCr"))
    stored = np.dstack([ycc, np.full(ycc.shape[:2], 255, dtype=np.uint8)])
    data = bytearray(encoded(PillowImage.frombytes("CMYK", (48, 32), (255 - stored).tobytes()), "JPEG", quality=100))
    marker = data.index(b"Adobe")
    assert data[marker + 11] == 0
    data[marker + 11] = 2
    assert np.abs(read(bytes(data)).image.pixels.astype(int) - scene()).mean() < 4


def test_ycbcr_tiff():
    data = encoded(PillowImage.fromarray(scene()).convert("YCbCr"), "TIFF")
    assert np.abs(read(data).image.pixels.astype(int) - scene()).mean() < 2


def test_animations_give_their_first_frame():
    frames = [PillowImage.fromarray(np.full((20, 30, 3), level, dtype=np.uint8)) for level in (10, 120, 240)]
    for file_format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        decoded = read(encoded(frames[0], file_format, save_all=True, append_images=frames[1:]))
        assert decoded.has_more_frames
        assert codes(decoded) == ["animated-first-frame"]
        assert np.abs(decoded.image.pixels.astype(int) - 10).max() <= 3


@pytest.mark.parametrize(("values", "top"), [([0, 100, 255], 255), ([0, 30000, 65535], 65535)])
def test_integer_tiff_of_32_bits(values, top):
    decoded = read(encoded(np.array([values], dtype=np.int32), "TIFF"))
    assert decoded.image.pixels[0, :, 0].tolist() == [round(value * 255 / top) for value in values]
    assert decoded.issues == ()


def test_multi_picture_jpeg_gives_its_main_picture():
    second = PillowImage.fromarray(255 - scene())
    data = encoded(PillowImage.fromarray(scene()), "MPO", save_all=True, append_images=[second], quality=95)
    decoded = read(data)
    assert decoded.format == "jpeg"
    assert np.abs(decoded.image.pixels.astype(int) - scene()).mean() < 4


def test_content_decides_and_a_wrong_extension_is_remarked(tmp_path):
    path = tmp_path / "really.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    decoded = read_file(path)
    assert decoded.format == "png"
    assert decoded.image.path == path
    assert codes(decoded) == ["wrong-extension"]


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.jfif", "a.jpe"])
def test_every_extension_of_a_format_is_right(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded(scene(), "JPEG"))
    assert read_file(path).issues == ()


def test_one_pixel_image():
    assert read(encoded(scene(1, 1), "PNG")).image.pixels.shape == (1, 1, 3)


def test_pillow_read_the_samples_as_meant():
    """The hand-made files of this module are valid for others too."""
    picture = PillowImage.open(io.BytesIO(png(width=2, height=1, bits=8, colour_type=0, rows=[bytes((1, 2))])))
    assert picture.mode == "L"
    assert picture.size == (2, 1)
