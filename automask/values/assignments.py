"""`NAME=VALUE` as flags and fields of requests give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from automask.errors import ConfigError


def policy_flags(
    *, policies: Sequence[str] | None, weights: Sequence[str] | None, accepts: Sequence[str] | None
) -> dict[str, dict[str, Any]]:
    """The `policy` section for repeated `KIND=VALUE` flags.

    Raises:
        ConfigError: A flag has no `=`, or a side of it is empty. What the sides say is the configuration's to check.
    """
    section: dict[str, dict[str, Any]] = {}
    for flag, key, pairs in (
        ("--policy", "action", policies),
        ("--weight", "weight", weights),
        ("--accept", "accept", accepts),
    ):
        for pair in pairs or ():
            kind, value = split_pair(pair, flag=flag, example="text=keep" if flag == "--policy" else "text=0.3")
            section.setdefault(kind, {})[key] = value
    return {"policy": section} if section else {}


def split_pair(pair: str, *, flag: str, example: str) -> tuple[str, str]:
    """Both sides of one `NAME=VALUE`.

    Raises:
        ConfigError: There is no `=`, or a side is empty.
    """
    left, equals, right = pair.partition("=")
    if not equals or not left.strip() or not right.strip():
        raise ConfigError(f"{flag} {pair}: expected NAME=VALUE.", advice=f"Write e.g. {flag} {example}.")
    return left.strip(), right.strip()
