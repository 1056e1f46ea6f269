"""Lists of tags, as boorus and taggers write them: `1girl, (speech_bubble:1.2), [text, logo], artist_name`."""

from __future__ import annotations

import re
from collections.abc import Callable

_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_WEIGHT = re.compile(r"\s*:\s*-?\d*\.?\d+\s*$")


def without_tags(text: str, is_unwanted: Callable[[str], bool], rest: Callable[[str], str]) -> str:
    """Remove tags from a comma-separated list; the others keep their spelling, weights and order.

    Args:
        text: The list.
        is_unwanted: Whether a tag, without brackets and weight, goes.
        rest: What is left of a tag that stays; for entries that are phrases. May return nothing.
    """
    parts = split_tags(text)
    cleaned = [_cleaned(part.strip(), is_unwanted, rest) for part in parts]
    if cleaned == [part.strip() for part in parts]:
        return text
    separator = ", " if ", " in text or "," not in text else ","
    return separator.join(part for part in cleaned if part)


def split_tags(text: str) -> list[str]:
    """Split at the commas outside of brackets; at all commas where brackets do not pair up."""
    parts, start, closing = [], 0, []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char in _PAIRS:
            closing.append(_PAIRS[char])
        elif char in _PAIRS.values():
            if not closing or closing.pop() != char:
                return text.split(",")
        elif char == "," and not closing:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return text.split(",") if closing else [*parts, text[start:]]


def _cleaned(part: str, is_unwanted: Callable[[str], bool], rest: Callable[[str], str]) -> str:
    if is_unwanted(part):
        return ""
    opening = part[:1]
    if opening in ("(", "[", "{") and part.endswith(_PAIRS[opening]) and len(split_tags(part)) == 1:
        inside = part[1:-1]
        weight = _WEIGHT.search(inside)
        tail = weight[0] if weight is not None else ""
        core = inside[: len(inside) - len(tail)]
        cleaned = without_tags(core, is_unwanted, rest)
        if cleaned == core:
            return part
        return f"{opening}{cleaned}{tail}{_PAIRS[opening]}" if cleaned.strip() else ""
    weight = _WEIGHT.search(part)
    if weight is not None and is_unwanted(part[: weight.start()]):
        return ""
    return rest(part)
