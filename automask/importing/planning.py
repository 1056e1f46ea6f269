"""What an import would do, image by image, before anything is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.config import PipelineConfig
from automask.errors import ConfigError
from automask.importing.fitting import fitted_levels, fitted_outlines
from automask.importing.found import (
    LINE_WIDTH_PX,
    FoundMask,
    FoundMasks,
    Levels,
    NotAnAnnotation,
    OnlyPredicted,
    Outlines,
    Target,
)
from automask.importing.untouched import OwnExport
from automask.mask.drawing import draw
from automask.mask.rendering import CorrectionLayers
from automask.store import PackedLayers, Store, StoredImage
from automask.store.masks import hash_file
from automask.values.kinds import region_keys
from automask.values.types import Found, Kind

_HALF = 0.5
_INVERTED_ADVICE = "Add --invert if white marks what is unwanted in them, --keep-polarity if they are right."


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How masks are taken.

    Attributes:
        format: A key of `automask.importing.run.READERS`.
        author: Who drew them.
        inverts: White marks what is unwanted.
        keeps_polarity: Take masks that look inverted as they are.
        replaces: Also where somebody corrected an image before.
        allows_empty: Also where a mask that masks something would mask nothing afterwards.
        line_width_px: Width of lines that have none of their own.
        is_dry: Tell what would happen and change nothing.
    """

    format: str
    author: str = "import"
    inverts: bool = False
    keeps_polarity: bool = False
    replaces: bool = False
    allows_empty: bool = False
    line_width_px: float = LINE_WIDTH_PX
    is_dry: bool = False


@dataclass(slots=True)
class ImportSummary:
    """What an import did, or would do.

    Attributes:
        imported: Ids of images with a new correction.
        unchanged: Ids whose mask says the same already: the newest correction, or what an export would write.
        resized: Ids whose mask had another size of the same shape.
        prefixed: Ids that were matched without the prefix of an upload.
        binary: Ids whose mask had the values 0 and 1, which were read as 0 and 255.
        kept: Ids that a person corrected before; they stay as they are without `replaces`.
        would_empty: Ids whose mask would mask nothing any more; they stay as they are without `allows_empty`.
        emptied: Ids among `imported` whose mask masks nothing now.
        masking_nothing: Number of images of the store whose mask masks nothing now.
        left_alone: Reason by entry, for entries that nobody meant as an annotation or that no person submitted.
        notes: What was left out or chosen, by entry.
        unusable: Reason by entry, for those that cannot be read as a whole.
        unmatched: Files or entries that belong to no image.
        without: Number of images that no mask was found for.
    """

    imported: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    prefixed: list[str] = field(default_factory=list)
    binary: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    would_empty: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    masking_nothing: int = 0
    left_alone: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    without: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """A new correction that waits; packed, since the masks of a whole dataset would not fit into memory.

    Attributes:
        image_ids: The images that have these pixels.
        based_on: Newest revision when it was planned.
        layers: What changes.
    """

    image_ids: tuple[str, ...]
    based_on: int | None
    layers: PackedLayers


class Planner:
    """Looks at one entry after the other, and changes nothing.

    Attributes:
        summary: What was found out.
        planned: New corrections by content.
        foreign: Number of files of another purpose.
    """

    def __init__(
        self, store: Store, config: PipelineConfig, found: FoundMasks, options: ImportOptions, own: OwnExport
    ) -> None:
        self.summary = ImportSummary()
        self.planned: dict[str, Planned] = {}
        self.foreign = 0
        self._store = store
        self._config = config
        self._found = found
        self._options = options
        self._own = own
        self._outdated = set(store.outdated_masks())
        self._dark = self._light = 0
        self._polarity_is_proven = options.inverts or options.keeps_polarity or not found.already_grown

    def look_at(self, stored: StoredImage, mask: FoundMask) -> None:
        """Decide about one image."""
        if stored.height_px is None or stored.width_px is None or stored.content_sha256 is None:
            return
        summary = self.summary
        shape = (stored.height_px, stored.width_px)
        try:
            result = self._store.result(stored.image_id)
            if result is None:
                raise ValueError("what was found in its image is damaged: `automask run` analyses it again")
            if mask.picture is not None and _is_image(mask.picture, stored):
                raise ValueError("it is the image itself, not its mask")
            given = mask.load(Target(shape, self._options.line_width_px))
            layers = self._layers(stored, result, given, mask.where)
        except (NotAnAnnotation, OnlyPredicted) as reason:
            self.foreign += isinstance(reason, NotAnAnnotation)
            summary.left_alone[mask.where] = str(reason)
            return
        except (ValueError, OSError) as reason:
            summary.unusable[mask.where] = str(reason)
            return
        if layers is None:
            summary.unchanged.append(stored.image_id)
        else:
            self._plan(stored, result, layers, mask)

    def check_polarity(self) -> None:
        """Refuse masks most of which train less than they mask: either they are inverted or the dataset is very odd.

        Masks that are our own settle the question for those beside them.

        Raises:
            ConfigError: They look inverted (`import-polarity`).
        """
        total = self._dark + self._light
        if self._polarity_is_proven or self._dark <= total / 2:
            return
        binary = " (their values 0 and 1 were read as 0 and 255)" if self.summary.binary else ""
        raise ConfigError(
            f"{self._dark} of {total} masks are black over more than half{binary}: white means train, so they look "
            "inverted.",
            advice=_INVERTED_ADVICE,
            code="import-polarity",
        )

    def _layers(
        self, stored: StoredImage, result: Found, given: Levels | Outlines, where: str
    ) -> CorrectionLayers | None:
        """The correction that an entry means, or None where it is what an export would write."""
        shape = (result.height_px, result.width_px)
        orientation = stored.orientation or 1
        if isinstance(given, Outlines):
            upright = fitted_outlines(given, shape, orientation=orientation)
            if given.notes:
                self.summary.notes[where] = "; ".join(given.notes)
            if self._own.has_outlines(stored, upright):
                return None
            self._note_size(stored, given.own_shape, shape)
            add = np.zeros(shape, dtype=np.bool_)
            for drawn in upright.by_kind.values():
                add |= drawn
            return CorrectionLayers(replaces=True, add=add, kinds=_called(result, upright))
        levels = 255 - given.levels if self._options.inverts else given.levels
        if self._own.has_levels(stored, levels):
            self._polarity_is_proven |= int(levels.min()) < 255
            return None
        fitted = fitted_levels(levels, shape, orientation=orientation, as_stored=self._found.as_stored)
        if given.was_binary:
            self.summary.binary.append(stored.image_id)
        if self._own.is_mask(stored, fitted):
            return None
        self._note_size(stored, (levels.shape[0], levels.shape[1]), shape)
        self._dark += float(fitted.mean()) / 255.0 < _HALF
        self._light += float(fitted.mean()) / 255.0 >= _HALF
        return _of_levels(fitted, kinds={})

    def _plan(self, stored: StoredImage, result: Found, layers: CorrectionLayers, mask: FoundMask) -> None:
        summary, image_id, content = self.summary, stored.image_id, stored.content_sha256 or ""
        newest = self._store.correction(content)
        before = newest.layers if newest is not None else None
        if before is not None:
            layers = dataclasses.replace(layers, kinds={**before.kinds, **layers.kinds})
            if _same(before, layers):
                summary.unchanged.append(image_id)
                return
            if not self._options.replaces:
                summary.kept.append(image_id)
                return
        is_empty = _masks_nothing(layers)
        if is_empty and not self._options.allows_empty and self._masks_something(stored, result, before):
            summary.would_empty.append(image_id)
            return
        planned = Planned((image_id,), newest.revision if newest is not None else None, PackedLayers.of(layers))
        twin = self.planned.get(content)
        if twin is not None:
            if planned.layers != twin.layers:
                summary.unusable[mask.where] = (
                    f"{image_id} is the same picture as {twin.image_ids[0]}, and its mask differs"
                )
                return
            planned = dataclasses.replace(planned, image_ids=(*twin.image_ids, image_id))
        self.planned[content] = planned
        summary.imported.append(image_id)
        if is_empty:
            summary.emptied.append(image_id)

    def _masks_something(self, stored: StoredImage, result: Found, before: CorrectionLayers | None) -> bool:
        if stored.image_id in self._outdated or stored.masked_share is None:
            return draw(result, self._config, before).mask.masked_share > 0
        return stored.masked_share > 0

    def _note_size(self, stored: StoredImage, own_shape: tuple[int, int], shape: tuple[int, int]) -> None:
        if own_shape not in (shape, shape[::-1]):
            self.summary.resized.append(stored.image_id)


def _called(result: Found, outlines: Outlines) -> dict[str, Kind]:
    """What the labels of outlines call the regions that they cover, by key."""
    found: dict[str, Kind] = {}
    named = {kind: drawn for kind, drawn in outlines.by_kind.items() if kind is not None}
    for key, patch in zip(region_keys(result.regions), result.patches, strict=True):
        covered = {kind: int((drawn[patch.box.slices] & patch.artefact).sum()) for kind, drawn in named.items()}
        kind = max(covered, key=lambda one: covered[one], default=None)
        if kind is not None and covered[kind] > 0 and covered[kind] >= _HALF * patch.artefact.sum():
            found[key] = kind
    return found


def _is_image(path: Path, stored: StoredImage) -> bool:
    """Whether a file is an image of the store, or a copy of it: a grey photograph would pass for a mask."""
    return path.stat().st_size == stored.size_bytes and hash_file(path) == stored.content_sha256


def _of_levels(levels: NDArray[np.uint8], *, kinds: Mapping[str, Kind]) -> CorrectionLayers:
    everywhere = np.full(levels.shape, fill_value=True, dtype=np.bool_)
    return CorrectionLayers(replaces=True, weight_levels=levels, weight_set=everywhere, already_grown=True, kinds=kinds)


def _masks_nothing(layers: CorrectionLayers) -> bool:
    """Whether a correction of an import leaves nothing masked."""
    adds = layers.add is not None and bool(layers.add.any())
    weighs = layers.weight_levels is not None and int(layers.weight_levels.min()) < 255
    return not (adds or weighs)


def _same(one: CorrectionLayers, other: CorrectionLayers) -> bool:
    """Whether two corrections change the same pixels, and call regions the same."""
    pairs = [
        (one.add, other.add),
        (one.remove, other.remove),
        (one.weight_levels, other.weight_levels),
        (one.weight_set, other.weight_set),
    ]
    return (one.replaces, one.already_grown, one.kinds) == (other.replaces, other.already_grown, other.kinds) and all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs
    )
