"""A file of a dataset that is taken as an image, before anything of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file that is taken as an image; nothing of it has been read yet.

    Attributes:
        id: Printable path relative to the root, with forward slashes. Unique in the dataset.
        path: Where the file is.
        size_bytes: Its size when it was listed; 0 for a listed file that does not exist.
        mtime_ns: Its modification time when it was listed; 0 for a listed file that does not exist.
        ctime_ns: Its change time when it was listed, which no program can set; the time of its creation on Windows; 0
            for a listed file that does not exist.
        mask_name: Relative path of its mask: `sub/a.png`, or `sub/a.jpg.png` where stems collide.
    """

    id: str
    path: Path
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    mask_name: str
