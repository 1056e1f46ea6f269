"""Puts backgrounds, text, marks and frames together into training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automask.errors import InputError
from automask_training.synth.backgrounds import Backgrounds, PictureCache
from automask_training.synth.degrade import degraded
from automask_training.synth.frames import FrameDrawer
from automask_training.synth.index import MaterialIndex, Split
from automask_training.synth.lettering import FontCollection
from automask_training.synth.marks import MarkDrawer
from automask_training.synth.raster import Bytes, Canvas, resize
from automask_training.synth.scenes import SceneDrawer, chart_ground, comic_ground
from automask_training.synth.stock import StockMarkDrawer
from automask_training.synth.texts import TextDrawer
from automask_training.synth.types import SyntheticImage, SyntheticInstance

_SMALL_MARKS = {
    "signature": 0.17,
    "copyright": 0.17,
    "username": 0.16,
    "timestamp": 0.18,
    "logo": 0.15,
    "ai_mark": 0.11,
    "corner": 0.11,
}
_STOCK_MARKS = {"tiled": 0.3, "grid": 0.15, "diagonal": 0.23, "wordmark": 0.32}
_SCENES = ("marked", "stock", "poster", "comic", "chart", "framed")
_GROUNDS = {"comic": comic_ground, "chart": chart_ground}
MARK_LABELS = (*_SMALL_MARKS, *_STOCK_MARKS)
_MARK_TRIES = 20
_RESIZED_MASK_LEVEL = 64
_FAINT_OPACITY = 0.3


@dataclass(frozen=True)
class SynthRecipe:
    """How often things occur. The scene weights need not add up to 1.

    Attributes:
        empty: Share of images with nothing unwanted.
        busy_empty: Of those, share on procedural textures that resemble marks.
        busy: The same share among the other images.
        negatives: Share of all images whose background was taken for lettering, where the materials have such.
        structures: Share of all images with things in them that resemble marks: wheels, windows, rails.
        ornaments: Share of all images with many small drawn things that resemble letters: flowers, waves, eyes.
        drawings: Share of all images whose background is redrawn as a drawing.
        marked: Weight of pictures with one to three small marks.
        stock: Weight of tiled, grid and diagonal marks and of names in the middle.
        poster: Weight of posters, signs and covers with much text.
        comic: Weight of speech bubbles and lettering.
        chart: Weight of painted maps.
        framed: Weight of pictures whose point is a frame.
        extra_frame: Chance of a frame in the other scenes.
        extra_mark: Chance of a small mark in scenes without marks.
        rescaled: Share composed at another size and resized.
        cache_bytes: Most memory for decoded pictures.
    """

    empty: float = 0.25
    busy_empty: float = 0.45
    busy: float = 0.10
    negatives: float = 0.35
    structures: float = 0.3
    ornaments: float = 0.3
    drawings: float = 0.10
    marked: float = 0.36
    stock: float = 0.30
    poster: float = 0.18
    comic: float = 0.09
    chart: float = 0.10
    framed: float = 0.12
    extra_frame: float = 0.08
    extra_mark: float = 0.2
    rescaled: float = 0.3
    cache_bytes: int = 400_000_000


class Synthesizer:
    """Makes image number `index`, always the same one for the same materials, seed, recipe and size.

    It pickles without what it has cached: each process opens fonts and pictures for itself. One instance serves one
    thread.
    """

    def __init__(
        self,
        materials: Path,
        *,
        seed: int,
        size_px: int = 640,
        recipe: SynthRecipe | None = None,
        split: Split = "train",
    ) -> None:
        """Read the list of materials; raises InputError when the folder has none."""
        self._materials, self._seed, self._size_px, self._split = materials, seed, size_px, split
        self._recipe = recipe or SynthRecipe()
        self._open()

    def _open(self) -> None:
        index = MaterialIndex.read(self._materials).of_split(self._split)
        cache = PictureCache(self._materials, limit_bytes=self._recipe.cache_bytes)
        fonts = FontCollection(self._materials, index.faces)
        self._backgrounds = Backgrounds(cache, index)
        self._texts = TextDrawer(fonts)
        self._scenes = SceneDrawer(self._texts)
        self._marks = MarkDrawer(cache, index, fonts)
        self._stock = StockMarkDrawer(self._marks)
        self._frames = FrameDrawer(cache, index)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out fonts and decoded pictures."""
        kept = ("_materials", "_seed", "_size_px", "_split", "_recipe")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the materials again."""
        self.__dict__.update(state)
        self._open()

    def sample(self, index: int) -> SyntheticImage:
        """Return image number `index`, `size_px` squared."""
        rng = np.random.default_rng((self._seed, index, 0 if self._split == "train" else 1))
        side = self._size_px
        if rng.random() < self._recipe.rescaled:
            side = round(side * rng.uniform(0.65, 1.4))
        if rng.random() < self._recipe.empty:
            pixels = self._background(rng, side, busy_share=self._recipe.busy_empty)
            return SyntheticImage(degraded(rng, _sized(pixels, self._size_px)), ())
        canvas = Canvas(self._background(rng, side, busy_share=self._recipe.busy))
        for _ in range(4):
            self._compose(rng, canvas)
            if canvas.instances:
                break
        pixels, instances = _rescaled(canvas, self._size_px)
        faint = any(each.opacity < _FAINT_OPACITY for each in instances)
        return SyntheticImage(degraded(rng, pixels, gently=faint), instances)

    def _background(self, rng: np.random.Generator, side_px: int, *, busy_share: float) -> Bytes:
        return self._backgrounds.draw(
            rng,
            side_px,
            busy_share=busy_share,
            negative_share=self._recipe.negatives,
            structure_share=self._recipe.structures,
            ornament_share=self._recipe.ornaments,
            drawing_share=self._recipe.drawings,
        )

    def with_mark(self, index: int, label: str) -> SyntheticImage:
        """Return picture number `index` of those that carry one mark of a finer label and nothing else."""
        for attempt in range(_MARK_TRIES):
            rng = np.random.default_rng((self._seed, index, attempt, *label.encode()))
            canvas = Canvas(self._backgrounds.draw(rng, self._size_px, busy_share=0.0, structure_share=0.0))
            (self._stock if label in _STOCK_MARKS else self._marks).draw(rng, canvas, label)
            if canvas.instances:
                return SyntheticImage(degraded(rng, canvas.pixels, gently=True), tuple(canvas.instances))
        raise InputError(f"No mark of label {label} could be drawn.", advice="Collect the materials again.")

    def _compose(self, rng: np.random.Generator, canvas: Canvas) -> None:
        recipe = self._recipe
        scene = _weighted(rng, {name: getattr(recipe, name) for name in _SCENES})
        if scene in _GROUNDS:
            canvas.pixels[:] = _GROUNDS[scene](rng, canvas.pixels)
        if scene == "framed" or rng.random() < recipe.extra_frame:
            self._frame(rng, canvas)
        if scene == "marked":
            for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.22, 0.08]))):
                self._marks.draw(rng, canvas, _weighted(rng, _SMALL_MARKS))
        elif scene == "stock":
            self._stock.draw(rng, canvas, _weighted(rng, _STOCK_MARKS))
            if rng.random() < 0.3:
                self._marks.draw(rng, canvas, _weighted(rng, _SMALL_MARKS))
        elif scene == "poster":
            self._scenes.poster(rng, canvas)
        elif scene == "comic":
            self._scenes.comic(rng, canvas)
        elif scene == "chart":
            self._scenes.chart(rng, canvas)
        if scene not in ("marked", "stock") and rng.random() < recipe.extra_mark:
            self._marks.draw(rng, canvas, _weighted(rng, _SMALL_MARKS))

    def _frame(self, rng: np.random.Generator, canvas: Canvas) -> None:
        frame = self._frames.draw(rng, canvas)
        if frame is None or frame.style != "caption_bar":
            return
        which = rng.random()
        if which < 0.3:
            self._marks.camera_bar(rng, canvas, frame.window)
        elif which < 0.9:
            high = frame.window[3] - frame.window[1]
            size = max(9, int(high * rng.uniform(0.2, 0.6)))
            self._texts.free(rng, canvas, size_px=size, where=frame.window, tight=True, upright=True)


def _weighted(rng: np.random.Generator, weights: dict[str, float]) -> str:
    names = list(weights)
    values = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=values / values.sum()))]


def _sized(pixels: Bytes, size_px: int) -> Bytes:
    return pixels if pixels.shape[0] == size_px else resize(pixels, size_px, size_px)


def _rescaled(canvas: Canvas, size_px: int) -> tuple[Bytes, tuple[SyntheticInstance, ...]]:
    """Resize the picture and every mask; instances that vanish are left out."""
    side = canvas.size_px[0]
    if side == size_px:
        return canvas.pixels, tuple(canvas.instances)
    target = Canvas(resize(canvas.pixels, size_px, size_px))
    for each in canvas.instances:
        full = np.zeros((side, side), dtype=np.uint8)
        x0, y0, x1, y1 = each.box
        full[y0:y1, x0:x1] = each.mask * np.uint8(255)
        target.note(resize(full, size_px, size_px) > _RESIZED_MASK_LEVEL, 0, 0, label=each.label, opacity=each.opacity)
    return target.pixels, tuple(target.instances)
