"""The check as a whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from automask.check.caches import stale_caches
from automask.check.config_base import ConfigFacts
from automask.check.config_rules import read_config
from automask.check.findings import Code, Finding, Severity
from automask.check.layout import Layout, Pair, check_image_folder, lay_out
from automask.check.masks import CheckedImage, Lens, check_image, is_alpha
from automask.check.preview import PREVIEW_IMAGES, preview_png
from automask.errors import ConfigError, OutputError
from automask.export.manifest import read_manifest
from automask.export.protocol import Root
from automask.trainers.conventions import MissingMask, Place, Trainer

DEFAULT_TRAINING_PX = 1024
_THREADS = 2


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        trainer: For whom.
        layout: Images and masks as the trainer pairs them.
        lens: Resolution, cell and floor that were used.
        images: What is known of each image, by name.
        findings: Errors first.
        interrupted: Whether it was stopped before all images were looked at.
    """

    trainer: Trainer
    layout: Layout
    lens: Lens
    images: tuple[CheckedImage, ...]
    findings: tuple[Finding, ...]
    interrupted: bool = False

    @property
    def errors(self) -> int:
        """Findings of severity error."""
        return sum(finding.severity == "error" for finding in self.findings)

    def preview(self) -> bytes | None:
        """PNG of the images that need a look most: what is wrong first, then what is masked most; None without any."""
        usable = [image for image in self.images if image.masked_share]
        usable.sort(key=lambda image: (not image.codes, -(image.masked_share or 0.0)))
        pairs = {pair.name: pair for pair in self.layout.pairs}
        chosen = [pairs[image.name] for image in usable[:PREVIEW_IMAGES]]
        return preview_png(chosen, self.lens) if chosen else None


def check_folder(
    root: Path,
    trainer: Trainer,
    *,
    masks_root: Path | None = None,
    config_files: Sequence[Path] = (),
    cache_folders: Sequence[Path] = (),
    training_px: int | None = None,
    cell_px: int | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckReport:
    """Look for everything that would keep masks from working, in files and settings. Nothing is changed.

    Args:
        root: Folder of the images.
        trainer: Whose rules count.
        masks_root: Folder of the masks, for trainers that want one; by default what the configuration names.
        config_files: The trainer's own configuration.
        cache_folders: Caches to look at beside those that are known.
        training_px: Training resolution; by default the configuration's, else 1024.
        cell_px: Latent cell; by default that of the model in the configuration, else the trainer's usual one.
        stop: When set, the check ends early.
        progress: Called with images done and in all.

    Raises:
        InputError: There is no such folder, it holds no image, or a list is missing.
        ConfigError: A configuration cannot be read, or no mask folder is known.
    """
    check_image_folder(root)
    facts = read_config(config_files, trainer, root)
    masks_root = masks_root or facts.masks_root
    uses_alpha = is_alpha(trainer) or (facts.uses_alpha and masks_root is None)
    if trainer.naming.place is Place.FOLDER and masks_root is None and not uses_alpha and not facts.findings:
        raise ConfigError(
            f"{trainer.title} reads masks from a folder of its own.",
            advice="Give it with --masks, or give the trainer's configuration with --config.",
        )
    layout = lay_out(root, trainer, masks_root=masks_root, listing=facts.listing)
    if uses_alpha and not is_alpha(trainer):
        layout = replace(layout, pairs=tuple(Pair(pair.name, pair.image, pair.image) for pair in layout.pairs))
    lens = Lens(
        trainer=trainer,
        training_px=training_px or facts.training_px or DEFAULT_TRAINING_PX,
        cell_px=cell_px or facts.cell_px or trainer.cells_px[0],
        floor=facts.floor,
        inverted=facts.inverted,
        uses_alpha=uses_alpha,
        as_exported=_as_exported(layout, trainer),
    )
    images, interrupted = _checked(layout.pairs, lens, stop or threading.Event(), progress)
    has_masks = masks_root is not None or trainer.naming.place is not Place.FOLDER or uses_alpha
    findings = [
        *facts.findings,
        *_of_layout(layout, trainer, has_masks=has_masks),
        *_of_images(images, lens),
        *_of_cell(facts, cell_px),
        *stale_caches(layout, trainer, [*facts.caches, *cache_folders]),
    ]
    findings.sort(key=lambda finding: finding.severity)  # "error" comes before "warning"
    return CheckReport(trainer, layout, lens, images, tuple(findings), interrupted=interrupted)


def _checked(
    pairs: Sequence[Pair], lens: Lens, stop: threading.Event, progress: Callable[[int, int], None]
) -> tuple[tuple[CheckedImage, ...], bool]:
    done: list[CheckedImage] = []
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="automask-check")
    try:
        for image in pool.map(lambda pair: check_image(pair, lens), pairs):
            done.append(image)
            progress(len(done), len(pairs))
            if stop.is_set():
                break
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return tuple(done), len(done) < len(pairs)


def _of_layout(layout: Layout, trainer: Trainer, *, has_masks: bool) -> Iterator[Finding]:
    missing = [pair.name for pair in layout.pairs if pair.mask is None] if has_masks else []
    if missing:
        yield _missing(layout, trainer, missing)
    if layout.extra_masks and not (missing and set(layout.misplaced.values()) >= set(layout.extra_masks)):
        yield Finding.about(
            Code.MASKS_EXTRA,
            "error" if trainer.refuses_extra else "warning",
            layout.extra_masks,
            message="Masks without an image" + (": the trainer stops." if trainer.refuses_extra else "."),
            fix="Remove them, or give them the name of their image.",
        )
    if layout.collisions:
        yield Finding.about(
            Code.STEM_COLLISION,
            "error",
            [" = ".join(group) for group in layout.collisions],
            message="Several files share one mask name: an image would be masked by another one's mask.",
            fix="Rename one of each, or export with --flatten.",
        )
    if layout.below:
        yield Finding.about(
            Code.SUBFOLDERS_NOT_READ,
            "error",
            layout.below,
            message="Images in sub-folders, which this trainer does not read from the folder above.",
            fix="Give each folder an entry of its own with its own mask folder, or export with --flatten.",
        )
    since = trainer.subfolders_since
    if since and (deep := [pair.name for pair in layout.pairs if "/" in pair.name]):
        yield Finding.about(
            Code.SUBFOLDERS_NOT_READ,
            "warning",
            deep,
            message=f"Images in sub-folders: {trainer.title} before {since} finds no mask there.",
            fix=f"Use version {since} or newer, or export with --flatten --images link.",
        )
    if layout.untrained:
        yield Finding.about(
            Code.IMAGES_NOT_READ,
            "warning",
            layout.untrained,
            message="Images that this trainer does not read: they are not trained.",
            fix=f"Convert or rename them: it reads {trainer.reads_in_words}.",
        )
    if layout.nested:
        is_flat = trainer.naming.one_entry_per_folder
        read = "this trainer leaves them alone, but others read" if is_flat else "this trainer reads"
        yield Finding.about(
            Code.MASKS_NESTED,
            "warning" if is_flat else "error",
            layout.nested,
            message=f"Masks lie inside of the image folder: {read} images in sub-folders as training images.",
            fix="Move them beside the image folder.",
        )
    if layout.unread.count:
        yield Finding(
            Code.IMAGES_NOT_READ,
            "warning",
            layout.unread.sentence,
            f"{layout.unread.advice} Few trainers read such files, and automask makes no masks for them.",
            examples=tuple(layout.unread.names),
            count=layout.unread.count,
        )
    if layout.among:
        yield Finding.about(
            Code.MASKS_AMONG_IMAGES,
            "error",
            layout.among,
            message="Masks lie between the images under names of images: this trainer would train on them.",
            fix="Move them into the mask folder of this trainer, or remove them.",
        )


def _missing(layout: Layout, trainer: Trainer, missing: list[str]) -> Finding:
    what = {
        MissingMask.ERROR: "the trainer stops",
        MissingMask.UNMASKED: "they are trained unmasked, and nothing says so",
        MissingMask.IGNORED: "they are not trained at all as soon as another image of the batch has one",
    }[trainer.missing]
    severity: Severity = "error"
    if trainer.missing is MissingMask.UNMASKED and len(missing) < len(layout.pairs) and not layout.misplaced:
        severity = "warning"
    example = layout.pairs[0].name
    fix = f"Give every image a mask, white where nothing is masked; {example} wants {trainer.naming.mask_name(example)}"
    shown = [
        f"{name} (found {layout.misplaced[name]})" if name in layout.misplaced else name
        for name in sorted(missing, key=lambda name: name not in layout.misplaced)
    ]
    message = f"{len(missing)} of {len(layout.pairs)} images have no mask: {what}."
    return Finding.about(Code.MASKS_MISSING, severity, shown, message=message, fix=f"{fix}.")


@dataclass(frozen=True, slots=True)
class _Text:
    """How one code about images is told."""

    severity: Severity
    message: str
    fix: str


def _texts(lens: Lens) -> dict[Code, _Text]:
    nan = " and the loss becomes NaN" if lens.trainer.fully_masked_is_nan else ""
    if lens.trainer.transposes_exif:
        orientation = "Masks lie as the stored pixels, but this trainer turns images upright."
    else:
        orientation = "Masks are upright, but this trainer does not turn images: it ignores their EXIF orientation."
    share = (
        "the few pixels that are left are weighted up, which makes steps noisy"
        if lens.trainer.normalises
        else "the loss is not normalised, so that these images weigh less"
    )
    alpha = "the trainer stops" if lens.trainer.name == "ai-toolkit" else "these images are trained unmasked"
    cell = f"cells of {lens.cell_px} px at {lens.training_px} px"
    return {
        Code.UNREADABLE: _Text("error", "Files cannot be read.", "Restore or remove them."),
        Code.ALPHA_MISSING: _Text(
            "error",
            f"Masks are read from the alpha channel, but these images have none: {alpha}.",
            "Write all images as RGBA (automask export --to kohya-alpha), or use a mask folder.",
        ),
        Code.MASK_CHANNEL: _Text(
            "error",
            "Masks are not plain grey images of 8 bits: the trainer reads something else than was drawn.",
            "Save them as 8-bit grey PNG, 255 = train.",
        ),
        Code.EXIF_MISMATCH: _Text(
            "error", orientation, "Export the masks for this trainer, or write the orientation into the pixels."
        ),
        Code.EXIF_UNSURE: _Text(
            "warning",
            "Images have an EXIF orientation that does not show in the size of the mask; "
            + ("they are turned upright." if lens.trainer.transposes_exif else "this trainer ignores it."),
            "Look at the preview, or write the orientation into the pixels.",
        ),
        Code.SIZE_MISMATCH: _Text(
            "error", "Masks have another size or shape than their image.", "Make them again from the present images."
        ),
        Code.ALL_BLACK: _Text(
            "error", f"Masks are black as a whole: nothing is trained{nan}.", "Leave these images out."
        ),
        Code.POLARITY: _Text(
            "error", "Masks look inverted: white = train, black = ignore, in every trainer.", "Invert these masks."
        ),
        Code.MUCH_MASKED: _Text(
            "warning",
            f"Masks take more than half of the image: {share}.",
            "Look at them; crop these images or leave them out.",
        ),
        Code.TOO_TIGHT: _Text(
            "error",
            f"Masked regions keep a good part of their weight on {cell}.",
            f"Grow the masks by a cell: automask render or export --training-px {lens.training_px} "
            f"--cell-px {lens.cell_px}.",
        ),
        Code.SHIFTED: _Text(
            "warning",
            "The bucket crops these images, and versions of this trainer from before 2026-06-12 stretch the mask "
            "instead: there it lies beside what it should cover.",
            "Update the trainer, or export with automask, whose masks fit both ways.",
        ),
    }


def _of_images(images: Sequence[CheckedImage], lens: Lens) -> Iterator[Finding]:
    for code, text in _texts(lens).items():
        names = [f"{image.name} ({image.codes[code]})" for image in images if code in image.codes]
        if names:
            yield Finding.about(code, text.severity, names, message=text.message, fix=text.fix)
    shares = [image.masked_share for image in images if image.masked_share is not None]
    if shares and not any(shares):
        yield Finding(
            Code.NOTHING_MASKED,
            "warning",
            "All masks are white: nothing is masked.",
            "Check that these are the masks that you mean.",
        )


def _of_cell(facts: ConfigFacts, cell_px: int | None) -> Iterator[Finding]:
    if facts.cell_px is not None and cell_px is not None and facts.cell_px != cell_px:
        yield Finding(
            Code.CELL_SIZE,
            "error",
            f"The configured model has latent cells of {facts.cell_px} px, not of {cell_px} px.",
            f"Render and check the masks with --cell-px {facts.cell_px}.",
        )


def _as_exported(layout: Layout, trainer: Trainer) -> frozenset[Path]:
    """The masks that are still as `automask export` to this trainer wrote them."""
    first = next((pair.mask for pair in layout.pairs if pair.mask is not None), None)
    for folder in first.resolve().parents if first is not None else ():
        try:
            entries = read_manifest(folder, exporter=trainer.name)
        except OutputError:
            continue
        roots = {Root.OUTPUT: folder, Root.IMAGES: layout.root}
        standing = {
            (roots[entry.root] / entry.name).resolve()
            for entry in entries.values()
            if entry.stands(roots[entry.root] / entry.name)
        }
        if standing:
            masks = (pair.mask for pair in layout.pairs if pair.mask is not None)
            return frozenset(mask for mask in masks if mask.resolve() in standing)
    return frozenset()
