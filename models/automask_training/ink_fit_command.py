"""What the commands have in common that fit one model of `ink.confidence` on real pictures and on free ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from automask.files.atomic import write_atomic
from automask_models.ink.confidence import InkModel
from automask_models.ink.network import DEFAULT_WEIGHTS
from automask_models.text.evidence import LogisticModel

T = TypeVar("T")


def arguments_of(
    prog: str, description: str | None, *, what: str, per_source: int, free: int, odds: float
) -> argparse.ArgumentParser:
    """A parser with the arguments that all of them take.

    Args:
        prog: Name of the command.
        description: What it does.
        what: What the model judges, in the plural.
        per_source: How many pictures of a source, where nothing is said.
        free: The same of free pictures.
        odds: The same of the odds that one is unwanted.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST")
    parser.add_argument("--materials", type=Path, help="folder made by synth.materials")
    parser.add_argument("--out", type=Path, help=f"model file of which that of {what} is replaced")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or file of the ink network")
    parser.add_argument("--per-source", type=int, default=per_source)
    parser.add_argument("--free", type=int, default=free, help="free pictures as they are")
    parser.add_argument("--cache", type=Path, help="folder that keeps what is found in a picture")
    parser.add_argument("--report-only", action="append", default=[], metavar="SOURCE")
    parser.add_argument("--odds", type=float, default=odds, help=f"of unwanted {what}, before their features")
    parser.add_argument("--threads", type=int, default=0)
    return parser


def replace_model(path: Path, name: str, model: LogisticModel) -> None:
    """Put a model into a file of them, by the name that `InkModel` has for it."""
    models = InkModel.model_validate_json(path.read_text(encoding="utf-8")).model_copy(update={name: model})
    path.write_text(models.model_dump_json(indent=2) + "\n", encoding="utf-8")


def cached(cache: Path | None, key: str, values: TypeAdapter[T], find: Callable[[], T]) -> T:
    """What is found in a picture: from a folder that keeps it, or found now and put there.

    Args:
        cache: The folder, or None to keep nothing.
        key: Name of the find: a hash of all that it depends on.
        values: How it is written.
        find: Finds it.
    """
    path = None if cache is None else cache / f"{key}.json"
    if path is not None and path.exists():
        return values.validate_json(path.read_bytes())
    found = find()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, values.dump_json(found))
    return found
