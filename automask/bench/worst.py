"""A page of the images that came out worst: image, truth and mask side by side, with figures and reasons."""

from __future__ import annotations

import heapq
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.bench.manifest import Manifest, ManifestEntry
from automask.bench.run import JudgedImage, load_image
from automask.config import PipelineConfig
from automask.files.atomic import discard, write_atomic
from automask.mask.confidence.model import FINE_LEAK, FINE_WASTE
from automask.mask.metrics import TRUTH_IGNORE, TRUTH_UNWANTED
from automask.report.cards import printable
from automask.report.overlay import Colour, outline
from automask.version import __version__

MOST_SHOWN = 20
_LONGEST_PX = 900
_OPACITY = 0.6
_PICTURES = "worst-*.jpg"
LEAK, WASTE, RIGHT, UNWANTED, IGNORED = (255, 42, 84), (255, 196, 0), (0, 190, 120), (0, 150, 255), (128, 128, 128)


def badness(judged: JudgedImage) -> float:
    """How far a mask is from fine: its leak or waste as a multiple of what is fine, whichever is more."""
    figures = judged.figures
    if figures.error:
        return math.inf
    return max((figures.leak or 0.0) / FINE_LEAK, (figures.waste or 0.0) / FINE_WASTE)


@dataclass(slots=True)
class WorstImages:
    """Keeps the worst of the images that it is shown, and forgets the others: call it with each one.

    Args:
        most: How many are kept.
    """

    most: int = MOST_SHOWN
    _kept: list[tuple[float, int, JudgedImage]] = field(default_factory=list)
    _seen: int = 0

    def __call__(self, judged: JudgedImage) -> None:
        """Look at one image; those that are fine, and those of unknown truth, are never kept."""
        self._seen += 1
        if judged.entry.truth == "unknown" or judged.figures.is_fine:
            return
        heapq.heappush(self._kept, (badness(judged), -self._seen, judged))
        if len(self._kept) > self.most:
            heapq.heappop(self._kept)

    @property
    def worst_first(self) -> list[JudgedImage]:
        """The images that were kept."""
        return [judged for _, _, judged in sorted(self._kept, key=lambda kept: kept[:2], reverse=True)]


def write_worst(images: Sequence[JudgedImage], manifest: Manifest, config: PipelineConfig, folder: Path) -> Path:
    """Write the page and its pictures; those of an earlier page go.

    Args:
        images: What to show, in order.
        manifest: Where they come from.
        config: How they are decoded.
        folder: Where to; made where missing.

    Returns:
        The page.

    Raises:
        InputError: An image or its truth cannot be read any more.
        OutputError: The folder cannot be written.
    """
    for old in folder.glob(_PICTURES):
        discard(old)
    cards = [_card(number, judged, manifest, config, folder) for number, judged in enumerate(images, 1)]
    write_atomic(folder / "style.css", (files("automask.report") / "style.css").read_bytes())
    page = Template((files(__package__) / "worst.html").read_text(encoding="utf-8")).substitute(
        title="The worst masks",
        subtitle=f"{len(cards)} masks that are not fine: leak over {FINE_LEAK:g} or waste over {FINE_WASTE:g}",
        cards="\n".join(cards) or "<p>Every mask is fine.</p>",
        version=escape(__version__),
        written=time.strftime("%Y-%m-%d %H:%M"),
        leak=_css(LEAK),
        waste=_css(WASTE),
        right=_css(RIGHT),
        unwanted=_css(UNWANTED),
        ignored=_css(IGNORED),
    )
    write_atomic(folder / "index.html", page.encode())
    return folder / "index.html"


def _card(number: int, judged: JudgedImage, manifest: Manifest, config: PipelineConfig, folder: Path) -> str:
    figures, entry = judged.figures, judged.entry
    pixels = load_image(manifest.root, entry, config).pixels
    truth = manifest.truth_of(entry)
    found = PillowImage.fromarray(pixels)
    outline(found, judged.marks)
    pictures = {"image": found, "truth": PillowImage.fromarray(tinted_truth(pixels, truth))}
    if judged.levels is not None and judged.levels.shape == pixels.shape[:2]:
        pictures["mask"] = PillowImage.fromarray(tinted_mask(pixels, judged.levels, truth))
    shown = []
    for what, picture in pictures.items():
        name = f"worst-{number:02d}-{what}.jpg"
        write_atomic(folder / name, _jpeg(picture), durable=False)
        shown.append(f'<a href="{name}"><img src="{name}" alt="{what} of {_text(entry.image)}" loading="lazy"></a>')
    if "mask" not in pictures:
        shown.append(f'<span class="none">no mask: {_text(figures.error or "none was drawn")}</span>')
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in figures.reasons)
    return f"""<article>
<div class="pictures">{"".join(shown)}</div>
<div class="about">
<h2>{number}. {_text(entry.image)}</h2>
<p class="facts"><span class="badge {_text(figures.verdict)}">{_text(figures.verdict)}</span>
<span>leak {_number(figures.leak)}</span><span>waste {_number(figures.waste)}</span>
<span>probability {figures.confidence:.2f}</span><span>{figures.masked_share:.0%} masked</span>
<span>{_text(_source(entry))}</span><span>{_text(figures.pipeline)}</span></p>
<ul class="reasons">{reasons}</ul>
</div>
</article>"""


def tinted_truth(pixels: NDArray[np.uint8], truth: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The image with its truth in colours.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        truth: (H, W) uint8, 255 = unwanted, 128 = ignore; None = nothing unwanted.
    """
    if truth is None:
        return pixels
    return _painted(pixels, {UNWANTED: truth == TRUTH_UNWANTED, IGNORED: truth == TRUTH_IGNORE})


def tinted_mask(
    pixels: NDArray[np.uint8], levels: NDArray[np.uint8], truth: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """The image with its mask in colours: what is rightly masked, what leaks, what is wasted.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        levels: (H, W) uint8 mask, 255 = train.
        truth: As for `tinted_truth`.
    """
    unwanted = np.zeros(levels.shape, dtype=np.bool_) if truth is None else truth == TRUTH_UNWANTED
    ignored = np.zeros(levels.shape, dtype=np.bool_) if truth is None else truth == TRUTH_IGNORE
    masked = levels < TRUTH_IGNORE
    waste = masked & ~unwanted & ~ignored
    areas = {LEAK: unwanted & ~masked, WASTE: waste, RIGHT: masked & unwanted, IGNORED: masked & ignored}
    return _painted(pixels, areas)


def _painted(pixels: NDArray[np.uint8], areas: dict[Colour, NDArray[np.bool_]]) -> NDArray[np.uint8]:
    out = pixels.copy()
    for colour, area in areas.items():
        out[area] = ((1 - _OPACITY) * pixels[area] + _OPACITY * np.array(colour)).astype(np.uint8)
    return out


def _jpeg(picture: PillowImage.Image) -> bytes:
    small = picture.copy()
    small.thumbnail((_LONGEST_PX, _LONGEST_PX))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=88)
    return out.getvalue()


def _source(entry: ManifestEntry) -> str:
    return f"{entry.kind}/{entry.source}"


def _text(text: str) -> str:
    return escape(printable(text))


def _number(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"


def _css(colour: Colour) -> str:
    return f"rgb{colour}"
