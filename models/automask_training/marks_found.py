"""How many marks the pipeline masks: `python -m automask_training.marks_found HELD [--compare NAME=CONFIG.toml ...]`.

Pictures with marks are drawn from a folder of materials that no training saw (`synth.materials HELD --held-out`), and
go through the default pipeline and through others, each picture by one after the other. A mark is *found* where no more
than a fifth of its cells is still trained. A *false area* is masked and lies apart from everything that was put on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.bench.tables import markdown_table
from automask.config import PipelineConfig
from automask.errors import AutomaskError
from automask.mask.metrics import judged_cells, score_mask
from automask.plugins import load_config
from automask.run.pipeline import MaskPipeline
from automask.values.types import Image
from automask_training.starting import start
from automask_training.synth.mark_pictures import MarkSynthesizer
from automask_training.synth.types import SyntheticImage

_SEED = 9_000
_FOUND_LEAK = 0.2
_MASKED_WEIGHT = 0.5
_RIM = 0.04
"""Of the shorter side: as far as outlines reach that were drawn around a mark."""
_LEAST_CELLS = 4
"""Fewer masked cells that touch each other are no false mark: a speck 16 px wide at 1024."""


@dataclass(slots=True)
class Figures:
    """What one pipeline makes of some pictures.

    Attributes:
        leaks: Of each mark, what is still trained of it, 0..1, by its label.
        false_areas: In each picture, masked areas apart from all that was put on.
        wastes: Of each picture, the share of what is wanted that is masked.
    """

    leaks: dict[str, list[float]] = field(default_factory=dict)
    false_areas: list[int] = field(default_factory=list)
    wastes: list[float] = field(default_factory=list)

    def add(self, made: SyntheticImage, levels: NDArray[np.uint8]) -> None:
        """Count one picture, (H, W) uint8 levels of its mask, 255 = trained."""
        truth = made.truth(made.artefact())
        cells = judged_cells(levels, truth)
        self.false_areas.append(_areas(_apart(cells.far) & (cells.weight < _MASKED_WEIGHT)))
        self.wastes.append(score_mask(levels, truth).waste or 0.0)
        for mark in made.instances:
            if mark.kind == "watermark":
                alone = replace(made, instances=(mark,)).artefact()
                leak = score_mask(levels, made.truth(alone)).leak
                if leak is not None:
                    self.leaks.setdefault(mark.label, []).append(leak)

    def row(self) -> list[str]:
        """Its figures, as a table shows them."""
        leaks = [each for group in self.leaks.values() for each in group]
        return [
            str(len(self.wastes)),
            str(len(leaks)),
            f"{_found(leaks):.3f}",
            f"{float(np.mean(leaks)):.3f}",
            f"{float(np.mean(self.false_areas)):.2f}",
            f"{float(np.mean(self.wastes)):.4f}",
        ]


HEADER = ("pictures", "marks", "found", "mean leak", "false areas an image", "waste")


def _found(leaks: list[float]) -> float:
    return float(np.mean([leak <= _FOUND_LEAK for leak in leaks])) if leaks else float("nan")


def _apart(far: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The cells that are also far from the rims of what was put on: a generous outline is no false mark."""
    import cv2

    reach = 2 * round(_RIM * min(far.shape)) + 1
    near = cv2.dilate((~far).astype(np.uint8), np.ones((reach, reach), np.uint8))
    return np.asarray(near == 0)


def _areas(cells: NDArray[np.bool_]) -> int:
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= _LEAST_CELLS).sum())


def measure(
    pictures: Iterator[SyntheticImage], configs: Mapping[str, PipelineConfig], *, log_every: int = 25
) -> dict[str, Figures]:
    """The figures of each pipeline on the same pictures.

    Raises:
        AutomaskError: A pipeline cannot be built, or failed on a picture.
    """
    pipelines = {name: MaskPipeline.from_config(config) for name, config in configs.items()}
    figures = {name: Figures() for name in configs}
    for number, made in enumerate(pictures, start=1):
        for name, pipeline in pipelines.items():
            (found,) = pipeline.run([Image(id=str(number), pixels=made.pixels)])
            figures[name].add(made, pipeline.render(found).levels)
        if number % log_every == 0:
            sys.stderr.write(f"{number} pictures\n")
    return figures


def table(figures: Mapping[str, Figures]) -> str:
    """The figures of all, and the share found by label, as Markdown."""
    labels = sorted({label for each in figures.values() for label in each.leaks})
    by_label = [
        [
            label,
            str(len(next(iter(figures.values())).leaks.get(label, []))),
            *(f"{_found(each.leaks.get(label, [])):.2f}" for each in figures.values()),
        ]
        for label in labels
    ]
    total = markdown_table(["pipeline", *HEADER], [[name, *each.row()] for name, each in figures.items()])
    return f"{total}\n\n{markdown_table(['mark', 'n', *(f'found by {name}' for name in figures)], by_label)}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("held", type=Path, metavar="HELD", help="folder made by synth.materials --held-out")
    parser.add_argument("--count", type=int, default=300, help="how many pictures")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--compare", action="append", default=[], metavar="NAME=CONFIG", help="another pipeline")
    given = parser.parse_args(arguments)
    try:
        configs = {"default": PipelineConfig()}
        for one in given.compare:
            name, _, path = one.partition("=")
            configs[name] = load_config(Path(path))
        synthesizer = MarkSynthesizer(given.held, seed=_SEED, part="all")
        pictures = (synthesizer.sample(number) for number in range(given.first, given.first + given.count))
        figures = measure(pictures, configs)
    except AutomaskError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{table(figures)}\n")
    return 0


if __name__ == "__main__":
    start(main)
