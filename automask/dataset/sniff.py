"""What a file is, by its first bytes. The name of a file decides nothing."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from automask.dataset.names import reads_heif

HEAD_BYTES = 4096
"""As much of a file as `recognise` looks at."""


class Format(enum.StrEnum):
    """The formats that are decoded; HEIF where the package for it is installed."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    BMP = "bmp"
    GIF = "gif"
    TIFF = "tiff"
    HEIF = "heif"


SUFFIXES_OF = {
    Format.PNG: (".png",),
    Format.JPEG: (".jpg", ".jpeg", ".jpe", ".jfif"),
    Format.WEBP: (".webp",),
    Format.AVIF: (".avif",),
    Format.BMP: (".bmp",),
    Format.GIF: (".gif",),
    Format.TIFF: (".tif", ".tiff"),
    Format.HEIF: (".heic", ".heif", ".hif"),
}
"""The extensions that each format may carry, the usual one first."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Content that is none of the formats.

    Attributes:
        looks_like: What it is, with its article, for the message.
        advice: What to do about it.
        is_picture: Whether it is an image after all, in a format that is not decoded.
    """

    looks_like: str
    advice: str
    is_picture: bool = False


_CONVERT = "Convert it to PNG or JPEG."
_NOT_AN_IMAGE = "Remove it from the dataset or download the image again."


def _picture(looks_like: str) -> Unknown:
    return Unknown(looks_like, _CONVERT, is_picture=True)


HEIC = _picture("a HEIC image")
_RAW = _picture("a camera's raw image")
_SIGNATURES: tuple[tuple[bytes, Format | Unknown], ...] = (
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"BM", Format.BMP),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"\xff\x0a", _picture("a JPEG XL image")),
    (b"\0\0\0\x0cJXL ", _picture("a JPEG XL image")),
    (b"\0\0\0\x0cjP  ", _picture("a JPEG 2000 image")),
    (b"\xff\x4f\xff\x51", _picture("a JPEG 2000 image")),
    (b"II\xbc\x01", _picture("a JPEG XR image")),
    (b"8BPS", _picture("a Photoshop document")),
    (b"gimp xcf", _picture("a GIMP document")),
    (b"CSFCHUNK", _picture("a Clip Studio document")),
    (b"%!PS", Unknown("a PostScript document", _CONVERT)),
    (b"%PDF", Unknown("a PDF document", _CONVERT)),
    (b"\0\0\x01\0", _picture("an icon")),
    (b"\x76\x2f\x31\x01", _picture("an OpenEXR image")),
    (b"#?RADIANCE", _picture("a Radiance HDR image")),
    (b"DDS ", _picture("a DDS texture")),
    (b"qoif", _picture("a QOI image")),
    (b"farbfeld", _picture("a farbfeld image")),
    (b"BPG\xfb", _picture("a BPG image")),
    (b"SIMPLE  =", _picture("a FITS image")),
    (b"IIRO", _RAW),  # Olympus
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\0", _RAW),  # Panasonic
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),  # Sigma
    (b"\0MRM", _RAW),  # Minolta
    (b"PK\x03\x04", Unknown("a ZIP archive", _NOT_AN_IMAGE)),
    (b"\x1f\x8b", Unknown("a gzip archive", _NOT_AN_IMAGE)),
    (b"\x1aE\xdf\xa3", Unknown("a video", _NOT_AN_IMAGE)),
    (b"version https://git-lfs", Unknown("a Git LFS pointer instead of the image", "Run `git lfs pull`.")),
)
_ZIPPED = (
    (b"mimetypeapplication/x-krita", "a Krita document"),
    (b"mimetypeimage/openraster", "an OpenRaster document"),
)
"""By what a ZIP archive begins with, from its 31st byte on."""
_NETPBM = tuple(b"P" + digit + blank for digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"7") for blank in (b"\n", b" "))
_ISO_BRANDS: tuple[tuple[frozenset[bytes], Format | Unknown], ...] = (
    (frozenset((b"avif", b"avis")), Format.AVIF),
    (frozenset((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")), Format.HEIF),
    (frozenset((b"crx ",)), _RAW),  # Canon
)


def recognise(head: bytes) -> Format | Unknown:
    """The format of a file, or what is known of it.

    Args:
        head: Its first `HEAD_BYTES` bytes, fewer where the file is shorter.
    """
    for start, document in _ZIPPED:
        if head.startswith(b"PK\x03\x04") and head.startswith(start, 30):
            return _picture(document)
    if head[8:10] == b"CR" and head.startswith((b"II*\0", b"MM\0*")):
        return _RAW  # Canon's: a TIFF, of which only a preview would be decoded
    for signature, meaning in _SIGNATURES:
        if head.startswith(signature):
            return meaning
    if head.startswith(_NETPBM):
        return _picture("a Netpbm image")
    if head[:4] == b"RIFF":
        return Format.WEBP if head[8:12] == b"WEBP" else Unknown("a sound or a video", _NOT_AN_IMAGE)
    if head[4:8] == b"ftyp":
        return _recognise_iso(head)
    return _recognise_text(head)


def _recognise_iso(head: bytes) -> Format | Unknown:
    """Tell the formats of the ISO base media family apart by the brands of their first box."""
    box = head[8 : max(16, min(int.from_bytes(head[:4], "big"), len(head)))]
    brands = {box[:4]} | {box[at : at + 4] for at in range(8, len(box), 4)}
    for known, meaning in _ISO_BRANDS:
        if brands & known:
            return HEIC if meaning is Format.HEIF and not reads_heif() else meaning
    return Unknown("a video", _NOT_AN_IMAGE)


def _recognise_text(head: bytes) -> Unknown:
    if not head.strip(b"\0"):
        return Unknown("a run of zero bytes, as a crash or a full disk leaves behind", _NOT_AN_IMAGE)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Unknown("a web page", _NOT_AN_IMAGE)
    if b"<svg" in start:
        return _picture("an SVG drawing")
    if b"\0" not in head:
        try:
            head[:-4].decode("utf-8")  # the last character may have been cut by the length of the head
        except UnicodeDecodeError:
            pass
        else:
            return Unknown("a text file", _NOT_AN_IMAGE)
    return Unknown("a file of another kind", _NOT_AN_IMAGE)
