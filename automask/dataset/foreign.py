"""Images that lie in a dataset and are not read: told by their content, and by their name where that says nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from automask.dataset.codes import Remark
from automask.dataset.names import HEIF_SUFFIXES, suffix_of
from automask.dataset.sniff import HEAD_BYTES, HEIC, Format, recognise
from automask.values.types import Issue

NAMES_KEPT = 10

_RAW_SUFFIXES = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf",
    ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))  # fmt: skip
_NAMED = {
    **dict.fromkeys(_RAW_SUFFIXES, "a camera's raw image"),
    **dict.fromkeys((".jxl",), "a JPEG XL image"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".j2c"), "a JPEG 2000 image"),
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), "a JPEG XR image"),
    **dict.fromkeys((".psd", ".psb"), "a Photoshop document"),
    **dict.fromkeys((".tga", ".targa", ".icb", ".vda"), "a Targa image"),
    **dict.fromkeys((".svg", ".svgz"), "an SVG drawing"),
    **dict.fromkeys(HEIF_SUFFIXES, "a HEIC image"),
    ".apng": "an animated PNG image",
    ".avifs": "an AVIF sequence",
    ".clip": "a Clip Studio document",
    ".exr": "an OpenEXR image",
    ".ico": "an icon",
    ".kra": "a Krita document",
    ".pcx": "a PCX image",
    ".sgi": "an SGI image",
    ".xcf": "a GIMP document",
    ".xpm": "an X pixmap",
}
"""What a name says, for content without a mark of its own (Targa) or that is damaged."""

_DATA_SUFFIXES = frozenset((
    ".txt", ".caption", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".md", ".html", ".log", ".toml", ".yaml", ".yml",
    ".ini", ".cfg", ".py", ".sh", ".bat", ".npy", ".npz", ".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".onnx",
    ".parquet", ".arrow", ".db", ".sqlite", ".zip", ".tar", ".gz", ".7z", ".rar", ".mp4", ".mkv", ".webm", ".mov",
    ".avi", ".mp3", ".wav", ".flac", ".pdf", ".exe", ".dll", ".lock", ".tmp", ".part", ".cache", ".mask",
))  # fmt: skip
"""Captions, caches and the like: a set of 100,000 images has as many, and none of them is opened."""


def unread_image(path: Path) -> str | None:
    """What an image is that is not taken as one by its name, such as `a HEIC image`; None for other files.

    Reads the first bytes, unless the name is that of a caption, a cache or an archive.
    """
    suffix = suffix_of(path.name)
    if suffix in _DATA_SUFFIXES:
        return None
    try:
        with path.open("rb") as stream:
            content = recognise(stream.read(HEAD_BYTES))
    except OSError:
        return _NAMED.get(suffix)
    if isinstance(content, Format):
        if suffix in _RAW_SUFFIXES:  # most are TIFF files, of which only a preview would be decoded
            return _NAMED[suffix]
        return f"{content.upper()} under a name that is not an image's"
    return content.looks_like if content.is_picture else _NAMED.get(suffix)


@dataclass(slots=True)
class UnreadImages:
    """Adds up the images of a dataset that are not read; memory does not grow with their number."""

    kinds: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)

    def add(self, name: str, looks_like: str) -> None:
        """Remember one image by its printable name."""
        self.kinds[looks_like] += 1
        if len(self.names) < NAMES_KEPT:
            self.names.append(name)

    @property
    def count(self) -> int:
        """How many there are."""
        return self.kinds.total()

    @property
    def sentence(self) -> str:
        """How many there are of each kind, and the names of the first ones."""
        kinds = ", ".join(f"{looks_like} ({count})" for looks_like, count in self.kinds.most_common())
        rest = f" and {self.count - len(self.names)} more" if self.count > len(self.names) else ""
        return f"{self.count} images are not read: {', '.join(self.names)}{rest}. They are {kinds}."

    @property
    def advice(self) -> str:
        """What to do about them."""
        if not self.kinds[HEIC.looks_like]:
            return "Convert them to PNG or JPEG, or give them the extension of their content."
        return "To read HEIC install the extra `heif`; convert the others to PNG or JPEG."

    def issue(self) -> Issue | None:
        """The notice for a run, or None without any."""
        if not self.count:
            return None
        return Issue(stage="walk", code=Remark.UNREAD_IMAGES.value, message=f"{self.sentence} {self.advice}")
