"""Entries that say what our own export says: nobody drew them, so they must change nothing.

Every entry is compared with what the exporter of its format writes for that image now. A hash in the export's manifest
would know older exports, too, but the file that a person brings back is seldom the one that was exported: annotation
programs write a new one, and picture editors pack the same pixels anew. Pixels and kinds survive both.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.errors import AutomaskError
from automask.export.drawing import drawing_of
from automask.export.images import Chosen, StoredExportImage
from automask.export.manifest import MANIFEST_NAME, header_of
from automask.export.outlines import outlines
from automask.export.protocol import Exporter
from automask.export.run import build_exporter
from automask.importing.found import Outlines, Target
from automask.importing.pictures import opened
from automask.importing.shapes import Canvas
from automask.store import Store, StoredImage
from automask.values.types import Kind

_FOLDERS_UP = 3
"""How far above the imported folder or file the manifest of its export may lie."""


class OwnExport:
    """What the export would write for the images of a store.

    Args:
        store: Open while this is used.
        config: The configuration of its last run.
        format_: A format of imports.
        source: What is imported: where it lies in an export, the options of that export count.
    """

    def __init__(self, store: Store, config: PipelineConfig, *, format_: str, source: Path) -> None:
        self._store = store
        self._config = config
        last = store.last_run()
        self._input_root = Path(last.input_root) if last is not None else Path()
        self._outdated = set(store.outdated_masks())
        self._exporters = list(_exporters("grey" if format_ == "masks" else format_, source))
        self._grey = build_exporter("grey", options={})

    def has_levels(self, stored: StoredImage, levels: NDArray[np.uint8]) -> bool:
        """Whether a finished mask, as it lies in its file, is one that the export would write."""
        return any(
            np.array_equal(levels, own) for exporter in self._exporters for own in self._levels(exporter, stored)
        )

    def is_mask(self, stored: StoredImage, levels: NDArray[np.uint8]) -> bool:
        """Whether a finished, upright mask is the store's own."""
        return np.array_equal(levels, self._image(self._grey, stored).levels())

    def has_outlines(self, stored: StoredImage, given: Outlines) -> bool:
        """Whether outlines are those that the export would write: pixel by pixel, and kind by kind."""
        image = self._image(self._exporters[0], stored)
        width_px, height_px = stored.width_px or 1, stored.height_px or 1
        exact: dict[Kind | None, NDArray[np.bool_]] = {}
        traced = Canvas(Target((height_px, width_px)))
        for one in image.instances():
            exact[one.kind] = exact[one.kind] | one.artefact if one.kind in exact else one.artefact
            for outline in outlines(one.artefact):
                traced.polygon(outline, one.kind)
        return _equal(given.by_kind, exact) or _equal(given.by_kind, traced.outlines().by_kind)

    def _levels(self, exporter: Exporter, stored: StoredImage) -> Iterator[NDArray[np.uint8]]:
        image = self._image(exporter, stored)
        yield image.levels()
        for file in exporter.files(image):  # formats that write something else than the mask as it is drawn
            try:
                content = file.make()
                if isinstance(content, bytes):
                    with opened(io.BytesIO(content)) as picture:
                        bands = picture.getbands()
                        yield np.asarray(picture.getchannel("A") if "A" in bands else picture.convert("L"))
            except (AutomaskError, OSError, ValueError):
                continue  # the image is gone, or the file is no picture

    def _image(self, exporter: Exporter, stored: StoredImage) -> StoredExportImage:
        image_id = stored.image_id
        chosen = Chosen(
            stored=stored,
            path=self._input_root / image_id,
            name=image_id,
            mask_name=stored.mask_name or f"{image_id}.png",
            is_outdated=image_id in self._outdated,
        )
        drawing = drawing_of(exporter, self._config)
        return StoredExportImage(chosen, store=self._store, drawing=drawing, decode_config=self._config.decode)


def _exporters(name: str, source: Path) -> Iterator[Exporter]:
    """The exporter of a format, and that of the export in which the source lies, with its options."""
    yield build_exporter(name, options={})
    folder = source if source.is_dir() else source.parent
    for parent in [folder, *folder.resolve().parents][: _FOLDERS_UP + 1]:
        header = header_of(parent / MANIFEST_NAME)
        if header is not None:
            options: Any = header.get("options")
            with contextlib.suppress(AutomaskError):  # of another version, or of a plug-in that is not here
                yield build_exporter(str(header.get("exporter")), options=options if isinstance(options, dict) else {})
            return


def _equal(one: Mapping[Kind | None, NDArray[np.bool_]], other: Mapping[Kind | None, NDArray[np.bool_]]) -> bool:
    kinds = {kind for drawn in (one, other) for kind, artefact in drawn.items() if artefact.any()}
    return all(kind in one and kind in other and np.array_equal(one[kind], other[kind]) for kind in kinds)
