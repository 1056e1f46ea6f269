"""One export: choose, check, write what changed, remove what is old."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from automask.config import PipelineConfig, config_error
from automask.dataset.names import stem_of
from automask.errors import ConfigError, InputError, OutputError, PluginError
from automask.export.base import text_file
from automask.export.drawing import digest, drawing_of
from automask.export.howto import HOWTO_NAME, howto
from automask.export.images import Chosen, StoredExportImage
from automask.export.manifest import (
    MANIFEST_NAME,
    Entries,
    Entry,
    Journal,
    header,
    header_of,
    read_manifest,
    write_manifest,
)
from automask.export.protocol import (
    MASKS_FOLDER,
    ExportContext,
    Exporter,
    ImageMode,
    OutputFile,
    Record,
    Root,
    Snippet,
)
from automask.export.selection import FULLY_MASKED, Selection, image_mode, leaves_out, named, select
from automask.export.summary import ExportSummary
from automask.export.unfinished import unfinished
from automask.export.writing import Writer, refuse_foreign
from automask.files.atomic import sweep_temporaries
from automask.files.threads import in_threads
from automask.plugins import EXPORTERS, load_plugin
from automask.run.redraw import stored_config
from automask.store import Store
from automask.trainers.conventions import Place

CAPTION_SUFFIXES = (".txt", ".caption", ".json", ".tags")
"""Files beside an image that go with it wherever it is linked or copied."""


def build_exporter(name: str, *, options: dict[str, object]) -> Exporter:
    """Build an exporter by name.

    Raises:
        PluginError: No such format.
        ConfigError: An option is unknown or out of range.
    """
    found: type[Exporter] = load_plugin(EXPORTERS, name)
    try:
        checked = found.Options.model_validate(options)
    except ValidationError as error:
        raise config_error(error, section=f"export.{name}") from error
    exporter = found.from_options(checked)
    if not isinstance(exporter, Exporter):
        raise PluginError(f"{name!r} is not an exporter.", code="plugin-contract")
    return exporter


def default_export_folder(store_root: Path, exporter: Exporter) -> Path:
    """Inside the store, which no trainer reads as images."""
    return store_root / "exports" / exporter.name


def export_store(
    store_root: Path,
    exporter: Exporter,
    *,
    output: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> ExportSummary:
    """Write a store's masks in the form of an exporter.

    Run it again and only what changed is written again; after an interruption it goes on.

    Args:
        store_root: Output folder of `automask run`.
        exporter: The format, with its options.
        output: Where to; None = `default_export_folder`.
        progress: Called with (images done, images in total).
        stop: When set, the images in hand are finished and the work ends as interrupted.

    Raises:
        StoreError: There is no usable store.
        ConfigError: An option does not go with the format.
        InputError: Names collide, images are fully masked, or files are gone.
        OutputError: The output cannot be written, or files of somebody else are in the way.
    """
    output = (output or default_export_folder(store_root, exporter)).resolve()
    with Store.open(store_root, read_only=True) as store:
        return _Export(store, exporter, output, stop or threading.Event(), progress).run(stored_config(store_root))


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one image."""

    entries: tuple[Entry, ...]
    written: frozenset[tuple[Root, str]]
    record: Record | None


class _Export:
    """The state of one export."""

    def __init__(
        self,
        store: Store,
        exporter: Exporter,
        output: Path,
        stop: threading.Event,
        progress: Callable[[int, int], None],
    ) -> None:
        self._store = store
        self._exporter = exporter
        self._output = output
        self._stop = stop
        self._progress = progress
        self._started = time.perf_counter()

    def run(self, config: PipelineConfig) -> ExportSummary:
        exporter, rules, options = self._exporter, self._exporter.rules, self._exporter.options
        self._config = config
        self._input_root = self._checked_input()
        self._unfinished = unfinished(self._store, output=self._output)
        self._mode = image_mode(exporter)
        self._drawing = drawing_of(exporter, config)
        known = read_manifest(self._output, exporter=exporter.name)
        if known:
            sweep_temporaries(self._output)
        self._header = header(exporter.name, self._noted_options())
        self._noted = header_of(self._output / MANIFEST_NAME) == self._header
        self._writer = Writer(
            {Root.OUTPUT: self._output, Root.IMAGES: self._input_root},
            known,
            self._mode if self._mode != "none" else "copy",
        )
        chosen = select(self._store, input_root=self._input_root, rules=rules, options=options, images=self._mode)
        self._standing = self._as_exported(chosen)
        self._leave_out_blank(chosen)
        if not chosen.chosen:
            raise InputError(
                f"No image of {self._store.root} takes part in this export.",
                advice="`automask status` tells what the store holds.",
                code="export-empty",
            )
        context = self._context(chosen)
        planned = self._planned(chosen, context)
        if planned or not self._noted:
            self._note_files([*known.values(), *planned])
        return self._write(chosen, context, known)

    def _checked_input(self) -> Path:
        last = self._store.last_run()
        root = Path(last.input_root) if last is not None else Path()
        if last is None or not root.is_dir():
            raise InputError(
                f"The images of this store are not in {root} any more.",
                advice="Run `automask run` on the folder where they are now, with the same --output.",
                code="export-no-images",
            )
        if self._output == root or root in self._output.parents:
            raise OutputError(
                f"The output {self._output} lies inside the image folder, where trainers would take masks for images.",
                advice="Choose another --output; formats that want masks beside images have --in-place.",
                code="output-inside-input",
            )
        return root

    def _image(self, chosen: Chosen) -> StoredExportImage:
        return StoredExportImage(chosen, store=self._store, drawing=self._drawing, decode_config=self._config.decode)

    def _as_exported(self, found: Selection) -> dict[str, tuple[Entry, ...]]:
        """By image id the files of all images that an export under the same options wrote, and that stand."""
        if not self._noted:
            return {}
        entries = zip(found.chosen, in_threads(self._standing_files, found.chosen, stop=self._stop), strict=False)
        return {chosen.stored.image_id: files for chosen, files in entries if files}

    def _standing_files(self, chosen: Chosen) -> tuple[Entry, ...]:
        """The files of an image, or nothing where one of them has to be written."""
        files = list(self._files(chosen, self._image(chosen)))
        if not all(self._writer.is_current(file) for file in files):
            return ()
        return tuple(self._writer.known[file.root, file.name] for file in files)

    def _leave_out_blank(self, found: Selection) -> None:
        """Find images without anything to train: they teach nothing, and divide by zero in some trainers."""
        rules, wish = self._exporter.rules, self._exporter.options.fully_masked
        if rules.keeps_blank:
            return
        can_leave_out = leaves_out(rules, self._mode)
        if wish == "exclude" and not can_leave_out:
            raise ConfigError(
                "--fully-masked exclude leaves images out, and this trainer would still read their files.",
                advice="Add --images link: a folder with the other images is made, and the trainer reads that one.",
                code="export-needs-images",
            )
        answers = zip(found.chosen, in_threads(self._is_blank, found.chosen, stop=self._stop), strict=False)
        blank = {chosen.stored.image_id for chosen, is_blank in answers if is_blank}
        if not blank:
            return
        if wish == "error" or not can_leave_out:
            raise InputError(
                f"Nothing of these images would be trained: {named(sorted(blank))}.",
                advice="Correct their masks, take the images away, or use --fully-masked exclude --images link.",
                code="export-fully-masked",
            )
        found.left_out[FULLY_MASKED] = sorted(blank)
        found.chosen = [chosen for chosen in found.chosen if chosen.stored.image_id not in blank]
        found.unreviewed = [image_id for image_id in found.unreviewed if image_id not in blank]
        found.much_masked = [image_id for image_id in found.much_masked if image_id not in blank]

    def _is_blank(self, chosen: Chosen) -> bool:
        if chosen.stored.image_id in self._standing:
            return False  # or it would not have been written
        image = self._image(chosen)
        return image.may_be_blank() and image.is_blank()

    def _context(self, found: Selection) -> ExportContext:
        rules = self._exporter.rules
        beside = rules.trainer is not None and rules.trainer.naming.place in (Place.BESIDE, Place.ALPHA)
        has_images = self._mode != "none" or rules.writes_images
        images_root = self._output / rules.images_folder if has_images else self._input_root
        return ExportContext(
            output=self._output,
            images_root=images_root,
            masks_root=self._masks_root(beside=beside),
            folders=tuple(sorted({str(PurePosixPath(chosen.name).parent) for chosen in found.chosen})),
            training_px=self._drawing.render.training_px,
            cell_px=self._drawing.render.cell_px,
        )

    def _masks_root(self, *, beside: bool) -> Path:
        if not beside:
            return self._output / MASKS_FOLDER
        return (
            self._input_root if self._exporter.options.in_place else self._output / self._exporter.rules.images_folder
        )

    def _files(self, chosen: Chosen, image: StoredExportImage) -> Iterator[OutputFile]:
        yield from self._exporter.files(image)
        rules = self._exporter.rules
        if self._mode == "none":
            return
        folder = PurePosixPath(rules.images_folder)
        if not rules.writes_images:
            yield _taken_over(str(folder / chosen.name), chosen.path, self._writer.mode)
        for suffix in CAPTION_SUFFIXES if rules.takes_captions else ():
            caption = chosen.path.with_name(stem_of(chosen.path.name) + suffix)
            if caption.is_file():
                name = PurePosixPath(chosen.name)
                yield _taken_over(str(folder / name.with_name(stem_of(name.name) + suffix)), caption, self._writer.mode)

    def _planned(self, found: Selection, context: ExportContext) -> list[Entry]:
        """All files that are going to be written, after a look at what is in their way."""
        planned: dict[tuple[Root, str], Entry] = {}
        snippet = self._exporter.snippet(context)
        foreign: list[Path] = []
        for chosen in found.chosen:
            if chosen.stored.image_id in self._standing:
                continue
            for file in self._files(chosen, self._image(chosen)):
                if (file.root, file.name) in planned:
                    continue
                if self._writer.is_foreign(file):
                    foreign.append(self._writer.path(file))
                planned[file.root, file.name] = Entry(file.root, file.name)
        for file in self._closing_files([], context, snippet):
            if not self._may_stay(file, snippet):
                if self._writer.is_foreign(file):
                    foreign.append(self._writer.path(file))
                planned[file.root, file.name] = Entry(file.root, file.name)
        if foreign:
            raise refuse_foreign(foreign)
        return [entry for key, entry in planned.items() if key not in self._writer.known]

    def _write(self, found: Selection, context: ExportContext, known: Entries) -> ExportSummary:
        entries: Entries = {}
        new: set[tuple[Root, str]] = set()
        records: list[Record] = []
        total = len(found.chosen)
        stands = True
        removed = kept = 0
        snippet = self._exporter.snippet(context)
        with Journal(self._output) as journal:
            for done, result in enumerate(in_threads(self._export_image, found.chosen, stop=self._stop), start=1):
                for entry in result.entries:
                    entries[entry.root, entry.name] = entry
                    if (entry.root, entry.name) in result.written:
                        journal.add(entry)
                new |= result.written
                if result.record is not None:
                    records.append(result.record)
                self._progress(done, total)
            written, unchanged = len(new), len(entries) - len(new)
            if self._stop.is_set():
                entries = {**known, **entries}
            else:
                for file in self._closing_files(records, context, snippet):
                    if self._writer.is_current(file):
                        entries[file.root, file.name] = known[file.root, file.name]
                        unchanged += 1
                    elif self._may_stay(file, snippet) and self._writer.is_foreign(file):
                        stands = False
                    else:
                        journal.add(Entry(file.root, file.name))  # else a crash makes it somebody else's
                        entries[file.root, file.name] = self._writer.write(file)
                        journal.add(entries[file.root, file.name])
                        written += 1
                old = [entry for key, entry in known.items() if key not in entries]
                for entry in old:
                    if self._writer.remove(entry):
                        removed += 1
                    elif os.path.lexists(self._writer.path(entry)):
                        kept += 1
        if new or entries != known or not self._noted:
            self._note_files(entries.values())
        trainer = self._exporter.rules.trainer
        return ExportSummary(
            exporter=self._exporter.name,
            output=self._output,
            images=total,
            written=written,
            unchanged=unchanged,
            removed=removed,
            kept=kept,
            unreviewed=tuple(found.unreviewed),
            left_out={reason: tuple(ids) for reason, ids in sorted(found.left_out.items())},
            much_masked=tuple(found.much_masked),
            unfinished=self._unfinished,
            snippet=snippet,
            snippet_stands=stands,
            cache=trainer.cache if trainer is not None else "",
            reads=trainer.reads_in_words if trainer is not None else "",
            seconds=time.perf_counter() - self._started,
            interrupted=self._stop.is_set(),
        )

    def _note_files(self, entries: Iterable[Entry]) -> None:
        write_manifest(self._output, entries, header=self._header)

    def _noted_options(self) -> dict[str, object]:
        """Those of the user, and the resolution and cell that they come to with those of the store."""
        render = self._drawing.render
        drawn = {"training_px": render.training_px, "cell_px": render.cell_px}
        return self._exporter.options.model_dump(mode="json", exclude_defaults=True) | drawn

    @staticmethod
    def _may_stay(file: OutputFile, snippet: Snippet | None) -> bool:
        """Whether a file is one that people edit, so that their version stays."""
        return file.name == HOWTO_NAME or (snippet is not None and file.name == snippet.name)

    def _export_image(self, chosen: Chosen) -> _Done:
        image = self._image(chosen)
        standing = self._standing.get(chosen.stored.image_id)
        if standing is not None:
            return _Done(standing, frozenset(), self._exporter.record(image))
        entries: list[Entry] = []
        written: set[tuple[Root, str]] = set()
        for file in self._files(chosen, image):
            if self._writer.is_current(file):
                entries.append(self._writer.known[file.root, file.name])
            else:
                entries.append(self._writer.write(file))
                written.add((file.root, file.name))
        return _Done(tuple(entries), frozenset(written), self._exporter.record(image))

    def _closing_files(
        self, records: Sequence[Record], context: ExportContext, snippet: Snippet | None
    ) -> Iterable[OutputFile]:
        yield from self._exporter.closing(records, context)
        if snippet is not None:
            yield text_file(snippet.name, snippet.text)
        trainer = self._exporter.rules.trainer
        if trainer is not None:
            yield text_file(HOWTO_NAME, howto(trainer, snippet, context))


def _taken_over(name: str, path: Path, mode: ImageMode) -> OutputFile:
    """An image or caption of the user's; a link shows every change by itself, a copy has to follow."""
    facts = path.stat() if mode == "copy" else None
    changes = [facts.st_size, facts.st_mtime_ns] if facts is not None else []
    return OutputFile(name, digest([mode, str(path), *changes]), lambda: path)
