"""From the tables of a recipe file to dataclasses."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")

VAL_SEED_OFFSET = 1000


class RecipeError(Exception):
    """A recipe file names something that is not there, or lacks something."""


def table_to(kind: type[T], table: dict[str, Any]) -> T:
    """Dataclass from a TOML table; lists become tuples.

    Raises:
        RecipeError: a key that the dataclass does not have.
    """
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = set(table) - known
    if unknown:
        raise RecipeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
