"""Caches that hold masks, or latents that were made before them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from automask.check.findings import Code, Finding
from automask.check.layout import Layout
from automask.trainers.conventions import Trainer

_BESIDE_IMAGES = {
    "kohya-alpha": (".npz",),
    "musubi": (".safetensors",),
    "musubi-fork": (".safetensors",),
    "animalora": (".npz", ".safetensors"),
}
"""Endings of caches that lie beside the images, by trainer."""

_INSIDE_DATASET = {"diffusion-pipe": ("cache",)}
"""Folders of caches inside of the dataset, by trainer."""

_READ_ANEW = frozenset({"kohya", "ai-toolkit"})
_SIMPLETUNER_METADATA = "aspect_ratio_bucket_"


def stale_caches(layout: Layout, trainer: Trainer, folders: Sequence[Path]) -> Iterator[Finding]:
    """Find caches that are older than the masks which they should hold.

    Args:
        layout: The dataset.
        trainer: Whose caches.
        folders: Cache folders from the trainer's configuration or from the user.
    """
    if trainer.name in _READ_ANEW:
        return
    newest_s = max((_mtime(pair.mask) for pair in layout.pairs if pair.mask is not None), default=0.0)
    times_s = {pair.image.with_suffix(""): _mtime(pair.mask) for pair in layout.pairs if pair.mask is not None}
    stale: list[str] = []
    for path in _beside(layout, trainer):
        is_old = _mtime(path) < _time_of_mask(times_s, path, otherwise_s=newest_s)
        if is_old or (trainer.name == "kohya-alpha" and not _holds_alpha(path)):
            stale.append(str(path))
    own = [layout.root / name for name in _INSIDE_DATASET.get(trainer.name, ())]
    for folder in dict.fromkeys(path.resolve() for path in (*own, *folders)):
        stale += [str(path) for path in _cache_files(folder, layout, trainer) if _mtime(path) < newest_s]
    if stale:
        yield Finding.about(
            Code.CACHE_STALE,
            "error",
            list(dict.fromkeys(stale)),
            message="Caches are older than the masks: the trainer would use what it stored before.",
            fix=f"Clear {trainer.cache}.",
        )


def _beside(layout: Layout, trainer: Trainer) -> Iterable[Path]:
    endings = _BESIDE_IMAGES.get(trainer.name, ())
    for folder in dict.fromkeys(pair.image.parent for pair in layout.pairs) if endings else ():
        yield from (path for path in sorted(folder.iterdir()) if path.suffix in endings)


def _time_of_mask(times_s: Mapping[Path, float], cache: Path, *, otherwise_s: float) -> float:
    """Time of the mask of the image that a cache is named after: `a_1024x1024_sdxl.npz` belongs to `a`."""
    parts = cache.name.removesuffix(cache.suffix).split("_")
    for count in range(len(parts), 0, -1):
        time_s = times_s.get(cache.with_name("_".join(parts[:count])))
        if time_s is not None:
            return time_s
    return otherwise_s


def _cache_files(folder: Path, layout: Layout, trainer: Trainer) -> Iterator[Path]:
    is_dataset = folder == layout.root.resolve()
    for parent, folders, names in os.walk(folder):
        for name in names:
            if not is_dataset or (trainer.name == "simpletuner" and name.startswith(_SIMPLETUNER_METADATA)):
                yield Path(parent, name)
        if is_dataset:
            folders.clear()


def _holds_alpha(path: Path) -> bool:
    """Whether a latent cache of sd-scripts has an alpha mask in it, whatever its age."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("alpha_mask" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return True  # its age decides


def _mtime(path: Path | None) -> float:
    try:
        return path.stat().st_mtime if path is not None else 0.0
    except OSError:
        return 0.0
