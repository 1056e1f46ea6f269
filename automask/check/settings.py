"""Configuration files of trainers: TOML, YAML and JSON, every value with the line that it stands on."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automask.check.json_lines import parse_json
from automask.errors import ConfigError

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place.

    Attributes:
        line: Where its key (or, in a list, the value itself) stands, from 1.
        scalar: The value, where it is neither a mapping nor a list.
        mapping: Its entries, where it is a mapping.
        items: Its items, where it is a list.
    """

    line: int
    scalar: Scalar = None
    mapping: dict[str, Node] = field(default_factory=dict)
    items: tuple[Node, ...] = ()

    def get(self, *path: str) -> Node | None:
        """The entry at a path of keys, or None."""
        node: Node | None = self
        for key in path:
            node = node.mapping.get(key) if node is not None else None
        return node

    def list_at(self, *path: str) -> tuple[Node, ...]:
        """The items of the list at a path; nothing where there is none."""
        node = self.get(*path)
        return node.items if node is not None else ()

    def text(self, key: str) -> str | None:
        """The string of an entry, or None."""
        node = self.get(key)
        return node.scalar if node is not None and isinstance(node.scalar, str) else None

    def find(self, key: str) -> Iterator[Node]:
        """Every entry of that key, at any depth, in order."""
        for name, node in self.mapping.items():
            if name == key:
                yield node
            yield from node.find(key)
        for item in self.items:
            yield from item.find(key)


@dataclass(frozen=True, slots=True)
class Document:
    """One configuration file.

    Attributes:
        path: Where it is.
        root: Its content.
    """

    path: Path
    root: Node

    def resolve(self, text: str) -> Path:
        """A path in the file: as the trainer sees it from the working folder or, where that is not there, from here."""
        path = Path(text).expanduser()
        here = self.path.parent / path
        return here if not path.exists() and here.exists() else path


def read_document(path: Path) -> Document:
    """Read a configuration file; its ending says which language it is in.

    Raises:
        ConfigError: It cannot be read, is not what its ending says, or has another ending.
    """
    readers = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": parse_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{path} is neither TOML, YAML nor JSON.", advice="Give the trainer's own configuration.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        return Document(path, _node(*reader(text)))
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror}.", advice="Check the path given to --config."
        ) from error
    except ValueError as error:  # also UnicodeDecodeError and the parsers' own
        raise ConfigError(
            f"{path} is not valid {path.suffix[1:].upper()}: {error}.", advice="Correct that line."
        ) from error


Lines = dict[tuple[str | int, ...], int]
"""Line of every key and item that is known, by its path."""


def _node(value: Any, lines: Lines, path: tuple[str | int, ...] = (), line: int = 1) -> Node:  # noqa: ANN401
    line = lines.get(path, line)
    if isinstance(value, dict):
        return Node(
            line, mapping={str(key): _node(item, lines, (*path, str(key)), line) for key, item in value.items()}
        )
    if isinstance(value, list):
        return Node(line, items=tuple(_node(item, lines, (*path, at), line) for at, item in enumerate(value)))
    return Node(line, scalar=value if isinstance(value, (str, int, float, bool)) else None)


def _yaml(text: str) -> tuple[Any, Lines]:
    import yaml  # type: ignore[import-untyped]

    try:
        loader = yaml.SafeLoader(text)
        top = loader.get_single_node()
        if top is None:
            return {}, {}
        lines: Lines = {}

        def visit(node: yaml.Node, path: tuple[str | int, ...]) -> None:
            if isinstance(node, yaml.MappingNode):
                loader.flatten_mapping(node)  # `<<: *defaults`
                for key, value in node.value:
                    where = (*path, str(key.value))
                    lines[where] = key.start_mark.line + 1
                    visit(value, where)
            elif isinstance(node, yaml.SequenceNode):
                for at, item in enumerate(node.value):
                    lines[(*path, at)] = item.start_mark.line + 1
                    visit(item, (*path, at))

        visit(top, ())
        return loader.construct_document(top), lines
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark is not None else ""
        raise ValueError(f"{where}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


_TABLE = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def _toml(text: str) -> tuple[Any, Lines]:
    """Values by `tomllib`; lines by a look at headers and keys, which it does not tell.

    What stands inside of an inline table or array gets the line of its key.
    """
    value = tomllib.loads(text)
    lines: Lines = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _TABLE.match(line), _KEY.match(line)
        if header:
            path = _with_indices(_parts(header[2]), counts, is_array=header[1] == "[[")
            if _has(value, path):  # else it is a line of a nested array or of a long string
                table = path
                lines.setdefault(table, number)
        elif key:
            path = table
            for part in _parts(key[1]):
                path = (*path, part)
                if _has(value, path):
                    lines.setdefault(path, number)
    return value, lines


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _with_indices(
    parts: list[str], counts: dict[tuple[str | int, ...], int], *, is_array: bool
) -> tuple[str | int, ...]:
    """The path of a header, with the index of the newest item behind every array of tables on the way."""
    path: tuple[str | int, ...] = ()
    for at, part in enumerate(parts):
        path = (*path, part)
        if is_array and at == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _has(value: Any, path: tuple[str | int, ...]) -> bool:  # noqa: ANN401
    for part in path:
        is_there = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
        if not is_there:
            return False
        value = value[part]
    return True


def shown(value: Scalar) -> str:
    """A value as all three languages write it."""
    return json.dumps(value, ensure_ascii=False)
