"""One way to hash plain values: what fingerprints and keys are made of."""

from __future__ import annotations

import hashlib
import json


def digest(content: object, *, digits: int = 16) -> str:
    """Hash of plain JSON values, whatever the order of their keys.

    Args:
        content: What `json` can write.
        digits: Length of the answer, in hex digits.
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]
