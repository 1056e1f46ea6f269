"""Reads the truth out of a store: what people corrected, and if wanted what the pipeline was sure of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.errors import InputError
from automask.export.drawing import page_growth_px
from automask.fill.source import StoreSource
from automask.mask.correcting import Touched, drawn_as_called
from automask.mask.rendering import CorrectionLayers
from automask.store import StoredImage
from automask.values.geometry import Box
from automask.values.kinds import called, is_called
from automask.values.types import Found, Kind, Patch, Region, Verdict
from automask_training.own.images import IGNORED, Extent, LabelError, Labelled, OwnThing
from automask_training.own.labels import LABEL_OF_KIND, known_label

_JOIN_SHARE = 0.01
"""Added pixels closer than this share of the longer side belong to one thing."""
_SPECK_PX = 4
_WIDE_SHARE = 0.35
_BLACK, _WHITE = 25, 230
"""Masked or trained by nine tenths up to and from these levels of a mask: compression makes such of 0 and 255."""
_UNNAMED = "corner"
"""The label of what a person masked and nobody named."""


def store_labelled(root: Path, *, with_accepted: bool) -> list[Labelled]:
    """The corrected images of a store with their truth: drawn regions, without what was removed, with what was added.

    Args:
        root: The store's folder.
        with_accepted: Also take images that nobody corrected and the pipeline did not ask about. What it missed on them
            is then taught as wanted.

    Raises:
        InputError: No image has a truth.
        StoreError: The store cannot be used.
    """
    with StoreSource.open(root) as source:
        labelled = list(_labelled(source, with_accepted=with_accepted))
    if not labelled:
        raise InputError(
            f"Nobody has corrected a mask in {root}.",
            advice="Correct some (a mask edited with a paint program counts after the next `automask run`), or add "
            "--accepted to learn from masks that the pipeline was sure of.",
        )
    return labelled


def _labelled(source: StoreSource, *, with_accepted: bool) -> Iterator[Labelled]:
    for row in source.images():
        if row.content_sha256 is None:
            continue
        correction = source.store.correction(row.content_sha256)
        layers = correction.layers if correction is not None else None
        if layers is None and not (with_accepted and row.verdict is Verdict.AUTO):
            continue
        things = partial(_fitted, _things(source, row, layers), size_px=(row.width_px, row.height_px))
        yield Labelled(source.image_path(row), things, content_sha256=row.content_sha256)


def _fitted(
    things: Sequence[OwnThing], width_px: int, height_px: int, *, size_px: tuple[int | None, int | None]
) -> Sequence[OwnThing]:
    if (width_px, height_px) != size_px:
        raise LabelError("its size is not the one in the store")
    return things


def _things(source: StoreSource, row: StoredImage, layers: CorrectionLayers | None) -> list[OwnThing]:
    result = source.store.result(row.image_id)
    if result is None:
        return []
    touched = Touched.by(layers, shape=(result.height_px, result.width_px))
    kinds = layers.kinds if layers is not None else {}
    pairs = list(drawn_as_called(result, source.config, layers))
    shown = dataclasses.replace(result, regions=tuple(called(result.regions, kinds)))
    things = []
    for region, patch in pairs:
        left = touched.left_of(region, patch)
        if left.any():
            label = _label_of(region, patch.box, result)
            at = (patch.box.x0, patch.box.y0)
            # A polygon stands for the text line, its strokes are not known.
            extent = Extent.AROUND if patch.refiner == "polygon" else Extent.TIGHT
            things.append(OwnThing.of(label, left, at=at, extent=extent))
    if layers is not None:
        partly = _partly_masked(layers)
        if partly is not None:
            things.append(OwnThing.of(IGNORED, partly, extent=Extent.AROUND))
            touched = dataclasses.replace(touched, added=touched.added & ~partly)
        added = touched.added_beside(pairs, growth_px=page_growth_px(result, source.config))
        for box, artefact in _parts(added):
            told = _label_of_addition(box, artefact, shown)
            extent = Extent.GROWN if layers.already_grown else Extent.AROUND
            things.append(
                OwnThing.of(
                    told or _UNNAMED, artefact, at=(box.x0, box.y0), extent=extent, is_kind_known=told is not None
                )
            )
    return things


def _partly_masked(layers: CorrectionLayers) -> NDArray[np.bool_] | None:
    """Pixels with a weight between trained and masked, soft edges among them, or None: they count neither way."""
    if layers.weight_set is None or layers.weight_levels is None:
        return None
    partly = layers.weight_set & (layers.weight_levels > _BLACK) & (layers.weight_levels < _WHITE)
    return partly if partly.any() else None


def _label_of(region: Region, box: Box, result: Found) -> str:
    named = known_label(str(region.attributes.get("label", "")))
    if region.kind is not Kind.WATERMARK or named in (None, IGNORED) or is_called(region):  # a class of another kind
        named = LABEL_OF_KIND[region.kind]
    return _widened(named or IGNORED, box, result)


def _label_of_addition(box: Box, artefact: NDArray[np.bool_], result: Found) -> str | None:
    """A person says where, not what: text where the text detector saw something too, a frame where a side is covered.

    None where nothing tells.
    """
    if _covers_a_side(box, artefact, result):
        return LABEL_OF_KIND[Kind.FRAME]
    shares: dict[Kind, int] = {}
    for region, patch in zip(result.regions, result.patches, strict=True):
        if region.kind is Kind.GROUND:  # tells nothing of what lies on it
            continue
        shared = box.intersection(patch.box)
        if shared is not None:
            shares[region.kind] = shares.get(region.kind, 0) + _overlap(artefact, box, patch, shared)
    best = max(shares, key=lambda kind: shares[kind], default=Kind.CUSTOM)
    if shares.get(best, 0) < 0.3 * artefact.sum():
        return _widened(_UNNAMED, box, result) if _is_wide(box, result) else None
    return _widened(LABEL_OF_KIND[best], box, result)


def _covers_a_side(box: Box, artefact: NDArray[np.bool_], result: Found) -> bool:
    """Whether more than half of a side of the image is masked along its edge: bars and frames do that, marks do not."""
    edges = (
        (box.y0 == 0, artefact[0], result.width_px),
        (box.y1 == result.height_px, artefact[-1], result.width_px),
        (box.x0 == 0, artefact[:, 0], result.height_px),
        (box.x1 == result.width_px, artefact[:, -1], result.height_px),
    )
    return any(is_at_edge and masked.sum() > 0.5 * length_px for is_at_edge, masked, length_px in edges)


def _overlap(artefact: NDArray[np.bool_], box: Box, patch: Patch, shared: Box) -> int:
    ours = artefact[shared.y0 - box.y0 : shared.y1 - box.y0, shared.x0 - box.x0 : shared.x1 - box.x0]
    theirs = patch.artefact[
        shared.y0 - patch.box.y0 : shared.y1 - patch.box.y0, shared.x0 - patch.box.x0 : shared.x1 - patch.box.x0
    ]
    return int((ours & theirs).sum())


def _widened(label: str, box: Box, result: Found) -> str:
    """A mark over much of the picture is a pattern: a part of it is still one, unlike half a logo."""
    return "tiled" if _is_wide(box, result) and label == "corner" else label


def _is_wide(box: Box, result: Found) -> bool:
    return box.area_px > _WIDE_SHARE * result.width_px * result.height_px


def _parts(added: NDArray[np.bool_]) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """The things among added pixels: strokes that lie close together are one."""
    import cv2

    if not added.any():
        return
    reach_px = max(1, round(max(added.shape) * _JOIN_SHARE / 2))
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    _, groups = cv2.connectedComponents(cv2.dilate(added.view(np.uint8), kernel))
    groups[~added] = 0
    for number in np.unique(groups[added]):
        part = groups == number
        box = Box.of_artefact(part)
        if box is not None and int(part[box.slices].sum()) >= _SPECK_PX:
            yield box, part[box.slices]
