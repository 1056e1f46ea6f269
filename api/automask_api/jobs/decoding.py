"""The images of an upload are decoded for its job as those of other requests are: in a process, within bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from automask.config import DecodeConfig
from automask.dataset.codes import Refusal
from automask.dataset.decode import Decoded, DecodeSettings, DecodingStopped
from automask_api.errors import Busy, ImageTooLarge
from automask_api.settings import ServiceSettings
from automask_api.uploads.decoder import UploadDecoder

T = TypeVar("T")

_AGAIN_S = 0.5
"""A job waits where a request is told to come again; so often it looks whether it is to stop."""


class UploadDecoding:
    """A `DecodeData` of what strangers sent, for one job.

    Args:
        decoder: Of the service.
        settings: Limits.
        stop: The job's: when set, nothing is waited for any more.
    """

    def __init__(self, decoder: UploadDecoder, settings: ServiceSettings, *, stop: threading.Event) -> None:
        self._decoder = decoder
        self._max_megapixels = settings.max_megapixels
        self._most_px = int(settings.reduce_above_megapixels * 1e6)
        self._stop = stop

    def __call__(self, data: bytes, *, image_id: str, config: DecodeSettings) -> Decoded:
        """Decode one image, at its full size.

        Raises:
            ImageError: It cannot be used, or takes too long to decode.
            ImageTooLarge: It has more pixels than are analysed at full size, or needs too much memory.
            DecodingStopped: The job is told to stop.
            Busy: The server stops.
        """
        most = min(self._max_megapixels, config.max_megapixels)
        within = DecodeConfig(max_megapixels=most, background=config.background)
        size_px = self._answer(lambda: self._decoder.size_px(data, name=image_id, config=within))
        if size_px > self._most_px:
            raise ImageTooLarge(
                f"{image_id} has {size_px / 1e6:.0f} megapixels, and the limit in jobs from uploads is "
                f"{self._most_px / 1e6:g}.",
                advice="Scale it down, ask for its mask alone, or raise AUTOMASK_SERVE_REDUCE_ABOVE_MEGAPIXELS.",
                code=Refusal.TOO_LARGE.value,
            )
        return self._answer(lambda: self._decoder.decode(data, name=image_id, config=within, size_px=size_px))

    def _answer(self, ask: Callable[[], Future[T]]) -> T:
        """Ask until there is a place, and wait for what comes of it, but no longer than the job goes on."""
        while True:
            future = ask()  # raises where the server stops
            while not wait([future], _AGAIN_S).done:
                if self._stop.is_set():
                    future.cancel()
                    raise DecodingStopped
            try:
                return future.result()
            except Busy as no_place:
                if self._stop.wait(_AGAIN_S):
                    raise DecodingStopped from no_place
