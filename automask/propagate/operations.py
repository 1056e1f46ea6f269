"""What was carried over from one image to others in one step, as the history of corrections tells it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from automask.store import MadeWith, Store

Mode = Literal["add", "remove"]
"""Whether the pixels are masked or trained on the other images."""
TOOL = "propagate"
"""Corrections are made with `propagate:MODE:OPERATION:SOURCE`, and taken back with `propagate-undo:OPERATION`."""
_OPERATION = re.compile("[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Operation:
    """What was carried over from one image to others in one step.

    Attributes:
        operation: Its id, for `undo`.
        mode: Whether the pixels were masked or trained.
        images: Number of contents that were corrected.
        author: Who.
        created_s: Seconds since the epoch.
        is_taken_back: Whether that was undone since.
    """

    operation: str
    mode: Mode
    images: int
    author: str
    created_s: float
    is_taken_back: bool


def new_operation() -> str:
    """An id for `propagation.apply`."""
    return secrets.token_hex(8)


def is_applied(store: Store, operation: str) -> bool:
    """Whether `propagation.apply` has kept an operation, be it taken back since or not."""
    return bool(made_by(store, operation))


def operations_from(store: Store, content_sha256: str) -> list[Operation]:
    """What was carried over from an image to others, newest first.

    Args:
        store: Where the images are.
        content_sha256: Hash of the image's file.
    """
    made: dict[str, list[MadeWith]] = {}
    for one in store.corrections_made_with(f"{TOOL}:*:*:{content_sha256}"):
        made.setdefault(one.tool.split(":")[2], []).append(one)
    found = [
        Operation(
            operation=operation,
            mode="add" if revisions[0].tool.split(":")[1] == "add" else "remove",
            images=len(revisions),
            author=revisions[0].author,
            created_s=revisions[0].created_s,
            is_taken_back=bool(store.corrections_made_with(f"{TOOL}-undo:{operation}")),
        )
        for operation, revisions in made.items()
    ]
    return sorted(found, key=lambda each: -each.created_s)


def made_by(store: Store, operation: str) -> list[MadeWith]:
    """The corrections of an operation; those of older versions do not name where the pixels are from."""
    if not _OPERATION.fullmatch(operation):
        return []
    return [one for end in ("", ":*") for one in store.corrections_made_with(f"{TOOL}:*:{operation}{end}")]
