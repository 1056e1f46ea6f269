"""What files say beside their pixels: orientation and colour profile."""

from __future__ import annotations

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from dataset_samples import cmyk_scene, codes, encoded, png, png_chunk, read, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageCms


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


ORIENTED_FORMATS = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 95},
}


def stored_as(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores so that the given orientation makes it upright again."""
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(undo[orientation](upright))


@pytest.mark.parametrize("file_format", ORIENTED_FORMATS)
@settings(deadline=None)
@given(
    orientation=st.integers(1, 8),
    width=st.integers(9, 40),
    height=st.integers(9, 40),
    has_alpha=st.booleans(),
)
def test_orientation_round_trip(file_format, orientation, width, height, has_alpha):
    upright = scene(width, height)
    if has_alpha and file_format != "JPEG":
        upright = np.dstack([upright, np.rint(255 - upright[..., 0] / 2).astype(np.uint8)])
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = encoded(stored_as(upright, orientation), file_format, exif=exif, **ORIENTED_FORMATS[file_format])

    decoded = read(data)

    assert decoded.orientation == orientation
    assert decoded.image.pixels.shape == (height, width, 3)
    if upright.shape[2] == 4:
        assert decoded.image.alpha is not None
        assert np.abs(decoded.image.alpha.astype(int) - upright[..., 3]).mean() < 4
    else:
        assert np.abs(decoded.image.pixels.astype(int) - upright).mean() < 4


@pytest.mark.parametrize("orientation", [5, 6])
def test_orientation_of_an_uncompressed_tiff(orientation):
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    decoded = read(encoded(stored_as(scene(), orientation), "TIFF", exif=exif))
    np.testing.assert_array_equal(decoded.image.pixels, scene())
    assert decoded.orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_impossible_orientations_mean_upright(orientation):
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    decoded = read(encoded(scene(), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded.image.pixels, scene())
    assert decoded.orientation == 1


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("block", [b"Exif\0\0II*\0\xff\xff\xff", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\x09"])
def test_damaged_exif_is_remarked_and_no_reason_to_fail(file_format, block):
    options = {"lossless": True} if file_format == "WEBP" else {}
    decoded = read(encoded(scene(), file_format, exif=block, **options))
    assert decoded.orientation == 1
    assert decoded.image.pixels.shape == scene().shape
    assert codes(decoded) == ["exif-ignored"]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_orientation_is_found_beside_a_damaged_tag(file_format):
    entries = struct.pack("<HHHIHH", 2, 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x010F, 2, 0xFFFFFF, 8)
    decoded = read(encoded(stored_as(scene(), 6), file_format, exif=b"Exif\0\0II*\0\x08\0\0\0" + entries))
    assert decoded.orientation == 6
    assert decoded.image.pixels.shape == scene().shape
    assert decoded.issues == ()


def test_orientation_from_texts_of_a_png():
    xmp = png_chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>')
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x06\0\0"
    profile = png_chunk(b"tEXt", f"Raw profile type exif\0\nexif\n{len(block):8}\n{block.hex()}\n".encode())
    for chunk in (xmp, profile):
        decoded = read(png(width=2, height=1, bits=8, colour_type=0, rows=[b"\1\2"], extra=chunk))
        assert decoded.orientation == 6
        assert decoded.image.pixels[..., 0].tolist() == [[1], [2]]


def test_orientation_of_a_jpeg_from_xmp():
    data = encoded(stored_as(scene(), 8), "JPEG", xmp=b"<rdf tiff:Orientation>8</rdf>", quality=95)
    assert read(data).orientation == 8


def swapped_rgb_profile() -> bytes:
    """An sRGB profile with the red and blue colorants exchanged: unmistakable when applied."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"tmpX", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmpX", b"bXYZ", 1)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_embedded_profiles_are_applied(file_format):
    red = np.zeros((16, 16, 3), dtype=np.uint8)
    red[..., 0] = 255
    options = {"lossless": True} if file_format == "WEBP" else {}
    decoded = read(encoded(red, file_format, icc_profile=swapped_rgb_profile(), **options))
    assert decoded.image.pixels[8, 8, 2] > 240
    assert decoded.image.pixels[8, 8, 0] < 20
    assert decoded.issues == ()


def test_srgb_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(read(encoded(scene(), "PNG", icc_profile=profile)).image.pixels, scene())


def test_profile_reaches_palette_grey_and_alpha():
    profile = swapped_rgb_profile()
    palette = PillowImage.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0])
    assert read(encoded(palette, "PNG", icc_profile=profile)).image.pixels[0, 0, 2] > 240

    grey = np.full((4, 4), 100, dtype=np.uint8)
    assert codes(read(encoded(grey, "PNG", icc_profile=profile))) == []

    clear_red = np.zeros((4, 4, 4), dtype=np.uint8)
    clear_red[..., 0], clear_red[..., 3] = 255, 255
    clear_red[0, 0, 3] = 0
    decoded = read(encoded(clear_red, "PNG", icc_profile=profile), background="#00ff00")
    assert tuple(decoded.image.pixels[0, 0]) == (0, 255, 0)
    assert decoded.image.pixels[1, 1, 2] > 240


@pytest.mark.parametrize("profile", [b"not a profile", b"\0" * 200, swapped_rgb_profile()[:300]])
def test_damaged_profiles_are_remarked_and_no_reason_to_fail(profile):
    decoded = read(encoded(scene(), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(decoded.image.pixels, scene())
    assert codes(decoded) == ["icc-ignored"]


def test_profile_of_other_pixels_is_ignored():
    decoded = read(encoded(cmyk_scene(), "JPEG", quality=100, icc_profile=swapped_rgb_profile()))
    assert codes(decoded) == ["icc-ignored"]
    assert np.abs(decoded.image.pixels.astype(int) - scene()).mean() < 4


def test_profile_transforms_may_be_shared_by_threads():
    data = encoded(scene(300, 200), "PNG", icc_profile=swapped_rgb_profile())
    expected = read(data).image.pixels
    with ThreadPoolExecutor(8) as pool:
        for decoded in pool.map(lambda _: read(data), range(64)):
            np.testing.assert_array_equal(decoded.image.pixels, expected)
