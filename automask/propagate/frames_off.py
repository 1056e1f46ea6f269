"""All frames of a dataset unmasked in one step: for whoever wants them trained after all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from automask.config import PipelineConfig
from automask.mask.rendering import is_drawn
from automask.propagate.propagation import Proposal
from automask.store import Status, Store
from automask.values.geometry import Box
from automask.values.kinds import called
from automask.values.types import Kind


def frames_of_all(store: Store, config: PipelineConfig) -> Iterator[Proposal]:
    """The pixels of every image that only frames mask, under the kinds that people call regions: for `apply`.

    Args:
        store: Opened for reading or writing.
        config: What masks are drawn under.
    """
    for row in store.images(status=Status.DONE):
        kinds = store.called_kinds(row.content_sha256)
        if row.content_sha256 is None or Kind.FRAME not in row.kinds:
            continue
        result = store.result(row.image_id)
        if result is None:
            continue
        frames = np.zeros((result.height_px, result.width_px), dtype=np.bool_)
        others = np.zeros_like(frames)
        for region, found, patch in zip(called(result.regions, kinds), result.regions, result.patches, strict=True):
            if is_drawn(found, config.policy):
                (frames if region.kind is Kind.FRAME else others)[patch.box.slices] |= patch.artefact
        frames &= ~others
        box = Box.of_artefact(frames)
        if box is not None:
            artefact = np.ascontiguousarray(frames[box.slices])
            yield Proposal(row.image_id, row.content_sha256, box, artefact, 1.0, (box.x0, box.y0))
