"""What the outline of an artefact tells of it: whether a picture, which is a rectangle, or a thing on its ground."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box

_CORNER_SIDES: Final = 32
"""A corner of the largest piece is a square of this part of the shorter side of the box around it."""
RECTANGULAR: Final = 0.7
"""Share of its four corners that a picture on its ground fills at least: the worst of nine, a snapshot on its card,
fills .745, and the best of seven telephones and screens on white, with their rounded corners, .65. Of four things
cut out, with transparent pixels around them, the best fills .54."""
_MOST_TURNED_DEGREES = 15.0
"""A picture that lies askew is turned no further; beyond that a rhombus would be a picture that stands on a corner."""


def corners_of(artefact: NDArray[np.bool_]) -> float:
    """Share of the corners of the box around the largest piece of an (h, w) artefact that it covers, 0..1.

    Letters beside a picture are no part of its outline, hence the largest piece; of nothing it is 1. The box stands
    askew where the piece does.
    """
    piece = _levelled(_largest_piece(artefact))
    box = Box.of_artefact(piece)
    if box is None:
        return 1.0
    inside = piece[box.slices]
    side_px = max(2, round(min(inside.shape) / _CORNER_SIDES))
    rows = inside[:side_px], inside[-side_px:]
    return float(np.mean([part.mean() for row in rows for part in (row[:, :side_px], row[:, -side_px:])]))


def _largest_piece(artefact: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(artefact.view(np.uint8), connectivity=8)
    if len(stats) == 1:
        return artefact
    piece: NDArray[np.bool_] = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return piece


def _levelled(piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A piece turned so that the smallest rectangle around it is upright, if it lies askew by no more than a little."""
    import cv2

    box = Box.of_artefact(piece)
    if box is None:
        return piece
    inside = np.ascontiguousarray(piece[box.slices]).view(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    centre, _, angle = cv2.minAreaRect(np.concatenate(contours))
    askew = (angle + 45.0) % 90.0 - 45.0
    drift_px = abs(np.deg2rad(askew)) * max(inside.shape)
    if abs(askew) > _MOST_TURNED_DEGREES or drift_px < 2.0:  # an outline is not known better
        return piece
    room = round(drift_px)
    turn = cv2.getRotationMatrix2D((centre[0] + room, centre[1] + room), askew, 1.0)
    padded = np.pad(inside * np.uint8(255), room)
    turned = cv2.warpAffine(padded, turn, padded.shape[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(turned >= 128)
