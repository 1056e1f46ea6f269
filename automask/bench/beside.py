"""Two installations of automask on the same images, in alternating groups so that a slow minute hits both alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from automask import version
from automask.bench.folders import FolderFigures
from automask.bench.manifest import Manifest, ManifestEntry
from automask.bench.outcomes import ALL_SOURCES, Outcomes
from automask.bench.run import BenchRun, ImageFigures, machine, package_versions, scored_pairs
from automask.bench.tables import markdown_table
from automask.config import FrozenModel
from automask.errors import ConfigError, PluginError
from automask.mask.metrics import mean_of
from automask.version import __version__

HERE, BESIDE = "here", "beside"
Side = Literal["here", "beside"]

GROUP_IMAGES, LEAST_GROUPS = 16, 4
"""Most images in a group where they are run one at a time (a start of both programs costs some seconds), and how many
groups a few images make, so that both come first as often."""

_WHERE = "import automask, json; print(json.dumps([automask.__version__, automask.__file__]))"
_ERROR_CHARS = 2000


class Installation(FrozenModel):
    """An automask that can be run.

    Attributes:
        python: Its interpreter.
        version: Of automask.
        folder: The package.
    """

    python: str
    version: str
    folder: str


class GroupSpeed(FrozenModel):
    """Seconds of both for the same images, without loading models."""

    images: int
    here_s: float
    beside_s: float


class BesideRun(FrozenModel):
    """Figures of every image under the pipeline names `here` and `beside`, and of every group.

    Attributes:
        installations: By those names.
        bench: Figures of every image.
        folders: Figures of every folder, where sources were run as folders.
        groups: In the order in which they ran.
    """

    installations: dict[str, Installation]
    bench: BenchRun
    folders: tuple[FolderFigures, ...]
    groups: tuple[GroupSpeed, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """What one installation made of some images."""

    images: list[ImageFigures]
    folders: list[FolderFigures]
    load_s: float
    peak_memory_mb: float

    @property
    def seconds(self) -> float:
        """Of the run over a folder, or of all images one at a time."""
        if self.folders:
            return sum(folder.run_s for folder in self.folders)
        return sum(image.seconds["total"] for image in self.images)


def installation_of(python: Path) -> Installation:
    """The automask of an interpreter.

    Raises:
        ConfigError: There is no such program, or it has no automask.
    """
    try:
        done = subprocess.run(
            [str(python), "-P", "-c", _WHERE], capture_output=True, text=True, check=False, env=_environment(BESIDE)
        )
    except OSError as error:
        raise ConfigError(
            f"--beside {python} cannot be started: {error.strerror}.",
            advice="Give the interpreter of the other installation, such as OTHER/.venv/bin/python.",
        ) from error
    try:
        version, file = json.loads(done.stdout)
    except ValueError as error:
        raise ConfigError(
            f"--beside {python} has no automask that can be imported: {_last_line(done.stderr)}.",
            advice="Install it there, with Python 3.11 or newer.",
        ) from error
    return Installation(python=str(python), version=version, folder=str(Path(file).parent))


def run_beside(
    manifest: Manifest,
    python: Path,
    flags: Sequence[str],
    *,
    as_folders: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BesideRun:
    """Run this installation and another one, each in a process of its own, group by group in turn.

    Args:
        manifest: Images with truth.
        python: Interpreter of the other installation.
        flags: Options of `automask bench` that both get.
        as_folders: Run every source as one folder; a group is a source then.
        progress: Called with (images done, images in all), an image counted for each installation.

    Raises:
        ConfigError: The other interpreter has no automask.
        PluginError: One of the two fails on a group.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    package = str(Path(version.__file__).parent)
    here = Installation(python=sys.executable, version=__version__, folder=package)
    installations: dict[Side, Installation] = {"here": here, "beside": installation_of(python)}
    flags = [*flags, *(["--as-folders"] if as_folders else [])]
    made: dict[Side, list[_Group]] = {"here": [], "beside": []}
    order: list[Side] = ["here", "beside"]
    groups = _groups(manifest, as_folders=as_folders)
    total, done = 2 * len(manifest.entries), 0
    for positions in groups:
        for side in order:
            entries = [manifest.entries[position] for position in positions]
            made[side].append(_run(side, installations[side], manifest.root, entries, flags))
            done += len(entries)
            progress(done, total)
        order.reverse()  # whoever comes second may find the files in memory: each of them does as often
    figures = {
        (side, position): image
        for side, results in made.items()
        for positions, result in zip(groups, results, strict=True)
        for position, image in zip(positions, result.images, strict=True)
    }
    return BesideRun(
        installations=dict(installations),
        bench=BenchRun(
            automask=here.version,
            started=started,
            machine=machine(),
            packages=package_versions(),
            load_seconds={side: sum(result.load_s for result in results) for side, results in made.items()},
            images=tuple(figures[side, position] for side in made for position in range(len(manifest.entries))),
            peak_memory_mb=max(result.peak_memory_mb for result in made["here"]),
        ),
        folders=tuple(folder for results in made.values() for result in results for folder in result.folders),
        groups=tuple(
            GroupSpeed(images=len(ours.images), here_s=ours.seconds, beside_s=theirs.seconds)
            for ours, theirs in zip(made["here"], made["beside"], strict=True)
        ),
    )


def beside_table(run: BesideRun, manifest: Manifest) -> str:
    """Per source and over all images, both figures as `here : beside (here / beside)`; seconds per image as well."""
    header = ["kind / source", "n", "fine", "leak", "waste", "s / image"]
    rows = []
    pairs = {side: scored_pairs(run.bench, side, manifest) for side in (HERE, BESIDE)}
    sources = sorted({f"{entry.kind}/{entry.source}" for entry, _ in pairs[HERE]})
    for source in [*sources, ALL_SOURCES]:
        mine = [
            [figures for entry, figures in of_side if source in (f"{entry.kind}/{entry.source}", ALL_SOURCES)]
            for of_side in pairs.values()
        ]
        rows.append(
            [
                source,
                str(len(mine[0])),
                _both(*(float(Outcomes.of(side).fine) for side in mine), digits=0),
                _both(*(mean_of([image.leak for image in side]) for side in mine)),
                _both(*(mean_of([image.waste for image in side]) for side in mine)),
                _both(*(_seconds_per_image(run, name, source, side) for name, side in zip(pairs, mine, strict=True))),
            ]
        )
    return markdown_table(header, rows)


def speed_line(run: BesideRun) -> str:
    """Both installations by version and place, and how their speeds compare group by group."""
    places = run.installations.items()
    where = "; ".join(f"{side} is automask {found.version} in {found.folder}" for side, found in places)
    ratios = [group.here_s / group.beside_s for group in run.groups if group.beside_s > 0]
    spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})" if ratios else "unknown"
    return f"{where}.\nseconds here / beside, median of {len(ratios)} alternating groups (lowest to highest): {spread}"


def _seconds_per_image(run: BesideRun, side: str, source: str, images: Sequence[ImageFigures]) -> float | None:
    folders = [each for each in run.folders if each.pipeline == side and source in (each.folder, ALL_SOURCES)]
    if folders:
        return sum(folder.run_s for folder in folders) / sum(folder.images for folder in folders)
    return mean_of([image.seconds["total"] for image in images])


def _both(here: float | None, beside: float | None, *, digits: int = 4) -> str:
    shown = " : ".join("-" if figure is None else f"{figure:.{digits}f}" for figure in (here, beside))
    return f"{shown} ({here / beside:.2f})" if here is not None and beside else shown


def _groups(manifest: Manifest, *, as_folders: bool) -> list[list[int]]:
    positions = list(range(len(manifest.entries)))
    if not as_folders:
        size = min(GROUP_IMAGES, -(-len(positions) // LEAST_GROUPS))
        return [positions[at : at + size] for at in range(0, len(positions), size)]
    by_source: dict[str, list[int]] = {}
    for position, entry in enumerate(manifest.entries):
        by_source.setdefault(f"{entry.kind}/{entry.source}", []).append(position)
    return list(by_source.values())


def _run(
    side: Side, installation: Installation, root: Path, entries: Sequence[ManifestEntry], flags: Sequence[str]
) -> _Group:
    with tempfile.TemporaryDirectory(prefix="automask-bench-") as scratch:
        listed, saved = Path(scratch) / "manifest.json", Path(scratch) / "figures.json"
        listed.write_text(json.dumps([_absolute(entry, root) for entry in entries]), encoding="utf-8")
        command = [installation.python, "-P", "-m", "automask", "bench", str(listed), "--quiet", "--save", str(saved)]
        done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False, env=_environment(side))
        try:
            if done.returncode:
                raise ValueError(f"exit code {done.returncode}")
            return _group_of(side, json.loads(saved.read_text(encoding="utf-8")), entries)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PluginError(
                f"automask {installation.version} in {installation.folder} failed on {entries[0].image} and the images "
                f"after it ({error}): {done.stderr.strip()[-_ERROR_CHARS:]}",
                advice="Both get the same options and AUTOMASK_* variables: an older version may not know all of them.",
            ) from error


def _group_of(side: Side, content: Mapping[str, Any], entries: Sequence[ManifestEntry]) -> _Group:
    """Read the figures that a version of automask saved; what it says beyond ours is left out."""
    bench = content.get("bench", content)
    name = bench["images"][0]["pipeline"]  # older versions have other names
    images = [image for image in bench["images"] if image["pipeline"] == name]
    if len(images) != len(entries):
        raise ValueError(f"{len(images)} figures for {len(entries)} images")
    return _Group(
        images=[
            ImageFigures.model_validate({**_known(ImageFigures, image), "pipeline": side, "image": entry.image})
            for image, entry in zip(images, entries, strict=True)
        ],
        folders=[
            FolderFigures.model_validate({**_known(FolderFigures, folder), "pipeline": side})
            for folder in content.get("folders", ())
        ],
        load_s=sum(bench["load_seconds"].values()),
        peak_memory_mb=bench["peak_memory_mb"],
    )


def _known(model: type[FrozenModel], content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key in model.model_fields}


def _absolute(entry: ManifestEntry, root: Path) -> dict[str, Any]:
    mask = str((root / entry.mask).resolve()) if entry.mask is not None else None
    return {**entry.model_dump(), "image": str((root / entry.image).resolve()), "mask": mask}


def _environment(side: str) -> dict[str, str]:
    """The other installation stands for itself; ours is found where this process has it from."""
    ours = os.environ.get("PYTHONPATH")
    rest = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if side == BESIDE:
        return rest
    parts: Iterable[str] = (str(Path(version.__file__).parent.parent), *([ours] if ours else []))
    return {**rest, "PYTHONPATH": os.pathsep.join(parts)}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
