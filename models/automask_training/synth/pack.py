"""Takes so much of a folder of materials that it can travel: `python -m automask_training.synth.pack M OUT ...`.

Of each kind as large a share as a training uses it, of each source some, chosen by their names: the same materials and
size give the same pack. What drawing needs lies beside it as it did: the pack is a folder of materials itself.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from automask.errors import AutomaskError, InputError
from automask_training.starting import start
from automask_training.synth.index import Face, MaterialIndex, Picture

SHARES = {
    "marks": 0.04,
    "frames": 0.02,
    "logos": 0.1,
    "negatives": 0.14,
    "faces": 0.2,
    "backgrounds": 0.36,
    "sprites": 0.14,
}
"""Shares of the size, in order; what a kind leaves goes to those behind it. Every sample has a background and most have
lettering; artwork of marks is small, and there is never enough of it."""
_LARGEST_SHARE = 0.25
"""A file that takes more than this of the share of its kind stays behind: one font can be as large as hundreds."""


def pack(materials: Path, target: Path, *, most_bytes: int) -> dict[str, int]:
    """Copy what fits of a folder of materials, with its index.

    Args:
        materials: Folder made by `synth.materials`.
        target: Folder to make; must not be there.
        most_bytes: Of all files that the index names.

    Returns:
        How many entries each kind has in the pack.

    Raises:
        InputError: There are no materials, or the target exists.
    """
    index = MaterialIndex.read(materials)
    if target.exists():
        raise InputError(f"{target} is there already.", advice="Name a folder that is not.")
    kept: dict[str, tuple[Picture | Face, ...]] = {}
    over = 0.0
    for kind, share in SHARES.items():
        room = share * most_bytes + over
        largest = _LARGEST_SHARE * room
        taken: set[str] = set()
        listed: tuple[Picture | Face, ...] = getattr(index, kind)
        for file in _spread(listed):
            size = (materials / file).stat().st_size
            if size <= min(room, largest):
                room -= size
                taken.add(file)
        over = room
        kept[kind] = tuple(each for each in listed if each.file in taken)
    for entries in kept.values():
        for file in {each.file for each in entries}:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(materials / file, target / file)
    target.mkdir(parents=True, exist_ok=True)
    replace(index, **kept).write(target)  # type: ignore[arg-type]  # each kind has its own class
    return {kind: len(entries) for kind, entries in kept.items()}


def _spread(entries: Sequence[Picture | Face]) -> list[str]:
    """The files of some entries, one of each source in turn, within a source by a hash of their names."""
    sources: dict[str, list[str]] = {}
    for file, source in sorted({each.file: getattr(each, "source", "") for each in entries}.items()):
        sources.setdefault(source, []).append(file)
    columns = [sorted(files, key=lambda file: zlib.crc32(file.encode())) for files in sources.values()]
    return [file for row in zip_longest(*columns) for file in row if file is not None]


def main(arguments: list[str] | None = None) -> int:
    """Pack and say what it holds; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.synth.pack", description=__doc__)
    parser.add_argument("materials", type=Path)
    parser.add_argument("target", type=Path, metavar="OUT")
    parser.add_argument("--megabytes", type=float, required=True)
    given = parser.parse_args(arguments)
    try:
        counts = pack(given.materials, given.target, most_bytes=round(given.megabytes * 1e6))
    except AutomaskError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(", ".join(f"{count} {kind}" for kind, count in counts.items()) + "\n")
    return 0


if __name__ == "__main__":
    start(main)
