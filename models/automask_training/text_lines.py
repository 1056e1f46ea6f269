"""Lines that the text detector finds, each with what the truth says about it: what the evidence model is fitted on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.manifest import Manifest, ManifestEntry
from automask.bench.run import load_image
from automask.config import PipelineConfig
from automask.errors import InputError
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED
from automask.protocols import Detector
from automask.values.geometry import Box, Polygon, rasterise_polygon
from automask.values.types import Image
from automask_models.text.evidence import Evidence
from automask_training.synth import SyntheticImage
from automask_training.synth.backgrounds import Backgrounds, PictureCache
from automask_training.synth.index import MaterialIndex
from automask_training.synth.lettering import FontCollection, paint
from automask_training.synth.raster import Canvas, rotated, trimmed
from automask_training.synth.texts import TextDrawer, contrasting, fitted, random_style

LOGGER = logging.getLogger("automask.training")

SCRIPTS = ("latin", "cyrillic", "hangul", "arabic", "thai", "han")
"""What synthetic pictures are written in, in turn. The recogniser cannot read the middle four."""

_SIDE_PX = 640
_LETTERS_SHARES = (0.03, 0.04, 0.05, 0.07, 0.10, 0.16, 0.25)
_LEAST_LETTERS_PX = 14
_CACHE_BYTES = 200_000_000
_LOGGED_EVERY = 20

_INK_IS_TEXT, _INK_IS_NONE = 0.04, 0.005
"""Least and most share of stroke pixels inside an outline for a line to count as text or as none; between, neither."""

_AREA_IS_TEXT, _AREA_IS_NONE = 0.4, 0.05
"""The same where the truth holds whole regions, which text fills."""

_MOST_IGNORED = 0.02
"""With more pixels of unknown meaning inside, a line counts as nothing."""


@dataclass(frozen=True, slots=True)
class LabelledLine:
    """One detected line.

    Attributes:
        outline: Its shape in pixels of the image.
        evidence: What the detector knows about it.
        is_text: What the truth says, or None where it does not tell.
    """

    outline: Polygon
    evidence: Evidence
    is_text: bool | None


@dataclass(frozen=True, slots=True)
class SearchedPicture:
    """One image and the lines found in it.

    Attributes:
        source: Collection that it comes from, the unit that is left out in checks.
        width_px: Width of the image.
        height_px: Height of the image.
        lines: Everything the detector found, sure or not.
        entry: Where its truth is, or None for a synthetic picture.
    """

    source: str
    width_px: int
    height_px: int
    lines: tuple[LabelledLine, ...]
    entry: ManifestEntry | None = None


def label(outline: Polygon, truth: NDArray[np.uint8] | None, *, whole_regions: bool = False) -> bool | None:
    """Whether a line is text.

    Args:
        outline: Shape of the line; may reach over the edge of the image.
        truth: (H, W) uint8, 255 = text, 128 = unknown; None = nothing in this image is text.
        whole_regions: The truth holds the areas of text instead of its strokes.

    Returns:
        None where the truth does not tell: the outline holds unknown pixels, or a little text only.
    """
    if truth is None:
        return False
    height_px, width_px = truth.shape
    box = Box.around(outline).clipped(width_px=width_px, height_px=height_px)
    if box is None:
        return None
    inside = truth[box.slices][rasterise_polygon(outline, box)]
    if not inside.size:
        return None
    text_share = float((inside == TRUTH_UNWANTED).mean())
    is_text, is_none = (_AREA_IS_TEXT, _AREA_IS_NONE) if whole_regions else (_INK_IS_TEXT, _INK_IS_NONE)
    if text_share > is_text:
        return True
    if text_share < is_none and (inside == TRUTH_IGNORE).mean() < _MOST_IGNORED:
        return False
    return None


def search_manifest(manifest: Manifest, detector: Detector) -> Iterator[SearchedPicture]:
    """Run a loaded text detector on every image whose truth says where text is and where none is.

    Images of unknown truth say nothing, and a truth of frames says nothing about the text beside or on them.

    Raises:
        InputError: An image is missing, or its truth has another size.
    """
    config = PipelineConfig()
    entries = [entry for entry in manifest.entries if entry.truth != "unknown" and entry.kind != "frame"]
    for number, entry in enumerate(entries, start=1):
        image, truth = load_image(manifest.root, entry, config), manifest.truth_of(entry)
        if truth is not None and truth.shape != (image.height_px, image.width_px):
            raise InputError(f"The truth of {entry.image} has another size than the image.", advice="Correct the mask.")
        yield search(image, truth, detector, source=entry.source, entry=entry)
        _log_progress(number, len(entries), what="images")


def search_synthetic(materials: Path, detector: Detector, *, count: int, seed: int = 0) -> Iterator[SearchedPicture]:
    """Run a loaded text detector on `written_pictures`; each script is a source.

    Raises:
        InputError: See there.
    """
    for number, (image, truth, source) in enumerate(written_pictures(materials, count=count, seed=seed), start=1):
        yield search(image, truth, detector, source=source)
        _log_progress(number, count, what="synthetic pictures")


def written_pictures(materials: Path, *, count: int, seed: int = 0) -> Iterator[tuple[Image, NDArray[np.uint8], str]]:
    """Pictures with text in several scripts, each with its truth, (H, W) uint8, and a source for its script.

    Args:
        materials: Folder made by `automask_training.synth.materials`.
        count: How many pictures; scripts take turns.
        seed: Picture number n is a pure function of materials, seed and n.

    Raises:
        InputError: The folder has no materials, or no faces for one of `SCRIPTS`.
    """
    index = MaterialIndex.read(materials).of_split("train")
    drawer = TextDrawer(FontCollection(materials, index.faces))
    missing = sorted(set(SCRIPTS) - drawer.scripts())
    if missing:
        raise InputError(
            f"{materials} has no faces that Pillow can write these scripts with: {', '.join(missing)}.",
            advice="Collect the materials again; Arabic and Thai also need a Pillow with Raqm.",
        )
    backgrounds = Backgrounds(PictureCache(materials, limit_bytes=_CACHE_BYTES), index)
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        script = SCRIPTS[number % len(SCRIPTS)]
        picture = text_picture(rng, backgrounds.picture(rng, _SIDE_PX), drawer, script=script)
        truth = picture.artefact().astype(np.uint8) * np.uint8(TRUTH_UNWANTED)
        yield Image(id=f"synthetic/{number}", pixels=picture.pixels), truth, f"synthetic-{script}"


def search(
    image: Image,
    truth: NDArray[np.uint8] | None,
    detector: Detector,
    *,
    source: str,
    entry: ManifestEntry | None = None,
) -> SearchedPicture:
    """Run a loaded text detector on one image and label what it finds."""
    whole_regions = entry is not None and entry.truth == "regions"
    lines = []
    for region in detector.detect([image])[0]:
        if region.polygon is None:
            continue
        evidence = Evidence(
            score_det=float(region.attributes["score_det"]),
            score_rec=float(region.attributes["score_rec"]),
            letters_share=float(region.attributes["letters_share"]),
            aspect=float(region.attributes["aspect"]),
        )
        is_text = label(region.polygon, truth, whole_regions=whole_regions)
        lines.append(LabelledLine(outline=region.polygon, evidence=evidence, is_text=is_text))
    return SearchedPicture(source, image.width_px, image.height_px, tuple(lines), entry)


def text_picture(
    rng: np.random.Generator, ground: NDArray[np.uint8], drawer: TextDrawer, *, script: str
) -> SyntheticImage:
    """Write two to five lines of one script on a ground, (H, W, 3) uint8 RGB, which is drawn on in place.

    Most lines are level, some are turned a little, some run from bottom to top.
    """
    canvas = Canvas(ground)
    width_px, height_px = canvas.size_px
    for _ in range(int(rng.integers(2, 6))):
        size_px = max(_LEAST_LETTERS_PX, round(min(width_px, height_px) * float(rng.choice(_LETTERS_SHARES))))
        coverage = drawer.line_coverage(rng, script, size_px, words_count=int(rng.integers(1, 4)))
        coverage = fitted(coverage, round(width_px * 0.9), round(height_px * 0.9))
        right, down = rng.random(2)
        x, y = int(right * (width_px - coverage.shape[1])), int(down * (height_px - coverage.shape[0]))
        ground_colour = canvas.mean_colour((x, y, x + coverage.shape[1], y + coverage.shape[0]))
        layer = paint(coverage, random_style(rng, contrasting(rng, ground_colour), coverage.shape[0]))
        layer = trimmed(rotated(layer, float(rng.choice([0.0, 0.0, 0.0, rng.uniform(-25, 25), 90.0]))))
        layer_width_px, layer_height_px = layer.size_px
        if layer_width_px >= width_px or layer_height_px >= height_px:
            continue
        x, y = int(right * (width_px - layer_width_px)), int(down * (height_px - layer_height_px))
        if not canvas.crowded((x, y, x + layer_width_px, y + layer_height_px)):
            canvas.stamp(layer, x, y, label="text_line")
    return SyntheticImage(canvas.pixels, tuple(canvas.instances))


def _log_progress(done: int, total: int, *, what: str) -> None:
    if done % _LOGGED_EVERY == 0 or done == total:
        LOGGER.info("searched %d of %d %s", done, total, what)
