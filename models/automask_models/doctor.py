"""Runs one picture through weights: how long it takes, how much memory, and whether the answer is sane."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.config import RuntimeConfig
from automask.errors import AutomaskError, PluginError
from automask.mask.rendering import grow
from automask.plugins import DETECTORS, REFINERS, available, build_detector, build_refiner
from automask.protocols import PlacedStage, Prompt, PromptableRefiner, Stage
from automask.values.geometry import Box
from automask.values.types import Image, Region
from automask.weights import WeightLibrary

WIDTH_PX, HEIGHT_PX = 640, 480
DISC = (250, 200, 90)
"""Centre x and y and radius, in pixels, of the thing that a refiner is shown by its box."""
MARK = Box(420, 420, 620, 460)
"""Where lettering lies that a detector may find."""
_LEAST_IOU = 0.8
"""A dark disc on plain ground is as easy as outlines get; its own box has an IoU of .79 with it, and that of the mark
one of .72 with the letters."""
_LETTERS_GROWN_PX = 2
"""Networks answer in cells of 4 px: half of one more than the strokes is right."""
_MOST_REGIONS = 30
"""The picture has one mark of six letters; a network that finds dozens of things answers to noise."""
_STAGE_OF_TASK = {
    "refine": "sam",
    "detect-watermark": "yolo",
    "find-ink": "ink",
    "judge-frames": "edges",
    "judge-text": "rapidocr",
}
_OPTION_OF_TASK = {"judge-text": "scene"}
"""The option of that stage which names the weights, where it is not `weights`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of it.

    Attributes:
        word: What was asked for.
        stage: The detector or refiner that ran it.
        load_s: Time to load, in seconds.
        first_s: Time of the first picture.
        second_s: Time of the same picture again, when everything is warm.
        peak_mb: Most memory that the process had by then, in 10^6 bytes; None where the system does not tell.
        answer: What it answered, in words.
        is_sane: Whether that is what weights of this sort answer.
        device: Where it ran, as `--device` calls it; None for a stage that does not tell.
        provider: What ran it there.
    """

    word: str
    stage: str
    load_s: float
    first_s: float
    second_s: float
    peak_mb: float | None
    answer: str
    is_sane: bool
    device: str | None
    provider: str | None


def examine(word: str, *, reference: str, stage: str, library: WeightLibrary, runtime: RuntimeConfig) -> Finding:
    """Load weights and run the picture twice.

    Args:
        word: What was asked for, for the report.
        reference: What the stage's option for its weights is set to.
        stage: The stage, or empty for that of the catalogue's task.
        library: Finds them; nothing is fetched.
        runtime: Device and threads.

    Raises:
        PluginError: No stage runs such weights, or the extra that they need is not installed.
        WeightsError: They are missing, damaged or unsafe.
    """
    name = stage or _stage_of(reference, library)
    spec = None if stage else library.spec_of(reference)
    options = {"weights" if spec is None else _OPTION_OF_TASK.get(spec.task, "weights"): reference}
    run: Callable[[Image], tuple[str, bool]]
    built: Stage
    started = time.perf_counter()
    if name in available(REFINERS) and name not in available(DETECTORS):
        refiner = build_refiner(name, options=options, weights=library, runtime=runtime)
        if not isinstance(refiner, PromptableRefiner):
            raise PluginError(f"The refiner {name} runs no weights that answer a box.", advice="Name another one.")
        built = refiner
        refiner.load()
        run = _outlining(refiner)
    else:
        detector = build_detector(name, options=options, weights=library, runtime=runtime)
        built = detector
        detector.load()
        run = _detecting(detector.detect)
    loaded = time.perf_counter()
    times, image = [], Image(id="doctor", pixels=picture())
    answer, is_sane = "", False
    for _ in range(2):
        before = time.perf_counter()
        try:
            answer, is_sane = run(image)
        except AutomaskError:
            raise
        except Exception as error:  # whatever a network of another kind makes a library raise
            answer, is_sane = f"it fails with {type(error).__name__}: {str(error).splitlines()[:1]}", False
        times.append(time.perf_counter() - before)
    place = built.placement if isinstance(built, PlacedStage) else None
    return Finding(
        word=word,
        stage=name,
        load_s=loaded - started,
        first_s=times[0],
        second_s=times[1],
        peak_mb=_peak_mb(),
        answer=answer,
        is_sane=is_sane,
        device=None if place is None else place.device,
        provider=None if place is None else place.provider,
    )


def picture() -> NDArray[np.uint8]:
    """A dark disc and a white mark on plain ground, (480, 640, 3) uint8 RGB."""
    shade = np.linspace(190, 215, WIDTH_PX, dtype=np.float32)
    pixels = np.repeat(np.repeat(shade[None, :, None], HEIGHT_PX, axis=0), 3, axis=2).astype(np.uint8)
    pixels[disc()] = (30, 40, 90)
    _write_mark(pixels)
    return pixels


def mark() -> NDArray[np.bool_]:
    """The pixels of the mark's letters, (480, 640) bool."""
    pixels = np.zeros((HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    _write_mark(pixels)
    return np.asarray(pixels[..., 0] > 0, dtype=np.bool_)


def _write_mark(pixels: NDArray[np.uint8]) -> None:
    import cv2

    origin = (MARK.x0, MARK.y1 - 8)
    cv2.putText(pixels, "SAMPLE", origin, cv2.FONT_HERSHEY_SIMPLEX, 1.6, (255, 255, 255), 4, cv2.LINE_AA)


def disc() -> NDArray[np.bool_]:
    """The pixels of the disc, (480, 640) bool."""
    x, y, radius = DISC
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2, dtype=np.bool_)


def _stage_of(reference: str, library: WeightLibrary) -> str:
    spec = library.spec_of(reference)
    name = None if spec is None else _STAGE_OF_TASK.get(spec.task)
    if name is None:
        raise PluginError(
            f"Nothing says which detector or refiner runs {reference!r}.",
            advice="Write it as for a run, such as sam:FILE or yolo:FILE.",
        )
    return name


def _outlining(refiner: PromptableRefiner) -> Callable[[Image], tuple[str, bool]]:
    """Asks for the disc and for the mark: what is taught nothing but lettering and marks does not know discs."""
    x, y, radius = DISC
    letters = mark()
    rows, columns = np.nonzero(letters)
    letters_box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    asked = (
        ("disc", Box(x - radius, y - radius, x + radius + 1, y + radius + 1), disc()),
        ("mark", letters_box, grow(letters, _LETTERS_GROWN_PX)),
    )

    def run(image: Image) -> tuple[str, bool]:
        session = refiner.prompt_session(image)
        answers = [session.answer(Prompt(box=box)) for _, box, _ in asked]
        ious = [_iou(answer.artefact, truth) for answer, (_, _, truth) in zip(answers, asked, strict=True)]
        best = int(np.argmax(ious))
        told = f"outlines the {asked[best][0]} in its box with an IoU of {ious[best]:.2f}"
        return told, ious[best] >= _LEAST_IOU and bool(np.isfinite(answers[best].score))

    return run


def _iou(answer: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((answer & truth).sum() / (answer | truth).sum())


def _detecting(detect: Callable[[list[Image]], list[list[Region]]]) -> Callable[[Image], tuple[str, bool]]:
    def run(image: Image) -> tuple[str, bool]:
        (regions,) = detect([image])
        on_mark = sum(region.box.intersection(MARK) is not None for region in regions)
        return f"finds {len(regions)} things, {on_mark} of them on the mark", len(regions) <= _MOST_REGIONS

    return run


def _peak_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
