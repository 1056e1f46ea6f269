"""Which of the offered formats a client takes."""

from __future__ import annotations

from collections.abc import Sequence

from automask_api.errors import NotAcceptable


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered media type that an `Accept` header likes best, the first one where it likes several alike.

    Raises:
        NotAcceptable: It takes none of them.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best, best_quality = "", 0.0
    for media_type in offered:
        matching = [(_precision(pattern), quality) for pattern, quality in ranges if _matches(pattern, media_type)]
        quality = max(matching)[1] if matching else 0.0  # the most precise range decides
        if quality > best_quality:
            best, best_quality = media_type, quality
    if not best:
        raise NotAcceptable(
            f"There is no answer of type {accept!r}.", advice=f"Send one of these as Accept: {', '.join(offered)}."
        )
    return best


def _range(part: str) -> tuple[str, float]:
    pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return pattern, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return pattern, 0.0
    return pattern, 1.0


def _precision(pattern: str) -> int:
    return 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2


def _matches(pattern: str, media_type: str) -> bool:
    return pattern in ("*/*", media_type) or (pattern.endswith("/*") and media_type.startswith(pattern[:-1]))
