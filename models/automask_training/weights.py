"""The networks that fits and searches run."""

from __future__ import annotations

from automask.errors import InputError
from automask.protocols import WeightFile
from automask.weights import WeightLibrary


def named_weights(name: str) -> WeightFile:
    """Weights by catalogue name or file.

    Raises:
        InputError: There are none.
    """
    found = WeightLibrary.discover().find(name)
    if found is None:
        raise InputError(f"There are no weights {name}.", advice="Give the .onnx file with --weights.")
    return found
