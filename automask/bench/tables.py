"""Markdown tables of bench figures, for the terminal and for docs/BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from automask.bench.manifest import Manifest, summarise
from automask.bench.run import BenchRun, ImageFigures, pipeline_names, scored_pairs
from automask.mask.confidence.calibration import Calibration, calibrate

FOUND_LEAK = 0.2
"""An image's marks count as found when its leak is at most this."""


def figures_table(run: BenchRun, manifest: Manifest) -> str:
    """Leak and waste per source and kind (row `*`: mean over the kind's sources), a pair of columns per pipeline."""
    names = pipeline_names(run)
    summaries = {
        name: {(row.kind, row.source): row for row in summarise(scored_pairs(run, name, manifest))} for name in names
    }
    header = ["kind / source", "n", *(f"{name} {figure}" for name in names for figure in ("leak", "waste"))]
    rows: list[list[str]] = []
    for key, first in summaries[names[0]].items():
        cells = [f"{first.kind}/{first.source}", str(first.images)]
        for name in names:
            row = summaries[name][key]
            cells += [_number(row.leak), _number(row.waste)]
        rows.append(cells)
    return markdown_table(header, rows)


def decisions_table(run: BenchRun) -> str:
    """Per source: images found (leak <= 0.2), images with a drawn region of each kind, images for review, failures."""
    header = ["pipeline", "kind / source", "n", "found", "text", "frame", "watermark", "review", "failed"]
    rows: list[list[str]] = []
    for name in pipeline_names(run):
        for source, group in _by_source(figure for figure in run.images if figure.pipeline == name):
            scored = [figure.leak for figure in group if figure.leak is not None]
            found = sum(leak <= FOUND_LEAK for leak in scored)
            rows.append(
                [
                    name,
                    source,
                    str(len(group)),
                    f"{found}/{len(scored)}" if scored else "-",
                    *(
                        _share(sum(figure.drawn.get(kind, 0) > 0 for figure in group), len(group))
                        for kind in ("text", "frame", "watermark")
                    ),
                    _share(sum(figure.verdict == "review" for figure in group), len(group)),
                    str(sum(bool(figure.error) for figure in group)),
                ]
            )
    return markdown_table(header, rows)


def stages_table(run: BenchRun) -> str:
    """Seconds per image, images per second and each stage's share of the time, per pipeline."""
    header = ["pipeline", "stage", "s / image", "share"]
    rows: list[list[str]] = []
    for name in pipeline_names(run):
        group = [figure for figure in run.images if figure.pipeline == name]
        total = sum(figure.seconds["total"] for figure in group)
        stages = sorted({stage for figure in group for stage in figure.seconds} - {"total"})
        for stage in stages:
            seconds = sum(figure.seconds.get(stage, 0.0) for figure in group)
            rows.append([name, stage, f"{seconds / len(group):.3f}", f"{seconds / total:.0%}"])
        rows.append([name, "total", f"{total / len(group):.3f}", f"{len(group) / total:.2f} images/s"])
    return markdown_table(header, rows)


def calibration_of(run: BenchRun, manifest: Manifest) -> dict[str, Calibration]:
    """How good each pipeline's confidence is, over all images with known truth."""
    found = {}
    for name in pipeline_names(run):
        pairs = scored_pairs(run, name, manifest)
        found[name] = calibrate(
            np.array([figure.confidence for _, figure in pairs], dtype=np.float64),
            np.array([figure.is_fine for _, figure in pairs], dtype=np.bool_),
            np.array([f"{entry.kind}/{entry.source}" for entry, _ in pairs], dtype=np.str_),
        )
    return found


def calibration_table(figures: Mapping[str, Calibration]) -> str:
    """How good the probabilities of some sets of images are, a row per set; intervals are 95 %."""
    header = ["set", "n", "bad", "queue of 20 %", "ECE", "Brier", "AUROC"]
    rows = [
        [
            name,
            str(found.images),
            f"{found.bad_share:.3f}",
            f"{found.queue_capture:.3f} [{found.queue_interval[0]:.3f}, {found.queue_interval[1]:.3f}]",
            f"{found.calibration_error:.3f} [{found.calibration_interval[0]:.3f}, {found.calibration_interval[1]:.3f}]",
            f"{found.brier:.3f}",
            f"{found.area_under_curve:.3f}",
        ]
        for name, found in figures.items()
    ]
    return markdown_table(header, rows)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with columns padded so that it also reads well as plain text."""
    table = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([line(table[0]), rule, *(line(row) for row in table[1:])])


def _by_source(figures: Iterable[ImageFigures]) -> list[tuple[str, list[ImageFigures]]]:
    groups: dict[str, list[ImageFigures]] = {}
    for figure in figures:
        groups.setdefault(f"{figure.kind}/{figure.source}", []).append(figure)
    return sorted(groups.items())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _share(count: int, total: int) -> str:
    return f"{count / total:.0%}" if total else "-"
