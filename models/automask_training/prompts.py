"""Prompts for training a SAM on one crop: boxes, region masks, coarse masks, clicks, and prompts on nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIVE, NEGATIVE, PADDING = 1, 0, -10


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """How many prompts a crop gets and of which sort. Shares are of the prompts of that sort."""

    box_prompts: int = 5
    click_prompts: int = 3
    clicks: int = 3
    nothing_share: float = 0.15
    part_share: float = 0.25
    mask_share: float = 0.55
    jitter_ratio: float = 0.06
    grow_px: float = 7.0


@dataclass(frozen=True, eq=False)
class Prompts:
    """P prompts with their answers for one crop of S px whose masks have C x C cells.

    points (P, K, 2) float32 crop px; labels (P, K) int64 1/0/-10; boxes (P, 4) float32 xyxy crop px, zeros = none;
    masks (P, C, C) uint8, 255 = inside; has_mask (P,) float32; targets (P, C, C) uint8 coverage, 255 = all of the cell.
    The first `PromptConfig.box_prompts` prompts have no clicks.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]
    masks: NDArray[np.uint8]
    has_mask: NDArray[np.float32]
    targets: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Scene:
    """What is in a crop: grey picture (C, C) uint8 and coverage (N, C, C) float32 0..1 of the N unwanted things."""

    grey: NDArray[np.uint8]
    things: NDArray[np.float32]
    size_px: int

    @property
    def stride_px(self) -> float:
        """Crop pixels per mask cell."""
        return float(self.size_px / self.grey.shape[0])

    @property
    def union(self) -> NDArray[np.float32]:
        """Coverage (C, C) by anything unwanted."""
        if len(self.things):
            highest: NDArray[np.float32] = self.things.max(axis=0)
            return highest
        return np.zeros(self.grey.shape, np.float32)


def make_prompts(scene: Scene, config: PromptConfig, rng: np.random.Generator) -> Prompts:
    """Draw the prompts of one crop."""
    made = [_box_prompt(scene, config, rng) for _ in range(config.box_prompts)]
    made += [_click_prompt(scene, config, rng) for _ in range(config.click_prompts)]
    points = np.zeros((len(made), config.clicks, 2), np.float32)
    labels = np.full((len(made), config.clicks), PADDING, np.int64)
    for row, prompt in enumerate(made):
        for column, (x, y, label) in enumerate(prompt.clicks[: config.clicks]):
            points[row, column] = x, y
            labels[row, column] = label
    return Prompts(
        points=points,
        labels=labels,
        boxes=np.stack([p.box for p in made]),
        masks=np.stack([p.mask if p.mask is not None else np.zeros(scene.grey.shape, np.uint8) for p in made]),
        has_mask=np.array([p.mask is not None for p in made], np.float32),
        targets=np.stack([np.round(p.target * 255).astype(np.uint8) for p in made]),
    )


@dataclass(frozen=True, eq=False)
class _Prompt:
    target: NDArray[np.float32]
    box: NDArray[np.float32]
    clicks: tuple[tuple[float, float, int], ...] = ()
    mask: NDArray[np.uint8] | None = None


NO_BOX = np.zeros(4, np.float32)


def _box_prompt(scene: Scene, config: PromptConfig, rng: np.random.Generator) -> _Prompt:
    picked = _pick(scene, rng)
    if picked is None or rng.random() < config.nothing_share:
        box = _random_box(scene, rng)
        if float((box_coverage(box, scene) * scene.union).sum()) > 0.5:
            box = _random_box(scene, rng)
        target = scene.union * box_coverage(box, scene)
        region = box_coverage(box, scene)
    else:
        thing = scene.things[picked]
        whole = thing_box(thing, scene)
        if rng.random() < config.part_share:
            box = _part_of(whole, rng)
            region = box_coverage(box, scene)
            target = scene.union * region
        else:
            box = _jittered(whole, config, rng)
            # A box asks for all that is unwanted in it: what a mask for training needs, and what a detector means.
            target = np.maximum(thing, scene.union * box_coverage(whole, scene))
            region = _hull(thing, rng) if rng.random() < 0.6 else box_coverage(box, scene)
    mask = _region_mask(scene, target, region, rng) if rng.random() < config.mask_share else None
    return _Prompt(target=target, box=box, mask=mask)


def _click_prompt(scene: Scene, config: PromptConfig, rng: np.random.Generator) -> _Prompt:
    picked = _pick(scene, rng)
    nothing = np.zeros(scene.grey.shape, np.float32)
    if picked is None or rng.random() < config.nothing_share:
        click = _click_on(1 - _grown(scene.union, 2), scene, rng, jitter_px=0)
        return _Prompt(target=nothing, box=NO_BOX, clicks=((*click, POSITIVE),) if click else ())
    thing = scene.things[picked]
    if rng.random() < 0.3:
        other = _pick(scene, rng)
        whole = thing_box(thing, scene)
        inside = scene.union * box_coverage(whole, scene)
        box = _jittered(whole, config, rng)
        if other is not None and other != picked and float((inside * scene.things[other]).sum()) > 4:
            target = np.where(scene.things[other] > 0.25, 0, np.maximum(thing, inside)).astype(np.float32)
            click = _click_on(scene.things[other] * inside, scene, rng, jitter_px=0)
            return _Prompt(target=target, box=box, clicks=((*click, NEGATIVE),) if click else ())
        click = _click_on(thing, scene, rng, jitter_px=2)
        return _Prompt(target=np.maximum(thing, inside), box=box, clicks=((*click, POSITIVE),) if click else ())
    clicks = [
        (*click, POSITIVE)
        for _ in range(int(rng.integers(1, config.clicks + 1)))
        if (click := _click_on(thing, scene, rng, jitter_px=2))
    ]
    if len(clicks) < config.clicks and rng.random() < 0.3:
        around = _grown(thing, 10) * (1 - _grown(thing, 2))
        away = _click_on(around, scene, rng, jitter_px=0)
        clicks += [(*away, NEGATIVE)] if away else []
    mask = _coarse(thing, rng) if rng.random() < 0.2 else None
    return _Prompt(target=thing, box=NO_BOX, clicks=tuple(clicks), mask=mask)


def _pick(scene: Scene, rng: np.random.Generator) -> int | None:
    if not len(scene.things):
        return None
    visible = np.sqrt(scene.things.sum(axis=(1, 2))) + 1
    return int(rng.choice(len(scene.things), p=visible / visible.sum()))


def thing_box(thing: NDArray[np.float32], scene: Scene) -> NDArray[np.float32]:
    """Box (4,) xyxy crop px around the cells that `thing` (C, C) covers by more than a tenth."""
    seen = thing > min(0.1, float(thing.max()) / 2)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    cells = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
    return (cells * np.float32(scene.stride_px)).astype(np.float32)


def box_coverage(box: NDArray[np.float32], scene: Scene) -> NDArray[np.float32]:
    """Coverage (C, C) of each cell by `box` (4,) xyxy crop px."""
    cells = box / np.float32(scene.stride_px)
    low = np.arange(scene.grey.shape[0], dtype=np.float32)
    across = np.clip(np.minimum(low + 1, cells[2]) - np.maximum(low, cells[0]), 0, 1)
    down = np.clip(np.minimum(low + 1, cells[3]) - np.maximum(low, cells[1]), 0, 1)
    return np.outer(down, across).astype(np.float32)


def _jittered(box: NDArray[np.float32], config: PromptConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    width, height = box[2] - box[0], box[3] - box[1]
    # Detectors cut corners by a share of the text height, so long boxes are not shaken by a share of their length.
    scale = min(float(width), float(height) * 3), min(float(height), float(width) * 3)
    noise = rng.normal(0, config.jitter_ratio, 4) * np.array([*scale, *scale])
    grow = rng.uniform(0, config.grow_px) * np.array([-1, -1, 1, 1])
    moved = (box + noise + grow).astype(np.float32)
    large_enough = bool(((moved[2:] - moved[:2]) >= 3).all())
    return moved if large_enough else box


def _part_of(box: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    size = box[2:] - box[:2]
    part = np.maximum(size * rng.uniform(0.3, 0.9, 2), np.minimum(size, 12))
    start = box[:2] + (size - part) * rng.random(2)
    return np.concatenate([start, start + part]).astype(np.float32)


def _random_box(scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    size = np.exp(rng.uniform(np.log(10), np.log(scene.size_px * 0.8), 2))
    start = rng.random(2) * (scene.size_px - size)
    return np.concatenate([start, start + size]).astype(np.float32)


def _click_on(
    weight: NDArray[np.float32], scene: Scene, rng: np.random.Generator, *, jitter_px: float
) -> tuple[float, float] | None:
    rows, columns = np.nonzero(weight > 0.5 * float(weight.max()) if float(weight.max()) > 0.02 else weight > 1)
    if not len(rows):
        return None
    at = int(rng.integers(len(rows)))
    x, y = (np.array([columns[at], rows[at]]) + rng.random(2)) * scene.stride_px + rng.normal(0, jitter_px, 2)
    return float(np.clip(x, 0, scene.size_px - 1)), float(np.clip(y, 0, scene.size_px - 1))


def _grown(coverage: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    import cv2

    kernel = np.ones((2 * cells + 1, 2 * cells + 1), np.uint8)
    return np.asarray(cv2.dilate(coverage, kernel), np.float32)


def _hull(thing: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    import cv2

    rows, columns = np.nonzero(thing > min(0.1, float(thing.max()) / 2))
    cells = np.stack([columns, rows], axis=1).astype(np.int32)
    if rng.random() < 0.5:
        hull = cv2.boxPoints(cv2.minAreaRect(cells)).round().astype(np.int32)
    else:
        hull = cv2.convexHull(cells).astype(np.int32)
    filled = np.zeros(thing.shape, np.uint8)
    cv2.fillPoly(filled, [hull], (1,))
    filled[rows, columns] = 1
    return _grown(filled.astype(np.float32), int(rng.integers(0, 3)))


def _region_mask(
    scene: Scene, target: NDArray[np.float32], region: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint8]:
    sort = rng.random()
    if sort < 0.55:
        return np.round(region * 255).astype(np.uint8)
    if sort < 0.85 and float(target.max()) > 0:
        return _coarse(target, rng)
    # What a two-cluster split of the region would give, right way up or not.
    inside = scene.grey[region > 0.5]
    level = float(inside.mean()) if inside.size else 128.0
    chosen = scene.grey > level if rng.random() < 0.5 else scene.grey < level
    return (chosen * region * 255).astype(np.uint8)


def _coarse(target: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    import cv2

    cells = target.shape[0]
    rough = (target > 0.3).astype(np.uint8)
    steps = int(rng.integers(-1, 4))
    kernel = np.ones((3, 3), np.uint8)
    if steps > 0:
        rough = cv2.dilate(rough, kernel, iterations=steps)
    noise = cv2.resize(rng.random((9, 9), np.float32), (cells, cells), interpolation=cv2.INTER_CUBIC)
    rough[noise < rng.uniform(-0.1, 0.35)] = 0
    around = cv2.dilate(rough, kernel, iterations=4)
    rough |= around * (noise > rng.uniform(0.75, 1.3))
    soft = cv2.GaussianBlur(rough * np.uint8(255), (0, 0), float(rng.uniform(0.3, 2.0)))
    return np.asarray(soft, np.uint8)
