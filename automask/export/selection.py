"""Which images of a store take part in an export, and under which names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from automask.dataset.names import flat_name, folded, path_of, stem_of, suffix_of, xml_name
from automask.errors import ConfigError, InputError
from automask.export.images import Chosen
from automask.export.protocol import Exporter, ExportOptions, ExportRules, ImageMode
from automask.store import Decision, Status, Store, StoredImage
from automask.values.types import Verdict

NAMED_AT_MOST = 12
"""How many images an error names before it counts the rest."""

FAILED = "failed"
FILE_MISSING = "file-missing"
NOT_READ = "not-read-by-trainer"
NOT_ACCEPTED = "not-accepted"
FULLY_MASKED = "fully-masked"
EXCLUDED = "excluded"
"""Reasons for leaving images out; part of the JSON output."""


@dataclass(slots=True)
class Selection:
    """What takes part.

    Attributes:
        chosen: In the order of the store.
        left_out: Ids of the others by reason.
        unreviewed: Ids of those that take part though a person should still look.
        much_masked: Ids of those that are masked over more than half in the store.
    """

    chosen: list[Chosen] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unreviewed: list[str] = field(default_factory=list)
    much_masked: list[str] = field(default_factory=list)


def select(
    store: Store, *, input_root: Path, rules: ExportRules, options: ExportOptions, images: ImageMode
) -> Selection:
    """Choose the images of a store and name them.

    Args:
        store: Where from.
        input_root: The folder that image ids are relative to.
        rules: Of the format.
        options: Of the user.
        images: What happens to images: without them, or a list, images cannot be left out of training.

    Raises:
        ConfigError: An option cannot be had with this format.
        InputError: Names collide, or unreviewed images cannot be left out.
    """
    if options.accepted_only and not leaves_out(rules, images):
        raise ConfigError(
            "--accepted-only leaves images out, and this trainer would still read their files, without a mask.",
            advice="Add --images link: a folder with the other images is made, and the trainer reads that one.",
            code="export-needs-images",
        )
    if options.flatten and images == "none" and not rules.writes_images and rules.trainer is not None:
        raise ConfigError(
            "--flatten renames images, and yours are not touched.",
            advice="Add --images link: a flat folder of links is made, and the trainer reads that one.",
            code="export-needs-images",
        )
    found = Selection()
    rows: list[tuple[StoredImage, Path]] = []
    outdated = set(store.outdated_masks())
    for stored in store.images():
        path = path_of(input_root, stored.image_id)
        reason = _reason_to_leave_out(stored, path, rules, accepted_only=options.accepted_only)
        if reason is not None:
            found.left_out[reason].append(stored.image_id)
        elif stored.status is not Status.MISSING:
            rows.append((stored, path))
    if found.left_out.get(EXCLUDED) and not leaves_out(rules, images):
        raise ConfigError(
            f"These images were excluded in review, and this trainer would still read their files, without a mask: "
            f"{named(found.left_out[EXCLUDED])}.",
            advice="Add --images link: a folder with the other images is made, and the trainer reads that one.",
            code="export-needs-images",
        )
    names = _names([stored.image_id for stored, _ in rows], flatten=options.flatten)
    if rules.xml_names:
        names = [xml_name(name) for name in names]
    stems = _shared_stems(names)
    if stems and not rules.shares_stems:
        raise _collision(names, stems, [stored.image_id for stored, _ in rows], flat=rules.flat)
    if rules.flat and not options.flatten:
        _check_flat(names)
    taken: dict[str, str] = {}
    for (stored, path), name in zip(rows, names, strict=True):
        shares = _stem_key(name) in stems
        mask_name = name + ".png" if shares else str(PurePosixPath(name).with_name(_stem(name) + ".png"))
        other = taken.setdefault(folded(mask_name), stored.image_id)
        if other != stored.image_id:  # A.png beside a.png, or a.jpg beside a.png beside a.jpg.png
            what = f"The masks of two images would both be {mask_name}, upper and lower case aside"
            raise _shared_mask(what, [other, stored.image_id])
        found.chosen.append(Chosen(stored, path, name, mask_name, stored.image_id in outdated))
        if stored.verdict is Verdict.REVIEW:
            found.unreviewed.append(stored.image_id)
        if stored.masked_share is not None and stored.masked_share > 0.5:
            found.much_masked.append(stored.image_id)
    return found


def image_mode(exporter: Exporter) -> ImageMode:
    """What happens to images in an export.

    Raises:
        ConfigError: The format cannot do what the options ask for.
    """
    rules, options = exporter.rules, exporter.options
    if options.in_place:
        if not rules.in_place:
            raise ConfigError(
                f"--in-place writes masks beside the images, and {exporter.name} does not look for them there.",
                advice="Leave it out.",
                code="export-in-place",
            )
        if options.images not in (None, "none") or options.flatten:
            raise ConfigError(
                "--in-place goes with neither --images nor --flatten: the images stay where they are.",
                advice="Leave one of them out.",
                code="export-in-place",
            )
        return "none"
    if rules.needs_images and options.images == "none":
        raise ConfigError(
            f"{exporter.name} is of no use without the images.", advice="Use --images link.", code="export-needs-images"
        )
    return options.images or ("link" if rules.writes_images else rules.images)


def leaves_out(rules: ExportRules, images: ImageMode) -> bool:
    """Whether an image that is left out of the export is left out of training."""
    return images != "none" or rules.lists_images or rules.writes_images


def named(ids: Sequence[str]) -> str:
    """The first few of a list, and how many more there are."""
    rest = len(ids) - NAMED_AT_MOST
    return ", ".join(ids[:NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _reason_to_leave_out(stored: StoredImage, path: Path, rules: ExportRules, *, accepted_only: bool) -> str | None:
    if stored.status is Status.MISSING:
        return None  # the user took the image away: nobody expects it
    if stored.decision is Decision.EXCLUDED:
        return EXCLUDED
    if stored.status is Status.FAILED or stored.width_px is None:
        return FAILED
    trainer = rules.trainer
    if trainer is not None and not rules.writes_images and not trainer.reads_name(stored.image_id):
        return NOT_READ
    if not path.is_file():
        return FILE_MISSING
    if accepted_only and stored.verdict is Verdict.REVIEW:
        return NOT_ACCEPTED
    return None


def _names(ids: Sequence[str], *, flatten: bool) -> list[str]:
    unsafe = [one for one in ids if PurePosixPath(one).is_absolute() or ".." in PurePosixPath(one).parts]
    if unsafe and not flatten:
        raise InputError(
            f"Images outside of the dataset's folder have no place in an export: {named(unsafe)}.",
            advice="Use --flatten --images link.",
            code="export-outside",
        )
    if not flatten:
        return list(ids)
    flat = [flat_name(one) for one in ids]
    shared = _shared_stems(flat)
    taken: set[str] = set()
    names: list[str] = []
    for name in flat:
        if _stem_key(name) in shared:
            name = f"{_stem(name)}_{suffix_of(name)[1:]}{suffix_of(name)}"
        candidate, count = name, 1
        while _stem_key(candidate) in taken:
            count += 1
            candidate = f"{_stem(name)}~{count}{suffix_of(name)}"
        taken.add(_stem_key(candidate))
        names.append(candidate)
    return names


def _shared_stems(names: Sequence[str]) -> frozenset[str]:
    """Stems, folder included, that more than one name has."""
    seen: set[str] = set()
    twice: set[str] = set()
    for name in names:
        key = _stem_key(name)
        (twice if key in seen else seen).add(key)
    return frozenset(twice)


def _check_flat(names: Sequence[str]) -> None:
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_stem[folded(_stem(PurePosixPath(name).name))].append(name)
    clashes = [" = ".join(group) for group in by_stem.values() if len(group) > 1]
    if clashes:
        raise InputError(
            f"This trainer keeps masks in one flat folder, where these images would share a mask: {named(clashes)}.",
            advice="Use --flatten --images link, which makes a folder with unique names, or rename them.",
            code="export-collision",
        )


def _collision(names: Sequence[str], stems: frozenset[str], ids: Sequence[str], *, flat: bool) -> InputError:
    clashing = [image_id for image_id, name in zip(ids, names, strict=True) if _stem_key(name) in stems]
    where = "" if flat else " in one folder"
    differ = f"Images that differ only in their extension, or in upper and lower case,{where} would share a mask"
    return _shared_mask(differ, clashing)


def _shared_mask(what: str, ids: Sequence[str]) -> InputError:
    return InputError(
        f"{what}: {named(ids)}.",
        advice="Rename them, or use --flatten --images link, which makes a folder with unique names.",
        code="export-collision",
    )


def _stem(name: str) -> str:
    return stem_of(PurePosixPath(name).name)


def _stem_key(name: str) -> str:
    path = PurePosixPath(name)
    return folded(str(path.with_name(stem_of(path.name))))
