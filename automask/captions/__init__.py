"""Captions without what the masks hide. Opt-in, never in place."""

from __future__ import annotations

from automask.captions.text import clean_caption
from automask.captions.words import WordLists, load_words

__all__ = ["WordLists", "clean_caption", "load_words"]
