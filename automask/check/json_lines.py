"""JSON with line numbers; the standard library does not tell them."""

from __future__ import annotations

import json
import re
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_ATOM = re.compile(r"[^\s,\[\]{}:\"]+")


def parse_json(text: str) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """Parse JSON.

    Returns:
        The value, and the line of every key and every item by its path.

    Raises:
        ValueError: It is not JSON; the message has the line.
    """
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[tuple[str | int, ...], int] = {}

    def document(self) -> tuple[Any, dict[tuple[str | int, ...], int]]:
        value = self._value(())
        if self._peek():
            raise self._wrong("something follows the end")
        return value, self._lines

    def _value(self, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - whatever JSON can say
        opening = self._peek()
        if opening == "{":
            return self._mapping(path)
        if opening == "[":
            return self._list(path)
        if opening == '"':
            return self._string()
        match = _ATOM.match(self._text, self._at)
        if match is None:
            raise self._wrong("a value is missing")
        try:
            value = json.loads(match[0])
        except ValueError as error:
            raise self._wrong(f"{match[0]!r} is no value") from error
        self._at = match.end()
        return value

    def _mapping(self, path: tuple[str | int, ...]) -> dict[str, Any]:
        self._at += 1
        out: dict[str, Any] = {}
        while self._peek() != "}":
            if out:
                self._take(",")
            if self._peek() != '"':
                raise self._wrong("a key in double quotes is missing")
            line = self._line()
            key = self._string()
            self._lines[(*path, key)] = line
            self._take(":")
            out[key] = self._value((*path, key))
        self._at += 1
        return out

    def _list(self, path: tuple[str | int, ...]) -> list[Any]:
        self._at += 1
        out: list[Any] = []
        while self._peek() != "]":
            if out:
                self._take(",")
                self._peek()
            where = (*path, len(out))
            self._lines[where] = self._line()
            out.append(self._value(where))
        self._at += 1
        return out

    def _string(self) -> str:
        try:
            text, self._at = _DECODER.raw_decode(self._text, self._at)
        except ValueError as error:
            raise self._wrong("a string does not end or has a wrong escape") from error
        return str(text)

    def _take(self, mark: str) -> None:
        if self._peek() != mark:
            raise self._wrong(f"{mark!r} is missing")
        self._at += 1

    def _peek(self) -> str:
        """The next character that is not white space, or nothing at the end."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match is not None else self._at
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"line {self._line()}: {what}")
