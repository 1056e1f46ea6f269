"""Pillow's decoders, each reached on its own, with their process-wide limits on pixels out of the way."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

from PIL import Image as PillowImage
from PIL import ImageFile as PillowImageFile
from PIL import TiffImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from automask.dataset.exif import UPRIGHT, valid_orientation
from automask.dataset.pixels import Layout
from automask.dataset.sniff import Format

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_ORIENTATION = 258, 262, 274
_PNG_METADATA = frozenset((b"tEXt", b"zTXt", b"iTXt", b"iCCP"))
_BITS_OF_PNG_RAWMODE = {"L;2": 2, "L;4": 4, "RGB;16B": 16, "I;16B": 16}


class _JpegFile(JpegImageFile):
    """The first picture of a JPEG, also of one with several pictures."""

    def _read_dpi_from_exif(self) -> None:
        """Leave EXIF alone: the base class reads all of it for a resolution that nobody wants, and warns on stderr."""


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF whose size has been checked by us."""

    def load_prepare(self) -> None:
        # The base class would warn and fail by PIL.Image.MAX_IMAGE_PIXELS here, unless there is a picture already.
        if self._im is None:
            self.im = PillowImage.new(self.mode, self._tile_size, None).im
        super().load_prepare()


def _open_heif(stream: io.BytesIO) -> PillowImageFile.ImageFile:
    """A HEIC image by the extra `heif`; like an AVIF it comes out upright, and without an orientation."""
    from pillow_heif import HeifImageFile

    picture: PillowImageFile.ImageFile = HeifImageFile(stream)
    return picture


_OPENERS: dict[Format, Callable[[io.BytesIO], PillowImageFile.ImageFile]] = {
    Format.PNG: PngImageFile,
    Format.JPEG: _JpegFile,
    Format.WEBP: WebPImageFile,
    Format.AVIF: AvifImageFile,
    Format.BMP: BmpImageFile,
    Format.GIF: GifImageFile,
    Format.TIFF: _TiffFile,
    Format.HEIF: _open_heif,
}


def open_header(data: bytes, content: Format) -> PillowImageFile.ImageFile:
    """Open a picture without decoding it: its size and layout are known afterwards.

    Raises:
        Exception: Of many types; Pillow has no common one for damaged files.
    """
    return _OPENERS[content](io.BytesIO(data))


def draft(source: PillowImageFile.ImageFile, reduce_by: int) -> int:
    """Have a JPEG decoded at a fraction of its size, where that is a step towards a reduction.

    Args:
        source: Opened and not loaded.
        reduce_by: The reduction that is wanted.

    Returns:
        By how much the picture will be smaller than its file says: 1, or a divisor of `reduce_by`.
    """
    by = math.gcd(reduce_by, 8)
    if by == 1 or not isinstance(source, JpegImageFile):
        return 1
    width_px, height_px = source.size
    if min(width_px, height_px) < by:
        return 1
    source.draft(source.mode, (width_px // by, height_px // by))
    return by if source.size == (-(-width_px // by), -(-height_px // by)) else 1


def layout_of(source: PillowImageFile.ImageFile) -> Layout:
    """What the file says about its values. To be asked before the picture is loaded."""
    if isinstance(source, TiffImagePlugin.TiffImageFile):
        bits = source.tag_v2.get(_TIFF_BITS, (8,))
        return Layout(
            bits=int(bits[0] if isinstance(bits, tuple) else bits),
            is_white_zero=source.tag_v2.get(_TIFF_PHOTOMETRIC) == 0,
        )
    if isinstance(source, PngImageFile) and source.tile:
        return Layout(bits=_BITS_OF_PNG_RAWMODE.get(str(source.tile[0][3]), 8))
    return Layout()


def tiff_orientation_of(source: PillowImageFile.ImageFile) -> int | None:
    """The orientation tag of a TIFF, or None for other formats.

    Pillow turns a TIFF upright while loading it and forgets the tag; in all other formats it leaves both alone.
    """
    if not isinstance(source, TiffImagePlugin.TiffImageFile):
        return None
    return valid_orientation(source.tag_v2.get(_TIFF_ORIENTATION)) or UPRIGHT


def png_without_metadata(data: bytes) -> bytes:
    """A PNG without its texts and its colour profile, for files where one is larger than Pillow puts up with."""
    kept = [data[:8]]
    at = 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _PNG_METADATA:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def webp_size_px(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP, (0, 0) where its header is of no known kind: opening one allocates its canvas."""
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8 ":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case _:
            return 0, 0


def gif_size_px(data: bytes) -> tuple[int, int]:
    """Width and height that Pillow will allocate for the first frame, which may reach over the canvas.

    Pillow checks that only after it has widened the picture, and by its own limit.
    """
    width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at : at + 1] == b"!":  # extensions before the first frame
        at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    if data[at : at + 1] == b",":
        left, top, across, down = (int.from_bytes(data[at + 1 + 2 * i : at + 3 + 2 * i], "little") for i in range(4))
        width, height = max(width, left + across), max(height, top + down)
    return width, height
