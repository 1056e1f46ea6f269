"""What a person put right on one image, on all images that show the same mark: propose, confirm, apply, undo."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automask.dataset.names import path_of
from automask.dataset.stored import decode_unchanged
from automask.errors import InputError, StoreError
from automask.mask.rendering import CorrectionLayers
from automask.propagate.layout_matching import LayoutFinder, fit_frame, frames_a_window
from automask.propagate.matching import MarkFinder
from automask.propagate.operations import TOOL, Mode, is_applied, made_by, new_operation
from automask.run.edited import adopt_edited_mask
from automask.run.redraw import redraw_image, stored_config
from automask.store import Correction, Status, Store, StoredImage
from automask.values.geometry import Box
from automask.values.templates import TEMPLATE_ATTRIBUTE

LEAST_SCORE = 0.5
"""Matches below it are not proposed."""
LEAST_LAYOUT_SCORE = 0.65
"""The same for frames: cards of one layout reach .77 and more, those of another one and shifted ones at most .55."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """The same mark on another image.

    Attributes:
        image_id: The image.
        content_sha256: Hash of its file when it was looked at.
        box: Where the pixels would go.
        artefact: bool of shape `box.shape`.
        score: 0..1, how alike both places look; 1 where a template was found on both images.
        corner: Where the upper left corner (x, y) of the whole mark would be; outside where the image cuts it.
        size_px: (width, height) of the image that a frame was fitted to, moved by `corner`; None for other marks.
    """

    image_id: str
    content_sha256: str
    box: Box
    artefact: NDArray[np.bool_]
    score: float
    corner: tuple[int, int]
    size_px: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking an operation back did.

    Attributes:
        reverted: Contents that are as they were before.
        adjusted: Contents that somebody corrected since: only the pixels of the operation were taken out.
    """

    reverted: tuple[str, ...]
    adjusted: tuple[str, ...]


def propose(
    store: Store,
    image_id: str,
    artefact: NDArray[np.bool_],
    *,
    least_score: float = LEAST_SCORE,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> list[Proposal]:
    """Find the same mark on the other images of a store; nothing is changed.

    A frame (all but a window) goes to images of the same layout, scaled with them. Where other pixels belong to a
    template that was found on another image too, its place there is taken; else the mark is looked for near where it
    would be from every corner, shifted by up to a few percent.

    Args:
        store: Opened for reading or writing.
        image_id: The image that was corrected.
        artefact: (H, W) bool of that image: the pixels to propagate.
        least_score: Matches below are left out.
        progress: Called with images done and in all.
        stop: When set, what was found so far is returned.

    Returns:
        The best match of every other image that has one, best first.

    Raises:
        InputError: The image is unknown, its file is gone or changed, or `artefact` is empty or of another size.
        StoreError: Nothing was run on the store.
    """
    found: list[Proposal] = []
    for done, total, proposal in search(store, image_id, artefact, least_score=least_score):
        if proposal is not None:
            found.append(proposal)
        progress(done, total)
        if stop is not None and stop.is_set():
            break
    return sorted(found, key=lambda each: (-each.score, each.image_id))


def search(
    store: Store, image_id: str, artefact: NDArray[np.bool_], *, least_score: float = LEAST_SCORE
) -> Iterator[tuple[int, int, Proposal | None]]:
    """The same as `propose`, image by image, for who shows what is found while it is looked for.

    Returns:
        Images done, images in all, and what was found on the last one. Wrong input is refused before the first.

    Raises:
        InputError: As `propose`.
        StoreError: As `propose`.
    """
    rows = {row.image_id: row for row in store.images(status=Status.DONE)}
    source = rows.get(image_id)
    box = Box.of_artefact(artefact)
    if source is None or box is None or artefact.shape != (source.height_px, source.width_px):
        raise InputError(
            f"There is nothing to propagate from {image_id}.", advice="Mark some pixels of an image of the store first."
        )
    pixels = _pixels(store, source)
    if pixels is None:
        raise InputError(
            f"{image_id} is gone or has changed since its mask was made.", advice="Run `automask run` on its folder."
        )
    inside = np.ascontiguousarray(artefact[box.slices])
    places = _template_places(store, image_id, box)
    propose_on: Callable[[StoredImage], Proposal | None]
    if frames_a_window(artefact):
        places = {}  # a mark within the frame does not say where the frame goes
        least_score = max(least_score, LEAST_LAYOUT_SCORE)
        layout = LayoutFinder(pixels, artefact)
        propose_on = functools.partial(_frame_on, store, artefact, layout)
    else:
        finder = MarkFinder(pixels, box, inside)
        propose_on = functools.partial(_mark_on, store, inside, finder)
    others = [row for row in rows.values() if row.content_sha256 != source.content_sha256]

    def one_by_one() -> Iterator[tuple[int, int, Proposal | None]]:
        for done, row in enumerate(others, start=1):
            proposal = _by_template(store, row, inside, places) or propose_on(row)
            yield done, len(others), proposal if proposal is not None and proposal.score >= least_score else None

    return one_by_one()


def place(
    row: StoredImage,
    artefact: NDArray[np.bool_],
    *,
    corner: tuple[int, int],
    score: float,
    size_px: tuple[int, int] | None = None,
) -> Proposal | None:
    """Pixels put at a place of an image, cut where they leave it; None where nothing is left.

    Args:
        row: The image.
        artefact: bool, the pixels of the whole mark; of a frame those of its whole image.
        corner: Where its upper left corner goes, x and y.
        score: How sure that is.
        size_px: For frames, (width, height) of the image; see `Proposal`.
    """
    if size_px is not None:
        fitted = fit_frame(artefact, size_px, move_px=corner)
        proposal = _clipped(row, Box(0, 0, *size_px), fitted, score=score)
        return dataclasses.replace(proposal, corner=corner, size_px=size_px) if proposal is not None else None
    box = Box(corner[0], corner[1], corner[0] + artefact.shape[1], corner[1] + artefact.shape[0])
    return _clipped(row, box, artefact, score=score)


def apply(
    store: Store,
    proposals: Sequence[Proposal],
    *,
    mode: Mode,
    author: str,
    source_sha256: str,
    operation: str | None = None,
) -> str:
    """Correct all images of some proposals in one step, on top of what people corrected there, and draw them again.

    Args:
        store: Opened for writing.
        proposals: What to apply.
        mode: Whether the pixels are masked or trained there.
        author: Who, for the history.
        source_sha256: Hash of the file that the pixels are from; see `operations_from`.
        operation: An id by `new_operation`, for callers who may have to ask again because no answer came: what was
            applied under it already is drawn once more and changes nothing else.

    Returns:
        The operation's id, for `undo`.

    Raises:
        CorrectionConflict: Somebody corrects one of the images at this moment; nothing was changed.
        StoreError: The store cannot be written.
    """
    if operation is not None and is_applied(store, operation):
        _redraw(store, {each.content_sha256: None for each in proposals})
        return operation
    operation = operation or new_operation()
    changes: dict[str, tuple[CorrectionLayers, int | None]] = {}
    shapes = _shapes(store)
    for row in _rows_of(store, {each.content_sha256: None for each in proposals}):
        adopt_edited_mask(store, row)  # what somebody saved over a mask file is part of what people corrected
    for proposal in proposals:
        newest = store.correction(proposal.content_sha256)
        layers = newest.layers if newest is not None else None
        placed = np.zeros(shapes[proposal.content_sha256], dtype=np.bool_)
        placed[proposal.box.slices] = proposal.artefact
        changed = _with(layers or CorrectionLayers(), placed, mode)
        changes[proposal.content_sha256] = (changed, newest.revision if newest is not None else None)
    store.put_corrections(changes, author=author, tool=f"{TOOL}:{mode}:{operation}:{source_sha256}")
    _redraw(store, changes)
    return operation


def undo(store: Store, operation: str, *, author: str) -> Undone:
    """Take an operation back in one step. What people corrected afterwards stays. A second time changes nothing.

    Raises:
        StoreError: There is no such operation (`correction-unknown`).
        CorrectionConflict: Somebody corrects one of the images at this moment; nothing was changed.
    """
    before_now = [one.content_sha256 for one in store.corrections_made_with(f"{TOOL}-undo:{operation}")]
    if before_now:
        _redraw(store, dict.fromkeys(before_now))
        return Undone(tuple(before_now), ())
    changes: dict[str, tuple[CorrectionLayers | None, int | None]] = {}
    reverted: list[str] = []
    adjusted: list[str] = []
    for one in made_by(store, operation):
        content = one.content_sha256
        history = store.correction_history(content)
        before = _layers_at(history, one.revision - 1)
        newest = history[-1]
        if newest.revision == one.revision:
            changes[content] = (before, newest.revision)
            reverted.append(content)
        elif newest.layers is not None:
            made = _layers_at(history, one.revision)
            changes[content] = (_without(newest.layers, made, before), newest.revision)
            adjusted.append(content)
    if not changes:
        raise StoreError(
            f"Nothing of the operation {operation} is left to take back.",
            advice="Histories of corrections list operations as `propagate:...`.",
            code="correction-unknown",
        )
    store.put_corrections(changes, author=author, tool=f"{TOOL}-undo:{operation}")
    _redraw(store, changes)
    return Undone(tuple(reverted), tuple(adjusted))


def _by_template(
    store: Store, row: StoredImage, inside: NDArray[np.bool_], places: Mapping[str, tuple[Box, Box]]
) -> Proposal | None:
    for region in store.regions(row.image_id):
        known = places.get(str(region.attributes.get(TEMPLATE_ATTRIBUTE, "")))
        if known is not None and region.box.shape == known[0].shape:
            mark, wanted = known
            moved = wanted.shifted(region.box.x0 - mark.x0, region.box.y0 - mark.y0)
            return _clipped(row, moved, inside, score=1.0)
    return None


def _mark_on(store: Store, inside: NDArray[np.bool_], finder: MarkFinder, row: StoredImage) -> Proposal | None:
    pixels = _pixels(store, row)
    match = finder.find(pixels) if pixels is not None else None
    return _clipped(row, match[0], inside, score=match[1]) if match is not None else None


def _frame_on(store: Store, artefact: NDArray[np.bool_], layout: LayoutFinder, row: StoredImage) -> Proposal | None:
    pixels = _pixels(store, row)
    match = layout.find(pixels) if pixels is not None else None
    if pixels is None or match is None:
        return None
    return place(row, artefact, corner=match[0], score=match[1], size_px=(pixels.shape[1], pixels.shape[0]))


def _clipped(row: StoredImage, box: Box, inside: NDArray[np.bool_], *, score: float) -> Proposal | None:
    seen = box.clipped(width_px=row.width_px or 0, height_px=row.height_px or 0)
    if seen is None or row.content_sha256 is None:
        return None
    part = inside[seen.y0 - box.y0 : seen.y1 - box.y0, seen.x0 - box.x0 : seen.x1 - box.x0]
    return Proposal(
        image_id=row.image_id,
        content_sha256=row.content_sha256,
        box=seen,
        artefact=np.ascontiguousarray(part),
        score=min(1.0, max(0.0, score)),
        corner=(box.x0, box.y0),
    )


def _template_places(store: Store, image_id: str, box: Box) -> dict[str, tuple[Box, Box]]:
    """Boxes of templates that the pixels overlap on the source image, with the box of the pixels, by template id."""
    return {
        str(region.attributes[TEMPLATE_ATTRIBUTE]): (region.box, box)
        for region in store.regions(image_id)
        if TEMPLATE_ATTRIBUTE in region.attributes and region.box.intersection(box) is not None
    }


def _pixels(store: Store, row: StoredImage) -> NDArray[np.uint8] | None:
    """The upright image, or None where its file is gone or another one by now."""
    last = store.last_run()
    if last is None:
        return None
    path = path_of(Path(last.input_root), row.image_id)
    image = decode_unchanged(row, path, stored_config(store.root).decode)
    return image.pixels if image is not None else None


def _with(layers: CorrectionLayers, placed: NDArray[np.bool_], mode: Mode) -> CorrectionLayers:
    add = layers.add if layers.add is not None else np.zeros_like(placed)
    remove = layers.remove if layers.remove is not None else np.zeros_like(placed)
    if layers.weight_set is not None:  # a weight would win over both, as everywhere in a mask that was painted over
        layers = dataclasses.replace(layers, weight_set=layers.weight_set & ~placed)
    if mode == "add":
        return dataclasses.replace(layers, add=add | placed, remove=remove & ~placed)
    return dataclasses.replace(layers, add=add & ~placed, remove=remove | placed)


def _without(
    newest: CorrectionLayers, made: CorrectionLayers | None, before: CorrectionLayers | None
) -> CorrectionLayers:
    """The newest layers without the pixels that an operation had brought."""

    def taken_out(name: Literal["add", "remove"]) -> NDArray[np.bool_] | None:
        mine: NDArray[np.bool_] | None = getattr(newest, name)
        brought: NDArray[np.bool_] | None = getattr(made, name) if made is not None else None
        old: NDArray[np.bool_] | None = getattr(before, name) if before is not None else None
        if mine is None or brought is None:
            return mine
        return mine & ~(brought if old is None else brought & ~old)

    newest = dataclasses.replace(newest, add=taken_out("add"), remove=taken_out("remove"))
    return _with_weights_again(newest, made, before)


def _with_weights_again(
    newest: CorrectionLayers, made: CorrectionLayers | None, before: CorrectionLayers | None
) -> CorrectionLayers:
    """The weights that an operation took away, where nobody gave others since."""
    if before is None or before.weight_set is None or before.weight_levels is None:
        return newest
    lost = before.weight_set.copy()
    for layers in (made, newest):
        if layers is not None and layers.weight_set is not None:
            lost &= ~layers.weight_set
    if not lost.any():
        return newest
    given = newest.weight_set if newest.weight_set is not None else np.zeros_like(lost)
    levels = newest.weight_levels if newest.weight_levels is not None else before.weight_levels
    return dataclasses.replace(
        newest, weight_set=given | lost, weight_levels=np.where(lost, before.weight_levels, levels)
    )


def _layers_at(history: Sequence[Correction], revision: int) -> CorrectionLayers | None:
    return next((one.layers for one in history if one.revision == revision), None)


def _shapes(store: Store) -> dict[str, tuple[int, int]]:
    return {
        row.content_sha256: (row.height_px, row.width_px)
        for row in store.images(status=Status.DONE)
        if row.content_sha256 is not None and row.height_px is not None and row.width_px is not None
    }


def _redraw(store: Store, contents: Mapping[str, object]) -> None:
    config = stored_config(store.root)
    for row in _rows_of(store, contents):
        redraw_image(store, row, config)


def _rows_of(store: Store, contents: Mapping[str, object]) -> Iterator[StoredImage]:
    for row in store.images(status=Status.DONE):
        if row.content_sha256 in contents:
            yield row
