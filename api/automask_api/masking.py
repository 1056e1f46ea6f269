"""From the bytes of an image to its mask, by way of the cache, the decoders and the model threads."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from automask.config import DecodeConfig, PipelineConfig
from automask.dataset.codes import Refusal
from automask.dataset.decode import Decoded
from automask.errors import StageError
from automask.files.png import encode_mask
from automask.http.wire import WireResult
from automask.mask.drawing import draw, fuse_fingerprint
from automask.mask.rendering import Mask
from automask.values.types import Found, MaskResult
from automask_api.adjusting import Adjustments, adjusted_png
from automask_api.cache import ResultCache
from automask_api.decoding import PixelBudget
from automask_api.errors import ImageTooLarge
from automask_api.loaded_stages import StageChoice
from automask_api.trimming import give_back_memory
from automask_api.uploads.decoder import UploadDecoder
from automask_api.uploads.enlarging import Scale
from automask_api.worker import ModelWorker

_LARGE_PX = 10_000_000
"""Larger images are decoded and analysed one at a time, and no smaller one waits for them to be decoded."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What can be said about a request before anything is decoded.

    Attributes:
        content_sha256: Hash of the image file.
        fingerprint: Of everything else that its mask depends on.
    """

    content_sha256: str
    fingerprint: str

    @property
    def tag(self) -> str:
        """The opaque part of the entity tag."""
        return f"{self.content_sha256[:32]}-{self.fingerprint}"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Everything about one image.

    Attributes:
        facts: Hashes.
        result: As judged under the request's configuration; at a fraction of the file's size where `scale` says so.
        mask: Rendered, of the size of `result`.
        png: The mask file, of the file's size.
        scale: How large images were reduced.
    """

    facts: ImageFacts
    result: MaskResult
    mask: Mask
    png: bytes
    scale: Scale

    def wire(self) -> WireResult:
        """For JSON, in pixels of the file."""
        result = self.scale.result(self.result)
        return WireResult.of_result(
            result, content_sha256=self.facts.content_sha256, masked_share=self.mask.masked_share
        )


class MaskMaker:
    """Makes masks for the routes.

    Args:
        worker: Runs the models.
        config: The server's.
        cache: Results of images seen before.
        threads: For everything that costs time but no model.
        decoder: Decodes what was sent.
        budget: Bounds decoded pixels.
        max_megapixels: Refuse larger images before decoding them.
        reduce_above_megapixels: Analyse larger images at a fraction of their size.
    """

    def __init__(
        self,
        worker: ModelWorker,
        config: PipelineConfig,
        *,
        cache: ResultCache,
        threads: ThreadPoolExecutor,
        decoder: UploadDecoder,
        budget: PixelBudget,
        max_megapixels: float,
        reduce_above_megapixels: float,
    ) -> None:
        self.config = config
        self._worker = worker
        self._cache = cache
        self._threads = threads
        self._decoder = decoder
        self._budget = budget
        self._large_budget = PixelBudget(_LARGE_PX)
        self._most_px = int(reduce_above_megapixels * 1e6)
        most = min(max_megapixels, config.decode.max_megapixels)
        self._decode: DecodeConfig = config.decode.model_copy(update={"max_megapixels": most})

    def facts(self, data: bytes, config: PipelineConfig) -> ImageFacts:
        """Hashes of a request; cheap."""
        fingerprint = fuse_fingerprint(config, self._worker.models_fingerprint(StageChoice.of(config)))
        return ImageFacts(hashlib.sha256(data).hexdigest(), fingerprint)

    async def make(
        self,
        data: bytes,
        facts: ImageFacts,
        config: PipelineConfig,
        *,
        name: str,
        timeout_s: float,
        in_background: bool = False,
    ) -> Answer:
        """The mask of an image.

        Args:
            data: The image file.
            facts: Its `facts`.
            config: From `Service.configured`.
            name: How to call it.
            timeout_s: Model work that has not begun by then is dropped.
            in_background: Behind the images that somebody waits for one by one.

        Raises:
            ImageError: The image cannot be used.
            StageError: A stage failed on it.
            Busy: Too much is waiting.
            DeadlinePassed: It took too long.
        """
        stages = StageChoice.of(config)
        key = f"{facts.content_sha256}-{self._worker.models_fingerprint(stages)}"
        result = await self.in_thread(self._cache.get, key)
        if result is not None:
            scale = Scale(1, result.width_px, result.height_px)
        else:
            result, scale = await self._analyse(
                data, stages, name=name, timeout_s=timeout_s, in_background=in_background
            )
            if scale.by == 1:  # the cache knows one size only
                await self.in_thread(self._cache.put, key, result, facts.content_sha256)
        return await self.in_thread(_drawn, dataclasses.replace(result, image_id=name), facts, config, scale)

    @contextlib.asynccontextmanager
    async def pixels_of(self, data: bytes, *, name: str) -> AsyncIterator[Decoded]:
        """The pixels of an image at its full size, with budget for as long as they are held.

        Raises:
            ImageError: It is not an image that can be used.
            ImageTooLarge: It is too large for what is done at full size.
        """
        async with self._decoded(data, name=name, reduces=False) as decoded:
            yield decoded

    @contextlib.asynccontextmanager
    async def _decoded(self, data: bytes, *, name: str, reduces: bool) -> AsyncIterator[Decoded]:
        size_px = await asyncio.wrap_future(self._decoder.size_px(data, name=name, config=self._decode))
        if size_px > self._most_px and not reduces:
            raise ImageTooLarge(
                f"{name} has {size_px / 1e6:.0f} megapixels, and the limit here is {self._most_px / 1e6:g}.",
                advice="Scale it down, or raise AUTOMASK_SERVE_REDUCE_ABOVE_MEGAPIXELS.",
                code=Refusal.TOO_LARGE.value,
            )
        is_large = size_px > _LARGE_PX
        if is_large:
            await self.in_thread(give_back_memory)
        async with (self._large_budget if is_large else self._budget).taken(min(size_px, self._most_px)):
            future = self._decoder.decode(
                data, name=name, config=self._decode, size_px=size_px, most_px=self._most_px if reduces else None
            )
            yield await asyncio.wrap_future(future)

    async def adjusted(self, data: bytes, adjustments: Adjustments) -> bytes:
        """A finished mask after adjustments, as a mask file.

        Raises:
            ImageError: It is not an image that can be used.
        """
        async with self.pixels_of(data, name="mask") as decoded:
            return await self.in_thread(adjusted_png, decoded, adjustments)

    async def _analyse(
        self, data: bytes, stages: StageChoice, *, name: str, timeout_s: float, in_background: bool
    ) -> tuple[Found, Scale]:
        started = time.perf_counter()
        async with self._decoded(data, name=name, reduces=True) as decoded:
            decode_s = time.perf_counter() - started
            future = self._worker.analyse(
                decoded.image, timeout_s=timeout_s, in_background=in_background, stages=stages
            )
            result = await asyncio.wrap_future(future)
        for issue in result.issues:
            if issue.severity == "error":
                raise StageError(issue.message, advice="The server's log has the details.", code=issue.code)
        scale = Scale.of(decoded)
        issues = (*decoded.issues, *scale.issues(), *result.issues)
        return dataclasses.replace(result, issues=issues, timings_s={"decode": decode_s, **result.timings_s}), scale

    async def in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do something that takes time, beside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))


def _drawn(result: Found, facts: ImageFacts, config: PipelineConfig, scale: Scale) -> Answer:
    drawn = draw(result, config)
    png = encode_mask(scale.levels(drawn.mask.levels))
    return Answer(facts=facts, result=drawn.judged, mask=drawn.mask, png=png, scale=scale)
