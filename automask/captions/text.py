"""One caption, whether it is tags, sentences, or tags with sentences behind them."""

from __future__ import annotations

import re

from automask.captions.sentences import without_phrases
from automask.captions.tags import split_tags, without_tags
from automask.captions.words import Words

_ENDS_SENTENCE = re.compile(r"\w{3,}[\"'\u201d\u2019)]?[.!?](?:\s|$)")
_TAG_WORDS = 3.5
_PHRASE_WORDS = 3


def clean_caption(caption: str, words: Words) -> str:
    """Remove the tags and phrases that describe masked things.

    Args:
        caption: Any number of lines.
        words: What to look for.

    Returns:
        The caption; what is not about masked things is untouched, to the character.
    """
    lines = caption.split("\n")
    cleaned = [_line(line, words) for line in lines]
    if cleaned == lines:
        return caption
    return "\n".join(new for old, new in zip(lines, cleaned, strict=True) if new.strip() or not old.strip())


def _line(line: str, words: Words) -> str:
    if not line.strip():
        return line
    if is_tag_list(line):
        return without_tags(line, words.removes_tag, lambda part: _phrase(part, words))
    if len(line.split()) <= _PHRASE_WORDS and words.removes_tag(line.strip(" .")):
        return ""
    head, sentences = _tags_before_sentences(line)
    if head:
        kept = without_tags(head, words.removes_tag, lambda part: part)
        rest = without_phrases(sentences, words)
        if kept == head and rest == sentences:
            return line
        return ", ".join(part for part in (kept.strip(), rest) if part)
    return without_phrases(line, words)


def is_tag_list(line: str) -> bool:
    """Whether a line is a list of tags: short entries between commas, and no sentence in it."""
    parts = [part for part in split_tags(line) if part.strip()]
    if not parts or _ENDS_SENTENCE.search(line):
        return False
    mean = sum(len(part.split()) for part in parts) / len(parts)
    return (len(parts) >= 2 and mean <= _TAG_WORDS) or ("_" in line and " " not in line.strip())


def _phrase(part: str, words: Words) -> str:
    """What is left of an entry that is perhaps a phrase: `red car with text` -> `red car`."""
    return without_phrases(part, words) if len(part.split()) >= _PHRASE_WORDS else part


def _tags_before_sentences(line: str) -> tuple[str, str]:
    """Split `1girl, solo, A girl stands.` in front of the sentence; no tags where there are fewer than two."""
    parts = split_tags(line)
    count = 0
    for part in parts:
        entry = part.strip()
        if len(entry.split()) > _PHRASE_WORDS or _ENDS_SENTENCE.search(part) or (count and entry[:1].isupper()):
            break
        count += 1
    if count < 2 or count == len(parts) or parts[0].strip()[:1].isupper():
        return "", line
    return ",".join(parts[:count]), ",".join(parts[count:]).lstrip()
