"""Of each network that ships, the tree holds the one state that its weights came from, in small."""

from __future__ import annotations

import collections
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automask.weights import read_catalogue

MODELS = Path(__file__).parents[1] / "models"
STATES = MODELS / "training" / "state"
CATALOGUE = read_catalogue(MODELS / "automask_models" / "weights.toml")
SHIPPED = sorted(name for name, spec in CATALOGUE.items() if not spec.can_be_pulled)


class Shapes(pickle.Unpickler):
    """Reads a state without torch: a tensor becomes its type and shape."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda storage, _offset, shape, *_: (storage, shape)
        assert module == "torch", (module, name)
        return name

    def persistent_load(self, pid: Any) -> Any:
        return pid[1]


def tensors(path: Path) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    with zipfile.ZipFile(path) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/data.pkl"))
        with archive.open(name) as file:
            state = Shapes(file).load()
    for part in ("module", "average"):
        for key, value in state[part].items():
            if isinstance(value, tuple):
                yield f"{part}.{key}", *value


def test_every_shipped_network_has_one_state_and_nothing_else_does():
    assert SHIPPED
    assert sorted(path.name for path in STATES.iterdir()) == [f"{name}.pt" for name in SHIPPED]


@pytest.mark.parametrize("name", SHIPPED)
def test_states_are_small(name: str):
    found = list(tensors(STATES / f"{name}.pt"))
    kernels = {key: storage for key, storage, shape in found if len(shape) > 1}
    assert kernels
    assert set(kernels.values()) == {"HalfStorage"}, [key for key, each in kernels.items() if each != "HalfStorage"]
