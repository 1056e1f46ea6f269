"""Values out of strangers' files: what is not as it should be is a ValueError that says so, never a crash."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automask.errors import InputError

Point = tuple[float, float]

_SHOWN_CHARACTERS = 40


def json_of(path: Path) -> Any:  # noqa: ANN401 - whatever JSON can say
    """The content of a JSON file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error


def json_export(path: Path) -> Any:  # noqa: ANN401 - whatever JSON can say
    """The content of a JSON file that is the whole import.

    Raises:
        InputError: It cannot be read or is not JSON.
    """
    try:
        return json_of(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.", advice="Check the path.") from error
    except ValueError as error:
        raise InputError(f"Cannot read {path}: {error}.", advice="Export it again.") from error


def wrong_format(path: Path, format_: str, reason: str) -> InputError:
    """The error for a file of another format."""
    return InputError(f"{path} is no {format_} export: {reason}.", advice="Choose another --format.")


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {shown(value)}, not an object")
    return value


def sequence(value: object, what: str) -> Sequence[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise ValueError(f"{what} is {shown(value)}, not a list")
    return value


def number(value: object, what: str) -> float:
    """A finite number, of JSON or in a text of XML."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{what} is {shown(value)}, not a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{what} is {shown(value)}, not a finite number")
    return found


def whole(value: object, what: str) -> int:
    """A whole number."""
    found = number(value, what)
    if found != int(found):
        raise ValueError(f"{what} is {shown(value)}, not a whole number")
    return int(found)


def positive(value: object, what: str) -> float:
    """A number above 0."""
    found = number(value, what)
    if found <= 0:
        raise ValueError(f"{what} is {shown(value)}, not above 0")
    return found


def points(value: object, what: str) -> list[Point]:
    """A list of pairs of numbers."""
    found = []
    for one in sequence(value, f"the points of {what}"):
        pair = sequence(one, f"a point of {what}")
        if len(pair) != 2:
            raise ValueError(f"a point of {what} is {shown(pair)}, not x and y")
        found.append((number(pair[0], f"x of {what}"), number(pair[1], f"y of {what}")))
    return found


def size_of(height: object, width: object) -> tuple[int, int] | None:
    """(height, width) of the picture that was annotated, or None where an entry does not say.

    Raises:
        ValueError: It says nonsense.
    """
    if height is None and width is None:
        return None
    size = whole(height, "the height"), whole(width, "the width")
    if min(size) < 1:
        raise ValueError(f"a picture of {size[1]} x {size[0]} px has no pixel")
    return size


def shown(value: object) -> str:
    """A value as part of a message, cut short."""
    kinds = {type(None): "nothing", dict: "an object", list: "a list"}
    if type(value) in kinds and value not in ([], {}):
        return kinds[type(value)]
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # numbers of thousands of digits, deep lists
        return f"some {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def printable(text: str) -> str:
    """A text out of somebody's file, as it may be shown: no control characters, no halves of characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
