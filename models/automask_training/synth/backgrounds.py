"""What pictures show before anything is put on them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from automask_training.synth import textures
from automask_training.synth.drawings import redrawn
from automask_training.synth.index import MaterialIndex, Picture
from automask_training.synth.ornaments import add_ornaments
from automask_training.synth.raster import Bytes, Canvas, Layer, looked_up, resize, scaled
from automask_training.synth.structures import add_structures

_MIN_CROP_SHARE = 0.35


class PictureCache:
    """Decoded pictures, uint8 RGB or RGBA, the most recently used ones up to a number of bytes."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        """Read from `folder`."""
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, Bytes] = OrderedDict()
        self._held_bytes = 0

    def get(self, file: str) -> Bytes:
        """Return a picture (H, W, 3), (H, W, 4) or, for alpha maps, (H, W)."""
        if file in self._held:
            self._held.move_to_end(file)
            return self._held[file]
        with Image.open(self._folder / file) as opened:
            pixels = np.asarray(opened if opened.mode in ("RGB", "RGBA", "L") else opened.convert("RGB"))
        pixels.setflags(write=False)
        self._held[file] = pixels
        self._held_bytes += pixels.nbytes
        while self._held_bytes > self._limit_bytes and len(self._held) > 1:
            self._held_bytes -= self._held.popitem(last=False)[1].nbytes
        return pixels


class _Pool:
    """Pictures to choose from; a source weighs the square root of its size, so that none crowds out the others."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        by_source: dict[str, list[Picture]] = {}
        for each in pictures:
            by_source.setdefault(each.source, []).append(each)
        self._groups = [by_source[source] for source in sorted(by_source)]
        sizes = np.sqrt([len(group) for group in self._groups])
        self._shares = sizes / sizes.sum() if self._groups else sizes

    def __bool__(self) -> bool:
        return bool(self._groups)

    def choose(self, rng: np.random.Generator) -> Picture:
        group = self._groups[int(rng.choice(len(self._groups), p=self._shares))]
        return group[int(rng.integers(len(group)))]


class Backgrounds:
    """Draws backgrounds from pictures, figures on grounds, and procedural art."""

    def __init__(self, cache: PictureCache, index: MaterialIndex) -> None:
        """Use the pictures and sprites of `index`."""
        self._cache = cache
        self._pictures = _Pool(index.backgrounds)
        self._sprites = _Pool(index.sprites)
        self._negatives = _Pool(index.negatives)

    def picture(self, rng: np.random.Generator, side_px: int) -> Bytes:
        """Return a random square crop of a photograph or painting; a texture when there are none."""
        return self._cropped(rng, side_px, self._pictures)

    def _cropped(self, rng: np.random.Generator, side_px: int, pool: _Pool) -> Bytes:
        if not pool:
            return textures.draw(rng, side_px, textures.PLAIN + textures.BUSY)
        pixels = self._cache.get(pool.choose(rng).file)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=-1)
        height, width = pixels.shape[:2]
        side = int(min(height, width) * rng.uniform(_MIN_CROP_SHARE, 1.0) ** 0.5)
        x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        crop = resize(np.ascontiguousarray(pixels[y : y + side, x : x + side, :3]), side_px, side_px)
        return crop[:, ::-1].copy() if rng.random() < 0.5 else crop

    def figures(self, rng: np.random.Generator, side_px: int) -> Bytes:
        """Return one to three cut-out figures on a ground."""
        ground = self.picture(rng, side_px) if rng.random() < 0.35 else textures.draw(rng, side_px, textures.PLAIN)
        if not self._sprites:
            return ground
        canvas = Canvas(ground)
        for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
            pixels = self._cache.get(self._sprites.choose(rng).file)
            if rng.random() < 0.5:
                pixels = pixels[:, ::-1]
            figure = Layer(np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]))
            figure = scaled(figure, side_px * rng.uniform(0.6, 1.5) / max(figure.size_px))
            width, height = figure.size_px
            canvas.stamp(
                figure,
                int(rng.uniform(-0.3, 1.3) * max(1, side_px - width) * 0.8),
                side_px - int(height * rng.uniform(0.7, 1.0)),
                label=None,
            )
        return canvas.pixels

    def draw(
        self,
        rng: np.random.Generator,
        side_px: int,
        *,
        busy_share: float,
        negative_share: float = 0.0,
        structure_share: float = 0.0,
        ornament_share: float = 0.0,
        drawing_share: float = 0.0,
    ) -> Bytes:
        """Return a background, uint8 (side, side, 3).

        `negative_share` of them are cuts of pictures that were taken for lettering (`automask_training.negatives`), as
        they are. Of the others `busy_share` are textures that resemble marks; onto `structure_share` things are put
        that do, onto `ornament_share` small drawn ones; `drawing_share` are redrawn as drawings.
        """
        if negative_share and self._negatives and rng.random() < negative_share:
            return toned(rng, self._cropped(rng, side_px, self._negatives))
        which = rng.random()
        if which < busy_share:
            pixels = textures.draw(rng, side_px, textures.BUSY)
        elif which < busy_share + (1 - busy_share) * 0.64:
            pixels = self.picture(rng, side_px)
        elif which < busy_share + (1 - busy_share) * 0.85:
            pixels = self.figures(rng, side_px)
        else:
            pixels = textures.draw(rng, side_px, textures.PLAIN)
        if structure_share and rng.random() < structure_share:
            pixels = add_structures(rng, pixels)
        if ornament_share and rng.random() < ornament_share:
            pixels = add_ornaments(rng, pixels)
        if drawing_share and rng.random() < drawing_share:
            pixels = redrawn(rng, pixels)
        return toned(rng, pixels)


def toned(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Change brightness, contrast, colour balance or saturation of a copy, most of the time a little."""
    if rng.random() < 0.35:
        return pixels
    gain = rng.uniform(0.7, 1.25) * rng.uniform(0.92, 1.08, 3)
    shift = rng.uniform(-30, 30)
    table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)
    toned_pixels = looked_up(pixels, table)
    if rng.random() < 0.1:
        grey = toned_pixels.mean(axis=-1, keepdims=True).astype(np.uint8)
        toned_pixels = np.repeat(grey, 3, axis=-1)
    return toned_pixels
