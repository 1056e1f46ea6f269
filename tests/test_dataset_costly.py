"""Files that cost far more than they look: bounded before anything is decoded, for the command line as well."""

import time
import tracemalloc

import numpy as np
import pytest
from dataset_samples import codes, encoded, read, scene
from measuring.bombs import frame_bomb, marker_bomb, page_bomb, scan_bomb
from PIL import Image as PillowImage

from automask.config import DecodeConfig
from automask.dataset.decode import decode_bytes
from automask.dataset.jpeg import is_costly
from automask.dataset.pixels import _STRIP_PX
from automask.errors import ImageError


def cyclic_pages() -> bytes:
    """A TIFF whose second page says that the first one is the next."""
    data = bytearray(page_bomb(2))
    directory_bytes = 2 + 12 * 9 + 4
    at = 8 + 2 * directory_bytes - 4
    data[at : at + 4] = (8).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    "data", [page_bomb(32_000), cyclic_pages(), frame_bomb(300_000)], ids=["pages", "pages in a circle", "frames"]
)
def test_further_frames_are_not_counted(data):
    started = time.process_time()
    decoded = read(data)
    assert time.process_time() - started < 1
    assert decoded.has_more_frames
    assert codes(decoded) == ["animated-first-frame"]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "AVIF", "GIF"])
def test_long_animations_cost_their_first_frame(file_format):
    frames = [PillowImage.new("RGB", (4, 4), (i % 256, i // 256, 9)) for i in range(300)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    assert read(data).has_more_frames


@pytest.mark.parametrize("data", [scan_bomb(5_000), marker_bomb(500_000)], ids=["scans", "markers"])
def test_a_jpeg_of_too_many_pieces_is_refused_before_it_is_decoded(data):
    started = time.process_time()
    with pytest.raises(ImageError) as caught:
        read(data)
    assert caught.value.code == "image-too-costly"
    assert time.process_time() - started < 1


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"progressive": True, "restart_marker_blocks": 1}])
def test_a_jpeg_as_encoders_write_them_is_not_costly(options):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert not is_costly(encoded(noise, "JPEG", icc_profile=bytes(300_000), **options))


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\0", b"\xff\xd0", b"\0"])
def test_scans_are_counted_in_linear_time(filling):
    head = b"\xff\xd8\xff\xda\0\2"
    started = time.process_time()
    assert not is_costly(head + filling * (2_000_000 // len(filling)))
    assert time.process_time() - started < 1


def wide(kind: str, shape: tuple[int, int]) -> tuple[np.ndarray, str]:
    values = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    match kind:
        case "I;16":
            return (values * 65535).astype(np.uint16), "PNG"
        case "I":
            return (values * 40_000).astype(np.int32), "TIFF"
        case _:
            return values * 500 - 100, "TIFF"  # its own range is taken: known only when all was looked at


@pytest.mark.parametrize("kind", ["I;16", "I", "F"])
def test_wide_values_take_no_more_memory_than_the_picture(kind):
    values, file_format = wide(kind, (2400, 3 * _STRIP_PX // 1200))
    data = encoded(values, file_format)
    del values
    tracemalloc.start()
    decoded = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pixels = decoded.image.pixels
    # numpy's share: the answer, and a few strips of 4-byte values.
    assert peak < pixels.nbytes + len(data) + 8 * 4 * _STRIP_PX
    assert (np.diff(pixels[..., 0].astype(int), axis=1) >= 0).all(), "every strip has the same range"
    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == (round(40_000 / 65535 * 255) if kind == "I" else 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_strips_meet_without_a_seam(mode, monkeypatch):
    picture = PillowImage.fromarray(scene(97, 61)).convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(PillowImage.linear_gradient("L").resize((97, 61)))
    file_format = "TIFF" if mode == "CMYK" else "PNG"
    whole = read(encoded(picture, file_format))
    monkeypatch.setattr("automask.dataset.pixels._STRIP_PX", 97 * 7)
    strips = read(encoded(picture, file_format))
    assert np.array_equal(whole.image.pixels, strips.image.pixels)
    assert (
        whole.image.alpha is None
        if strips.image.alpha is None
        else np.array_equal(whole.image.alpha, strips.image.alpha)
    )


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("by", [2, 3, 4])
def test_reduced_by_a_whole_number(file_format, by, monkeypatch):
    monkeypatch.setattr("automask.dataset.pixels._STRIP_PX", 97 * 7)
    data = encoded(scene(97, 61), file_format)
    whole = decode_bytes(data, image_id="x", config=DecodeConfig())
    size_px = (-(-97 // by), -(-61 // by))
    decoded = decode_bytes(data, image_id="x", config=DecodeConfig(), most_px=size_px[0] * size_px[1])
    assert (decoded.reduced_by, decoded.size_px) == (by, (97, 61))
    assert decoded.image.pixels.shape == (size_px[1], size_px[0], 3)
    there = whole.image.pixels[by // 2 :: by, by // 2 :: by][:, : size_px[0]].astype(int)
    here = decoded.image.pixels[: there.shape[0], : there.shape[1]].astype(int)
    assert np.abs(here - there).mean() < 4
