"""Square crops of synthetic images around unwanted things, as the refiner will cut them at run time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from automask_training.prompts import PromptConfig, Prompts, Scene, make_prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automask_training.synth import SyntheticImage, SyntheticInstance

PIXEL_CLASSES = ("text", "watermark")


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """Geometry of the crops. `zoom` is crop pixels per source pixel, `short_side_px` that of a thing in the crop."""

    size_px: int = 256
    cells: int = 64
    zoom: tuple[float, float] = (0.4, 3.0)
    short_side_px: tuple[float, float] = (16.0, 200.0)
    anywhere_share: float = 0.15
    overhang_share: float = 0.1
    min_visible_px: float = 24.0
    prompts: PromptConfig = field(default_factory=PromptConfig)


@dataclass(frozen=True)
class Window:
    """Square window in source pixels; may hang over the image, which is then padded by its edge."""

    x0: int
    y0: int
    side_px: int


@dataclass(frozen=True, eq=False)
class Crop:
    """One training crop: pixels (S, S, 3) uint8 RGB, classes (2, C, C) uint8 coverage of PIXEL_CLASSES, prompts.

    `unknown` as in `CutScene`.
    """

    pixels: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    prompts: Prompts
    unknown: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CutScene:
    """What a crop shows: pixels (S, S, 3) uint8 RGB, things (N, C, C) float32 coverage, classes as in `Crop`.

    A thing of unknown kind is in both classes. `unknown` is (C, C) uint8, 1 = some of the cell is not known.
    """

    pixels: NDArray[np.uint8]
    things: NDArray[np.float32]
    classes: NDArray[np.uint8]
    unknown: NDArray[np.uint8]


def make_crop(image: SyntheticImage, config: CropConfig, rng: np.random.Generator) -> Crop:
    """Draw one crop with its prompts from `image`."""
    cut_out = cut_scene(image, config, rng)
    scene = Scene(grey=_grey(cut_out.pixels, config.cells), things=cut_out.things, size_px=config.size_px)
    prompts = make_prompts(scene, config.prompts, rng)
    return Crop(pixels=cut_out.pixels, classes=cut_out.classes, prompts=prompts, unknown=cut_out.unknown)


def cut_scene(image: SyntheticImage, config: CropConfig, rng: np.random.Generator) -> CutScene:
    """Draw one crop from `image`; frames are context, never an answer."""
    asked = [i for i in image.instances if i.kind in PIXEL_CLASSES and i.mask.any()]
    window = _window(asked, image.pixels.shape[1], image.pixels.shape[0], config, rng)
    pixels = cut(image.pixels, window, size_px=config.size_px)
    covers, kinds = [], []
    for instance in asked:
        cover = instance_coverage(instance, window, cells=config.cells)
        if cover is not None and float(cover.sum()) * (config.size_px / config.cells) ** 2 >= config.min_visible_px:
            covers.append(cover)
            kinds.append([PIXEL_CLASSES.index(instance.kind)] if instance.is_kind_known else [0, 1])
    covers.append(_unknown_coverage(image, window, cells=config.cells))
    pixels, turned = _augmented(pixels, np.stack(covers), rng)
    things, unknown = turned[:-1], turned[-1]
    classes = np.zeros((len(PIXEL_CLASSES), config.cells, config.cells), np.float32)
    for mine, cover in zip(kinds, things, strict=True):
        for kind in mine:
            np.maximum(classes[kind], cover, out=classes[kind])
    return CutScene(
        pixels=pixels,
        things=things,
        classes=np.round(classes * 255).astype(np.uint8),
        unknown=(unknown > 0).astype(np.uint8),
    )


def _unknown_coverage(image: SyntheticImage, window: Window, *, cells: int) -> NDArray[np.float32]:
    nothing = np.zeros((cells, cells), np.float32)
    if image.unknown is None:
        return nothing
    height, width = image.unknown.shape
    cover = mask_coverage(image.unknown, (0, 0, width, height), window, cells=cells)
    return nothing if cover is None else cover


def cut(pixels: NDArray[np.uint8], window: Window, *, size_px: int) -> NDArray[np.uint8]:
    """Pixels (size_px, size_px, 3) of `window`, area-averaged when it shrinks and bilinear when it grows."""
    import cv2

    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(window.y0, window.y0 + window.side_px), 0, height - 1)
    columns = np.clip(np.arange(window.x0, window.x0 + window.side_px), 0, width - 1)
    inside = rows[0] != rows[-1] and window.x0 >= 0 and window.y0 >= 0
    if inside and window.x0 + window.side_px <= width and window.y0 + window.side_px <= height:
        part = pixels[window.y0 : window.y0 + window.side_px, window.x0 : window.x0 + window.side_px]
    else:
        part = pixels[rows[:, None], columns[None, :]]
    how = cv2.INTER_AREA if window.side_px > size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size_px, size_px), interpolation=how), np.uint8)


def instance_coverage(instance: SyntheticInstance, window: Window, *, cells: int) -> NDArray[np.float32] | None:
    """Coverage (cells, cells) 0..1 of the window's cells by the instance's mask, None when they do not meet."""
    x0, y0, x1, y1 = instance.box
    return mask_coverage(instance.mask, (x0, y0, x1, y1), window, cells=cells)


def mask_coverage(
    mask: NDArray[np.bool_], box: tuple[int, int, int, int], window: Window, *, cells: int
) -> NDArray[np.float32] | None:
    """Coverage (cells, cells) 0..1 of the window's cells by `mask`, which fills `box` (xyxy source pixels)."""
    import cv2

    left, top = max(box[0], window.x0), max(box[1], window.y0)
    right, bottom = min(box[2], window.x0 + window.side_px), min(box[3], window.y0 + window.side_px)
    if left >= right or top >= bottom:
        return None
    canvas = np.zeros((window.side_px, window.side_px), np.uint8)
    canvas[top - window.y0 : bottom - window.y0, left - window.x0 : right - window.x0] = mask[
        top - box[1] : bottom - box[1], left - box[0] : right - box[0]
    ] * np.uint8(255)
    how = cv2.INTER_AREA if window.side_px >= cells else cv2.INTER_LINEAR
    small = cv2.resize(canvas, (cells, cells), interpolation=how)
    return np.asarray(small, np.float32) / np.float32(255)


def _window(
    asked: list[SyntheticInstance], width: int, height: int, config: CropConfig, rng: np.random.Generator
) -> Window:
    low, high = np.log(config.zoom[0]), np.log(config.zoom[1])
    largest = max(width, height)
    if not asked or rng.random() < config.anywhere_share:
        side = int(np.clip(config.size_px / np.exp(rng.uniform(low, high)), 48, largest))
        return _placed(rng.random() * width, rng.random() * height, side, width, height, config, rng)
    instance = asked[int(rng.integers(len(asked)))]
    rows, columns = np.nonzero(instance.mask)
    at = int(rng.integers(len(rows)))
    short = min(instance.box[2] - instance.box[0], instance.box[3] - instance.box[1])
    wanted = np.exp(rng.uniform(np.log(config.short_side_px[0]), np.log(config.short_side_px[1])))
    zoom = float(np.clip(wanted / short, *config.zoom))
    side = int(np.clip(config.size_px / zoom, 48, largest))
    return _placed(instance.box[0] + columns[at], instance.box[1] + rows[at], side, width, height, config, rng)


def _placed(
    x: float, y: float, side: int, width: int, height: int, config: CropConfig, rng: np.random.Generator
) -> Window:
    x0, y0 = x - side * rng.uniform(0.15, 0.85), y - side * rng.uniform(0.15, 0.85)
    slack = side * 0.15 if rng.random() < config.overhang_share else 0.0
    x0 = np.clip(x0, -slack, max(-slack, width - side + slack))
    y0 = np.clip(y0, -slack, max(-slack, height - side + slack))
    return Window(int(x0), int(y0), side)


def _grey(pixels: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(
        cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (cells, cells), interpolation=cv2.INTER_AREA), np.uint8
    )


def _augmented(
    pixels: NDArray[np.uint8], things: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    turns = int(rng.integers(1, 4)) if rng.random() < 0.15 else 0
    if turns:
        pixels, things = np.rot90(pixels, turns), np.rot90(things, turns, axes=(1, 2))
    if rng.random() < 0.15:
        pixels, things = pixels[:, ::-1], things[:, :, ::-1]
    if rng.random() < 0.15:
        pixels = pixels[:, :, rng.permutation(3)]
    if rng.random() < 0.1:
        pixels = 255 - pixels
    if rng.random() < 0.1:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    if rng.random() < 0.5:
        gain, shift = rng.uniform(0.7, 1.3), rng.uniform(-25, 25)
        table = np.clip(np.arange(256) * gain + shift, 0, 255).astype(np.uint8)
        pixels = table[pixels]
    return np.ascontiguousarray(pixels), np.ascontiguousarray(things)
