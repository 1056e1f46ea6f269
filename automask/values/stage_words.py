"""`NAME:REF`: a stage and the weights that it runs with, in one word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from automask.errors import ConfigError

SEPARATOR = ":"
WEIGHT_SUFFIXES = (".onnx", ".pt", ".pth", ".bin", ".safetensors")
"""What a reference that names a file by itself ends in."""

_PATH = re.compile(r"[./~\\]|[A-Za-z]:[/\\]")
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_WEIGHTS = "weights"
"""The option that a reference is a short way to set."""


def is_file_reference(reference: str) -> bool:
    """Whether a reference means a file or folder: it begins like a path, or ends in a weight suffix."""
    return _PATH.match(reference) is not None or reference.lower().endswith(WEIGHT_SUFFIXES)


def is_hub_id(reference: str) -> bool:
    """Whether a reference is written like the ORG/NAME of a hub."""
    return not is_file_reference(reference) and _HUB_ID.fullmatch(reference) is not None and ".." not in reference


def split_word(word: str) -> tuple[str, str | None]:
    """The name and the reference of a word; None where it has none.

    Raises:
        ConfigError: Nothing stands after the colon.
    """
    name, colon, reference = word.partition(SEPARATOR)
    if colon and not reference.strip():
        raise ConfigError(
            f"Nothing stands after the colon of {word!r}.",
            advice=f"Write {name}{SEPARATOR}REF, REF being a file, a name of `automask models list` or ORG/NAME.",
        )
    return name.strip(), reference.strip() if colon else None


def words_split(layer: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of a configuration with plain names of stages, and the references as the option `weights` of each.

    Args:
        layer: Raw values by key; those of another type than a configuration has are left for it to refuse.

    Raises:
        ConfigError: The layer names two sets of weights for one stage.
    """
    split = dict(layer)
    found: dict[str, str] = {}
    if isinstance(split.get("refiner"), str):
        split["refiner"] = _name(split["refiner"], found)
    if isinstance(split.get("detectors"), list | tuple):
        split["detectors"] = tuple(_name(word, found) if isinstance(word, str) else word for word in split["detectors"])
    options = split.get("options") or {}
    if not found or not isinstance(options, Mapping):
        return split
    split["options"] = dict(options)
    for name, reference in found.items():
        own = options.get(name, {})
        if not isinstance(own, Mapping):
            continue
        _check_same(name, own.get(_WEIGHTS, reference), reference)
        split["options"][name] = {**own, _WEIGHTS: reference}
    return split


def _name(word: str, found: dict[str, str]) -> str:
    """The name of a word, whose reference is noted."""
    name, reference = split_word(word)
    if reference is not None:
        _check_same(name, found.get(name, reference), reference)
        found[name] = reference
    return name


def _check_same(name: str, one: object, other: str) -> None:
    if one != other:
        raise ConfigError(
            f"{name} is asked for with two sets of weights, {one} and {other}.",
            advice=f"Name one, as {name}{SEPARATOR}REF or as options.{name}.{_WEIGHTS}.",
        )
