"""How far clicks get a person on the review page: `python -m tests.measuring.clicking MANIFEST`.

A scripted person looks at the mask of every image, clicks the middle of the largest wrong part (of what is missed to
add, of what is masked for nothing to remove), looks again, and stops when the mask is fine. The clicks are answered by
what answers those of the page. Prints the share of fine masks after each click, by source.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from automask.bench.manifest import Manifest, ManifestEntry, read_manifest
from automask.bench.run import load_image
from automask.bench.tables import markdown_table
from automask.config import PipelineConfig
from automask.errors import AutomaskError, InputError
from automask.mask.confidence.model import is_fine
from automask.mask.drawing import draw
from automask.mask.metrics import TRUTH_UNWANTED, judged_cells, mean_of, score_mask
from automask.mask.rendering import CorrectionLayers, growth_px, hole_px
from automask.plugins import load_config
from automask.run.pipeline import MaskPipeline
from automask.values.grid import LatentGrid
from automask.values.types import Found, Image
from automask_api.refining.clicks import masked_before_growth, masked_thing, part_to_remove, thing_to_add
from automask_api.refining.open_images import OpenImages

_MOST_OPEN_PX = 400_000_000


class Start(StrEnum):
    """What is there before the first click."""

    AUTOMATIC = "automatic"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class ClickFigures:
    """One image.

    Attributes:
        source: Its collection.
        image: Its path in the manifest.
        leaks: After 0, 1, 2... clicks; the last one holds when nothing was wrong any more.
        wastes: The same.
        clicks: What was clicked: x, y, and whether to add.
    """

    source: str
    image: str
    leaks: tuple[float | None, ...]
    wastes: tuple[float | None, ...]
    clicks: tuple[tuple[int, int, bool], ...]

    def is_fine_after(self, clicks: int) -> bool:
        """Whether nobody has to look any more."""
        return is_fine(self.leaks[clicks], self.wastes[clicks])


def measure_clicks(
    manifest: Manifest, entries: Sequence[ManifestEntry], config: PipelineConfig, *, start: Start, clicks: int
) -> Iterator[ClickFigures]:
    """Click through some images of a manifest.

    Args:
        manifest: Where the images are.
        entries: Those to use; each has a truth.
        config: The pipeline that makes the first masks.
        start: Whether its mask is there at first, or none.
        clicks: How often a person clicks at most.
    """
    pipeline = MaskPipeline.from_config(config)
    open_images = OpenImages(pipeline, most=2, most_px=_MOST_OPEN_PX)
    for entry in entries:
        image = load_image(manifest.root, entry, config)
        truth = manifest.truth_of(entry)
        if truth is not None:
            result = pipeline.run([image])[0]
            yield _clicked(entry, image, truth, result, open_images, config, start=start, clicks=clicks)


def _clicked(
    entry: ManifestEntry,
    image: Image,
    truth: NDArray[np.uint8],
    result: Found,
    open_images: OpenImages,
    config: PipelineConfig,
    *,
    start: Start,
    clicks: int,
) -> ClickFigures:
    shape = truth.shape
    grid = LatentGrid.of(
        image.width_px, image.height_px, training_px=config.render.training_px, cell_px=config.render.cell_px
    )
    radius_px = growth_px(grid, config.render.growth_cells)
    largest_hole_px = hole_px(grid, config.render.fill_holes_cells)
    add, remove = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    session = open_images.opened(entry.image, image).session
    leaks: list[float | None] = []
    wastes: list[float | None] = []
    made: list[tuple[int, int, bool]] = []
    while True:
        layers = CorrectionLayers(add=add, remove=remove, replaces=start is Start.EMPTY)
        mask = draw(result, config, layers).mask
        score = score_mask(mask.levels, truth)
        leaks.append(score.leak)
        wastes.append(score.waste)
        wrong = None if is_fine(score.leak, score.waste) else _largest_wrong(mask.levels, truth)
        if wrong is None or len(made) == clicks:
            break
        x, y, adds = wrong
        made.append(wrong)
        masked = masked_before_growth(result, config, layers)
        if adds:
            found = thing_to_add(session, (x, y), masked).artefact
            add, remove = add | found, remove & ~found
        else:
            thing = masked_thing(masked, (x, y), growth_px=radius_px, hole_px=largest_hole_px)
            wanted = [(each_x, each_y) for each_x, each_y, added in made if added]
            found = part_to_remove(session, (x, y), thing, wanted=wanted)
            add, remove = add & ~found, remove | found
    missing = clicks + 1 - len(leaks)
    return ClickFigures(
        source=entry.source,
        image=entry.image,
        leaks=(*leaks, *leaks[-1:] * missing),
        wastes=(*wastes, *wastes[-1:] * missing),
        clicks=tuple(made),
    )


def _largest_wrong(levels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> tuple[int, int, bool] | None:
    """Where a person would click (x, y), and whether to add; None where no cell is wrong."""
    import cv2

    judged = judged_cells(levels, truth)
    best: tuple[int, NDArray[np.bool_], bool] | None = None
    for cells, adds in ((judged.unwanted & (judged.weight > 0.5), True), (judged.far & (judged.weight < 0.5), False)):
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
        for label in range(1, count):
            size = int(statistics[label, cv2.CC_STAT_AREA])
            if best is None or size > best[0]:
                best = size, labels == label, adds
    if best is None:
        return None
    _, component, adds = best
    height_px, width_px = levels.shape
    whole = cv2.resize(component.astype(np.uint8), (width_px, height_px), interpolation=cv2.INTER_NEAREST) > 0
    ys, xs = np.nonzero(whole & (truth == TRUTH_UNWANTED) if adds else whole)
    if not len(xs):  # less than a pixel of it shows at this size
        ys, xs = np.nonzero(whole)
    middle_y, middle_x = (np.argwhere(whole).mean(axis=0)) if len(xs) else (0.0, 0.0)
    nearest = int(np.argmin((ys - middle_y) ** 2 + (xs - middle_x) ** 2))
    return int(xs[nearest]), int(ys[nearest]), adds


def rows_of(figures: Sequence[ClickFigures], clicks: int) -> list[list[str]]:
    """A line per source, then the mean over the sources."""
    sources = list(dict.fromkeys(each.source for each in figures))

    def line(name: str, groups: list[list[ClickFigures]]) -> list[str]:
        cells = [name, str(sum(map(len, groups)))]
        for number in range(clicks + 1):
            share = mean_of([sum(each.is_fine_after(number) for each in group) / len(group) for group in groups])
            leak = mean_of([mean_of([each.leaks[number] for each in group]) for group in groups])
            waste = mean_of([mean_of([each.wastes[number] for each in group]) for group in groups])
            cells.append(f"{100 * (share or 0):.0f}% ({leak or 0:.3f} / {waste or 0:.3f})")
        return cells

    lines = [line(source, [[each for each in figures if each.source == source]]) for source in sources]
    return [*lines, line("*", [[each for each in figures if each.source == source] for source in sources])]


def main(
    manifest: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Images with truth, see docs/bench.md.")
    ],
    kind: Annotated[str, typer.Option(help="Kind of the images that are used.")] = "watermark",
    clicks: Annotated[int, typer.Option(min=1, max=20, help="Clicks at most.")] = 3,
    start: Annotated[Start, typer.Option(help="What is masked before the first click.")] = Start.AUTOMATIC,
    config: Annotated[Path | None, typer.Option(exists=True, help="Configuration file of the first masks.")] = None,
    details: Annotated[Path | None, typer.Option(help="Write the figures of each image here, as JSON.")] = None,
) -> None:
    """Measure how many clicks bring a mask to leak <= .1 and waste <= .05."""
    known = read_manifest(manifest)
    entries = [one for one in known.entries if one.kind == kind and one.mask is not None and one.truth != "unknown"]
    if not entries:
        raise InputError(f"{manifest} has no image of the kind {kind!r} with a truth.", advice="Give another --kind.")
    figures: list[ClickFigures] = []
    settings = load_config(config) if config is not None else PipelineConfig()
    for one in measure_clicks(known, entries, settings, start=start, clicks=clicks):
        figures.append(one)
        sys.stderr.write(f"\r{len(figures)} of {len(entries)} ")
        sys.stderr.flush()
    sys.stderr.write("\n")
    header = ["source", "n", *(f"after {number}" for number in range(clicks + 1))]
    typer.echo(f"Start: {start}. Share of fine masks (mean leak / mean waste).")
    typer.echo(markdown_table(header, rows_of(figures, clicks)))
    if details is not None:
        details.write_text(json.dumps([asdict(each) for each in figures], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        typer.run(main)
    except AutomaskError as error:
        sys.exit(f"{error.message} {error.advice}")
