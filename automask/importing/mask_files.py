"""Finished masks: a folder with one file per image, as any program or trainer has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from automask.dataset.names import IMAGE_SUFFIXES, folded, stem_of
from automask.errors import InputError
from automask.importing.found import FoundMask, FoundMasks, Names, Shape
from automask.trainers import TRAINERS, Place

MASK_SUFFIXES = (*sorted(IMAGE_SUFFIXES), ".mask")


def read_folder(source: Path, names: Names) -> FoundMasks:
    """Masks under the path of their image: `sub/a.png` or `sub/a.jpg.png` for `sub/a.jpg`."""

    def candidates(image_id: str) -> list[str]:
        path = PurePosixPath(image_id)
        stem = stem_of(path.name)
        return [
            *(f"{image_id}{suffix}" for suffix in MASK_SUFFIXES),
            *(str(path.with_name(stem + suffix)) for suffix in MASK_SUFFIXES),
        ]

    return _matched(source, names, candidates)


def read_trainer(source: Path, names: Names, *, trainer: str) -> FoundMasks:
    """Masks where a trainer looks for them, in the folder that the trainer is given."""
    naming = TRAINERS[trainer].naming

    def candidates(image_id: str) -> list[str]:
        expected = PurePosixPath(naming.mask_name(image_id))
        if naming.place is Place.BESIDE or naming.keeps_name:
            return [str(expected)]
        return [str(expected), *(str(expected.with_suffix(suffix)) for suffix in naming.extensions)]

    return _matched(source, names, candidates, only_ending=naming.ending if naming.place is Place.BESIDE else "")


def read_alpha(source: Path, names: Names) -> FoundMasks:
    """Images with their mask as alpha channel: opaque = train."""

    def candidates(image_id: str) -> list[str]:
        path = PurePosixPath(image_id)
        return [image_id, *(str(path.with_name(stem_of(path.name) + suffix)) for suffix in (".png", ".webp", ".avif"))]

    return _matched(source, names, candidates, load=_load_alpha)


def _matched(
    source: Path,
    names: Names,
    candidates: Callable[[str], list[str]],
    *,
    only_ending: str = "",
    load: Callable[[Path], NDArray[np.uint8]] | None = None,
) -> FoundMasks:
    if not source.is_dir():
        raise InputError(f"{source} is no folder of masks.", advice="Give the folder that holds the masks.")
    load = load or _load_levels
    files = {
        folded(path.relative_to(source).as_posix()): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.suffix.lower() in MASK_SUFFIXES and path.name.endswith(only_ending)
    }
    taken: dict[str, str] = {}
    masks: dict[str, FoundMask] = {}
    for image_id in names:
        key = next((key for key in map(folded, candidates(image_id)) if key in files), None)
        if key is None:
            continue
        if key in taken:
            raise InputError(
                f"{files[key]} could be the mask of {taken[key]} and of {image_id}.",
                advice="Name masks after the whole image name, such as a.jpg.png.",
                code="import-ambiguous",
            )
        taken[key] = image_id
        masks[image_id] = _lazy(files[key], load)
    unmatched = tuple(path.relative_to(source).as_posix() for key, path in files.items() if key not in taken)
    return FoundMasks(masks, unmatched)


def _lazy(path: Path, load: Callable[[Path], NDArray[np.uint8]]) -> FoundMask:
    def levels(shape: Shape) -> NDArray[np.uint8]:
        try:
            return load(path)
        except (UnidentifiedImageError, PillowImage.DecompressionBombError) as error:
            raise ValueError(f"it is no image ({error})") from error

    return FoundMask(str(path), levels)


def _load_levels(path: Path) -> NDArray[np.uint8]:
    with PillowImage.open(path) as picture:
        if picture.mode in ("RGBA", "LA", "PA"):
            raise ValueError("it has an alpha channel, so that it is not clear which channel counts")
        if picture.mode.startswith(("I", "F")):
            raise ValueError(f"it has wide values ({picture.mode}); save it as 8-bit grey")
        colours = np.asarray(picture.convert("RGB"))
        if (colours != colours[..., :1]).any():
            raise ValueError("it is coloured, no grey mask")
        return np.ascontiguousarray(colours[..., 0])


def _load_alpha(path: Path) -> NDArray[np.uint8]:
    with PillowImage.open(path) as picture:
        if "A" not in picture.getbands():
            raise ValueError("it has no alpha channel")
        return np.asarray(picture.getchannel("A"))
