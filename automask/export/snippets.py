"""Values as TOML, YAML and JSON write them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from automask.errors import InputError

_NO_CHARACTER = re.compile("[\ud800-\udfff]")


def toml_string(text: str) -> str:
    """A basic TOML string.

    Raises:
        InputError: The text cannot be written: it is a path whose bytes are not UTF-8.
    """
    return _quoted(text)


def yaml_string(text: str) -> str:
    """A double-quoted YAML string, which escapes as TOML does; raises as `toml_string` does."""
    return _quoted(text)


def json_text(value: object) -> str:
    """JSON for people, closed by a line break."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def json_line(value: object) -> str:
    """One line of JSON Lines, also for readers that take U+2028 and the like for the end of one."""
    return unbroken(json.dumps(value, ensure_ascii=False)) + "\n"


def unbroken(json_text: str) -> str:
    """JSON of one line that every reader takes for one: characters that are not printable become escapes."""
    if json_text.isprintable():
        return json_text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in json_text)


def _quoted(text: str) -> str:
    """Between double quotes; what is no printable character as an escape that JSON, TOML and YAML read alike.

    JSON itself would leave DEL, the C1 controls and line separators as they are, which TOML and YAML forbid or fold.
    """
    if _NO_CHARACTER.search(text):
        shown = text.encode("utf-8", "replace").decode()
        raise InputError(
            f"The path {shown!r} is not UTF-8, which a configuration file cannot hold.",
            advice="Rename that folder.",
            code="export-name-unwritable",
        )
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def joined(folder: Path, name: str) -> str:
    """A path of a folder and a relative name, `.` being the folder itself."""
    return str(folder) if name == "." else str(folder / name)
