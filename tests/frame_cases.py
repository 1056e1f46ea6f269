"""Pictures with frames whose truth is known, and layout maps of a network that knows."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from automask.config import PolicyConfig, RenderConfig, RuntimeConfig
from automask.mask.metrics import MaskScore, score_mask
from automask.mask.rendering import Mask
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Patch, Region
from automask.weights import WeightLibrary
from automask_models.frames.detector import EdgesDetector, EdgesOptions, detect_frames
from automask_models.layout.network import LayoutMap

Pixels = NDArray[np.uint8]
CELLS = 64


def scene(height_px: int = 480, width_px: int = 640, *, seed: int = 1) -> Pixels:
    """A textured scene: a sky with clouds, a rolling horizon, rough ground and some upright things."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    horizon = height_px * (0.45 + 0.06 * np.sin(x / width_px * 7 + seed))
    clouds = cv2.GaussianBlur(rng.normal(0, 1, (height_px, width_px)).astype(np.float32), (0, 0), 12) * 260
    ground = cv2.GaussianBlur(rng.normal(0, 1, (height_px, width_px)).astype(np.float32), (0, 0), 1.5) * 70
    sky = np.stack([120 + clouds + y / 8, 150 + clouds + y / 10, 200 + clouds * 0.6], axis=2)
    earth = np.stack([90 + ground, 110 + ground, 60 + ground * 0.8], axis=2)
    picture = np.where((y < horizon)[..., None], sky, earth)
    for _ in range(12):
        centre = rng.integers(0, width_px), rng.integers(height_px // 3, height_px)
        colour = tuple(int(v) for v in rng.integers(30, 220, 3))
        axes = int(rng.integers(8, 40)), int(rng.integers(20, 90))
        picture = np.ascontiguousarray(picture, dtype=np.float32)
        cv2.ellipse(picture, (int(centre[0]), int(centre[1])), axes, float(rng.integers(0, 40)), 0, 360, colour, -1)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def bordered(
    picture: Pixels, margins_px: tuple[int, int, int, int], colour: tuple[int, int, int]
) -> tuple[Pixels, Pixels]:
    """The picture inside margins (left, top, right, bottom), and the truth."""
    left, top, right, bottom = margins_px
    framed = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)
    truth = cv2.copyMakeBorder(
        np.zeros(picture.shape[:2], np.uint8), top, bottom, left, right, cv2.BORDER_CONSTANT, value=255
    )
    return framed, truth


def jpeg(pixels: Pixels, *, quality: int = 85) -> Pixels:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


@cache
def shipped_detector() -> EdgesDetector:
    """The detector with its network, as users have it."""
    runtime = RuntimeConfig(threads=1)
    detector = EdgesDetector.from_options(EdgesOptions(), weights=WeightLibrary.discover(), runtime=runtime)
    assert list(detector.notices) == []
    detector.load()
    return detector


def shipped_frames(pixels: Pixels) -> list[Region]:
    (regions,) = shipped_detector().detect([Image("a", pixels)])
    return regions


def score(pixels: Pixels, truth: Pixels | None) -> MaskScore:
    """How well edges alone draw."""
    regions = detect_frames(pixels)
    return score_mask(rendered(regions, pixels).levels, truth)


def rendered(regions: list[Region], pixels: Pixels) -> Mask:
    patches = [
        Patch(box=r.box, artefact=r.artefact, score=1.0, refiner="polygon") for r in regions if r.artefact is not None
    ]
    assert len(patches) == len(regions)
    height_px, width_px = pixels.shape[:2]
    return Mask.from_patches(
        patches, regions, width_px=width_px, height_px=height_px, render=RenderConfig(), policy=PolicyConfig()
    )


def layout_of(frame: np.ndarray, pixels: np.ndarray, **others: np.ndarray) -> LayoutMap:
    """A map that says `frame` of the image's pixels, (H, W), as a network that knows would."""

    def cells(mask: np.ndarray) -> np.ndarray:
        small = cv2.resize(mask.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        return np.clip(small, 0.02, 0.98).astype(np.float32)

    height_px, width_px = pixels.shape[:2]
    none = np.zeros(frame.shape)
    rest = {name: cells(others.get(name, none)) for name in ("plate", "margin", "ground")}
    return LayoutMap(frame=cells(frame), **rest, width_px=width_px, height_px=height_px)


def region_of(mask: np.ndarray, confidence: float) -> Region:
    box = Box(0, 0, mask.shape[1], mask.shape[0])
    return Region(Kind.FRAME, box, confidence, "edges", artefact=mask, attributes={"pattern": "ring"})
