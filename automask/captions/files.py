"""Caption files: .txt and .caption, .json beside an image, metadata.jsonl for a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

TEXT_SUFFIXES = (".txt", ".caption")
JSON_SUFFIX = ".json"
LIST_NAME = "metadata.jsonl"

CAPTION_KEYS = ("caption", "captions", "text", "prompt", "tags", "tag_string", "tag_string_general", "tag_string_meta")
"""Keys of JSON objects under which captions stand, as one string, a list of strings, or tags with their scores."""

_NAME_KEYS = ("file_name", "image", "image_path", "path")

Clean = Callable[[str], str]


def clean_text_file(data: bytes, clean: Clean) -> bytes:
    """A .txt or .caption file; line ends and a byte order mark stay.

    Raises:
        ValueError: It is not UTF-8.
    """
    text = data.decode("utf-8")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    newline = "\r\n" if "\r\n" in text else "\n"
    cleaned = clean(text.removeprefix(mark).replace("\r\n", "\n"))
    return (mark + cleaned.replace("\n", newline)).encode("utf-8")


def clean_json_file(data: bytes, clean: Clean) -> bytes:
    """A .json file about one image: captions under `CAPTION_KEYS`, at any depth. Unchanged ones keep their bytes.

    Raises:
        ValueError: It is not JSON in UTF-8.
    """
    content = json.loads(data.decode("utf-8-sig"))
    cleaned = _clean_value(content, clean)
    if cleaned == content:
        return data
    indent = 2 if b"\n" in data.strip() else None
    return (json.dumps(cleaned, ensure_ascii=False, indent=indent) + ("\n" if data.endswith(b"\n") else "")).encode()


def clean_list_file(data: bytes, cleaners: Callable[[str], Clean | None]) -> bytes:
    """A metadata.jsonl: one object a line; lines of images without a cleaner keep their bytes.

    Args:
        data: The file.
        cleaners: From the name in a line to what cleans its captions, or None.

    Raises:
        ValueError: A line is not JSON; the message has its number.
    """
    lines = data.decode("utf-8-sig").split("\n")
    out = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            out.append(line)
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        clean = cleaners(_name_of(row)) if isinstance(row, dict) else None
        cleaned = _clean_value(row, clean) if clean is not None else row
        ending = "\r" if line.endswith("\r") else ""
        out.append(line if cleaned == row else json.dumps(cleaned, ensure_ascii=False) + ending)
    return "\n".join(out).encode() if out != lines else data


def _name_of(row: Mapping[str, Any]) -> str:
    return next((str(row[key]) for key in _NAME_KEYS if row.get(key)), "")


def _clean_value(value: Any, clean: Clean) -> Any:  # noqa: ANN401 - whatever JSON can say
    if isinstance(value, dict):
        return {key: _clean_captions(item, clean) if key in CAPTION_KEYS else _clean_value(item, clean)
                for key, item in value.items()}  # fmt: skip
    return [_clean_value(item, clean) for item in value] if isinstance(value, list) else value


def _clean_captions(value: Any, clean: Clean) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        pairs = [(item, _clean_captions(item, clean)) for item in value]
        return [new for old, new in pairs if new or not old]
    if isinstance(value, dict):  # tags with scores: {"watermark": 0.9}
        if all(isinstance(item, (int, float)) for item in value.values()):
            return {tag: score for tag, score in value.items() if clean(tag) == tag}
        return _clean_value(value, clean)
    return value
