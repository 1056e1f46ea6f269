"""Which images a trainer reads, and which mask it takes for each."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from automask.dataset.among import masks_among
from automask.dataset.foreign import UnreadImages, unread_image
from automask.dataset.names import is_image_name, is_mask_sidecar, stem_of
from automask.dataset.siblings import NameSketch, SiblingIndex
from automask.errors import InputError
from automask.trainers.conventions import Place, Trainer

_MASK_TAILS = ("-masklabel", "-condlabel", "_wmask", "_mask", "-mask", ".mask", "_masks")


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask.

    Attributes:
        name: Path of the image relative to the dataset, forward slashes.
        image: The image file.
        mask: The mask file, or None where the trainer finds none. The image itself where masks are alpha channels.
    """

    name: str
    image: Path
    mask: Path | None


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies in a dataset, as one trainer pairs it up.

    Attributes:
        root: The dataset.
        masks_root: Folder of the masks, or None where they lie elsewhere.
        pairs: All images, by name.
        extra_masks: Masks that belong to no image, relative to their folder.
        collisions: Images that share one mask name, one group a mask.
        below: Images in sub-folders that need a configuration entry of their own and have no mask folder of their own.
        nested: Folders of masks inside of the dataset, relative.
        untrained: Images of other kinds, which the trainer does not take for images.
        among: Masks between the images, under names that the trainer takes for images.
        unread: Images of kinds that we do not read either, or under other names.
        misplaced: Missing masks that do exist under another name or in another folder, by image.
    """

    root: Path
    masks_root: Path | None
    pairs: tuple[Pair, ...]
    extra_masks: tuple[str, ...] = ()
    collisions: tuple[tuple[str, ...], ...] = ()
    below: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    untrained: tuple[str, ...] = ()
    among: tuple[str, ...] = ()
    unread: UnreadImages = field(default_factory=UnreadImages)
    misplaced: dict[str, str] = field(default_factory=dict)


def check_image_folder(root: Path) -> None:
    """Refuse what is no folder.

    Raises:
        InputError: There is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder.", advice="Give the folder of the images.", code="input-not-a-folder")


def lay_out(root: Path, trainer: Trainer, *, masks_root: Path | None = None, listing: Path | None = None) -> Layout:
    """Pair images and masks as a trainer does.

    Args:
        root: The dataset.
        trainer: For whom.
        masks_root: Folder of the masks, for trainers that want one.
        listing: The .jsonl of a trainer that goes by one; by default the only one in the dataset.

    Raises:
        InputError: There is no such folder, it holds no image, or a list is missing or damaged.
    """
    check_image_folder(root)
    if trainer.naming.place is Place.FOLDER and masks_root is not None and not masks_root.is_dir():
        raise InputError(f"There is no mask folder {masks_root}.", advice="Check --masks.", code="input-not-a-folder")
    if masks_root is not None and masks_root.resolve() == root.resolve():
        raise InputError(
            f"{root} is given as the folder of the images and of the masks.",
            advice="Move the masks into a folder of their own.",
        )
    if trainer.naming.place is Place.COLUMN:
        return _listed(root, listing or _only_list(root))
    own_ending = trainer.naming.ending if trainer.naming.place is Place.BESIDE else None
    files = _Files.of(root, trainer=trainer, own_ending=own_ending, leave_out=masks_root)
    among = set(_masks_among(files.images))
    images = [name for name in files.images if name not in among]
    if not images:
        raise InputError(f"There is no image in {root}.", advice="Give the folder of the images.", code="input-empty")
    masks = _masks_of(root, trainer, images, files, masks_root)
    one_each = trainer.naming.one_entry_per_folder and trainer.naming.place is Place.FOLDER
    below = [name for name in images if one_each and "/" in name and name not in masks.of_image]
    return Layout(
        root=root,
        masks_root=masks_root,
        pairs=tuple(Pair(name, root / name, masks.of_image.get(name)) for name in images),
        extra_masks=tuple(masks.extra),
        collisions=tuple(_collisions(trainer, images)) + tuple(masks.doubled),
        below=tuple(below),
        nested=tuple(files.nested if trainer.name != "onetrainer" else ()),
        untrained=tuple(name for name in files.others if is_image_name(name) and not is_mask_sidecar(name)),
        among=tuple(name for name in files.images if name in among),
        unread=_unread(root, files.others),
        misplaced=masks.misplaced,
    )


@dataclass(slots=True)
class _Masks:
    of_image: dict[str, Path] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    doubled: list[tuple[str, ...]] = field(default_factory=list)
    misplaced: dict[str, str] = field(default_factory=dict)


def _masks_of(root: Path, trainer: Trainer, images: Sequence[str], files: _Files, masks_root: Path | None) -> _Masks:
    naming = trainer.naming
    if naming.place is Place.ALPHA:
        return _Masks(of_image={name: root / name for name in images})
    if naming.place is Place.BESIDE:
        return _beside(root, trainer, images, files)
    if masks_root is None:
        return _Masks()
    found = sorted(_relative_files(masks_root))
    masks = _Masks()
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in found:
        if PurePosixPath(name).suffix.lower() not in naming.extensions:
            continue
        if naming.follows_folders or "/" not in name:
            by_key[name if naming.keeps_name else _without_suffix(name)].append(name)
    wanted = {name: naming.mask_name(name) if naming.keeps_name else _mask_key(trainer, name) for name in images}
    for name, key in wanted.items():
        if key in by_key:
            masks.of_image[name] = masks_root / by_key[key][0]
    masks.doubled = [
        tuple(f"{masks_root.name}/{name}" for name in names) for names in by_key.values() if len(names) > 1
    ]
    used = set(wanted.values())
    masks.extra = [name for key, names in by_key.items() if key not in used for name in names]
    masks.misplaced = _misplaced([name for name in images if name not in masks.of_image], found)
    return masks


def _beside(root: Path, trainer: Trainer, images: Sequence[str], files: _Files) -> _Masks:
    masks = _Masks()
    ending = trainer.naming.ending
    there = {name for name in files.others if name.endswith(ending)}
    for name in images:
        mask = trainer.naming.mask_name(name)
        if mask in there:
            masks.of_image[name] = root / mask
    used = {trainer.naming.mask_name(name) for name in images}
    masks.extra = sorted(there - used)
    masks.misplaced = _misplaced([name for name in images if name not in masks.of_image], sorted(there - used))
    return masks


def _mask_key(trainer: Trainer, name: str) -> str:
    stem = _without_suffix(name)
    return stem if trainer.naming.follows_folders else stem.rpartition("/")[2]


def _misplaced(missing: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """Masks that were perhaps meant for images without one: `a.jpg.png`, `a_mask.png`, `sub/a.png`."""
    by_core: dict[str, str] = {}
    for name in found:
        by_core.setdefault(_core(name), name)
    return {name: by_core[_core(name)] for name in missing if _core(name) in by_core}


def _core(name: str) -> str:
    stem = PurePosixPath(name).name.lower()
    while True:
        shorter = stem_of(stem) if is_image_name(stem) or stem.endswith(".mask") else stem
        for tail in _MASK_TAILS:
            shorter = shorter.removesuffix(tail)
        if shorter == stem:
            return stem
        stem = shorter


def _collisions(trainer: Trainer, images: Sequence[str]) -> Iterator[tuple[str, ...]]:
    if trainer.naming.keeps_name or trainer.naming.place in (Place.ALPHA, Place.COLUMN):
        return
    groups: dict[str, list[str]] = defaultdict(list)
    for name in images:
        groups[_mask_key(trainer, name)].append(name)
    yield from (tuple(names) for names in groups.values() if len(names) > 1)


def _unread(root: Path, others: Sequence[str]) -> UnreadImages:
    """Images by their content among the files whose names are not those of images."""
    unread = UnreadImages()
    for name in others:
        looks_like = None if is_image_name(name) else unread_image(root / name)
        if looks_like is not None:
            unread.add(name, looks_like)
    return unread


def _masks_among(images: Sequence[str]) -> list[str]:
    """Images whose name says that they are the mask of another one."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for name in images:
        folder, slash, base = name.rpartition("/")
        by_folder[folder + slash].append(base)
    found = {folder + base for folder, names in by_folder.items() for base in masks_among(names)}
    return [name for name in images if name in found or is_mask_sidecar(name)]


@dataclass(slots=True)
class _Files:
    """Files of a dataset by relative name.

    Attributes:
        images: What the trainer takes for images, by the ending, without its own masks beside them.
        others: All others, its masks among them.
        nested: Folders that hold masks.
    """

    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, *, trainer: Trainer, own_ending: str | None, leave_out: Path | None) -> _Files:
        files = cls()
        masks_real = leave_out.resolve() if leave_out is not None else None
        siblings = SiblingIndex()
        for folder, folders, names in os.walk(root, followlinks=True):
            relative = PurePosixPath(Path(folder).relative_to(root).as_posix())
            real = Path(folder).resolve()
            if folder != str(root) and (real == masks_real or "automask.sqlite" in names):
                files.nested.append(str(relative))
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            shown = sorted(name for name in names if not name.startswith("."))
            masks = {name for name in shown if own_ending is not None and name.endswith(own_ending)}
            images = [name for name in shown if trainer.reads_name(name) and name not in masks]
            mirror = siblings.add(NameSketch.of(str(relative), images))
            if mirror is not None and mirror.masks not in files.nested:
                files.nested.append(mirror.masks)
            if mirror is not None and mirror.masks == str(relative):
                folders.clear()
                continue
            if mirror is not None:  # the masks came first, in the order of names
                files._forget(mirror.masks)
            files.images += [str(relative / name) for name in images]
            taken = set(images)
            files.others += [str(relative / name) for name in shown if name not in taken]
        return files

    def _forget(self, folder: str) -> None:
        """Take the files of a folder out again."""
        for names in (self.images, self.others):
            names[:] = [name for name in names if not name.startswith(f"{folder}/")]


def _relative_files(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _without_suffix(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + stem_of(base)


def _only_list(root: Path) -> Path:
    lists = sorted(root.glob("*.jsonl"))
    if len(lists) != 1:
        raise InputError(
            f"{root} holds {len(lists) or 'no'} .jsonl lists; this trainer reads masks from one.",
            advice="Give the trainer's configuration with --config, which names the list.",
            code="list-invalid",
        )
    return lists[0]


def _listed(root: Path, listing: Path) -> Layout:
    """Pairs of a JSONL list with the columns `image` and `mask`, both relative to the list or absolute."""
    pairs = []
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {listing}: {error}.", advice="Check the path.", code="list-invalid") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image = listing.parent / row["image"]
            mask = listing.parent / row["mask"] if row.get("mask") else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{listing}:{number} is not an object with the key image.", advice="Correct it.", code="list-invalid"
            ) from error
        name = image.relative_to(root).as_posix() if image.is_relative_to(root) else str(row["image"])
        pairs.append(Pair(name, image, mask if mask is not None and mask.is_file() else None))
    if not pairs:
        raise InputError(f"{listing} names no image.", advice="Check the list.", code="input-empty")
    return Layout(root=root, masks_root=None, pairs=tuple(pairs))
