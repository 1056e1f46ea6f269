"""Values as TOML, YAML and JSON write them."""

from __future__ import annotations

import json
from pathlib import Path


def toml_string(text: str) -> str:
    """A basic TOML string."""
    return json.dumps(text, ensure_ascii=False)


def yaml_string(text: str) -> str:
    """A double-quoted YAML string; JSON strings are a subset of those."""
    return json.dumps(text, ensure_ascii=False)


def json_text(value: object) -> str:
    """JSON for people, closed by a line break."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def json_line(value: object) -> str:
    """One line of JSON Lines."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def joined(folder: Path, name: str) -> str:
    """A path of a folder and a relative name, `.` being the folder itself."""
    return str(folder) if name == "." else str(folder / name)
