"""Thin rims whose colours change with depth alone: two-tone lines, bevels, noisy or faded borders, mats on pale skies.

A band of one colour is told from the picture by that colour; a rim is told by how its sides agree. Along each side the
colours at a depth are the same from end to end, they stop being so at one depth, and the other sides stop at the same
depth or go on in the same colours, where the picture happens to begin in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.bands import Band
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.sides import Line, Side, SideView, view_side

POSITIONS = 256
DEEPEST = 0.2
"""Largest depth of a rim, as a share of the image across it."""
MARGIN = 0.1
"""Share of a side at either end that is not looked at: there the neighbours' colours are."""
MIN_TOLERANCE = 12.0
"""Levels that a pixel may differ from its depth's colour: what JPEG leaves beside a ruled edge."""
MAX_TOLERANCE = 30.0
ENDS_BELOW = 0.82
"""Share of a depth's pixels in its colour below which the rim has ended there."""
WHOLE_SHARE = (0.93, 0.98)
"""Share of pixels in their depth's colours that makes a side without an end of its own a part of the rim."""
STEPPED = (0.8, 0.95)
"""Share of a side that must change its colour where the other sides end, if its picture begins in one colour."""
MIN_DEPTH_PX = 2
CLEARLY_MORE = 0.05
OPPOSITE_DEPTH = 0.06
"""Largest depth, as a share of the image across it, at which two opposite sides speak for the others: deeper ones may
be bars beside a picture that begins in their colour."""
SAME_DEPTH_PX = 1
SAME_COLOUR = 14.0
"""Levels by which the colours of one depth may differ between two sides."""
PLAIN_LEVELS = 6.0
"""Levels by which the colour of a mat may change with depth; only mats are of different depths on different sides."""
OUTERMOST_PX = 1
"""Pixels at the border of the image that an encoder or a scaler may have spoilt."""


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """What the colours along one side are at each depth.

    Attributes:
        view: What the side looks like.
        colours: (D, 3) float32, median colour of each depth.
        near: (P, D) bool, pixels in their depth's colour.
        noise: Levels that the pixels of the outer depths differ from it.
        end_px: Depth at which the colours stop being the same, or 0 where they do not.
        support: Share of the positions at which they stop exactly there.
        stepped: (D,) float64, share of the positions whose colour changes from the depth before to this one.
    """

    view: SideView
    colours: NDArray[np.float32]
    near: NDArray[np.bool_]
    noise: float
    end_px: int
    support: float
    stepped: NDArray[np.float64]


def rim_of(pixels: NDArray[np.uint8]) -> tuple[dict[Side, Band], float] | None:
    """The rim of an (H, W, 3) uint8 image as one band for each of the four sides, and its confidence, 0..1."""
    profiles = {}
    for side in Side:
        profile = _profile(pixels, side)
        if profile is None:
            return None
        profiles[side] = profile
    best: tuple[dict[Side, int], float] | None = None
    for pair in combinations(Side, 2):
        found = _ring(profiles, *pair)
        if found is not None and (best is None or found[1] > best[1]):
            best = found
    if best is None:
        return None
    depths, confidence = best
    return {side: _as_band(profiles[side], depths[side]) for side in Side}, confidence


def _profile(pixels: NDArray[np.uint8], side: Side) -> _Profile | None:
    extent_px, length_px = (pixels.shape[1], pixels.shape[0]) if side.is_vertical else pixels.shape[:2]
    depth_px = round(DEEPEST * extent_px)
    if length_px < 64 or depth_px < 8:
        return None
    view = view_side(pixels, side, {each: Line() for each in Side}, depth_px=depth_px, positions=POSITIONS)
    if view is None:
        return None
    middle = np.abs(view.position_px / length_px - 0.5) < 0.5 - MARGIN
    part = view.pixels[middle].astype(np.int16)
    colours = np.median(part, axis=0).astype(np.float32)
    distance = largest_channel(np.abs(part - colours[None]))
    outermost, next_one = (float(1.4826 * np.median(distance[:, depth])) for depth in (0, OUTERMOST_PX))
    tolerance = min(MAX_TOLERANCE, max(MIN_TOLERANCE, 4 * next_one))
    noise = min(outermost, next_one)  # the second pixel may have taken on some of the picture's colour
    near = distance <= tolerance
    share = near.mean(axis=0)
    over = np.flatnonzero(share[OUTERMOST_PX:] < ENDS_BELOW) + OUTERMOST_PX
    end_px, support = 0, 0.0
    if over.size and over[0] >= MIN_DEPTH_PX and over[0] + 3 < depth_px:
        # Subsampled colour bleeds over the line: of the depths around it, the one where most positions step.
        for depth in (int(over[0]) + change for change in (0, -1, 1)):
            if depth < MIN_DEPTH_PX:
                continue
            before = part[:, depth - 1]
            step = np.abs(part[:, depth : depth + 2] - before[:, None]).max(axis=(1, 2))
            stepping = float((near[:, : depth - 1].all(axis=1) & (step > tolerance)).mean())
            if stepping > support + CLEARLY_MORE:
                end_px, support = depth, stepping
    stepped = np.zeros(part.shape[1])
    for shift in (0, 1):  # subsampled colour arrives one pixel late
        far = largest_channel(np.abs(part[:, 1 + shift :] - part[:, : part.shape[1] - 1 - shift])) > tolerance
        stepped[1 : part.shape[1] - shift] = np.maximum(stepped[1 : part.shape[1] - shift], far.mean(axis=0))
    return _Profile(view=view, colours=colours, near=near, noise=noise, end_px=end_px, support=support, stepped=stepped)


def _ring(profiles: Mapping[Side, _Profile], one: Side, two: Side) -> tuple[dict[Side, int], float] | None:
    """Depths of all sides and the confidence, judged from the ends of two sides."""
    first, second = profiles[one], profiles[two]
    if not first.end_px or not second.end_px:
        return None
    shallower = min(first.end_px, second.end_px)
    is_plain = _is_plain(first) and _is_plain(second)
    is_even = abs(first.end_px - second.end_px) <= SAME_DEPTH_PX
    if one.opposite is two:
        is_even = is_even and shallower <= OPPOSITE_DEPTH * first.view.extent_px
        is_plain = is_plain and is_even
    if not (is_even or is_plain) or not _alike(first, second, shallower):
        return None
    depths = {one: first.end_px, two: second.end_px}
    certain = [_ends(first), _ends(second)]
    for missing in Side:
        if missing in depths:
            continue
        profile, known = profiles[missing], profiles[missing.opposite if missing.opposite in (one, two) else one]
        expected = known.end_px
        if abs(profile.end_px - expected) <= SAME_DEPTH_PX:
            certain.append(max(_ends(profile), 0.8 * _whole(profile, known, expected)))
            depths[missing] = profile.end_px
        elif is_plain and _ends(profile) > 0 and _alike(profile, known, min(profile.end_px, expected)):
            certain.append(0.9 * _ends(profile))
            depths[missing] = profile.end_px
        elif (step := _steps(profile, known, expected)) is not None and step[1] > 0:
            depths[missing] = step[0]
            certain.append(step[1])
        else:
            # The picture begins in the rim's colour here.
            depth = expected if _whole(profile, known, expected) > 0 else shallower
            certain.append(0.8 * _whole(profile, known, depth))
            depths[missing] = depth
    # Two sides that end say more than two that go on; one doubtful end among good ones is a part of the picture.
    confidence = float(np.mean(certain)) * ramp(min(certain), 0.0, 0.35) * ramp(sorted(certain)[2], 0.3, 0.7)
    return depths, confidence


def _is_plain(profile: _Profile) -> bool:
    """Whether the colour does not change with depth."""
    colours = profile.colours[OUTERMOST_PX : max(OUTERMOST_PX + 1, profile.end_px - 1)]
    return bool(np.ptp(colours, axis=0).max() <= PLAIN_LEVELS)


def _ends(profile: _Profile) -> float:
    """How certain it is that the side's rim ends at one depth, 0..1."""
    outer = profile.near[:, _outer(profile.end_px)]
    return ramp(profile.support, 0.35, 0.75) * ramp(float(outer.mean()), 0.88, 0.96) * ramp(profile.noise, 12.0, 6.0)


def _steps(profile: _Profile, known: _Profile, expected_px: int) -> tuple[int, float] | None:
    """Depth and certainty, 0..1, of an end at the depth that another side has, before a picture that begins plain.

    A sky is of one colour from end to end as a rim is; what tells is that all of the side changes at that very depth.
    """
    depths = [depth for depth in (expected_px, expected_px - 1, expected_px + 1) if depth >= MIN_DEPTH_PX]
    depths = [depth for depth in depths if depth < profile.stepped.size]
    if not depths or not _alike(profile, known, expected_px):
        return None
    depth = max(depths, key=lambda at: float(profile.stepped[at]))
    outer = profile.near[:, _outer(depth)]
    return depth, (
        ramp(float(profile.stepped[depth]), *STEPPED)
        * ramp(float(outer.mean()), 0.88, 0.96)
        * ramp(profile.noise, 12, 6)
    )


def _outer(depth_px: int) -> slice:
    """Depths of a rim that have its colour alone: of two pixels the inner one has some of the picture's."""
    return slice(OUTERMOST_PX, depth_px - 1) if depth_px > MIN_DEPTH_PX else slice(OUTERMOST_PX)


def _alike(first: _Profile, second: _Profile, depth_px: int) -> bool:
    """Whether two sides have the same colours up to a depth, its last pixel apart."""
    part = _outer(depth_px)
    return bool(np.abs(first.colours[part] - second.colours[part]).max() <= SAME_COLOUR)


def _whole(profile: _Profile, known: _Profile, depth_px: int) -> float:
    """How certain it is that a side goes on in the rim's colours up to a depth and beyond, 0..1."""
    if depth_px >= min(profile.colours.shape[0], known.colours.shape[0]) or not _alike(profile, known, depth_px):
        return 0.0
    part = profile.near[:, _outer(depth_px)]
    return ramp(float(part.mean()), *WHOLE_SHARE) * ramp(max(profile.noise, known.noise), 8.0, 4.0)


def _as_band(profile: _Profile, depth_px: int) -> Band:
    """The side of a rim in the terms of a band."""
    view = profile.view
    colour = np.median(profile.colours[:depth_px], axis=0)
    beyond = np.clip(np.arange(depth_px, depth_px + 3), 0, view.pixels.shape[1] - 1)
    after = np.median(view.pixels[:, beyond].reshape(-1, 3), axis=0)
    return Band(
        line=Line(float(depth_px), 0.0),
        thickness_px=float(depth_px),
        colour=(float(colour[0]), float(colour[1]), float(colour[2])),
        noise=profile.noise,
        purity=float(profile.near[:, :depth_px].mean()),
        support=profile.support,
        beyond=float(profile.near[:, beyond].mean()),
        contrast=float(np.abs(after - colour).max()),
        first_px=float(view.position_px[0]),
        last_px=float(view.position_px[-1]),
        spacing_px=view.length_px / view.position_px.size,
    )
