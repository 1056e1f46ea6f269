"""What detectors, dataset detectors and refiners promise, and what the pipeline promises them.

A stage runs in one process and on one thread at a time; it may use threads of its own inside a call (at most
`RuntimeConfig.threads`), must not change the images it is given, and must not print, reach for the network, install
anything or change process-wide settings. `from_options` and `__init__` only check and remember; weights are read and
heavy packages imported in `load()`, which the pipeline calls once per process before the first call. Stages must
survive pickling by configuration: a worker process builds its own from the same options.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from automask.config import FrozenModel, RuntimeConfig
from automask.values.digests import digest
from automask.values.geometry import Box
from automask.values.placement import Placement
from automask.values.templates import DatasetTemplate
from automask.values.types import Image, Issue, Patch, Region


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file on this machine.

    Attributes:
        name: Name in `weights.toml`, or the path that the user gave.
        path: File, or folder in the Hugging Face layout.
        sha256: Hash of the file (of the sorted file hashes for a folder).
        is_from_hub: Anybody may have put it there: nothing in it is run.
    """

    name: str
    path: Path
    sha256: str
    is_from_hub: bool = False


class WeightSource(Protocol):
    """Finds weights without the network."""

    def find(self, reference: str, *, stage: str = "") -> WeightFile | None:
        """The file, or None where this machine does not have it.

        Args:
            reference: A file where it begins like a path or ends in a weight suffix; else a name of a catalogue; else
                the ORG/NAME of a hub; else a folder.
            stage: Who asks: STAGE-REFERENCE is tried as a name first.

        Raises:
            WeightsError: It is there, but its hash is not the declared one.
        """
        ...

    def how_to_get(self, reference: str, *, stage: str = "") -> str:
        """What to do where `find` has nothing, with the line to run where one helps; empty where nothing is known."""
        ...


@runtime_checkable
class Stage(Protocol):
    """Common part of detectors and refiners."""

    name: ClassVar[str]
    """Its entry-point name."""
    Options: ClassVar[type[FrozenModel]]
    """Its options, with defaults for all of them."""

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """Build the stage. Checks, loads nothing.

        Raises:
            WeightsError: Weights that it cannot do without are missing.
        """
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that its results depend on: algorithm version, options, weights. See `stage_fingerprint`."""
        ...

    @property
    def notices(self) -> Sequence[Issue]:
        """What the user should be told once per run, such as missing optional weights."""
        ...

    def load(self) -> None:
        """Import heavy packages and read weights.

        Raises:
            PluginError: A package of an extra is not installed.
            WeightsError: A weight file is missing, wrong or unsafe.
        """
        ...


@runtime_checkable
class PlacedStage(Protocol):
    """A stage that tells where its networks run. Those that run none need not be one."""

    @property
    def placement(self) -> Placement | None:
        """Where they run, once they are loaded; None before, and where there is no network."""
        ...


@runtime_checkable
class Detector(Stage, Protocol):
    """Finds unwanted regions in single images."""

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """Regions per image: same length, same order, every box inside its image."""
        ...


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of every image of a dataset without its pixels.

    Attributes:
        id: Path relative to the dataset root.
        content_sha256: Hash of its file.
        width_px: Width of the upright image.
        height_px: Height of the upright image.
    """

    id: str
    content_sha256: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, eq=False)
class ReducedImage:
    """An image at the small size at which a dataset detector works.

    Attributes:
        facts: Of the image at full size.
        pixels: (h, w, 3) uint8, what the detector's `reduce` gave.
    """

    facts: ImageFacts
    pixels: NDArray[np.uint8]


class TemplateFinder(Protocol):
    """Finds given templates in single images."""

    def find(self, image: ReducedImage) -> list[Region]:
        """Where an image shows them, at full size: every region with its own `artefact` and the attribute `template`.

        Called from several threads at once.
        """
        ...


@runtime_checkable
class DatasetDetector(Stage, Protocol):
    """Finds what repeats across the images of a dataset.

    A run calls `reduce` on every image while it is decoded; when all have been seen, `sample` and `estimate` once, and
    then the finder of the templates on every image. Results may depend on the set of images only: not on their order,
    nor on how many runs it took to see them.
    """

    def reduce(self, image: Image) -> NDArray[np.uint8] | None:
        """The small (h, w, 3) uint8 copy that all other methods work on; None for an image that is of no use to them.

        Called from several threads at once.
        """
        ...

    def sample(self, images: Iterable[ImageFacts]) -> list[ImageFacts]:
        """The images to compare. Bounded in number and memory, however many there are."""
        ...

    def estimate(self, sample: Sequence[ReducedImage]) -> list[DatasetTemplate]:
        """What repeats in the sample."""
        ...

    def finder(self, templates: Sequence[DatasetTemplate]) -> TemplateFinder:
        """Get ready to find templates of this detector."""
        ...

    def read_template(self, content: bytes) -> DatasetTemplate:
        """The template that was saved to a file.

        Raises:
            ValueError: The bytes are no template of this detector.
        """
        ...

    def confirmed(self, template: DatasetTemplate) -> DatasetTemplate:
        """The template as it is saved once a person decided to apply it: sure, and without need of another decision."""
        ...

    def template_of_mask(self, image: Image, artefact: NDArray[np.bool_]) -> DatasetTemplate:
        """A template from one image and the (H, W) bool pixels that a person marked on it.

        Raises:
            ValueError: Nothing is marked, or nothing that could be found again.
        """
        ...

    def is_same(self, one: DatasetTemplate, other: DatasetTemplate) -> bool:
        """Whether two templates show the same mark or frame, so that a decision about one holds for the other."""
        ...


@runtime_checkable
class Refiner(Stage, Protocol):
    """Turns the regions of one image into pixels."""

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        """One ungrown patch per region, same order, inside the image.

        A region that carries its own `artefact` (a frame's shape) may be returned as it is. A patch may be larger or
        smaller than its region's box, and may be empty of artefact pixels.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What a person points at: at least one wanted point, a box or something drawn.

    Attributes:
        points: Clicks, x and y in pixels of the image.
        wanted: One per click: part of the thing, or not.
        box: Around the thing.
        drawn: (H, W) bool, roughly the thing.
        masked: (H, W) bool, what is masked already: a click means something beside it. May be ignored.
    """

    points: Sequence[tuple[float, float]] = ()
    wanted: Sequence[bool] = ()
    box: Box | None = None
    drawn: NDArray[np.bool_] | None = None
    masked: NDArray[np.bool_] | None = None

    @property
    def clicks(self) -> Iterator[tuple[tuple[float, float], bool]]:
        """Each point, and whether it is wanted."""
        return zip(self.points, self.wanted, strict=True)

    @property
    def drawn_box(self) -> Box | None:
        """Around what is drawn; None where nothing is."""
        return Box.of_artefact(self.drawn) if self.drawn is not None else None


@dataclass(frozen=True, slots=True, eq=False)
class PromptAnswer:
    """What a person pointed at.

    Attributes:
        artefact: (H, W) bool over the whole image, never grown.
        score: 0..1, how sure the method is.
        method: Its name.
    """

    artefact: NDArray[np.bool_]
    score: float
    method: str


class PromptSession(Protocol):
    """One image that was looked at once and can be asked about many times. One thread at a time."""

    def answer(self, prompt: Prompt) -> PromptAnswer:
        """Outline what a prompt means."""
        ...

    def wrong_part(
        self, thing: NDArray[np.bool_], point: tuple[float, float], *, wanted: Sequence[tuple[float, float]] = ()
    ) -> NDArray[np.bool_]:
        """The part of a masked thing that a click says is masked by mistake; the whole thing where none stands out.

        Args:
            thing: (H, W) bool, connected pixels, not grown.
            point: The click, x and y in pixels of the image, on the thing or close to it.
            wanted: Clicks before it that asked for things; what is at them stays.
        """
        return thing


@runtime_checkable
class PromptableRefiner(Refiner, Protocol):
    """A refiner that can also be asked by hand."""

    def prompt_session(self, image: Image) -> PromptSession:
        """Look at an image once, so that questions about it are answered fast."""
        ...


def stage_fingerprint(
    name: str,
    *,
    algorithm_version: int,
    options: FrozenModel | None = None,
    weights_sha256: Sequence[str] = (),
    without: Collection[str] = (),
) -> str:
    """Hash of what a stage's results depend on, 16 hex digits.

    Raise `algorithm_version` with every change that can alter results. Options that name files are left out by
    `without`, and the hash of what is in them is given with `weights_sha256`: where they lie changes nothing.
    """
    content = {
        "name": name,
        "version": algorithm_version,
        "options": options.model_dump(mode="json", exclude=set(without)) if options is not None else {},
        "weights": sorted(weights_sha256),
    }
    return digest(content)
