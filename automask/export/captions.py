"""Captions that formats with a list put into it."""

from __future__ import annotations

from pathlib import Path

from automask.dataset.names import stem_of

_SUFFIXES = (".txt", ".caption")


def caption_of(image: Path) -> str:
    """The caption in a text file beside an image, or an empty string."""
    for suffix in _SUFFIXES:
        try:
            return image.with_name(stem_of(image.name) + suffix).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""
