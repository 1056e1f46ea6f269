"""What a loader script hands back: weights of cells, and the red of the picture that they belong to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


class Outcome:
    """Collects images and writes them to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays: dict[str, np.ndarray] = {}
        self._facts: dict[str, object] = {"names": [], "errors": {}, "notes": {}}

    def add(self, name: str, weight: object, red: object) -> None:
        """An image: (rows, columns) weight, and (H, W) red of 0..1 at training size."""
        number = len(self._facts["names"])
        self._facts["names"].append(name)
        self._arrays[f"weight{number}"] = np.asarray(weight, dtype=np.float32)
        self._arrays[f"red{number}"] = np.asarray(red, dtype=np.float32)

    def error(self, name: str, message: object) -> None:
        """An image that the trainer does not train with its mask."""
        self._facts["errors"][name] = str(message)[:300]

    def note(self, key: str, value: object) -> None:
        """Something else that was seen."""
        self._facts["notes"][key] = value

    def write(self) -> None:
        """Write all of it."""
        np.savez_compressed(self._path, facts=np.array(json.dumps(self._facts)), **self._arrays)


def read_outcome(path: Path) -> tuple[dict[str, object], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Facts, and weight and red by name."""
    with np.load(path) as file:
        facts = json.loads(str(file["facts"]))
        return facts, {
            name: (file[f"weight{number}"], file[f"red{number}"]) for number, name in enumerate(facts["names"])
        }


def arguments() -> tuple[Path, Path, Path, Outcome]:
    """Checkout, export and images from the command line, and where the outcome goes."""
    checkout, export, images, out = (Path(argument) for argument in sys.argv[1:5])
    return checkout, export, images, Outcome(out)
