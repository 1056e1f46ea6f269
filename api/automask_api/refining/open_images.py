"""Images that people are asking about: the last few stay encoded, so that the next click is answered at once."""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from automask.errors import AutomaskError, ConfigError, WeightsError
from automask.plugins import build_refiner
from automask.protocols import PromptableRefiner, PromptSession, Refiner
from automask.run.pipeline import MaskPipeline
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_api.refining.fallback import FallbackPromptSession
from automask_models.refiners.colours import ColourPromptSession

logger = logging.getLogger(__name__)

_SHIPPED = "sam"
"""Its weights come with the package."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenImage:
    """An image that can be asked about.

    Attributes:
        image: Its pixels.
        session: Answers questions; on a model thread only.
    """

    image: Image
    session: PromptSession


class OpenImages:
    """A bounded number of open images, the longest unused closed first. Any thread may use it, one at a time works.

    Args:
        pipeline: Its refiner is asked where it can be.
        most: Open images at most.
        most_px: Pixels of all open images at most; one image may be larger.
        loaded: Further refiners that are loaded anyway: the first that can be asked stands in for the pipeline's. Where
            none can, the refiner `sam` is made for it.
    """

    def __init__(self, pipeline: MaskPipeline, *, most: int, most_px: int, loaded: Iterable[Refiner] = ()) -> None:
        self._most = most
        self._most_px = most_px
        self._open: collections.OrderedDict[str, OpenImage] = collections.OrderedDict()
        self._mutex = threading.Lock()
        self.working = threading.Lock()
        """Held while a session works: several model threads share one network."""
        self.missing = ""
        """Why there is no network, or empty."""
        self._refiner = self._promptable(pipeline, loaded)

    def found(self, content_sha256: str) -> OpenImage | None:
        """An open image, now the last one to be closed; None where it is not open."""
        with self._mutex:
            known = self._open.get(content_sha256)
            if known is not None:
                self._open.move_to_end(content_sha256)
            return known

    def opened(self, content_sha256: str, image: Image) -> OpenImage:
        """Look at an image; on a model thread."""
        with self.working:
            known = self.found(content_sha256)
            if known is not None:
                return known
            made = OpenImage(image, self._session(image))
        with self._mutex:
            self._open[content_sha256] = made
            while len(self._open) > 1 and (len(self._open) > self._most or self._pixels() > self._most_px):
                self._open.popitem(last=False)
        return made

    def _session(self, image: Image) -> PromptSession:
        if self._refiner is not None:
            try:
                return FallbackPromptSession(self._refiner.prompt_session(image), ColourPromptSession(image))
            except (ConfigError, WeightsError) as error:
                self._do_without(error)
        return ColourPromptSession(image)

    def _promptable(self, pipeline: MaskPipeline, loaded: Iterable[Refiner]) -> PromptableRefiner | None:
        for refiner in (pipeline.refiner, *loaded):
            if isinstance(refiner, PromptableRefiner):
                return refiner
        options, runtime = pipeline.config.options.get(_SHIPPED, {}), pipeline.config.runtime
        try:
            made = build_refiner(_SHIPPED, options=options, weights=WeightLibrary.discover(), runtime=runtime)
        except (ConfigError, WeightsError) as error:
            self._do_without(error)
            return None
        return made if isinstance(made, PromptableRefiner) else None

    def _do_without(self, error: AutomaskError) -> None:
        self._refiner = None
        self.missing = str(error)
        logger.info("clicks are answered by colour alone: %s", error)

    def _pixels(self) -> int:
        return sum(each.image.width_px * each.image.height_px for each in self._open.values())
