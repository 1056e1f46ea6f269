"""Stages that are cheap, exact, or broken in a chosen way. They inject faults; they never stand in for the program."""

import time

import numpy as np

from automask.config import FrozenModel, PipelineConfig
from automask.protocols import stage_fingerprint
from automask.run.pipeline import MaskPipeline
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Patch, Region
from automask_models.refiners.polygon import PolygonRefiner


class NoOptions(FrozenModel):
    """Nothing to set."""


class RedDetector:
    """Takes the red pixels of an image for one region of text."""

    name = "red"
    Options = NoOptions

    def __init__(self, *, version=1, confidence=0.99):
        self.version = version
        self.confidence = confidence
        self.seen = []

    @property
    def fingerprint(self):
        return stage_fingerprint(self.name, algorithm_version=self.version)

    @property
    def notices(self):
        return ()

    def load(self):
        pass

    def detect(self, images):
        self.seen.extend(image.id for image in images)
        return [self.find(image) for image in images]

    def find(self, image):
        red = (image.pixels[..., 0] > 200) & (image.pixels[..., 1] < 60) & (image.pixels[..., 2] < 60)
        box = Box.of_artefact(red)
        if box is None:
            return []
        attributes = {"text": "red"}
        return [Region(Kind.TEXT, box, self.confidence, self.name, attributes=attributes)]


class Slow(RedDetector):
    """Takes a while."""

    name = "slow"

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def find(self, image):
        time.sleep(self.seconds)
        return super().find(image)


class CrashOn(RedDetector):
    """Raises on images whose name holds a word."""

    name = "crash"

    def __init__(self, word):
        super().__init__()
        self.word = word

    def find(self, image):
        if self.word in image.id:
            raise RuntimeError("out of cheese")
        return super().find(image)


class WrongLength(RedDetector):
    """Answers for one image too few."""

    name = "short"

    def detect(self, images):
        return super().detect(images)[:-1]


class OutsideBox(RedDetector):
    """Finds something outside the image."""

    name = "outside"

    def find(self, image):
        return [Region(Kind.TEXT, Box(0, 0, image.width_px + 1, 1), 0.9, self.name)]


class NanScore(RedDetector):
    """Is not a number sure."""

    name = "nan"

    def find(self, image):
        return [Region(Kind.TEXT, Box(0, 0, 1, 1), float("nan"), self.name)]


class TooManyPatches(PolygonRefiner):
    """A refiner that does not answer one to one."""

    def refine(self, image, regions):
        whole = Patch(image.box, np.ones(image.box.shape, dtype=bool), 1.0, "broken")
        return [*super().refine(image, regions), whole]


def pipeline(*detectors, config=None, refiner=None):
    """A pipeline of given detectors and the polygon refiner."""
    refiner = refiner or PolygonRefiner(PolygonRefiner.Options())
    return MaskPipeline(config or PipelineConfig(), detectors=detectors or (RedDetector(),), refiner=refiner)


def red_on_grey(width_px=96, height_px=64, box=(16, 16, 48, 32), seed=0):
    """A grey picture with one red rectangle, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (height_px, width_px, 3), dtype=np.uint8)
    x0, y0, x1, y1 = box
    pixels[y0:y1, x0:x1] = (255, 0, 0)
    return pixels


def image(name="a.png", **options):
    """`red_on_grey` as an `Image`."""
    return Image(id=name, pixels=red_on_grey(**options))
