"""Figures, grids and the curve for docs/proof, and the table of docs/proof.md: only of runs that were measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from automask_training.proof.arms import CORE, OTHERS, SEEDS, TAGGED, Arm
from automask_training.proof.measure import FIGURES_FILE, GRID_FILE, START_TIMES
from automask_training.proof.pictures import LIST_FILE
from automask_training.proof.runs import MASKS_FILE, Proof

PAGE_FILE = "proof.md"
_BEGIN, _END = "<!-- figures: written by --page -->", "<!-- end of figures -->"
_CURVE_FILE = "recall.svg"
_RECALL = (("plain", 0), ("half", 50), ("many", 80), ("most", 95), ("truth", 100))
_NOT_RUN = "not run yet"


def write(proof: Proof, docs: Path) -> None:
    """Copy figures and grids to `docs`, draw the curve, and renew what lies between the marks in the page beside it."""
    for folder in (docs / "figures", docs / "grids"):
        folder.mkdir(parents=True, exist_ok=True)
    if (proof.out / LIST_FILE).exists():
        shutil.copyfile(proof.out / LIST_FILE, docs / LIST_FILE)
    for path in sorted(proof.out.glob(f"*-{MASKS_FILE}")):
        shutil.copyfile(path, docs / "figures" / path.name)
    figures: dict[tuple[str, int], dict[str, Any]] = {}
    for arm in (*CORE, *OTHERS, *TAGGED):
        for seed in SEEDS:
            folder = proof.folder_of(arm, seed)
            if not proof.is_measured(arm, seed):
                continue
            name = arm.run_name(seed)
            figures[_key(arm), seed] = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
            shutil.copyfile(folder / FIGURES_FILE, docs / "figures" / f"{name}.json")
            if seed == SEEDS[0]:
                shutil.copyfile(folder / GRID_FILE, docs / "grids" / f"{arm.kind}-{arm.name}.jpg")
    curve = _curve(figures)
    if curve:
        (docs / _CURVE_FILE).write_text(curve, encoding="utf-8")
    page = docs.parent / PAGE_FILE
    if page.exists():
        before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
        _, _, after = rest.partition(_END)
        body = "\n".join(_body(figures, docs.name))
        page.write_text(f"{before}{_BEGIN}\n{body}\n{_END}{after}", encoding="utf-8")


def _key(arm: Arm) -> str:
    return f"{arm.kind}-{arm.name}"


def _body(figures: dict[tuple[str, int], dict[str, Any]], folder: str) -> Iterator[str]:
    times = ", ".join(f"{time:g}" for time in START_TIMES)
    for title, arms in (
        ("A site's watermark", (*CORE, *TAGGED)),
        ("Card frames", tuple(each for each in OTHERS if each.kind == "card")),
        ("Subtitles and corner names", tuple(each for each in OTHERS if each.kind == "subtitles")),
    ):
        yield f"\n### {title}\n"
        again = f"from a marked picture (noise {times}), %"
        yield f"| arm | seed | samples with the mark, % | KID x 1000 | {again} | by tag, % |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for arm in arms:
            for seed in SEEDS:
                yield _row(arm, seed, figures.get((_key(arm), seed)))
    shown = [arm for arm in (*CORE, *TAGGED, *OTHERS) if (_key(arm), SEEDS[0]) in figures]
    if all(("watermark-" + name, SEEDS[0]) in figures for name, _ in _RECALL[:1] + _RECALL[-1:]):
        yield f"\n![Share of samples with the mark by share of masked pictures]({folder}/{_CURVE_FILE})"
    for arm in shown:
        yield f"\n**{arm.kind}, {arm.name}**: {arm.about}\n"
        yield f"![Samples of {arm.kind}, {arm.name}]({folder}/grids/{_key(arm)}.jpg)"


def _row(arm: Arm, seed: int, found: dict[str, Any] | None) -> str:
    cells = [f"`{arm.name}`: {arm.about}", str(seed)]
    if found is None:
        return "| " + " | ".join([*cells, _NOT_RUN, "", "", ""]) + " |"
    asked = found["asked"]
    again = [f"{100 * asked[f'from a marked picture, noise {time:g}']:.0f}" for time in START_TIMES]
    cells += [_interval(found["share_less_mistaken"], 100, 1), _interval(found["kid"], 1000, 1), ", ".join(again)]
    cells.append(f"{100 * asked['by the tag']:.0f}" if "by the tag" in asked else "")
    return "| " + " | ".join(cells) + " |"


def _interval(estimate: dict[str, float], factor: float, digits: int) -> str:
    value, low, high = (f"{factor * estimate[each]:.{digits}f}" for each in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _curve(figures: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Share of samples with the mark by share of masked pictures, as SVG; empty before there are two points."""
    points = [
        (recall, figures[f"watermark-{name}", seed]["share_less_mistaken"])
        for name, recall in _RECALL
        for seed in SEEDS
        if (f"watermark-{name}", seed) in figures
    ]
    if len({recall for recall, _ in points}) < 2:
        return ""

    def x(recall: float) -> float:
        return 60 + 4.0 * recall

    def y(share: float) -> float:
        return 250 - 220 * min(1.0, max(0.0, share))

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 500 310" font-family="sans-serif" font-size="13">']
    parts.append('<rect width="500" height="310" fill="#fff"/>')
    for tick in range(0, 101, 20):
        parts.append(f'<path d="M60 {y(tick / 100):.1f}H460" stroke="#ddd"/>')
        parts.append(f'<text x="52" y="{y(tick / 100) + 4:.1f}" text-anchor="end">{tick}</text>')
        parts.append(f'<text x="{x(tick):.1f}" y="270" text-anchor="middle">{tick}</text>')
    means: dict[int, list[float]] = {}
    for recall, share in points:
        means.setdefault(recall, []).append(share["value"])
        parts.append(f'<path d="M{x(recall)} {y(share["low"]):.1f}V{y(share["high"]):.1f}" stroke="#888"/>')
        parts.append(f'<circle cx="{x(recall)}" cy="{y(share["value"]):.1f}" r="4" fill="#06c"/>')
    line = " ".join(f"{x(recall)},{y(sum(values) / len(values)):.1f}" for recall, values in sorted(means.items()))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>')
    parts.append('<text x="260" y="296" text-anchor="middle">marked pictures that have their mask, %</text>')
    parts.append('<text x="60" y="20">samples with the mark, %</text></svg>')
    return "\n".join(parts) + "\n"
