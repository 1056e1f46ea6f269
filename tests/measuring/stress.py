"""How faint a mark may be to be found, and how often clean folders stay clean.

`python -m tests.measuring.stress FOLDER`, with 100 or more pictures without marks in the folder.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps
from rich.progress import Progress

from automask.bench.tables import markdown_table
from automask.cli.console import error_console
from automask.config import FrozenModel, PolicyConfig, RenderConfig
from automask.errors import InputError
from automask.mask.metrics import mean_of, score_mask
from automask.mask.rendering import Mask
from automask.protocols import ImageFacts, ReducedImage
from automask.store import write_atomic
from automask.values.templates import template_patch
from automask.values.types import Image
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions

OPACITIES = (0.08, 0.12, 0.2, 0.35, 0.6, 1.0)
COUNTS = (5, 20, 100)
SIZE_PX = (640, 448)
SCORED_IMAGES = 20
"""Images per folder whose masks are drawn and scored."""
CLEAN_COUNTS = (5, 8, 12, 20)
WORDS = ("SAMPLE", "Preview", "PHOTOBANK", "studio 7", "(c) Anna K", "example.org", "PROOF", "Gallery 24")
JPEG_QUALITY = 90
_INK = 0.1


class StressPoint(FrozenModel):
    """Folders with a mark of one opacity on all of their images.

    Attributes:
        opacity: Of the mark, 0..1.
        images: Images in each folder.
        folders: Folders that were tried.
        recall: 1 - leak: share of the weight of marked cells that the masks take away, 0..1.
        waste: Weight lost on cells far from the mark, 0..1.
    """

    opacity: float
    images: int
    folders: int
    recall: float
    waste: float


class StressFigures(FrozenModel):
    """All figures.

    Attributes:
        pictures: Pictures that were drawn from.
        points: By number of images, then by opacity.
        clean_folders: Random folders without a mark.
        clean_applied: Those among them in which a template would have been applied.
        clean_proposed: Those in which one would have been proposed to a person.
    """

    pictures: int
    points: tuple[StressPoint, ...]
    clean_folders: int
    clean_applied: int
    clean_proposed: int


def run_stress(
    folder: Path,
    detector: OverlayDetector,
    *,
    opacities: Sequence[float] = OPACITIES,
    counts: Sequence[int] = COUNTS,
    repeats: int,
    clean_folders: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> StressFigures:
    """Draw marks over pictures, estimate, find, and score.

    Args:
        folder: Pictures without marks.
        detector: What is measured.
        opacities: Of the marks, 0..1.
        counts: Images per folder.
        repeats: Folders per opacity and number of images.
        clean_folders: Random folders without a mark.
        seed: Everything random follows from it.
        progress: Called with (folders done, folders in all).

    Raises:
        InputError: The folder holds fewer pictures than the largest number of images.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    most = max(*counts, *CLEAN_COUNTS)
    if len(files) < most:
        raise InputError(f"{folder} holds {len(files)} pictures; {most} are needed.", advice="Give a larger folder.")
    rng = np.random.default_rng(seed)
    total = len(opacities) * len(counts) * repeats + clean_folders
    done = 0
    points = []
    for count in counts if repeats else ():
        for opacity in opacities:
            scores = []
            for _ in range(repeats):
                scores += _marked_folder(files, detector, rng, count=count, opacity=opacity)
                done += 1
                progress(done, total)
            leak, waste = mean_of([leak for leak, _ in scores]), mean_of([waste for _, waste in scores])
            points.append(
                StressPoint(
                    opacity=opacity, images=count, folders=repeats, recall=1 - (leak or 0.0), waste=waste or 0.0
                )
            )
    applied = proposed = 0
    for _ in range(clean_folders):
        chosen = rng.choice(len(files), int(rng.choice(CLEAN_COUNTS)), replace=False)
        found = detector.estimate([_reduced(detector, _picture(files[i])) for i in chosen])
        applied += any(not template.needs_review for template in found)
        proposed += any(template.needs_review for template in found)
        done += 1
        progress(done, total)
    return StressFigures(
        pictures=len(files),
        points=tuple(points),
        clean_folders=clean_folders,
        clean_applied=applied,
        clean_proposed=proposed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Mark:
    """Ink (h, w) float32 0..1 and its grey level."""

    ink: NDArray[np.float32]
    level: float


def _marked_folder(
    files: Sequence[Path], detector: OverlayDetector, rng: np.random.Generator, *, count: int, opacity: float
) -> list[tuple[float | None, float | None]]:
    mark = _mark(rng)
    truth = np.where(mark.ink > _INK, 255, 0).astype(np.uint8)
    alpha = (mark.ink * opacity)[..., None]
    images = []
    for index in rng.choice(len(files), count, replace=False):
        pixels = _picture(files[index]).astype(np.float32)
        images.append(_recompressed(pixels * (1 - alpha) + mark.level * alpha))
    reduced = [_reduced(detector, pixels) for pixels in images]
    finder = detector.finder(detector.estimate(reduced))
    scores = []
    for image in reduced[:SCORED_IMAGES]:
        regions = finder.find(image)
        mask = Mask.from_patches(
            [template_patch(region) for region in regions],
            regions,
            width_px=SIZE_PX[0],
            height_px=SIZE_PX[1],
            render=RenderConfig(),
            policy=PolicyConfig(),
        )
        score = score_mask(mask.levels, truth)
        scores.append((score.leak, score.waste))
    return scores


def _mark(rng: np.random.Generator) -> _Mark:
    """A word with a ring beside it, somewhere."""
    import cv2

    width_px, height_px = SIZE_PX
    word = str(rng.choice(WORDS))
    scale, thickness = float(rng.uniform(0.7, 1.6)), int(rng.integers(2, 4))
    (across, up), down = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
    across, ring = min(across, width_px - 90), up // 2 + 6
    left = int(rng.integers(2 * ring + 12, max(2 * ring + 13, width_px - across - 8)))
    base = int(rng.integers(up + 12, height_px - down - 8))
    ink = np.zeros((height_px, width_px), np.uint8)
    cv2.putText(ink, word, (left, base), cv2.FONT_HERSHEY_DUPLEX, scale, 255, thickness, cv2.LINE_AA)
    cv2.circle(ink, (left - ring - 6, base - up // 2), ring - 3, 255, thickness, cv2.LINE_AA)
    return _Mark(ink.astype(np.float32) / np.float32(255), float(rng.choice((255.0, 255.0, 0.0))))


def _picture(path: Path) -> NDArray[np.uint8]:
    with PillowImage.open(path) as picture:
        return np.asarray(ImageOps.fit(picture.convert("RGB"), SIZE_PX))


def _recompressed(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    data = io.BytesIO()
    PillowImage.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(data, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(PillowImage.open(data))


def _reduced(detector: OverlayDetector, pixels: NDArray[np.uint8]) -> ReducedImage:
    small = detector.reduce(Image("picture", pixels))
    if small is None:
        raise ValueError("a picture of that size is no icon")
    content = hashlib.sha256(pixels.tobytes()).hexdigest()
    return ReducedImage(ImageFacts(content, content, pixels.shape[1], pixels.shape[0]), small)


def main(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="100 or more pictures without marks.")],
    *,
    opacities: Annotated[
        list[float] | None,
        typer.Option("--opacity", min=0.01, max=1, help="Of the mark; repeatable [.08 to 1]."),
    ] = None,
    counts: Annotated[
        list[int] | None, typer.Option("--images", min=2, help="Images per folder; repeatable [5, 20, 100].")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Folders per opacity and number of images.", min=0)] = 3,
    clean_folders: Annotated[int, typer.Option(help="Random folders without a mark.", min=0)] = 200,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.", min=0)] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="SVG", help="Draw the curve to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")] = False,
) -> None:
    """Measure how faint a mark may be to be found in 5, 20 and 100 images, and how often clean folders stay clean."""
    from .curve import curve_svg  # it draws the figures of this module

    console = error_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("stress", total=None)
        figures = run_stress(
            folder,
            OverlayDetector(OverlayOptions()),
            opacities=opacities or OPACITIES,
            counts=counts or COUNTS,
            repeats=repeats,
            clean_folders=clean_folders,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if plot is not None:
        write_atomic(plot, curve_svg(figures).encode())
    if as_json:
        typer.echo(figures.model_dump_json())
        return
    rows = [
        [str(p.images), f"{p.opacity:g}", str(p.folders), f"{p.recall:.3f}", f"{p.waste:.4f}"] for p in figures.points
    ]
    typer.echo(markdown_table(["images", "opacity", "folders", "recall", "waste"], rows))
    typer.echo(
        f"\n{figures.clean_folders} clean folders: a template would be applied in {figures.clean_applied}, "
        f"proposed in {figures.clean_proposed}"
    )


if __name__ == "__main__":
    typer.run(main)
