"""What small models are fitted on, made by hand: pictures for frames, groups of ink, images for the confidence."""

from __future__ import annotations

import math

import numpy as np
from frame_cases import bordered, layout_of, region_of, scene

from automask.mask.confidence.features import FEATURES
from automask.mask.metrics import MaskScore
from automask_models.frames.judging import PROPOSAL_FEATURES, TRACE_FEATURES
from automask_models.ink.confidence import LINE_FEATURES
from automask_models.scene.opinion import FEATURES as SCENE_FEATURES
from automask_training.confidence_data import LabelledImage
from automask_training.frame_judge import Candidate, JudgedPicture, judged_picture
from automask_training.frame_proposals import KnownPicture
from automask_training.ink_confidence import Finding
from automask_training.line_judge import KnownLine
from automask_training.line_judge import KnownPicture as KnownLinesPicture


def framed_picture(source: str = "a") -> KnownPicture:
    pixels, truth = bordered(scene(), (60, 60, 60, 60), (250, 250, 246))
    return KnownPicture(pixels, truth, source)


def pictures_of(source: str, *, count: int = 6) -> list[JudgedPicture]:
    """Half with a frame that geometry proposes and the map shows, half with ground that only geometry proposes."""
    known = framed_picture(source)
    assert known.truth is not None
    outside = known.truth > 0
    found = []
    for index in range(count):
        is_frame = index % 2 == 0
        truth = known.truth if is_frame else None
        layout = layout_of(outside * (0.9 if is_frame else 0.2 + 0.1 * index), known.pixels)
        region = region_of(outside, 0.7 + 0.04 * index)
        found.append(judged_picture(KnownPicture(known.pixels, truth, source), [region], layout))
    return found


def judged_by_the_map(source: str, *, shown_is_frame: bool, count: int = 6) -> list[JudgedPicture]:
    """Pictures of which only one number tells: what the map shows inside is all that is frame, or all that is none."""
    mask, truth = np.ones((8, 8), np.bool_), np.zeros((8, 8), np.uint8)
    found = []
    for index in range(count):
        is_shown = index % 2 == 0
        features = dict.fromkeys(TRACE_FEATURES, 0.0) | {"inside": 4.0 if is_shown else -4.0}
        is_frame = is_shown == shown_is_frame
        traced = Candidate(0.9, features, is_frame, mask)
        own = {name: features[name] for name in PROPOSAL_FEATURES}
        found.append(JudgedPicture(source, truth, (Candidate(0.9, own, is_frame, mask),), traced))
    return found


def groups_of_source(source: str, *, count: int = 8, seed: int = 0) -> list[Finding]:
    """Large groups: those that can be read are unwanted, save for a few."""
    rng = np.random.default_rng([seed, *source.encode()])
    found = []
    for index in range(count):
        is_unwanted = index % 2 == 0
        read = float(rng.normal(1.0 if is_unwanted else 0.2, 0.4))
        found.append(Finding({"log_odds": float(rng.normal(0.5, 1)), "read_evidence": read}, is_unwanted, source))
    return found


def lines_of_source(source: str) -> list[KnownLinesPicture]:
    """Pictures with a small line that is text and one of half the picture that is none."""
    found = []
    for index in range(4):
        features = [
            dict.fromkeys(LINE_FEATURES, 0.0) | {"text_log_odds": sure + 0.1 * index, "log_share": math.log(share)}
            for sure, share in ((2.0, 0.02), (-1.0, 0.5))
        ]
        true, false = KnownLine(features[0], True, 0.02, 0.0, 1.0), KnownLine(features[1], False, 0.5, 0.5, 0.0)
        found.append(KnownLinesPicture(source, [true, false]))
    return found


def seen_of_source(source: str) -> list[KnownLinesPicture]:
    """Pictures with something that is text, and looks so, and something that is none."""
    found = []
    for index in range(4):
        values = ((2.0, 1.0 + 0.1 * index), (1.0, -3.0))
        true, false = (dict(zip(SCENE_FEATURES, each, strict=True)) for each in values)
        lines = [KnownLine(true, True, 0.02, 0.0, 1.0), KnownLine(false, False, 0.1, 0.1, 0.0)]
        found.append(KnownLinesPicture(source, lines))
    return found


def images_of(source: str, *, count: int = 20, seed: int = 0) -> list[LabelledImage]:
    """Masks that are the more often bad the more is loose in them."""
    rng = np.random.default_rng([seed, *source.encode()])
    found = []
    for number in range(count):
        values = dict(zip(FEATURES, rng.uniform(0, 1, len(FEATURES)), strict=True))
        bad = rng.uniform() < 1 / (1 + np.exp(-6 * (values["loose_share"] - 0.5)))
        score = MaskScore(leak=None, waste=0.2 if bad else 0.0, unwanted_cells=0, far_cells=1)
        found.append(LabelledImage(source, f"{number}.png", values, score, manifest="m"))
    return found
