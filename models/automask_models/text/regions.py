"""From a line and what was read in it to a region."""

from __future__ import annotations

import math
from dataclasses import dataclass

from automask.values.types import LETTERS_ATTRIBUTE, Attribute, Image, Kind, Region
from automask_models.text.evidence import Evidence, EvidenceModel
from automask_models.text.lines import TextLine

LARGEST_SHARE = 0.3
READ_SCORE = 0.4
"""A line whose box takes more of the image than `LARGEST_SHARE`, and that is read with a lower score than `READ_SCORE`,
is only proposed: folds, bark and wallpaper look like one huge letter, which nobody can read."""
SHAPES = frozenset("0Oo1Il一二三川口日曰回目田")
"""Rings, bars and boxes: characters that any drawing holds."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recogniser reads in one crop.

    Attributes:
        text: The string, possibly empty.
        score: Mean probability of its characters, 0..1; 0 for an empty string.
    """

    text: str
    score: float

    @property
    def evidence(self) -> float:
        """How much it speaks for lettering, from 0: 1.1 for two sure letters, 2 for a long sure line.

        Windows and crosses are read as one character, wheels, rings and bars as what they look like (`SHAPES`),
        railings as one letter over and over, roofs as many unsure ones.
        """
        letters = {character.casefold() for character in self.text if character.isalnum() and character not in SHAPES}
        return self.score**2 * math.log1p(len(letters))

    @property
    def different(self) -> int:
        """Number of different letters and digits, whatever their case."""
        return len({character.casefold() for character in self.text if character.isalnum()})


def text_region(line: TextLine, read: Recognition, *, image: Image, model: EvidenceModel, source: str) -> Region | None:
    """The region of a line, or None where it lies outside the image.

    Attributes of the region: `text` (the string, omitted when empty), `score_det` and `score_rec` (mean detection and
    character probability, 0..1), `letters_share` (height of the letters / short side of the image) and `aspect`
    (length / height of the line).
    """
    box = line.box.clipped(width_px=image.width_px, height_px=image.height_px)
    if box is None:
        return None
    text = read.text.strip()
    evidence = Evidence(
        score_det=line.score,
        score_rec=read.score,
        letters_share=line.letters_px / min(image.width_px, image.height_px),
        aspect=line.aspect,
    )
    attributes: dict[str, Attribute] = {
        "score_det": round(evidence.score_det, 4),
        "score_rec": round(evidence.score_rec, 4),
        LETTERS_ATTRIBUTE: round(evidence.letters_share, 4),
        "aspect": round(evidence.aspect, 3),
    }
    if text:
        attributes["text"] = text
    return Region(
        Kind.TEXT,
        box,
        model.confidence(evidence),
        source,
        polygon=line.outline,
        attributes=attributes,
        proposed=read.score < READ_SCORE and box.area_px > LARGEST_SHARE * image.width_px * image.height_px,
    )
