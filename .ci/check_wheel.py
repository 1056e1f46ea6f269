"""Compares a wheel with the tree it was built from: `python .ci/check_wheel.py WHEEL`. Exits 1 with what is wrong."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "automask": "",
    "models/automask_models": "models/",
    "models/automask_training": "models/",
    "api/automask_api": "api/",
}
"""Folders of the tree that go into the wheel, with the prefix that they lose there."""
STARTS = {
    "automask_training/recipes/ink.toml",
    "automask_training/recipes/sam.toml",
    "automask_training/recipes/watermark.toml",
    "automask_training/recipes/watermark-ultralytics.toml",
    "automask_training/recipes/state/automask-ink.pt",
    "automask_training/recipes/state/automask-sam-tiny.pt",
    "automask_training/recipes/state/automask-watermark.pt",
}
"""What `automask train` starts from, which lies in models/training of the tree."""


def tracked_files() -> set[str]:
    """Files of the packages under version control, by their name in the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    names = [name for name in listed.split("\0") if name and (ROOT / name).exists()]
    prefixes = [prefix for prefix in PACKAGES.values() if prefix]
    return {next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name) for name in names}


def problems_of(wheel: Path) -> Iterator[str]:
    """Everything that is wrong with a wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        metadata = message_from_string(archive.read(f"{info}/METADATA").decode())
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    expected = tracked_files() | STARTS
    yield from (f"missing: {name}" for name in sorted(expected - names))
    packaged = {name for name in names if not name.startswith(f"{info}/")}
    yield from (f"not in the tree: {name}" for name in sorted(packaged - expected))
    scripts = {path.name for path in (ROOT / "tests" / "measuring").glob("*.py")} - {"__init__.py"}
    yield from (f"only measures automask: {name}" for name in sorted(packaged) if name.rpartition("/")[2] in scripts)
    yield from (
        f"no py.typed for {name}" for name in {n.partition("/")[0] for n in packaged} if f"{name}/py.typed" not in names
    )
    if metadata["License-Expression"] != project["license"]:
        yield f"licence expression is {metadata['License-Expression']!r}"
    for licence in [ROOT / "LICENSE", *(ROOT / "LICENSES").iterdir()]:
        if f"{info}/licenses/{licence.relative_to(ROOT).as_posix()}" not in names:
            yield f"licence text is missing: {licence.name}"
    for licence in (ROOT / "LICENSES").iterdir():
        if licence.stem not in project["license"] and licence.stem not in NOT_IN_THE_WHEEL:
            yield f"{licence.stem} is not part of the licence expression"
    for group, entries in project["entry-points"].items():
        if f"[{group}]" not in entry_points:
            yield f"entry points are missing: {group} ({', '.join(entries)})"


NOT_IN_THE_WHEEL: frozenset[str] = frozenset({"OFL-1.1"})
"""Licences of files that only the tests use."""


def main() -> None:
    """Print problems, or nothing."""
    problems = list(problems_of(Path(sys.argv[1])))
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
