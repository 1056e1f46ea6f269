"""Packages that materials come from: downloaded and unpacked once, and the pictures in them found by name."""

from __future__ import annotations

import logging
import subprocess
import tarfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

LOG = logging.getLogger(__name__)
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".svg"})
"""Endings of picture files."""


def download_debian(name: str, cache: Path) -> Path:
    """Return the folder with the files of a Debian package; raises CalledProcessError when apt-get or dpkg fails."""
    folder = cache / name
    if folder.is_dir():
        return folder
    debs = sorted(cache.glob(f"{name}_*.deb"))
    if not debs:
        LOG.info("downloading %s", name)
        subprocess.run(["apt-get", "download", name], cwd=cache, check=True, capture_output=True)
        debs = sorted(cache.glob(f"{name}_*.deb"))
    partial = folder.with_suffix(".partial")
    subprocess.run(["dpkg", "-x", str(debs[-1]), str(partial)], check=True)
    partial.rename(folder)
    return folder


def download_npm(name: str, cache: Path) -> Path:
    """Return the folder with the files of an npm package."""
    plain = plain_name(name)
    folder = cache / f"npm-{plain}"
    if folder.is_dir():
        return folder
    archives = sorted(cache.glob(f"{plain}-[0-9]*.tgz"))
    if not archives:
        LOG.info("downloading %s", name)
        subprocess.run(["npm", "pack", name, "--silent"], cwd=cache, check=True, capture_output=True)
        archives = sorted(cache.glob(f"{plain}-[0-9]*.tgz"))
    partial = folder.with_suffix(".partial")
    with tarfile.open(archives[-1]) as archive:
        # Python 3.11.0 to 3.11.3 know no filters; what they unpack here comes from npm itself.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(partial)
    partial.rename(folder)
    return folder


def plain_name(name: str) -> str:
    """Name of an npm package as part of a file name: `@scope/name` becomes `scope-name`, as `npm pack` has it."""
    return name.removeprefix("@").replace("/", "-")


def matching(
    root: Path, globs: Iterable[str], *, exclude: Iterable[str] = (), one_per_folder: bool = False
) -> list[Path]:
    """Return the pictures under `root` whose path matches one of `globs` and none of `exclude`, sorted.

    With `one_per_folder` only the first of each folder counts: wallpapers come in many sizes.
    """
    wanted, unwanted = tuple(globs), tuple(exclude)

    def named(path: Path, patterns: tuple[str, ...]) -> bool:
        return any(fnmatch("/" + path.relative_to(root).as_posix(), each) for each in patterns)

    found = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in PICTURES and path.is_file() and named(path, wanted) and not named(path, unwanted)
    )
    if not one_per_folder:
        return found
    first: dict[Path, Path] = {}
    for path in found:
        first.setdefault(path.parent, path)
    return sorted(first.values())
