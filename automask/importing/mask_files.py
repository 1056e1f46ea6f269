"""Finished masks: a folder with one file per image, as any program or trainer has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from automask.dataset.names import IMAGE_SUFFIXES, flat_name, folded, stem_of
from automask.errors import InputError
from automask.importing.found import FoundMask, FoundMasks, Levels, Names
from automask.importing.pictures import alpha_levels, grey_levels
from automask.trainers.conventions import TRAINERS, Place

MASK_SUFFIXES = (*sorted(IMAGE_SUFFIXES), ".mask")


def read_folder(source: Path, names: Names, *, as_stored: bool = False) -> FoundMasks:
    """Masks under the path of their image: `sub/a.png` or `sub/a.jpg.png` for `sub/a.jpg`.

    Args:
        source: The folder.
        names: Image ids of the store.
        as_stored: They lie as the pixels in the image file do, whatever its EXIF orientation.
    """

    def candidates(image_id: str) -> list[str]:
        path = PurePosixPath(image_id)
        stem = stem_of(path.name)
        return [
            *(f"{image_id}{suffix}" for suffix in MASK_SUFFIXES),
            *(str(path.with_name(stem + suffix)) for suffix in MASK_SUFFIXES),
        ]

    return _matched(source, names, candidates, as_stored=as_stored)


def read_trainer(source: Path, names: Names, *, trainer: str) -> FoundMasks:
    """Masks where a trainer looks for them, in the folder that the trainer is given."""
    naming = TRAINERS[trainer].naming
    if naming.place is Place.COLUMN:  # a list names the masks, which our own has under names for any program
        return read_folder(source, names, as_stored=not TRAINERS[trainer].transposes_exif)

    def candidates(image_id: str) -> list[str]:
        expected = PurePosixPath(naming.mask_name(image_id))
        if naming.place is Place.BESIDE or naming.keeps_name:
            return [str(expected)]
        return [str(expected), *(str(expected.with_suffix(suffix)) for suffix in naming.extensions)]

    only_ending = naming.ending if naming.place is Place.BESIDE else ""
    as_stored = not TRAINERS[trainer].transposes_exif
    return _matched(source, names, candidates, only_ending=only_ending, as_stored=as_stored)


def read_alpha(source: Path, names: Names) -> FoundMasks:
    """Images with their mask as alpha channel: opaque = train."""

    def candidates(image_id: str) -> list[str]:
        path = PurePosixPath(image_id)
        others = (str(path.with_name(stem_of(path.name) + suffix)) for suffix in (".png", ".webp", ".avif"))
        return [image_id, f"{image_id}.png", *others]

    return _matched(source, names, candidates, load=alpha_levels)


def _matched(
    source: Path,
    names: Names,
    candidates: Callable[[str], list[str]],
    *,
    only_ending: str = "",
    load: Callable[[Path], Levels] = grey_levels,
    as_stored: bool = False,
) -> FoundMasks:
    if not source.is_dir():
        raise InputError(f"{source} is no folder of masks.", advice="Give the folder that holds the masks.")
    files = {
        folded(path.relative_to(source).as_posix()): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.suffix.lower() in MASK_SUFFIXES and path.name.endswith(only_ending)
    }
    taken: dict[str, str] = {}
    masks: dict[str, FoundMask] = {}
    # Names of `automask export --flatten` come second: `sub__a.png` may be an image of that very name.
    for image_id, name in [*((one, one) for one in names), *((one, flat_name(one)) for one in names if "/" in one)]:
        key = None if image_id in masks else next((k for k in map(folded, candidates(name)) if k in files), None)
        if key is None or (key in taken and name != image_id):
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
    return FoundMasks(masks, unmatched, as_stored=as_stored)


def _lazy(path: Path, load: Callable[[Path], Levels]) -> FoundMask:
    return FoundMask(str(path), lambda target: load(path), picture=path if load is grey_levels else None)
