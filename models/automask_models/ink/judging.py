"""How sure we are of what the ink map shows: its things as they are, or their parts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.ink.confidence import DRAWN, LARGE_SHARE, InkModel
from automask_models.ink.groups import PART_PROBABILITIES, InkGroup, parts_of, without_parts
from automask_models.ink.network import InkMap
from automask_models.ink.reading import GroupReader
from automask_models.text.regions import Recognition

_RING_CONFIDENCE = 0.3
_LETTERING = 0.6
"""Evidence of a reading with which a part of something that is no lettering is drawn, and others that are read too."""
_MOST_PARTS = 24
"""What falls apart into more is foliage or a fence: to read it all would take longer than the rest of the image."""
_TEXTURE = 0.3
"""Parts of something drawn that stay below this confidence, once read, are railings and roofs that it touches."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A group, how sure we are that it is lettering or a mark (0..1), and what was read in it, if it was."""

    group: InkGroup
    confidence: float
    reading: Recognition | None = None

    @property
    def is_read(self) -> bool:
        """Whether it is drawn, and more than one letter was read in it: one is what any shape looks like."""
        return self.reading is not None and self.reading.different > 1 and self.confidence >= DRAWN

    @property
    def is_lettering(self) -> bool:
        """Whether what is read in it would be enough to draw it."""
        return self.is_read and self.reading is not None and self.reading.evidence >= _LETTERING

    def at_most(self, confidence: float) -> Judged:
        """The same, no surer than that."""
        return dataclasses.replace(self, confidence=min(self.confidence, confidence))


class GroupJudge:
    """Judges groups of ink, reading what is doubtful. One instance serves one thread.

    Args:
        model: What the map's numbers and a reading say.
        reader: Reads crops of the picture; None to go by the map alone.
    """

    def __init__(self, model: InkModel, reader: GroupReader | None) -> None:
        self._model = model
        self._reader = reader

    def judge(self, pixels: NDArray[np.uint8], ink: InkMap, group: InkGroup) -> list[Judged]:
        """A group of a map of (H, W, 3) uint8 RGB pixels: whole, less what is no lettering in it, or in its parts.

        Raises:
            StageError: The recogniser failed.
        """
        if group.is_ring:
            return [self._as_ring(group)]
        whole = Judged(group, self._model.of_group(group))
        if self._reader is None:
            return [whole]
        is_large = group.share_in(ink) >= LARGE_SHARE
        if is_large or self._model.is_doubtful(group):
            whole = self._read(self._reader, pixels, ink, group)
            if whole.confidence < DRAWN:
                judged = self._lettering_in(self._reader, pixels, ink, whole)
                if not is_large or len(judged) > 1:
                    return judged
                whole = self._read_by_lines(self._reader, pixels, ink, whole)
        if whole.confidence < DRAWN:
            return [whole]
        return [dataclasses.replace(whole, group=self._without_texture(self._reader, pixels, ink, group))]

    def _as_ring(self, group: InkGroup) -> Judged:
        return Judged(group, min(self._model.of_group(group), _RING_CONFIDENCE))

    def _read(self, reader: GroupReader, pixels: NDArray[np.uint8], ink: InkMap, group: InkGroup) -> Judged:
        if group.is_ring:  # a part may be one where the whole is none
            return self._as_ring(group)
        reading = reader.read(pixels, ink, group)
        if group.share_in(ink) >= LARGE_SHARE:
            return Judged(group, self._model.of_large_group(group, reading), reading)
        return Judged(group, self._model.of_group(group, reading), reading)

    def _read_by_lines(self, reader: GroupReader, pixels: NDArray[np.uint8], ink: InkMap, whole: Judged) -> Judged:
        """Something large that nothing could be read in, by its lines: a block of text is no line."""
        if whole.reading is None or whole.confidence >= DRAWN or whole.group.share_in(ink) < LARGE_SHARE:
            return whole
        reading = reader.read_lines(pixels, ink, whole.group)
        if reading.evidence <= whole.reading.evidence:
            return whole
        return Judged(whole.group, self._model.of_large_group(whole.group, reading), reading)

    def _lettering_in(self, reader: GroupReader, pixels: NDArray[np.uint8], ink: InkMap, whole: Judged) -> list[Judged]:
        """The parts of what is not drawn as a whole, where some of them are lettering."""
        for core_probability in PART_PROBABILITIES:
            parts = parts_of(whole.group, ink, core_probability)
            if not 1 < len(parts) <= _MOST_PARTS:
                continue
            read = [self._read(reader, pixels, ink, part) for part in parts]
            judged = [self._read_by_lines(reader, pixels, ink, each) for each in read]
            if any(each.is_lettering for each in judged):
                return [each if each.is_read else each.at_most(whole.confidence) for each in judged]
        return [whole]

    def _without_texture(
        self, reader: GroupReader, pixels: NDArray[np.uint8], ink: InkMap, group: InkGroup
    ) -> InkGroup:
        """What is drawn, less its parts that are no lettering beside others that are sure."""
        left = group
        for core_probability in PART_PROBABILITIES:
            parts = parts_of(left, ink, core_probability)
            weak = [part for part in parts if self._model.of_group(part) < DRAWN]
            if 0 < len(weak) < len(parts) <= _MOST_PARTS:
                texture = [part for part in weak if self._read(reader, pixels, ink, part).confidence < _TEXTURE]
                left = without_parts(left, parts, texture)
        return left
